"""An approved model package serves after one update of the stack, and never stays live where it must not."""

import importlib
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from functions.inference.fetch import BAKED
from functions.promote import verify
from functions.promote.errors import BusyError, StuckError
from functions.promote.promote import Clients, promote
from functions.promote.registry import Result
from functions.promote.settings import Settings
from functions.shared.contract import LABELS
from infra.ops.publish_model import publish
from tests.conftest import ROOT

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/maskwatch/1"
ROLE = "arn:aws:iam::123456789012:role/maskwatch-execute-dev"
OTHERS = {"AlarmEmail": "oncall@example.org", "CorsOrigin": "*", "BaselineUri": ""}


class CloudFormation:
    """One stack: refuses what CloudFormation refuses while it is updated, and keeps events."""

    def __init__(self):
        self.parameters = {"ModelUri": "s3://models/models/before/", **OTHERS}
        self.status = "CREATE_COMPLETE"
        self.updates, self.events = [], []
        self.lock = threading.Lock()

    def describe_stacks(self, **request):
        assert request == {"StackName": STACK}
        parameters = [{"ParameterKey": k, "ParameterValue": v} for k, v in self.parameters.items()]
        return {"Stacks": [{"StackId": STACK, "StackStatus": self.status, "Parameters": parameters}]}

    def update_stack(self, **request):
        with self.lock:
            if self.status.endswith("_IN_PROGRESS"):
                raise refusal(
                    "ValidationError", f"Stack:{STACK} is in {self.status} state and can not be updated."
                )
            if request["ClientRequestToken"] in {update["ClientRequestToken"] for update in self.updates}:
                raise refusal("TokenAlreadyExistsException", "the token is known")
            self.updates.append(request)
            self._event("maskwatch", STACK, "UPDATE_IN_PROGRESS")

    def end(self, failure=""):
        """Let the update under way come to its end."""
        if failure:
            self._event("PredictFunctionAliaslive", "arn:alias", "UPDATE_FAILED", failure)
            self._event("BatchFunctionAliaslive", "arn:alias", "UPDATE_FAILED", "Resource update cancelled")
            self._event("maskwatch", STACK, "UPDATE_ROLLBACK_COMPLETE")
            return
        given = {one["ParameterKey"]: one.get("ParameterValue") for one in self.updates[-1]["Parameters"]}
        self.parameters = {k: v if given[k] is None else given[k] for k, v in self.parameters.items()}
        self._event("maskwatch", STACK, "UPDATE_COMPLETE")

    def _event(self, name, identifier, status, reason=None):
        if identifier == STACK:
            self.status = status
        self.events.insert(0, {
            "LogicalResourceId": name,
            "PhysicalResourceId": identifier,
            "ResourceStatus": status,
            "Timestamp": datetime.now(UTC),
            "ClientRequestToken": self.updates[-1]["ClientRequestToken"],
            **({"ResourceStatusReason": reason} if reason else {}),
        })  # fmt: skip

    def get_paginator(self, name):
        assert name == "describe_stack_events"
        pages = [{"StackEvents": self.events[i : i + 2]} for i in range(0, len(self.events), 2)]
        return SimpleNamespace(paginate=lambda **_: pages)


def refusal(code, message):
    error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(error, "UpdateStack")


class World:
    """A registry, a models bucket and a topic in moto, and one stack."""

    def __init__(self, folder):
        self.folder = folder
        self.cloudformation = CloudFormation()
        self.sagemaker, self.s3, sns, self.sqs = map(boto3.client, ("sagemaker", "s3", "sns", "sqs"))
        self.s3.create_bucket(Bucket="models")
        self.sagemaker.create_model_package_group(ModelPackageGroupName="maskwatch")
        self.queue = self.sqs.create_queue(QueueName="oncall")["QueueUrl"]
        topic = sns.create_topic(Name="alarms")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:oncall")
        self.settings = Settings(STACK, ROLE, topic)
        self.clients = Clients(self.cloudformation, self.s3, self.sagemaker, sns)

    def release(self, version, change=lambda _: None):
        """Publish a release, and return its address; `change` breaks what was published."""
        folder = shutil.copytree(BAKED, self.folder / version)
        manifest = json.loads((folder / "manifest.json").read_text()) | {"version": version}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        uri = publish(folder, "models", self.s3)
        change(f"models/{version}/")
        return uri

    def register(self, version, uri, *, digest=True):
        place, _, sha = uri.partition("#")
        source = {"S3Uri": place, "S3DataType": "S3Prefix", "CompressionType": "None"}
        return self.sagemaker.create_model_package(
            ModelPackageGroupName="maskwatch",
            InferenceSpecification={
                "Containers": [{"Image": "image", "ModelDataSource": {"S3DataSource": source}}],
                "SupportedContentTypes": ["image/jpeg"],
            },
            ModelApprovalStatus="PendingManualApproval",
            CustomerMetadataProperties={"version": version, "gate": "passed"}
            | ({"manifest_sha256": sha} if digest and sha else {}),
        )["ModelPackageArn"]

    def approve(self, arn):
        self.decide(arn, "Approved")

    def reject(self, arn):
        self.decide(arn, "Rejected")

    def decide(self, arn, status):
        about = self.package(arn).get("CustomerMetadataProperties", {})  # which AWS keeps, and moto drops
        self.sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, CustomerMetadataProperties=about
        )

    def approved(self, version):
        """Publish, register and approve a release; return the package and the address for ModelUri."""
        uri = self.release(version)
        arn = self.register(version, uri)
        self.approve(arn)
        return arn, uri

    def package(self, arn):
        return self.sagemaker.describe_model_package(ModelPackageName=arn)

    def look(self, arn):
        """Tell of an approval once; return its result, or "busy"."""
        try:
            return promote(arn, self.settings, self.clients)
        except BusyError:
            return "busy"

    def told(self):
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"])["Subject"] for message in found]

    @property
    def served(self):
        return [
            next(one["ParameterValue"] for one in update["Parameters"] if one["ParameterKey"] == "ModelUri")
            for update in self.cloudformation.updates
        ]


@pytest.fixture
def world(aws, tmp_path):  # noqa: ARG001 -- sets the environment
    with mock_aws():
        yield World(tmp_path)


def test_an_approval_is_one_update_of_one_parameter(world):
    arn, uri = world.approved("2.0.0")

    assert world.look(arn) == "busy"
    (update,) = world.cloudformation.updates
    assert update["UsePreviousTemplate"] is True
    assert update["RoleARN"] == ROLE
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in OTHERS]
    assert update["Parameters"] == [{"ParameterKey": "ModelUri", "ParameterValue": uri}, *kept]
    assert world.look(arn) == "busy"  # the canary takes its time
    world.cloudformation.end()
    assert world.look(arn) == Result.PROMOTED

    assert world.served == [uri]
    package = world.package(arn)
    assert package["ModelApprovalStatus"] == "Approved"
    assert (
        package["CustomerMetadataProperties"].items() >= {"promotion": "promoted", "gate": "passed"}.items()
    )
    assert "models/2.0.0/ serves" in package["ApprovalDescription"]
    assert world.told() == ["maskwatch: model 2.0.0 promoted"]


def test_a_package_without_a_digest_gets_that_of_its_manifest(world):
    uri = world.release("2.0.0")
    arn = world.register("2.0.0", uri, digest=False)
    world.approve(arn)

    world.look(arn)

    assert world.served == [uri]


def test_people_are_told_of_a_package_that_waits_for_their_approval(world):
    arn = world.register("2.0.0", world.release("2.0.0"))

    assert world.look(arn) is None

    assert world.told() == ["maskwatch: model 2.0.0 waits for your approval"]
    assert world.package(arn)["ModelApprovalStatus"] == "PendingManualApproval"
    assert world.served == []


def test_a_challenger_that_is_promoted_is_none_any_more(world):
    arn, uri = world.approved("2.0.0")
    world.cloudformation.parameters["ChallengerUri"] = uri

    world.look(arn)
    world.cloudformation.end()

    assert world.cloudformation.parameters["ModelUri"] == uri
    assert world.cloudformation.parameters["ChallengerUri"] == ""


def test_many_at_once_are_one_update(world):
    arn, uri = world.approved("2.0.0")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(world.look, [arn] * 8)) == {"busy"}
    world.cloudformation.end()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(world.look, [arn] * 8)) == {Result.PROMOTED}

    assert world.served == [uri]


def test_one_that_comes_late_changes_nothing_even_after_somebody_went_back(world):
    arn, uri = world.approved("2.0.0")
    world.look(arn)
    world.cloudformation.end()
    world.look(arn)
    world.cloudformation.parameters["ModelUri"] = "s3://models/models/before/"

    assert world.look(arn) == Result.PROMOTED

    assert world.served == [uri]
    assert len(world.told()) == 1


def test_an_older_approval_that_comes_late_gives_way(world):
    old, _ = world.approved("2.0.0")
    new, uri = world.approved("2.1.0")
    world.look(new)
    world.cloudformation.end()
    world.look(new)

    assert world.look(old) == Result.SUPERSEDED

    assert world.served == [uri]
    assert world.package(old)["ModelApprovalStatus"] == "Approved"


def test_an_older_approval_gives_way_to_one_that_is_still_to_come(world):
    old, _ = world.approved("2.0.0")
    new, uri = world.approved("2.1.0")

    assert world.look(old) == Result.SUPERSEDED
    world.look(new)

    assert world.served == [uri]


def test_a_package_of_a_lower_number_may_be_approved_later(world):
    first, second = (world.register(version, world.release(version)) for version in ("2.0.0", "2.1.0"))
    world.approve(second)
    world.approve(first)

    assert world.look(second) == Result.SUPERSEDED
    world.look(first)

    assert "models/2.0.0/" in world.served[0]


def test_of_two_at_once_each_is_one_update_at_most_and_the_newer_ends_up_serving(world):
    old, new = world.approved("2.0.0"), world.approved("2.1.0")
    for _ in range(4):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(world.look, [old[0], new[0]] * 2))
        if world.cloudformation.status.endswith("_IN_PROGRESS"):
            world.cloudformation.end()

    assert world.served[-1] == new[1]
    assert len(world.served) == len(set(world.served)) <= 2
    assert world.cloudformation.parameters["ModelUri"] == new[1]


def test_it_waits_while_somebody_else_updates_the_stack(world):
    arn, uri = world.approved("2.0.0")
    world.cloudformation.status = "UPDATE_IN_PROGRESS"
    assert world.look(arn) == "busy"
    assert world.served == []
    world.cloudformation.status = "UPDATE_COMPLETE"

    world.look(arn)

    assert world.served == [uri]


def test_what_serves_already_is_not_updated(world):
    arn, uri = world.approved("2.0.0")
    world.cloudformation.parameters["ModelUri"] = uri

    assert world.look(arn) == Result.PROMOTED
    assert world.served == []


def test_a_package_that_is_not_approved_any_more_changes_nothing(world):
    arn, _ = world.approved("2.0.0")
    world.reject(arn)

    assert world.look(arn) is None
    assert world.served == []


def test_what_was_superseded_is_promoted_once_it_is_rejected_and_approved_again(world):
    old, uri = world.approved("2.0.0")
    new, other = world.approved("2.1.0")
    for arn in (new, new, old):
        world.look(arn)
        if world.cloudformation.status.endswith("_IN_PROGRESS"):
            world.cloudformation.end()
    world.told()

    world.reject(old)
    assert world.look(old) == Result.WITHDRAWN
    assert world.look(old) == Result.WITHDRAWN
    assert world.told() == ["maskwatch: model 2.0.0 withdrawn"]
    world.approve(old)
    assert world.look(old) == "busy"
    world.cloudformation.end()

    assert world.look(old) == Result.PROMOTED
    assert world.served == [other, uri]


@pytest.mark.parametrize(("failure", "result"), [("", Result.WITHDRAWN), ("alarm", Result.ROLLED_BACK)])
def test_one_that_is_rejected_while_traffic_moves_is_told_of_all_the_same(failure, result, world):
    arn, uri = world.approved("2.0.0")
    world.look(arn)
    world.reject(arn)

    assert world.look(arn) == "busy"
    world.cloudformation.end(failure)
    assert world.look(arn) == result

    assert world.served == [uri]
    assert world.told() == [f"maskwatch: model 2.0.0 {result}"]
    assert world.package(arn)["ModelApprovalStatus"] == "Rejected"


def test_a_package_that_names_no_release_is_refused_and_in_nobodys_way(world):
    arn, uri = world.approved("2.0.0")
    by_hand = world.sagemaker.create_model_package(
        ModelPackageGroupName="maskwatch",
        InferenceSpecification={
            "Containers": [{"Image": "image", "ModelDataUrl": "s3://models/model.tar.gz"}],
            "SupportedContentTypes": ["image/jpeg"],
        },
        ModelApprovalStatus="Approved",
    )["ModelPackageArn"]

    assert world.look(by_hand) == Result.REFUSED
    world.look(arn)

    assert world.served == [uri]


@pytest.mark.parametrize(
    "place", ["s3://models/elsewhere/2.0.0/", "s3://models/models/", "s3://others/models/2.0.0/"]
)
def test_a_release_that_this_stack_cannot_name_or_read_is_refused(place, world):
    arn = world.register("2.0.0", place)
    world.approve(arn)

    assert world.look(arn) == Result.REFUSED

    assert place in world.package(arn)["ApprovalDescription"]
    assert world.served == []


def overwritten(name, body):
    return lambda prefix: boto3.client("s3").put_object(Bucket="models", Key=prefix + name, Body=body)


def manifest(**members):
    def change(prefix):
        s3 = boto3.client("s3")
        found = json.loads(s3.get_object(Bucket="models", Key=f"{prefix}manifest.json")["Body"].read())
        s3.put_object(Bucket="models", Key=f"{prefix}manifest.json", Body=json.dumps(found | members))

    return change


def gone(prefix):
    boto3.client("s3").delete_object(Bucket="models", Key=f"{prefix}manifest.json")


@pytest.mark.parametrize(
    ("change", "digest", "reason"),
    [
        (overwritten("classifier.tflite", b"\0\0\0\0TFL3"), True, "classifier.tflite: sha256 is"),
        (manifest(labels=list(reversed(LABELS))), False, "labels are"),
        (manifest(labels=list(reversed(LABELS))), True, "the release's address says"),
        (manifest(version="1.9.9"), False, "holds the release 1.9.9, not 2.0.0"),
        (gone, True, "holds no manifest.json"),
    ],
    ids=["broken file", "other labels", "changed since it was registered", "another version", "no manifest"],
)
def test_a_release_that_must_not_serve_is_refused_for_good(change, digest, reason, world):
    arn = world.register("2.0.0", world.release("2.0.0", change), digest=digest)
    world.approve(arn)

    assert world.look(arn) == Result.REFUSED
    assert world.look(arn) == Result.REFUSED

    assert world.served == []
    package = world.package(arn)
    assert package["ModelApprovalStatus"] == "Rejected"
    assert reason in package["ApprovalDescription"]
    assert world.told() == ["maskwatch: model 2.0.0 refused"]


@pytest.mark.parametrize("probabilities", [(float("nan"),) * 3, (2.0, 1.0, 0.0)])
def test_a_release_that_answers_nonsense_is_refused(probabilities, world, monkeypatch):
    arn, _ = world.approved("2.0.0")
    result = [SimpleNamespace(probabilities=probabilities)]
    models = SimpleNamespace(classifier=SimpleNamespace(classify=lambda _: result))
    monkeypatch.setattr(verify, "load_models", lambda *_, **__: models)
    monkeypatch.setattr(verify, "score", lambda *_: None)

    assert world.look(arn) == Result.REFUSED
    assert world.served == []


def test_a_release_that_cannot_score_is_refused(world, monkeypatch):
    arn, _ = world.approved("2.0.0")
    monkeypatch.setattr(verify, "score", lambda *_: 1 / 0)

    assert world.look(arn) == Result.REFUSED
    assert "cannot score a picture" in world.package(arn)["ApprovalDescription"]


def test_trouble_with_s3_is_no_reason_to_refuse(world, monkeypatch):
    arn, _ = world.approved("2.0.0")

    def fail(*_, **__):
        raise EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(verify, "read", fail)
    with pytest.raises(EndpointConnectionError):
        world.look(arn)

    assert world.package(arn)["ModelApprovalStatus"] == "Approved"


def test_one_that_fails_after_the_switch_is_rejected_and_can_be_approved_anew(world):
    arn, uri = world.approved("2.0.0")
    world.look(arn)
    world.cloudformation.end(failure="CodeDeploy rolled back: PredictVersionAlarm")

    assert world.look(arn) == Result.ROLLED_BACK
    assert world.look(arn) == Result.ROLLED_BACK  # told late
    package = world.package(arn)
    assert package["ModelApprovalStatus"] == "Rejected"
    assert "CodeDeploy rolled back: PredictVersionAlarm" in package["ApprovalDescription"]
    assert world.cloudformation.parameters["ModelUri"] == "s3://models/models/before/"
    assert world.told() == ["maskwatch: model 2.0.0 rolled-back"]
    assert len(world.served) == 1

    world.approve(arn)
    assert world.look(arn) == "busy"
    assert world.look(arn) == "busy"
    world.cloudformation.end()
    assert world.look(arn) == Result.PROMOTED
    assert world.served == [uri, uri]


def test_a_stack_that_takes_no_update_is_an_error(world):
    arn, _ = world.approved("2.0.0")
    world.cloudformation.status = "UPDATE_ROLLBACK_FAILED"

    with pytest.raises(StuckError, match="continue its rollback"):
        world.look(arn)


@pytest.fixture
def app(world, monkeypatch):
    for name, value in zip(
        ("STACK_ID", "UPDATE_ROLE", "ALARMS_TOPIC"), vars(world.settings).values(), strict=True
    ):
        monkeypatch.setenv(name, value)
    module = importlib.import_module("functions.promote.app")
    monkeypatch.setattr(module, "settings", world.settings)
    monkeypatch.setattr(module, "clients", world.clients)
    return module


def test_a_message_goes_back_to_the_queue_until_its_update_has_ended(app, world):
    arn, uri = world.approved("2.0.0")
    event = json.loads((ROOT / "events" / "promote.json").read_text())
    (message,) = event["Records"]
    assert json.loads(message["body"])["detail"]["ModelPackageArn"] == arn

    waits = {"batchItemFailures": [{"itemIdentifier": message["messageId"]}]}
    assert app.handler(event, None) == waits
    assert app.handler(event, None) == waits
    world.cloudformation.end()
    assert app.handler(event, None) == {"batchItemFailures": []}
    assert world.served == [uri]
