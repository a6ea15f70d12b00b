"""The definition of the SageMaker pipeline.

Importing it needs an AWS region, since the SDK creates a client when it is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    CheckpointConfig,
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
from sagemaker.mlops.workflow.retry import (
    RetryPolicy,
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, Step, StepTypeEnum, TrainingStep
from sagemaker.train.model_trainer import ModelTrainer

from training.aws.registry import package_request
from training.aws.sessions import NO_TELEMETRY, boto_session
from training.aws.training_job import METRIC_PATTERNS
from training.candidate import STACK
from training.files import GATE
from training.recipe import PARAMS, read_recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

WORK: Final = "/opt/ml/processing"
HOURS: Final = 12
RETRIES: Final = 2


@dataclass(frozen=True)
class PipelineSpec:
    """The specification of a pipeline.

    Attributes:
        stack: The stack that serves the releases; names begin with it.
        bucket: The stack's models bucket, for all outputs.
        role: ARN of the role of the steps.
        image: The training image in ECR.
        network: `classifier` or `detector`.
        mlflow: Tracking server; empty to keep MLflow's files in the outputs.
        spot: Whether Train uses spot instances; it resumes from its checkpoints.
    """

    stack: str
    bucket: str
    role: str
    image: str
    network: str = "classifier"
    mlflow: str = ""
    spot: bool = False

    @property
    def name(self) -> str:
        """The name of the pipeline."""
        return f"{self.stack}-{self.network}"


class Register(Step):  # type: ignore[misc]
    """A step that registers a release in S3; the SDK's own step supports only models that SageMaker serves."""

    def __init__(self, name: str, request: Mapping[str, Any]) -> None:
        super().__init__(name, step_type=StepTypeEnum.REGISTER_MODEL)
        self._request = dict(request)

    @property
    def arguments(self) -> dict[str, Any]:
        """The request of CreateModelPackage."""
        return self._request

    @property
    def properties(self) -> None:
        """None, since no step follows."""
        return


def build(spec: PipelineSpec, session: PipelineSession) -> Pipeline:
    """Build the pipeline, without creating it on AWS."""
    data = ParameterString("InputData", default_value=f"s3://{spec.bucket}/pictures/")
    serving = ParameterString("Serving", default_value=f"{STACK}{spec.stack}")
    recipe = read_recipe(PARAMS, spec.network, "release")
    start = ParameterString("Start", default_value="release", enum_values=["release", "imagenet"])
    stages = ParameterString("Stages", default_value="")
    batch = ParameterString("Batch", default_value=str(recipe.batch))
    seed = ParameterString("Seed", default_value=str(recipe.seed))
    machine = ParameterString("InstanceType", default_value="ml.c7i.2xlarge")
    training_machine = ParameterString("TrainingInstanceType", default_value="ml.c7i.2xlarge")
    version = ExecutionVariables.PIPELINE_EXECUTION_ID
    # SageMaker sets only AWS_REGION, which boto3 does not read.
    environment = {"AWS_DEFAULT_REGION": session.boto_region_name}
    if spec.mlflow:
        environment["MLFLOW_TRACKING_URI"] = spec.mlflow

    def processor(*command: str) -> Processor:
        return Processor(
            role=spec.role,
            image_uri=spec.image,
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
            outputs=[_output("prepared", Join("/", [_training(spec), "prepared", version]))],
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
        role=spec.role,
        base_job_name=spec.name,
        training_image=spec.image,
        compute=Compute(
            instance_type=training_machine,
            instance_count=1,
            volume_size_in_gb=100,
            enable_managed_spot_training=spec.spot,
        ),
        stopping_condition=StoppingCondition(
            max_runtime_in_seconds=HOURS * 3600,
            max_wait_time_in_seconds=2 * HOURS * 3600 if spec.spot else None,
        ),
        checkpoint_config=CheckpointConfig(
            s3_uri=Join("/", [_training(spec), "checkpoints", version]), local_path="/opt/ml/checkpoints"
        ),
        hyperparameters={
            "network": spec.network,
            "steps": "fit",
            "start": start,
            "stages": stages,
            "batch": batch,
            "seed": seed,
        },
        environment=environment,
        output_data_config=OutputDataConfig(s3_output_path=f"{_training(spec)}/jobs"),
    ).with_metric_definitions([MetricDefinition(name=n, regex=r) for n, r in METRIC_PATTERNS.items()])
    train = TrainingStep(
        "Train",
        step_args=trainer.train([InputData(channel_name="pictures", data_source=prepared)]),
        cache_config=CacheConfig(enable_caching=True, expire_after="P30D"),
        retry_policies=_retries(),
    )
    gate = PropertyFile("Gate", output_name="report", path=GATE)
    release = Join("/", [f"s3://{spec.bucket}/models", version, ""])
    place = [_training(spec), "reports", version]
    report = Join("/", place)
    command = {
        "--data": f"{WORK}/prepared",
        "--detector" if spec.network == "detector" else "--run": f"{WORK}/run",
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
        retry_policies=_retries(),
    )

    def from_gate(path: str) -> JsonGet:
        return JsonGet(step_name=evaluate.name, property_file=gate, json_path=path)

    metadata = {
        "version": version,
        "release": release,
        "manifest_sha256": from_gate("manifest_sha256"),
        "training_job": train.properties.TrainingJobName,
        "dataset": from_gate("data_fingerprint"),
        "git_commit": from_gate("git_commit"),
        "gate": from_gate("reason"),
        "compared_with": from_gate("serving_version"),
    }
    quality = {"ContentType": "application/json", "S3Uri": Join("/", [*place, "report.json"])}
    register = Register(
        "Register",
        {
            **package_request(release, spec.image, metadata, spec.stack),
            "ModelMetrics": {"ModelQuality": {"Statistics": quality}},
        },
    )
    refused = FailStep("Refused", error_message=Join(" ", ["The gate refused the run:", from_gate("reason")]))
    passed = ConditionStep(
        "Passed",
        conditions=[ConditionEquals(left=from_gate("passed"), right=True)],
        if_steps=[register],
        else_steps=[refused],
    )
    return Pipeline(
        spec.name,
        parameters=[data, serving, start, stages, batch, seed, machine, training_machine],
        steps=[prepare, train, evaluate, passed],
        sagemaker_session=session,
    )


def _retries() -> list[RetryPolicy]:
    """Return the policies for transient failures: throttling, no capacity, internal errors."""
    return [
        StepRetryPolicy(
            [StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING], max_attempts=RETRIES
        ),
        SageMakerJobStepRetryPolicy(
            [SageMakerJobExceptionTypeEnum.INTERNAL_ERROR, SageMakerJobExceptionTypeEnum.CAPACITY_ERROR],
            interval_seconds=60,
            max_attempts=RETRIES,
        ),
    ]


def _training(spec: PipelineSpec) -> str:
    return f"s3://{spec.bucket}/training"


def _input(name: str, uri: Any) -> ProcessingInput:
    source = ProcessingS3Input(
        s3_uri=uri, local_path=f"{WORK}/{name}", s3_data_type="S3Prefix", s3_input_mode="File"
    )
    return ProcessingInput(input_name=name, s3_input=source)


def _output(name: str, uri: Any) -> ProcessingOutput:
    target = ProcessingS3Output(s3_uri=uri, local_path=f"{WORK}/{name}", s3_upload_mode="EndOfJob")
    return ProcessingOutput(output_name=name, s3_output=target)


def session_for(bucket: str) -> PipelineSession:
    """Return a session of the SDK that records calls as steps instead of making them."""
    return PipelineSession(boto_session(), default_bucket=bucket, sagemaker_config=NO_TELEMETRY)
