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
import os
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

try:
    from sagemaker.core.resources import TrainingJob
except ModuleNotFoundError as error:
    sys.exit(f"There is no {error.name} in this Python: run `make .venv/aws-training.stamp` first")

from functions.inference.release import ReleaseError
from infra.ops.errors import AWS_ERRORS, OpsError, explain
from infra.ops.region import use_region
from infra.ops.stack import outputs_of
from training.aws.registry import GROUP, approve, registered
from training.aws.sessions import session
from training.aws.training_job import JobSpec, publish_job, run_locally, submit
from training.candidate import serving_uri
from training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagemaker.core.helper.session_helper import Session


def _describe(job: TrainingJob) -> str:
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
    submit_.add_argument("--key", default="", help="KMS key for outputs, and for volumes that take one")
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


def _pairs(pairs: Sequence[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise TrainingError(f"{pair!r} is not of the form name=value")
    return dict(pair.split("=", 1) for pair in pairs)


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
    return JobSpec(**{field.name: given[field.name] for field in fields(JobSpec)})


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
        print(f"then: .venv/bin/python -m training.aws.job publish {job.training_job_name} {where}")
        return
    job.wait(logs=True)
    _publish(job, spec.bucket, sagemaker, options.stack)


def _publish(job: TrainingJob, bucket: str, sagemaker: Session, stack: str | None) -> None:
    package = publish_job(job, bucket, sagemaker, stack or GROUP)
    metadata = package["CustomerMetadataProperties"]
    approve = f"approve {metadata['version']}" + (f" --stack {stack}" if stack else "")
    print(f"published {metadata['release']}; {metadata['gate']}")
    print(
        f"registered, {package['ModelApprovalStatus']}; then: .venv/bin/python -m training.aws.job {approve}"
    )


def main() -> None:
    """Run the command."""
    options = _options()
    use_region()
    try:
        if options.command == "submit":
            _submit(options)
        elif options.command == "describe":
            print(_describe(TrainingJob.get(options.job, session=session().boto_session)))
        elif options.command == "publish":
            bucket = _bucket(options)
            sagemaker = session(bucket)
            job = TrainingJob.get(options.job, session=sagemaker.boto_session)
            _publish(job, bucket, sagemaker, options.stack)
        elif options.command == "approve":
            print(f"{approve(options.version, boto3.client('sagemaker'), options.stack)}: Approved")
        else:
            for package in registered(boto3.client("sagemaker"), options.stack):
                metadata, status = package["CustomerMetadataProperties"], package["ModelApprovalStatus"]
                print(f"{metadata['version']:20}{status:24}{metadata['release']}  {metadata['gate']}")
    except (TrainingError, OpsError, ReleaseError, *AWS_ERRORS) as error:
        sys.exit(f"error: {explain(error)}")


if __name__ == "__main__":
    main()
