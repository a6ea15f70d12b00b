"""The SageMaker pipeline, `make pipeline`: `python -m training.aws.pipeline --stack STACK --role ROLE --image IMAGE`.

Prepare → Train → Evaluate → Passed → Register; each step runs the project's training image with another command. The
gate is part of Evaluate, which compares with the release that the stack serves at that moment. If the run passes, its
release goes to s3://<bucket>/models/<version>/ and, pending approval, to the Model Registry. If not, the execution
fails with the reason. The report goes to s3://<bucket>/training/reports/<version>/ either way.

Each network has its own pipeline; the names of pipeline and group of model packages begin with the stack's. The
parameters of an execution are InputData, Serving, Start, Stages, Batch, Seed and the instance types; its id becomes
the release's version.
"""

from __future__ import annotations

import argparse
import json
import sys

import boto3

from infra.ops.errors import AWS_ERRORS, OpsError, explain
from infra.ops.region import use_region
from infra.ops.stack import outputs_of
from training.aws.registry import ensure_group
from training.errors import TrainingError


def main() -> None:
    """Run the command: create or update the pipeline, and start it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", required=True, help="stack with the models bucket and the serving release")
    parser.add_argument("--role", required=True, help="ARN of the role that pipeline and steps run as")
    parser.add_argument("--image", required=True, help="the training image in ECR")
    parser.add_argument("--network", choices=["classifier", "detector"], default="classifier")
    parser.add_argument("--pictures", help="s3://…; default: pictures/ in the models bucket")
    parser.add_argument("--mlflow", default="", help="tracking server")
    parser.add_argument("--spot", action="store_true", help="train on spot instances")
    parser.add_argument("--no-start", action="store_true", help="create or update only")
    parser.add_argument("--definition", action="store_true", help="print the definition and change nothing")
    options = parser.parse_args()
    use_region()
    try:
        bucket = outputs_of(options.stack)["ModelsBucket"]
        from training.aws.definition import PipelineSpec, build, session_for  # noqa: PLC0415 -- needs a region

        spec = PipelineSpec(
            options.stack, bucket, options.role, options.image, options.network, options.mlflow, options.spot
        )
        pipeline = build(spec, session_for(spec.bucket))
        if options.definition:
            print(json.dumps(json.loads(pipeline.definition()), indent=1))
            return
        ensure_group(spec.stack, boto3.client("sagemaker"))
        print(pipeline.upsert(role_arn=spec.role)["PipelineArn"])
        if not options.no_start:
            given = {"InputData": options.pictures} if options.pictures else {}
            print(pipeline.start(parameters=given).arn)
    except (TrainingError, OpsError, *AWS_ERRORS) as error:
        sys.exit(f"error: {explain(error)}")


if __name__ == "__main__":
    main()
