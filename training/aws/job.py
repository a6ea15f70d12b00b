"""Train on SageMaker: `python -m training.aws.job submit --pictures s3://… --stack maskwatch-dev --role ROLE`.

    submit    start a training job, wait for it, publish and register what it made; --local runs it in Docker, here
    describe  how a job is doing
    publish   the release of a job that was not waited for → s3://<bucket>/models/<version>/, and register it
    list      the registered releases
    approve   let a registered release serve

The job runs this checkout as a script in AWS's TensorFlow image, or in the project's own (`--image`,
training/Dockerfile). Code, checkpoints and outputs lie below s3://<bucket>/training/. Submitting a version again
goes on from its checkpoints.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import TrainingJob
from sagemaker.core.shapes import CheckpointConfig, OutputDataConfig
from sagemaker.core.training.configs import (
    Compute,
    InputData,
    MetricDefinition,
    Networking,
    SourceCode,
    StoppingCondition,
    Tag,
)
from sagemaker.train.model_trainer import Mode, ModelTrainer

from functions.inference.release import MANIFEST, load_release
from infra.ops.publish_model import publish
from infra.ops.stack import stack_outputs
from training.classifier.dataset import DataError
from training.classifier.gate import GATE
from training.commit import git_commit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT: Final = Path(__file__).parents[2]
TENSORFLOW: Final = ("2.21", "py312")  # of AWS's image
LOCAL_IMAGE: Final = "maskwatch-training:latest"  # `make training-image`
GROUP: Final = "maskwatch"
STATE: Final = "state.json"  # of training.classifier.train, which would bring TensorFlow with it
NO_TELEMETRY: Final = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}
# Training prints one JSON line an epoch; these make curves of it in the console.
METRICS: Final = {
    "train:loss": r'"loss": ([0-9.eE+-]+)',
    "validation:loss": r'"val_loss": ([0-9.eE+-]+)',
    "validation:macro_f1": r'"val_macro_f1": ([0-9.eE+-]+)',
    "validation:accuracy": r'"val_accuracy": ([0-9.eE+-]+)',
    "validation:mask_or_not": r'"val_mask_or_not": ([0-9.eE+-]+)',
}


@dataclass(frozen=True)
class Order:
    """A training job to be.

    Attributes:
        pictures: s3://… or, for a local job, a folder.
        version: Of the release.
        bucket: Gets code, checkpoints, outputs and the release; empty for a local job.
        role: What the job may do: an IAM role's ARN; empty for a local job.
        serving: s3://… or folder of the release to compare with; empty for the one in this checkout.
        weights: s3://… or folder with a `.h5` to start from; empty for the shipped classifier's, or Keras' download.
        image: Empty for AWS's TensorFlow image.
        hyperparameters: Of training.aws.entrypoint, by name.
        instance_type: Of the machine.
        instances: Each trains with a seed of its own, and the best by validation is published.
        spot: Cheaper machines that may be taken away; the job goes on when there is one again.
        hours: After which the job is stopped.
        volume_gb: Of disk.
        key: KMS key for the volume and the outputs; empty for the services' own.
        subnets: To run in a VPC.
        security_groups: Of the VPC.
        tags: On the job.
        mlflow: Tracking server, an ARN or URL; empty keeps MLflow's files among the outputs.
    """

    pictures: str
    version: str
    bucket: str = ""
    role: str = ""
    serving: str = ""
    weights: str = ""
    image: str = ""
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    instance_type: str = "ml.c7i.2xlarge"
    instances: int = 1
    spot: bool = False
    hours: float = 12
    volume_gb: int = 50
    key: str = ""
    subnets: Sequence[str] = ()
    security_groups: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    mlflow: str = ""


def session(bucket: str = "") -> Session:
    """The SDK's session, staging code in `bucket`, telling nothing to anyone but AWS's API."""
    return Session(
        boto3.Session(region_name=boto3.Session().region_name or "us-east-1"),
        default_bucket=bucket or None,
        default_bucket_prefix="training",
        sagemaker_config=NO_TELEMETRY,
    )


def staged_code(into: Path) -> Path:
    """Copy what a job runs, and nothing else, to `into`."""
    hidden = shutil.ignore_patterns("__pycache__", "*.ipynb", "requirements.*")
    for name in ("functions/inference", "functions/shared", "training"):
        shutil.copytree(PROJECT / name, into / name, ignore=hidden)
    drift = (f"functions/drift/{name}.py" for name in ("__init__", "baseline", "features"))
    for name in ("functions/__init__.py", "params.yaml", *drift):
        (into / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(PROJECT / name, into / name)
    return into


def trainer(order: Order, code: Path, sagemaker: Session, local_root: Path | None = None) -> ModelTrainer:
    """The SDK's form of an order.

    Args:
        order: What to do.
        code: Folder that `staged_code` filled.
        sagemaker: Where.
        local_root: Run in Docker and leave everything in this folder, rather than on AWS.
    """
    told = {**order.hyperparameters, "version": order.version}
    image = order.image or (LOCAL_IMAGE if local_root else _tensorflow_image(order, sagemaker))
    source = SourceCode(
        source_dir=str(code),
        command="python -m training.aws.entrypoint",
        args=[part for key, value in told.items() for part in (f"--{key}", value)],
        # The project's own image has everything in it.
        requirements=None if order.image or local_root else "training/requirements-dlc.txt",
    )
    environment = {"GIT_COMMIT": git_commit(), "TF_CPP_MIN_LOG_LEVEL": "2"}
    if order.mlflow:
        environment["MLFLOW_TRACKING_URI"] = order.mlflow
    common: dict[str, Any] = {
        "sagemaker_session": sagemaker,
        "base_job_name": f"maskwatch-{order.version.replace('.', '-')}",
        "training_image": image,
        "source_code": source,
        "hyperparameters": told,
        "environment": environment,
    }
    if local_root:
        local_root.mkdir(parents=True, exist_ok=True)
        environment["PYTHONDONTWRITEBYTECODE"] = (
            "1"  # the code is mounted, and bytecode in it would be root's
        )
        compute = Compute(instance_type="local_cpu", instance_count=order.instances)
        return ModelTrainer(
            training_mode=Mode.LOCAL_CONTAINER,
            local_container_root=str(local_root.absolute()),
            compute=compute,
            **common,
        )
    seconds = round(order.hours * 3600)
    started = ModelTrainer(
        role=order.role,
        compute=Compute(
            instance_type=order.instance_type,
            instance_count=order.instances,
            volume_size_in_gb=order.volume_gb,
            volume_kms_key_id=order.key or None,
            enable_managed_spot_training=order.spot,
        ),
        networking=Networking(subnets=list(order.subnets), security_group_ids=list(order.security_groups))
        if order.subnets
        else None,
        # A spot job may wait for machines as long again as it may run.
        stopping_condition=StoppingCondition(
            max_runtime_in_seconds=seconds, max_wait_time_in_seconds=2 * seconds if order.spot else None
        ),
        output_data_config=OutputDataConfig(
            s3_output_path=f"s3://{order.bucket}/training/jobs", kms_key_id=order.key or None
        ),
        checkpoint_config=CheckpointConfig(
            s3_uri=f"s3://{order.bucket}/training/checkpoints/{order.version}/",
            local_path="/opt/ml/checkpoints",
        ),
        tags=[Tag(key=key, value=value) for key, value in {"project": "maskwatch", **order.tags}.items()],
        **common,
    )
    return started.with_metric_definitions([MetricDefinition(name=n, regex=r) for n, r in METRICS.items()])


def channels(order: Order) -> list[InputData]:
    """Where the job's inputs come from."""
    told = {"pictures": order.pictures, "serving": order.serving, "weights": order.weights}
    return [InputData(channel_name=name, data_source=place) for name, place in told.items() if place]


def submit(order: Order, sagemaker: Session) -> TrainingJob:
    """Start the job on SageMaker and return at once."""
    with tempfile.TemporaryDirectory() as code:
        started = trainer(order, staged_code(Path(code)), sagemaker)
        started.train(channels(order), wait=False, logs=False)
    return started._latest_training_job  # noqa: SLF001 -- the SDK's only way to it


def run_locally(order: Order, root: Path) -> Path:
    """Run the job in Docker on this machine, and return the folder of its release.

    Raises:
        DataError: The gate refused the run.
        RuntimeError: The container failed; its output says why.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as code:
        trainer(order, staged_code(Path(code)), session(), root).train(channels(order))
    return best_release(root / "artifacts" / "model")


def best_release(folder: Path) -> Path:
    """The release below what a job left; of several, that of the run which validated best.

    Raises:
        DataError: There is none, since the gate refused every run; the message says why.
    """
    found = [path.parent for path in sorted(folder.rglob(MANIFEST))]
    if not found:
        reasons = [json.loads(path.read_text())["reason"] for path in sorted(folder.rglob(GATE))]
        raise DataError(f"there is no release: {'; '.join(reasons) or f'nothing in {folder}'}")
    return max(found, key=_validation_score)


def _validation_score(release: Path) -> float:
    history = json.loads((release / STATE).read_text())["history"]
    last = history[-1]["stage"]
    return float(max(row["val_macro_f1"] for row in history if row["stage"] == last))


def publish_job(job: TrainingJob, bucket: str, sagemaker: Session) -> dict[str, Any]:
    """Publish the release of a finished job and register it, to be approved.

    Raises:
        DataError: The job is not finished, or the gate refused its run.
        AlreadyPublishedError: There is a release of this version already.
    """
    if job.training_job_status != "Completed":
        raise DataError(f"{job.training_job_name} is {job.training_job_status}: {job.failure_reason}")
    s3 = sagemaker.boto_session.client("s3")
    place = urlsplit(job.model_artifacts.s3_model_artifacts)
    with tempfile.TemporaryDirectory() as temporary:
        archive, folder = Path(temporary, "model.tar.gz"), Path(temporary, "model")
        s3.download_file(place.netloc, place.path.lstrip("/"), str(archive))
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        release = best_release(folder)
        uri = publish(release, bucket, s3)
        told = load_release(release)
        gate = json.loads((release / GATE).read_text())
    return register(
        uri,
        str(job.algorithm_specification.training_image),
        {
            "version": told.version,
            "release": uri,
            "training_job": str(job.training_job_name),
            "dataset": told.manifest["dataset"]["fingerprint"],
            "git_commit": told.manifest["git_commit"],
            "macro_f1": f"{told.manifest['metrics']['macro_f1']:.4f}",
            "gate": gate["reason"],
            "compared_with": gate["serving_version"],
        },
        sagemaker.boto_session.client("sagemaker"),
    )


def register(uri: str, image: str, about: Mapping[str, str], registry: Any) -> dict[str, Any]:
    """Put a published release into the Model Registry, pending a person's approval, and return how it is described.

    Args:
        uri: Where the release is.
        image: That made it; it holds the runtime, too.
        about: Metadata, by name; a value's first 256 characters are kept.
        registry: A SageMaker client of boto3.
    """
    groups = registry.list_model_package_groups(NameContains=GROUP)["ModelPackageGroupSummaryList"]
    if GROUP not in [group["ModelPackageGroupName"] for group in groups]:
        registry.create_model_package_group(ModelPackageGroupName=GROUP)
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": image, "ModelDataSource": {"S3DataSource": source}}
    created = registry.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelPackageDescription=f"MaskWatch {about['version']}",
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["image/jpeg"]},
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties={key: value[:256] for key, value in about.items()},
    )
    return dict(registry.describe_model_package(ModelPackageName=created["ModelPackageArn"]))


def registered(registry: Any) -> list[dict[str, Any]]:
    """How each registered release is described, the newest first."""
    pages = registry.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=GROUP, SortBy="CreationTime", SortOrder="Descending"
    )
    found = [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]
    return [registry.describe_model_package(ModelPackageName=arn) for arn in found]


def approve(version: str, registry: Any) -> str:
    """Approve the newest registered release of that version, and return its ARN.

    Raises:
        DataError: There is none.
    """
    for package in registered(registry):
        about = package.get("CustomerMetadataProperties", {})  # others may register into the group by hand
        if about.get("version") == version:
            arn = str(package["ModelPackageArn"])
            # AWS keeps metadata that is not named, moto drops it.
            registry.update_model_package(
                ModelPackageArn=arn, ModelApprovalStatus="Approved", CustomerMetadataProperties=about
            )
            return arn
    raise DataError(f"no release {version} is registered in {GROUP}")


def serving_release(stack: str, cloudformation: Any) -> str:
    """The address of the release that a stack serves; empty for the one in its image."""
    (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return next((p["ParameterValue"] for p in described["Parameters"] if p["ParameterKey"] == "ModelUri"), "")


def _tensorflow_image(order: Order, sagemaker: Session) -> str:
    version, python = TENSORFLOW
    return str(
        image_uris.retrieve(
            "tensorflow",
            sagemaker.boto_region_name,
            version=version,
            py_version=python,
            instance_type=order.instance_type,
            image_scope="training",
        )
    )


def _described(job: TrainingJob) -> str:
    figures = {m.metric_name: m.value for m in job.final_metric_data_list or []}
    lines = [f"{job.training_job_name}: {job.training_job_status}, {job.secondary_status}"]
    lines += [f"  {name} {value:.4f}" for name, value in figures.items()]
    return "\n".join(lines + ([f"  {job.failure_reason}"] if job.failure_reason else []))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    order = commands.add_parser("submit")
    order.add_argument("--pictures", required=True, help="s3://…, or a folder with --local")
    order.add_argument("--version", default=f"{datetime.now(UTC):%Y.%m.%d-%H%M}", help="of the release")
    order.add_argument("--role", default="", help="ARN of the role that the job runs as")
    order.add_argument(
        "--serving", default="", help="release to compare with; default: what the stack serves"
    )
    order.add_argument(
        "--weights", default="", help="where a .h5 to start from lies; default: the shipped classifier's"
    )
    order.add_argument("--image", default="", help="default: AWS's TensorFlow image")
    order.add_argument("--instance-type", default=Order.instance_type)
    order.add_argument(
        "--instances", type=int, default=1, help="each with a seed of its own; the best is published"
    )
    order.add_argument(
        "--spot", action="store_true", help="cheaper, may be interrupted, and goes on by itself"
    )
    order.add_argument("--hours", type=float, default=Order.hours, help="after which it is stopped")
    order.add_argument("--volume-gb", type=int, default=Order.volume_gb)
    order.add_argument("--key", default="", help="KMS key for volume and outputs")
    order.add_argument("--subnets", nargs="*", default=())
    order.add_argument("--security-groups", nargs="*", default=())
    order.add_argument("--tag", dest="tags", action="append", default=[], metavar="KEY=VALUE")
    order.add_argument("--mlflow", default=os.environ.get("MLFLOW_TRACKING_URI", ""), help="tracking server")
    order.add_argument(
        "--hyperparameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="start, stages, batch or seed",
    )
    order.add_argument("--no-wait", action="store_true", help="return at once; `publish` it later")
    order.add_argument(
        "--local", type=Path, metavar="FOLDER", help="run in Docker here and leave everything there"
    )
    for name in ("describe", "publish"):
        commands.add_parser(name).add_argument("job")
    commands.add_parser("approve").add_argument("version")
    commands.add_parser("list")
    for name in ("submit", "publish"):
        where = commands.choices[name].add_mutually_exclusive_group()
        where.add_argument("--stack", help="the stack whose models bucket takes the release")
        where.add_argument("--bucket", default="")
    return parser.parse_args()


def _pairs(told: Sequence[str]) -> dict[str, str]:
    for one in told:
        if "=" not in one:
            raise DataError(f"{one!r} is not of the form name=value")
    return dict(one.split("=", 1) for one in told)


def _bucket(options: argparse.Namespace) -> str:
    if options.stack:
        return stack_outputs(options.stack, boto3.client("cloudformation"))["ModelsBucket"]
    if not options.bucket:
        raise DataError("say --stack or --bucket: the release has to go somewhere")
    return str(options.bucket)


def _order(options: argparse.Namespace) -> Order:
    bucket = "" if options.local else _bucket(options)
    if not options.local and not options.role:
        raise DataError("say --role: the ARN of the role that the job runs as")
    serving = options.serving
    if options.stack and not serving:
        serving = serving_release(options.stack, boto3.client("cloudformation"))
    return Order(
        pictures=options.pictures,
        version=options.version,
        bucket=bucket,
        role=options.role,
        serving=serving,
        weights=options.weights,
        image=options.image,
        hyperparameters=_pairs(options.hyperparameter),
        instance_type=options.instance_type,
        instances=options.instances,
        spot=options.spot,
        hours=options.hours,
        volume_gb=options.volume_gb,
        key=options.key,
        subnets=options.subnets,
        security_groups=options.security_groups,
        tags=_pairs(options.tags),
        mlflow=options.mlflow,
    )


def _submit(options: argparse.Namespace) -> None:
    order = _order(options)
    if options.local:
        print(f"release {order.version} in {run_locally(order, options.local)}")
        return
    sagemaker = session(order.bucket)
    job = submit(order, sagemaker)
    print(f"submitted {job.training_job_name}")
    if options.no_wait:
        print(f"then: python -m training.aws.job publish {job.training_job_name} --bucket {order.bucket}")
        return
    job.wait(logs=True)
    _published(publish_job(job, order.bucket, sagemaker))


def _published(package: Mapping[str, Any]) -> None:
    about = package["CustomerMetadataProperties"]
    print(f"published {about['release']}; {about['gate']}")
    print(
        f"registered, {package['ModelApprovalStatus']}; then: python -m training.aws.job approve {about['version']}"
    )


def main() -> None:
    """Do what the command line says."""
    options = _options()
    try:
        if options.command == "submit":
            _submit(options)
        elif options.command == "describe":
            print(_described(TrainingJob.get(options.job, session=session().boto_session)))
        elif options.command == "publish":
            bucket = _bucket(options)
            sagemaker = session(bucket)
            job = TrainingJob.get(options.job, session=sagemaker.boto_session)
            _published(publish_job(job, bucket, sagemaker))
        elif options.command == "approve":
            print(f"{approve(options.version, boto3.client('sagemaker'))}: Approved")
        else:
            for package in registered(boto3.client("sagemaker")):
                about, status = package["CustomerMetadataProperties"], package["ModelApprovalStatus"]
                print(f"{about['version']:20}{status:24}{about['release']}  {about['gate']}")
    except DataError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
