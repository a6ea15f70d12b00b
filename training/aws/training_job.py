"""Training jobs on SageMaker, or in Docker on this machine: specified, started and published."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sagemaker.core import image_uris
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

from functions.inference.release import load_release
from functions.shared.release_files import MANIFEST
from infra.ops.publish_model import publish
from training.aws.registry import register
from training.aws.sessions import session
from training.commit import git_commit
from training.errors import TrainingError
from training.files import GATE, STATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.resources import TrainingJob

PROJECT: Final = Path(__file__).parents[2]
TENSORFLOW: Final = ("2.21", "py312")  # of AWS's image
LOCAL_IMAGE: Final = "maskwatch-training:latest"  # `make training-image`
VERSION: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,30}[A-Za-z0-9])?")
# SageMaker refuses a key for the volume of these, whose disks encrypt themselves.
LOCAL_STORAGE: Final = re.compile(r"ml\.(g4dn|g5|g6e?|p3dn|p4de?|p5\w*|trn\d\w*|\w+\dg?d)\.")
INSTANCE_TYPE: Final = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
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
            volume_kms_key_id=spec.key if spec.key and not LOCAL_STORAGE.match(spec.instance_type) else None,
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
    """Return the release in a job's output; of several, the one with the best validation figure.

    Raises:
        TrainingError: There is none because the gate refused every run; the message contains the reasons.
    """
    releases = [path.parent for path in sorted(folder.rglob(MANIFEST))]
    if not releases:
        reasons = [
            json.loads(path.read_text(encoding="utf-8"))["reason"] for path in sorted(folder.rglob(GATE))
        ]
        raise TrainingError(f"there is no release: {'; '.join(reasons) or f'nothing in {folder}'}")
    return max(releases, key=_validation_figure)


def _validation_figure(folder: Path) -> float:
    history = json.loads((folder / STATE).read_text(encoding="utf-8"))["history"]
    last = history[-1]["stage"]
    return float(max(row.get("val_macro_f1", row.get("val_ap50")) for row in history if row["stage"] == last))


def publish_job(job: TrainingJob, bucket: str, sagemaker: Session, group: str) -> dict[str, Any]:
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
        archive, output = Path(temporary, "model.tar.gz"), Path(temporary, "model")
        s3.download_file(place.netloc, place.path.lstrip("/"), str(archive))
        with tarfile.open(archive) as files:
            files.extractall(output, filter="data")
        folder = best_release(output)
        uri, _, digest = publish(folder, bucket, s3).partition("#")
        release = load_release(folder)
        gate = json.loads((folder / GATE).read_text(encoding="utf-8"))
    return register(
        uri,
        str(job.algorithm_specification.training_image),
        {
            "version": release.version,
            "release": uri,
            "manifest_sha256": digest,
            "training_job": str(job.training_job_name),
            "dataset": release.manifest["dataset"]["fingerprint"],
            "git_commit": release.manifest["git_commit"],
            "macro_f1": f"{release.manifest['metrics']['macro_f1']:.4f}",
            "gate": gate["reason"],
            "compared_with": gate["serving_version"],
        },
        sagemaker.boto_session.client("sagemaker"),
        group,
    )


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
