"""The SageMaker pipeline, `make pipeline`: `python -m training.aws.pipeline --stack STACK --role ROLE --image IMAGE`.

Prepare → Train → Evaluate → Passed → Register, each step the project's training image with another command. The
gate is part of Evaluate; only of a run that it lets through a release comes to s3://<bucket>/models/<version>/
and, pending a person's approval, to the Model Registry, with what the gate said. Of one that it refuses the
execution fails, with the reason; the report lies in s3://<bucket>/training/reports/<version>/ either way.

An execution may be given InputData, Serving, Start and InstanceType; its id is the release's version.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.training.configs import Compute, InputData, MetricDefinition, StoppingCondition
from sagemaker.core.workflow.conditions import ConditionEquals
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, Step, StepTypeEnum, TrainingStep
from sagemaker.train.model_trainer import ModelTrainer

from infra.ops.stack import stack_outputs
from training.aws.job import GROUP, METRICS, NO_TELEMETRY, serving_release
from training.classifier.dataset import DataError
from training.classifier.gate import GATE

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "maskwatch-training"
WORK: Final = "/opt/ml/processing"
IN_THE_IMAGE: Final = (
    "functions/inference/model"  # the release to compare with, where the stack serves the baked one
)
HOURS: Final = 12


@dataclass(frozen=True)
class Plan:
    """What a pipeline is made for.

    Attributes:
        bucket: Models bucket; everything goes there.
        role: ARN of the role that the steps run as.
        image: The training image in ECR.
        serving: Default release to compare with.
        mlflow: Tracking server; empty keeps MLflow's files among the outputs.
    """

    bucket: str
    role: str
    image: str
    serving: str = IN_THE_IMAGE
    mlflow: str = ""


class Register(Step):  # type: ignore[misc]
    """Register a release in S3; the SDK's own step knows only models that it serves itself."""

    def __init__(self, name: str, request: Mapping[str, Any]) -> None:
        super().__init__(name, step_type=StepTypeEnum.REGISTER_MODEL)
        self._request = dict(request)

    @property
    def arguments(self) -> dict[str, Any]:
        """What CreateModelPackage is called with."""
        return self._request

    @property
    def properties(self) -> None:
        """No step comes after this one."""
        return


def build(plan: Plan, session: PipelineSession) -> Pipeline:
    """The pipeline, not yet known to AWS."""
    data = ParameterString("InputData", default_value=f"s3://{plan.bucket}/pictures/")
    serving = ParameterString("Serving", default_value=plan.serving)
    start = ParameterString("Start", default_value="classifier", enum_values=["classifier", "imagenet"])
    machine = ParameterString("InstanceType", default_value="ml.c7i.2xlarge")
    version = ExecutionVariables.PIPELINE_EXECUTION_ID
    environment = {"MLFLOW_TRACKING_URI": plan.mlflow} if plan.mlflow else {}

    def processor(*command: str) -> Processor:
        return Processor(
            role=plan.role,
            image_uri=plan.image,
            instance_count=1,
            instance_type=machine,
            entrypoint=["python", "-m", *command],
            volume_size_in_gb=100,
            max_runtime_in_seconds=HOURS * 3600,
            sagemaker_session=session,
            env=environment,
        )

    prepare = ProcessingStep(
        "Prepare",
        step_args=processor("training.prepare").run(
            inputs=[_input("pictures", data)],
            outputs=[_output("prepared", Join("/", [_training(plan), "prepared", version]))],
            arguments=[
                "--data",
                f"{WORK}/pictures",
                "--out",
                f"{WORK}/prepared/pictures",
                "--serving",
                serving,
            ],
        ),
    )
    prepared = Join(
        "/", [prepare.properties.ProcessingOutputConfig.Outputs["prepared"].S3Output.S3Uri, "pictures"]
    )
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=plan.role,
        base_job_name=NAME,
        training_image=plan.image,
        compute=Compute(instance_type=machine, instance_count=1, volume_size_in_gb=100),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=HOURS * 3600),
        hyperparameters={"steps": "fit", "start": start},
        environment=environment,
        output_data_config=OutputDataConfig(s3_output_path=f"{_training(plan)}/jobs"),
    ).with_metric_definitions([MetricDefinition(name=n, regex=r) for n, r in METRICS.items()])
    train = TrainingStep(
        "Train", step_args=trainer.train([InputData(channel_name="pictures", data_source=prepared)])
    )
    gate = PropertyFile("Gate", output_name="report", path=GATE)
    release = Join("/", [f"s3://{plan.bucket}/models", version, ""])
    place = [_training(plan), "reports", version]
    report = Join("/", place)
    command = {
        "--data": f"{WORK}/prepared",
        "--run": f"{WORK}/run",
        "--out": f"{WORK}/release",
        "--report": f"{WORK}/report",
        "--version": version,
        "--serving": serving,
    }
    evaluate = ProcessingStep(
        "Evaluate",
        step_args=processor("training.judge").run(
            inputs=[
                _input("prepared", prepared),
                _input("run", train.properties.ModelArtifacts.S3ModelArtifacts),
            ],
            outputs=[_output("release", release), _output("report", report)],
            arguments=[part for pair in command.items() for part in pair],
        ),
        property_files=[gate],
    )

    def said(path: str) -> JsonGet:
        return JsonGet(step_name=evaluate.name, property_file=gate, json_path=path)

    source = {"S3Uri": release, "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": plan.image, "ModelDataSource": {"S3DataSource": source}}
    quality = {"ContentType": "application/json", "S3Uri": Join("/", [*place, "report.json"])}
    register = Register(
        "Register",
        {
            "ModelPackageGroupName": GROUP,
            "InferenceSpecification": {"Containers": [container], "SupportedContentTypes": ["image/jpeg"]},
            "ModelApprovalStatus": "PendingManualApproval",
            "ModelMetrics": {"ModelQuality": {"Statistics": quality}},
            "CustomerMetadataProperties": {
                "version": version,
                "release": release,
                "training_job": train.properties.TrainingJobName,
                "dataset": said("data_fingerprint"),
                "git_commit": said("git_commit"),
                "macro_f1": said("macro_f1"),
                "gate": said("reason"),
                "compared_with": said("serving_version"),
            },
        },
    )
    refused = FailStep("ApiError", error_message=Join(" ", ["The gate refused the run:", said("reason")]))
    passed = ConditionStep(
        "Passed",
        conditions=[ConditionEquals(left=said("passed"), right=True)],
        if_steps=[register],
        else_steps=[refused],
    )
    return Pipeline(
        NAME,
        parameters=[data, serving, start, machine],
        steps=[prepare, train, evaluate, passed],
        sagemaker_session=session,
    )


def _training(plan: Plan) -> str:
    return f"s3://{plan.bucket}/training"


def _input(name: str, uri: Any) -> ProcessingInput:
    source = ProcessingS3Input(
        s3_uri=uri, local_path=f"{WORK}/{name}", s3_data_type="S3Prefix", s3_input_mode="File"
    )
    return ProcessingInput(input_name=name, s3_input=source)


def _output(name: str, uri: Any) -> ProcessingOutput:
    target = ProcessingS3Output(s3_uri=uri, local_path=f"{WORK}/{name}", s3_upload_mode="EndOfJob")
    return ProcessingOutput(output_name=name, s3_output=target)


def session_for(bucket: str) -> PipelineSession:
    """The SDK's session that records calls as steps instead of making them."""
    region = boto3.Session().region_name or "us-east-1"
    return PipelineSession(
        boto3.Session(region_name=region), default_bucket=bucket, sagemaker_config=NO_TELEMETRY
    )


def main() -> None:
    """Create or update the pipeline, and start it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", required=True, help="whose models bucket and serving release are meant")
    parser.add_argument("--role", required=True, help="ARN of the role that pipeline and steps run as")
    parser.add_argument("--image", required=True, help="the training image in ECR")
    parser.add_argument("--pictures", help="s3://…; default: pictures/ in the models bucket")
    parser.add_argument("--mlflow", default="", help="tracking server")
    parser.add_argument("--no-start", action="store_true", help="create or update only")
    parser.add_argument("--definition", action="store_true", help="print the definition and change nothing")
    options = parser.parse_args()
    cloudformation = boto3.client("cloudformation")
    bucket = stack_outputs(options.stack, cloudformation)["ModelsBucket"]
    serving = serving_release(options.stack, cloudformation) or IN_THE_IMAGE
    plan = Plan(bucket, options.role, options.image, serving, options.mlflow)
    try:
        pipeline = build(plan, session_for(bucket))
        if options.definition:
            print(json.dumps(json.loads(pipeline.definition()), indent=1))
            return
        print(pipeline.upsert(role_arn=plan.role)["PipelineArn"])
        if not options.no_start:
            given = {"InputData": options.pictures} if options.pictures else {}
            print(pipeline.start(parameters=given).arn)
    except DataError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
