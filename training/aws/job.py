"""Train on SageMaker: `python -m training.aws.job submit --pictures s3://… --stack maskwatch-dev --role ROLE`.

    submit    start a training job, wait for it, publish and register its release; --local runs it in Docker here
    describe  print the status of a job
    publish   publish the release of a finished job to s3://<bucket>/models/<version>/, and register it
    list      list the registered releases
    approve   approve a registered release

The job runs this checkout as a script in AWS's TensorFlow image, or in the project's own image (`--image`,
training/Dockerfile). Code, checkpoints and outputs go to s3://<bucket>/training/. Submitting a version again resumes
from its checkpoints.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import NoRegionError
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

from functions.inference.release import ReleaseError, load_release
from functions.shared.release_files import MANIFEST
from infra.ops.errors import AWS_ERRORS, OpsError, explain
from infra.ops.publish_model import publish
from infra.ops.region import use_region
from infra.ops.stack import outputs_of
from training.candidate import serving_uri
from training.commit import git_commit
from training.errors import TrainingError
from training.files import GATE, STATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT: Final = Path(__file__).parents[2]
TENSORFLOW: Final = ("2.21", "py312")  # of AWS's image
LOCAL_IMAGE: Final = "maskwatch-training:latest"  # `make training-image`
VERSION: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,30}[A-Za-z0-9])?")
INSTANCE_TYPE: Final = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
GROUP: Final = "maskwatch"  # default group of model packages
NO_TELEMETRY: Final = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}
# Training prints a JSON line per epoch, from which SageMaker extracts these metrics.
METRIC_PATTERNS: Final = {
    "train:loss": r'"loss": ([0-9.eE+-]+)',
    "validation:loss": r'"val_loss": ([0-9.eE+-]+)',
    "validation:macro_f1": r'"val_macro_f1": ([0-9.eE+-]+)',
    "validation:accuracy": r'"val_accuracy": ([0-9.eE+-]+)',
    "validation:mask_or_not": r'"val_mask_or_not": ([0-9.eE+-]+)',
    "validation:recall": r'"val_recall": ([0-9.eE+-]+)',
    "validation:average_precision": r'"val_ap50": ([0-9.eE+-]+)',
}


@dataclass(frozen=True)
class JobSpec:
    """The specification of a training job.

    Attributes:
        pictures: s3://… or, for a local job, a folder.
        version: Version of the release.
        bucket: Bucket for code, checkpoints, outputs and the release; empty for a local job.
        role: ARN of the IAM role of the job; empty for a local job.
        serving: s3://… or folder of the release to compare with; empty for the one in this checkout.
        weights: s3://… or folder of starting weights; empty for those in this checkout.
        image: Training image; empty for AWS's TensorFlow image.
        hyperparameters: Arguments of training.aws.entrypoint by name: network, start, stages, batch, seed.
        instance_type: Instance type.
        instances: Number of instances; each trains with its own seed, and the best by validation is published.
        spot: Whether to use spot instances, which are cheaper but may be interrupted; the job then resumes.
        hours: Maximum run time.
        volume_gb: Disk size.
        key: KMS key for the volume and the outputs; empty for the services' own.
        subnets: Subnets of a VPC.
        security_groups: Security groups of the VPC.
        tags: Tags of the job.
        mlflow: ARN or URL of a tracking server; empty to keep MLflow's files in the outputs.
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


def check(spec: JobSpec) -> None:
    """Validate a specification before anything is staged or started.

    Raises:
        TrainingError: A value is invalid; the message names it.
    """
    if not VERSION.fullmatch(spec.version):
        raise TrainingError(
            f"the version {spec.version!r} cannot name a job: up to 32 letters, digits, dots and hyphens, "
            "the first and the last a letter or a digit"
        )
    if not INSTANCE_TYPE.fullmatch(spec.instance_type):
        raise TrainingError(
            f"{spec.instance_type!r} is not a SageMaker instance type, such as ml.c7i.2xlarge"
        )
    if bool(spec.subnets) != bool(spec.security_groups):
        raise TrainingError("a VPC needs both --subnets and --security-groups")
    if spec.instances < 1 or spec.hours <= 0 or spec.volume_gb < 1:
        raise TrainingError("instances, hours and gigabytes must be positive")


def session(bucket: str = "", *, local: bool = False) -> Session:
    """Return a session of the SDK that stages code in `bucket`, without telemetry and validation of roles.

    Raises:
        NoRegionError: No region is set, and the session is not `local`.
    """
    return Session(
        boto_session(local=local),
        default_bucket=bucket or None,
        default_bucket_prefix="training",
        sagemaker_config=NO_TELEMETRY,
    )


def boto_session(*, local: bool = False) -> boto3.Session:
    """Return the boto3 session for a session of the SDK, and turn the SDK's validation of roles off.

    It refuses a role without every right that any job could need, in a VPC for example. Ours has fewer on purpose.

    Raises:
        NoRegionError: No region is set, and the session is not `local`.
    """
    region = boto3.Session().region_name or ("us-east-1" if local else None)
    if not region:
        raise NoRegionError
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")
    return boto3.Session(region_name=region)


def staged_code(into: Path) -> Path:
    """Copy the code of a job to `into`, and return `into`."""
    hidden = shutil.ignore_patterns("__pycache__", "*.ipynb", "requirements.*")
    for name in ("functions/inference", "functions/shared", "training"):
        shutil.copytree(PROJECT / name, into / name, ignore=hidden)
    drift = (str(path.relative_to(PROJECT)) for path in (PROJECT / "functions/drift").glob("*.py"))
    for name in ("functions/__init__.py", "params.yaml", *drift):
        (into / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(PROJECT / name, into / name)
    return into


def trainer(spec: JobSpec, code: Path, sagemaker: Session, local_root: Path | None = None) -> ModelTrainer:
    """Return the SDK's trainer for a specification.

    Args:
        spec: The job.
        code: Folder filled by `staged_code`.
        sagemaker: The session.
        local_root: Folder for the outputs of a local job in Docker; None to run on AWS.
    """
    arguments = {**spec.hyperparameters, "version": spec.version}
    image = spec.image or (LOCAL_IMAGE if local_root else _tensorflow_image(spec, sagemaker))
    source = SourceCode(
        source_dir=str(code),
        command="python -m training.aws.entrypoint",
        args=[part for key, value in arguments.items() for part in (f"--{key}", value)],
        # The project's own image contains all requirements.
        requirements=None if spec.image or local_root else "training/requirements-dlc.txt",
    )
    environment = {
        "AWS_DEFAULT_REGION": sagemaker.boto_region_name,  # SageMaker sets only AWS_REGION, which boto3 does not read
        "GIT_COMMIT": git_commit(),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    if spec.mlflow:
        environment["MLFLOW_TRACKING_URI"] = spec.mlflow
    common: dict[str, Any] = {
        "sagemaker_session": sagemaker,
        "base_job_name": f"maskwatch-{spec.version.replace('.', '-')}",
        "training_image": image,
        "source_code": source,
        "hyperparameters": arguments,
        "environment": environment,
    }
    if local_root:
        local_root.mkdir(parents=True, exist_ok=True)
        environment["PYTHONDONTWRITEBYTECODE"] = "1"  # the code is mounted, and bytecode would belong to root
        compute = Compute(instance_type="local_cpu", instance_count=spec.instances)
        return ModelTrainer(
            training_mode=Mode.LOCAL_CONTAINER,
            local_container_root=str(local_root.absolute()),
            compute=compute,
            **common,
        )
    seconds = round(spec.hours * 3600)
    started = ModelTrainer(
        role=spec.role,
        compute=Compute(
            instance_type=spec.instance_type,
            instance_count=spec.instances,
            volume_size_in_gb=spec.volume_gb,
            volume_kms_key_id=spec.key or None,
            enable_managed_spot_training=spec.spot,
        ),
        networking=Networking(subnets=list(spec.subnets), security_group_ids=list(spec.security_groups))
        if spec.subnets
        else None,
        # A spot job may wait for instances for as long as it may run.
        stopping_condition=StoppingCondition(
            max_runtime_in_seconds=seconds, max_wait_time_in_seconds=2 * seconds if spec.spot else None
        ),
        output_data_config=OutputDataConfig(
            s3_output_path=f"s3://{spec.bucket}/training/jobs", kms_key_id=spec.key or None
        ),
        checkpoint_config=CheckpointConfig(
            s3_uri=f"s3://{spec.bucket}/training/checkpoints/{spec.version}/",
            local_path="/opt/ml/checkpoints",
        ),
        tags=[Tag(key=key, value=value) for key, value in {"project": "maskwatch", **spec.tags}.items()],
        **common,
    )
    return started.with_metric_definitions(
        [MetricDefinition(name=n, regex=r) for n, r in METRIC_PATTERNS.items()]
    )


def channels(spec: JobSpec) -> list[InputData]:
    """Return the job's input channels."""
    uris = {"pictures": spec.pictures, "serving": spec.serving, "weights": spec.weights}
    # A release's URI may end in its digest, which S3 does not know.
    sources = {name: uri.partition("#")[0] for name, uri in uris.items()}
    return [InputData(channel_name=name, data_source=source) for name, source in sources.items() if source]


def submit(spec: JobSpec, sagemaker: Session) -> TrainingJob:
    """Start the job on SageMaker and return at once."""
    check(spec)
    with tempfile.TemporaryDirectory() as code:
        started = trainer(spec, staged_code(Path(code)), sagemaker)
        started.train(channels(spec), wait=False, logs=False)
    return started._latest_training_job  # noqa: SLF001 -- the SDK's only way to it


def run_locally(spec: JobSpec, root: Path) -> Path:
    """Run the job in Docker on this machine; return the folder of its release.

    Raises:
        TrainingError: The gate refused the run.
        RuntimeError: The container failed; its output says why.
    """
    check(spec)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as code:
        trainer(spec, staged_code(Path(code)), session(local=True), root).train(channels(spec))
    return best_release(root / "artifacts" / "model")


def best_release(folder: Path) -> Path:
    """Return the release in a job's output; of several, the one with the best validation score.

    Raises:
        TrainingError: There is none because the gate refused every run; the message contains the reasons.
    """
    found = [path.parent for path in sorted(folder.rglob(MANIFEST))]
    if not found:
        reasons = [json.loads(path.read_text())["reason"] for path in sorted(folder.rglob(GATE))]
        raise TrainingError(f"there is no release: {'; '.join(reasons) or f'nothing in {folder}'}")
    return max(found, key=_validation_score)


def _validation_score(release: Path) -> float:
    history = json.loads((release / STATE).read_text())["history"]
    last = history[-1]["stage"]
    return float(max(row.get("val_macro_f1", row.get("val_ap50")) for row in history if row["stage"] == last))


def publish_job(job: TrainingJob, bucket: str, sagemaker: Session, group: str = GROUP) -> dict[str, Any]:
    """Publish the release of a finished job, and register it for approval.

    Raises:
        TrainingError: The job is not finished, or the gate refused its run.
        OpsError: The version is already published.
    """
    if job.training_job_status != "Completed":
        raise TrainingError(f"{job.training_job_name} is {job.training_job_status}: {job.failure_reason}")
    s3 = sagemaker.boto_session.client("s3")
    place = urlsplit(job.model_artifacts.s3_model_artifacts)
    with tempfile.TemporaryDirectory() as temporary:
        archive, folder = Path(temporary, "model.tar.gz"), Path(temporary, "model")
        s3.download_file(place.netloc, place.path.lstrip("/"), str(archive))
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        release = best_release(folder)
        uri, _, digest = publish(release, bucket, s3).partition("#")
        result = load_release(release)
        gate = json.loads((release / GATE).read_text())
    return register(
        uri,
        str(job.algorithm_specification.training_image),
        {
            "version": result.version,
            "release": uri,
            "manifest_sha256": digest,
            "training_job": str(job.training_job_name),
            "dataset": result.manifest["dataset"]["fingerprint"],
            "git_commit": result.manifest["git_commit"],
            "macro_f1": f"{result.manifest['metrics']['macro_f1']:.4f}",
            "gate": gate["reason"],
            "compared_with": gate["serving_version"],
        },
        sagemaker.boto_session.client("sagemaker"),
        group,
    )


def register(
    uri: str, image: str, about: Mapping[str, str], registry: Any, group: str = GROUP
) -> dict[str, Any]:
    """Register a published release in the Model Registry, pending approval; return the package's description.

    Args:
        uri: S3 URI of the release.
        image: The training image, which contains the runtime, too.
        about: Metadata by name; values are cut to 256 characters.
        registry: A boto3 client for SageMaker.
        group: Group of model packages, which is created if missing.
    """
    ensure_group(group, registry)
    created = registry.create_model_package(
        **package_request(uri, image, {key: value[:256] for key, value in about.items()}, group),
        ModelPackageDescription=f"MaskWatch {about['version']}",
    )
    return dict(registry.describe_model_package(ModelPackageName=created["ModelPackageArn"]))


def package_request(uri: Any, image: str, about: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return the request of CreateModelPackage; see `register`. The values may be a pipeline's variables."""
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": image, "ModelDataSource": {"S3DataSource": source}}
    return {
        "ModelPackageGroupName": group,
        "InferenceSpecification": {"Containers": [container], "SupportedContentTypes": ["image/jpeg"]},
        "ModelApprovalStatus": "PendingManualApproval",
        "CustomerMetadataProperties": about,
    }


def ensure_group(group: str, registry: Any) -> None:
    """Create a group of model packages if it does not exist."""
    pages = registry.get_paginator("list_model_package_groups").paginate(NameContains=group)
    names = [one["ModelPackageGroupName"] for page in pages for one in page["ModelPackageGroupSummaryList"]]
    if group not in names:
        registry.create_model_package_group(ModelPackageGroupName=group)


def registered(registry: Any, group: str = GROUP) -> list[dict[str, Any]]:
    """Return the descriptions of a group's registered releases, newest first."""
    pages = registry.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
    )
    found = [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]
    return [registry.describe_model_package(ModelPackageName=arn) for arn in found]


def approve(version: str, registry: Any, group: str = GROUP) -> str:
    """Approve the newest registered release of a version, and return its ARN.

    Raises:
        TrainingError: No release of this version is registered.
    """
    for package in registered(registry, group):
        about = package.get("CustomerMetadataProperties", {})  # packages registered by hand have none
        if about.get("version") == version:
            arn = str(package["ModelPackageArn"])
            # AWS keeps metadata that the call omits; moto drops it.
            registry.update_model_package(
                ModelPackageArn=arn, ModelApprovalStatus="Approved", CustomerMetadataProperties=about
            )
            return arn
    raise TrainingError(f"no release {version} is registered in {group}")


def _tensorflow_image(spec: JobSpec, sagemaker: Session) -> str:
    version, python = TENSORFLOW
    return str(
        image_uris.retrieve(
            "tensorflow",
            sagemaker.boto_region_name,
            version=version,
            py_version=python,
            instance_type=spec.instance_type,
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
    submit_ = commands.add_parser("submit")
    submit_.add_argument("--pictures", required=True, help="s3://…, or a folder with --local")
    submit_.add_argument("--version", default=f"{datetime.now(UTC):%Y.%m.%d-%H%M}", help="of the release")
    submit_.add_argument("--role", default="", help="ARN of the role that the job runs as")
    submit_.add_argument(
        "--serving", default="", help="release to compare with; default: what the stack serves"
    )
    submit_.add_argument("--network", choices=["classifier", "detector"], default="classifier")
    submit_.add_argument(
        "--weights", default="", help="folder of starting weights; default: the shipped ones"
    )
    submit_.add_argument("--image", default="", help="default: AWS's TensorFlow image")
    submit_.add_argument("--instance-type", default=JobSpec.instance_type)
    submit_.add_argument(
        "--instances", type=int, default=1, help="each with its own seed; the best is published"
    )
    submit_.add_argument(
        "--spot", action="store_true", help="use spot instances: cheaper; interrupted jobs resume"
    )
    submit_.add_argument("--hours", type=float, default=JobSpec.hours, help="maximum run time")
    submit_.add_argument("--volume-gb", type=int, default=JobSpec.volume_gb)
    submit_.add_argument("--key", default="", help="KMS key for volume and outputs")
    submit_.add_argument("--subnets", nargs="*", default=())
    submit_.add_argument("--security-groups", nargs="*", default=())
    submit_.add_argument("--tag", dest="tags", action="append", default=[], metavar="KEY=VALUE")
    submit_.add_argument(
        "--mlflow", default=os.environ.get("MLFLOW_TRACKING_URI", ""), help="tracking server"
    )
    submit_.add_argument(
        "--hyperparameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="start, stages, batch or seed",
    )
    submit_.add_argument("--no-wait", action="store_true", help="return at once; `publish` it later")
    submit_.add_argument(
        "--local", type=Path, metavar="FOLDER", help="run in Docker here, with outputs in FOLDER"
    )
    for name in ("describe", "publish"):
        commands.add_parser(name).add_argument("job")
    commands.add_parser("approve").add_argument("version")
    commands.add_parser("list")
    for name in ("approve", "list"):
        commands.choices[name].add_argument(
            "--stack", default=GROUP, help="stack with the group of model packages"
        )
    for name in ("submit", "publish"):
        where = commands.choices[name].add_mutually_exclusive_group()
        where.add_argument("--stack", help="the stack whose models bucket takes the release")
        where.add_argument("--bucket", default="")
    return parser.parse_args()


def _pairs(result: Sequence[str]) -> dict[str, str]:
    for one in result:
        if "=" not in one:
            raise TrainingError(f"{one!r} is not of the form name=value")
    return dict(one.split("=", 1) for one in result)


def _bucket(options: argparse.Namespace) -> str:
    if options.stack:
        return outputs_of(options.stack)["ModelsBucket"]
    if not options.bucket:
        raise TrainingError("give --stack or --bucket: where to publish the release")
    return str(options.bucket)


def _spec(options: argparse.Namespace) -> JobSpec:
    bucket = "" if options.local else _bucket(options)
    if not options.local and not options.role:
        raise TrainingError("give --role: the ARN of the role that the job runs as")
    given = vars(options) | {
        "bucket": bucket,
        "serving": options.serving or (serving_uri(options.stack) if options.stack else ""),
        "hyperparameters": {"network": options.network, **_pairs(options.hyperparameter)},
        "tags": _pairs(options.tags),
    }
    return JobSpec(**{one.name: given[one.name] for one in fields(JobSpec)})


def _submit(options: argparse.Namespace) -> None:
    spec = _spec(options)
    if options.local:
        print(f"release {spec.version} in {run_locally(spec, options.local)}")
        return
    sagemaker = session(spec.bucket)
    job = submit(spec, sagemaker)
    print(f"submitted {job.training_job_name}")
    if options.no_wait:
        where = f"--stack {options.stack}" if options.stack else f"--bucket {spec.bucket}"
        print(f"then: python -m training.aws.job publish {job.training_job_name} {where}")
        return
    job.wait(logs=True)
    _published(publish_job(job, spec.bucket, sagemaker, options.stack or GROUP), options.stack)


def _published(package: Mapping[str, Any], stack: str | None) -> None:
    about = package["CustomerMetadataProperties"]
    approve = f"approve {about['version']}" + (f" --stack {stack}" if stack else "")
    print(f"published {about['release']}; {about['gate']}")
    print(f"registered, {package['ModelApprovalStatus']}; then: python -m training.aws.job {approve}")


def main() -> None:
    """Run the command."""
    options = _options()
    use_region()
    try:
        if options.command == "submit":
            _submit(options)
        elif options.command == "describe":
            print(_described(TrainingJob.get(options.job, session=session().boto_session)))
        elif options.command == "publish":
            bucket = _bucket(options)
            sagemaker = session(bucket)
            job = TrainingJob.get(options.job, session=sagemaker.boto_session)
            _published(publish_job(job, bucket, sagemaker, options.stack or GROUP), options.stack)
        elif options.command == "approve":
            print(f"{approve(options.version, boto3.client('sagemaker'), options.stack)}: Approved")
        else:
            for package in registered(boto3.client("sagemaker"), options.stack):
                about, status = package["CustomerMetadataProperties"], package["ModelApprovalStatus"]
                print(f"{about['version']:20}{status:24}{about['release']}  {about['gate']}")
    except (TrainingError, OpsError, ReleaseError) as error:
        sys.exit(f"error: {error}")
    except AWS_ERRORS as error:
        sys.exit(f"error: {explain(error)}")


if __name__ == "__main__":
    main()
