"""The system that the rehearsal is played in: what people, cameras and AWS's services do to it, and what it says."""

import gzip
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import requests

from infra.ops.publish_model import publish
from infra.ops.update import change_parameters
from maskwatch.client import Client
from tests.pictures import draw_face, encode
from tests.system import System, eventually
from training.aws.job import approve, register

STACK = "maskwatch"
PIPELINE = f"{STACK}-classifier"
PARAMETERS = {
    "RetrainPipeline": PIPELINE,
    "PromotionRole": "arn:aws:iam::123456789012:role/maskwatch-execute-dev",
}
OPTIONS = [part for name, value in PARAMETERS.items() for part in ("--parameter", f"{name}={value}")]
CAMERAS = tuple(f"gate-{number}" for number in range(1, 13))
FACE = encode(draw_face(), quality=85)
BETWEEN_TWO_LOOKS = (
    10  # seconds, of Promote at an approval that waits, in place of the template's six minutes
)


@dataclass(frozen=True)
class Stage:
    """The system, which runs with `OPTIONS`, a folder for releases, and the queue of whoever is on call."""

    system: System
    folder: Path
    on_call: str

    def operate(self, *arguments: str) -> str:
        """Run an operator's command, and return what it says."""
        done = self.system.operate(*arguments, "--stack", STACK)
        return (done.stdout + done.stderr).strip()

    def deploy(self, **parameters: str) -> None:
        """Deploy with other values of parameters, as `make deploy` would."""
        change_parameters(STACK, parameters, self.system.client("cloudformation"))

    def answers(self, picture: bytes = FACE, cameras: Iterable[str] = CAMERAS) -> dict[str, str]:
        """Send a picture of each camera, and return which release answered it."""
        return {
            camera: self.system.predict(picture, "image/jpeg", params={"source": camera}).json()[
                "model_version"
            ]
            for camera in cameras
        }

    def label(self, picture: bytes) -> str:
        """Send a picture of a new camera, and return the label that answers it."""
        return self.system.predict(picture, "image/jpeg", params={"source": CAMERAS[0]}).json()["label"]

    def judged(self, picture: bytes, source: str, label: str) -> str:
        """Upload a picture, let a person say its label, and return what the model said."""
        client = Client(f"{self.system.url}/", "local")
        key = client.upload(picture, "image/jpeg", source=source)
        prediction = eventually(lambda: client.result(key))["prediction"]
        feedback = {"prediction_id": prediction["prediction_id"], "label": label}
        headers = {"x-api-key": "local"}
        answer = requests.post(f"{self.system.url}/feedback", json=feedback, headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text
        return prediction["label"]

    def health(self) -> dict:
        return requests.get(f"{self.system.url}/health", timeout=60).json()

    def parameters(self) -> dict[str, str]:
        (stack,) = self.system.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}

    def updates(self) -> int:
        """How many updates of the stack were begun."""
        events = self.system.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
        return len({event["ClientRequestToken"] for event in events if event.get("ClientRequestToken")})

    def records(self) -> list[dict]:
        """Every record of a prediction, or of the shadow of one, that has reached S3."""
        s3, bucket = self.system.client("s3"), self.system.outputs["RecordsBucket"]
        found = []
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                found += [json.loads(line) for line in gzip.decompress(body).splitlines()]
        return found

    def logged(self, name: str) -> list[str]:
        """What the function whose log group has this name in the template has logged."""
        group = _physical_id(self.system, name)
        events = self.system.client("logs").filter_log_events(logGroupName=group)["events"]
        return [event["message"] for event in events]

    def happened(self, source: str, kind: str, resources: list[str], detail: Mapping[str, object]) -> None:
        """Tell EventBridge what an AWS service would tell it; the template's rules decide who hears of it."""
        event = {"Source": source, "DetailType": kind, "Resources": resources, "Detail": json.dumps(detail)}
        self.system.client("events").put_events(Entries=[event])

    def look_at_alarm(self, name: str, at: datetime) -> tuple[str, float]:
        """Do as CloudWatch does, and moto does not: set an alarm by its metric, and tell EventBridge of it.

        Returns:
            The state, and the newest value of the hour before `at`.
        """
        cloudwatch = self.system.client("cloudwatch")
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=[f"{STACK}-{name}"])["MetricAlarms"]
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"

        def measured() -> list[dict]:
            metric = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions", "Period")}
            span = {
                "StartTime": at - timedelta(seconds=alarm["Period"]),
                "EndTime": at + timedelta(seconds=1),
            }
            return cloudwatch.get_metric_statistics(**metric, **span, Statistics=[alarm["Statistic"]])[
                "Datapoints"
            ]

        value = max(eventually(measured), key=lambda one: one["Timestamp"])[alarm["Statistic"]]
        state = "ALARM" if value > alarm["Threshold"] else "OK"
        cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue=state, StateReason=f"{value}")
        detail = {"alarmName": alarm["AlarmName"], "state": {"value": state}}
        self.happened("aws.cloudwatch", "CloudWatch Alarm State Change", [alarm["AlarmArn"]], detail)
        return state, value

    def executions(self) -> list[str]:
        """The executions of the retraining pipeline."""
        found = self.system.client("sagemaker").list_pipeline_executions(PipelineName=PIPELINE)
        return [one["PipelineExecutionArn"] for one in found["PipelineExecutionSummaries"]]

    def repacked(self, release: Path, version: str, damage: str = "", **changes: object) -> str:
        """Publish a release under another version, its manifest changed; return its address, and damage a file."""
        folder = shutil.copytree(release, self.folder / version)
        manifest = json.loads((folder / "manifest.json").read_text()) | {"version": version} | changes
        (folder / "manifest.json").write_text(json.dumps(manifest))
        bucket, s3 = self.system.outputs["ModelsBucket"], self.system.client("s3")
        address = publish(folder, bucket, s3)
        if damage:
            s3.put_object(Bucket=bucket, Key=f"models/{version}/{damage}", Body=b"not what was published")
        return address

    def registered(self, version: str, address: str, **about: str) -> None:
        """Register a release as the pipeline does, and tell of it as SageMaker does."""
        uri, _, digest = address.partition("#")
        about |= {"version": version, "manifest_sha256": digest}
        package = register(uri, "image", about, self.system.client("sagemaker"), STACK)
        self._tell_of(package["ModelPackageArn"], "PendingManualApproval")

    def approved(self, version: str, times: int = 1) -> str:
        """Approve a release, tell of it so many times, and return what its package says in the end."""
        registry = self.system.client("sagemaker")
        arn = approve(version, registry, STACK)
        for _ in range(times):
            self._tell_of(arn, "Approved")

        def concluded() -> str:
            package = registry.describe_model_package(ModelPackageName=arn)
            text = package.get("ApprovalDescription", "")
            return text and f"{package['ModelApprovalStatus']}: {text}"

        return eventually(concluded, seconds=300)

    def _tell_of(self, arn: str, status: str) -> None:
        detail = {"ModelPackageGroupName": STACK, "ModelPackageArn": arn, "ModelApprovalStatus": status}
        self.happened("aws.sagemaker", "SageMaker Model Package State Change", [arn], detail)

    def told(self) -> list[str]:
        """The subjects of what whoever is on call was told since the last time."""
        sqs, subjects = self.system.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.on_call, MaxNumberOfMessages=10).get("Messages"):
            subjects += [json.loads(message["Body"])["Subject"] for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=self.on_call, ReceiptHandle=message["ReceiptHandle"])
        return subjects


def set_up(system: System, folder: Path) -> Stage:
    """Make the retraining pipeline as `make pipeline` does, and have somebody on call."""
    from training.aws.pipeline import PipelineSpec, build, session_for  # noqa: PLC0415 -- asks for a region

    bucket, role = system.outputs["ModelsBucket"], "arn:aws:iam::123456789012:role/maskwatch-training"
    build(PipelineSpec(STACK, bucket, role, "image"), session_for(bucket)).upsert(role_arn=role)
    sqs = system.client("sqs")
    queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    system.client("sns").subscribe(TopicArn=system.outputs["AlarmsTopic"], Protocol="sqs", Endpoint=arn)
    approvals = _physical_id(system, "PromoteQueue")
    sqs.set_queue_attributes(QueueUrl=approvals, Attributes={"VisibilityTimeout": str(BETWEEN_TWO_LOOKS)})
    return Stage(system, folder, queue)


def _physical_id(system: System, name: str) -> str:
    described = system.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId=name
    )
    return described["StackResourceDetail"]["PhysicalResourceId"]
