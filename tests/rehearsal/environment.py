"""The environment of the rehearsal: the local stack, and the actions of people, cameras and AWS services on it."""

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
from training.aws.registry import approve, register

STACK = "maskwatch"
PIPELINE = f"{STACK}-classifier"
PARAMETERS = {
    "RetrainPipeline": PIPELINE,
    "PromotionRole": "arn:aws:iam::123456789012:role/maskwatch-execute-dev",
}
OPTIONS = [part for name, value in PARAMETERS.items() for part in ("--parameter", f"{name}={value}")]
CAMERAS = tuple(f"gate-{number}" for number in range(1, 13))
FACE = encode(draw_face(), quality=85)
RETRY_SECONDS = 10  # between Promote's retries, instead of the template's six minutes


@dataclass(frozen=True)
class Environment:
    """The local stack with `OPTIONS`, a folder for releases, and a queue that is subscribed to the alarms topic."""

    system: System
    folder: Path
    queue: str

    def operate(self, *arguments: str) -> str:
        """Run an operator's command, and return its output."""
        done = self.system.operate(*arguments, "--stack", STACK)
        return (done.stdout + done.stderr).strip()

    def deploy(self, **parameters: str) -> None:
        """Deploy with other parameters, as `make deploy` would."""
        change_parameters(STACK, parameters, self.system.client("cloudformation"))

    def answers(self, picture: bytes = FACE, cameras: Iterable[str] = CAMERAS) -> dict[str, str]:
        """Send a picture for each camera, and return the version of the release that answered."""
        return {
            camera: self.system.predict(picture, "image/jpeg", params={"source": camera}).json()[
                "model_version"
            ]
            for camera in cameras
        }

    def label(self, picture: bytes) -> str:
        """Send a picture of a new camera, and return the predicted label."""
        return self.system.predict(picture, "image/jpeg", params={"source": CAMERAS[0]}).json()["label"]

    def label_upload(self, picture: bytes, source: str, label: str) -> str:
        """Upload a picture, send feedback with its label, and return the predicted label."""
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
        """Return the number of updates of the stack."""
        events = self.system.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
        return len({event["ClientRequestToken"] for event in events if event.get("ClientRequestToken")})

    def records(self) -> list[dict]:
        """Return all records of predictions and shadow predictions in S3."""
        s3, bucket = self.system.client("s3"), self.system.outputs["RecordsBucket"]
        found = []
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                found += [json.loads(line) for line in gzip.decompress(body).splitlines()]
        return found

    def log_lines(self, name: str) -> list[str]:
        """Return the messages of a log group, given by its name in the template."""
        group = _physical_id(self.system, name)
        events = self.system.client("logs").filter_log_events(logGroupName=group)["events"]
        return [event["message"] for event in events]

    def send_event(self, source: str, kind: str, resources: list[str], detail: Mapping[str, object]) -> None:
        """Send an AWS service's event to EventBridge; the template's rules route it."""
        event = {"Source": source, "DetailType": kind, "Resources": resources, "Detail": json.dumps(detail)}
        self.system.client("events").put_events(Entries=[event])

    def update_alarm(self, name: str, at: datetime) -> tuple[str, float]:
        """Set an alarm's state by its metric, and send the event, as CloudWatch does and moto does not.

        Returns:
            The state, and the latest value in the period before `at`.
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
        self.send_event("aws.cloudwatch", "CloudWatch Alarm State Change", [alarm["AlarmArn"]], detail)
        return state, value

    def executions(self) -> list[str]:
        """Return the ARNs of the executions of the retraining pipeline."""
        found = self.system.client("sagemaker").list_pipeline_executions(PipelineName=PIPELINE)
        return [one["PipelineExecutionArn"] for one in found["PipelineExecutionSummaries"]]

    def publish_copy(self, release: Path, version: str, damage: str = "", **changes: object) -> str:
        """Publish a copy of a release with a changed manifest, optionally damage a file, and return its address."""
        folder = shutil.copytree(release, self.folder / version)
        manifest = json.loads((folder / "manifest.json").read_text()) | {"version": version} | changes
        (folder / "manifest.json").write_text(json.dumps(manifest))
        bucket, s3 = self.system.outputs["ModelsBucket"], self.system.client("s3")
        address = publish(folder, bucket, s3)
        if damage:
            s3.put_object(Bucket=bucket, Key=f"models/{version}/{damage}", Body=b"damaged")
        return address

    def register_release(self, version: str, address: str, **about: str) -> None:
        """Register a release as the pipeline does, and send SageMaker's event."""
        uri, _, digest = address.partition("#")
        about |= {"version": version, "manifest_sha256": digest}
        package = register(uri, "image", about, self.system.client("sagemaker"), STACK)
        self._send_package_event(package["ModelPackageArn"], "PendingManualApproval")

    def approve_release(self, version: str, times: int = 1) -> str:
        """Approve a release, send SageMaker's event `times` times, and return the package's final status."""
        registry = self.system.client("sagemaker")
        arn = approve(version, registry, STACK)
        for _ in range(times):
            self._send_package_event(arn, "Approved")

        def concluded() -> str:
            package = registry.describe_model_package(ModelPackageName=arn)
            text = package.get("ApprovalDescription", "")
            return text and f"{package['ModelApprovalStatus']}: {text}"

        return eventually(concluded, seconds=300)

    def _send_package_event(self, arn: str, status: str) -> None:
        detail = {"ModelPackageGroupName": STACK, "ModelPackageArn": arn, "ModelApprovalStatus": status}
        self.send_event("aws.sagemaker", "SageMaker Model Package State Change", [arn], detail)

    def notifications(self) -> list[str]:
        """Return the subjects of the messages to the alarms topic since the last call."""
        sqs, subjects = self.system.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            subjects += [json.loads(message["Body"])["Subject"] for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return subjects


def set_up(system: System, folder: Path) -> Environment:
    """Create the retraining pipeline as `make pipeline` does, and subscribe a queue to the alarms topic."""
    from training.aws.definition import PipelineSpec, build, session_for  # noqa: PLC0415 -- asks for a region

    bucket, role = system.outputs["ModelsBucket"], "arn:aws:iam::123456789012:role/maskwatch-training"
    build(PipelineSpec(STACK, bucket, role, "image"), session_for(bucket)).upsert(role_arn=role)
    sqs = system.client("sqs")
    queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    system.client("sns").subscribe(TopicArn=system.outputs["AlarmsTopic"], Protocol="sqs", Endpoint=arn)
    approvals = _physical_id(system, "PromoteQueue")
    sqs.set_queue_attributes(QueueUrl=approvals, Attributes={"VisibilityTimeout": str(RETRY_SECONDS)})
    return Environment(system, folder, queue)


def _physical_id(system: System, name: str) -> str:
    described = system.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId=name
    )
    return described["StackResourceDetail"]["PhysicalResourceId"]
