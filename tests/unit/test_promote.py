"""An approved model package serves after one update of the stack, unless it must not serve."""

import importlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from functions.promote import promote as promote_module
from functions.promote import verify
from functions.promote.errors import BusyError, RefusedError, StuckError
from functions.promote.promote import Clients, promote
from functions.promote.registry import Conclusion
from functions.promote.settings import Settings
from functions.shared.contract import LABELS
from infra.ops.publish_model import publish
from tests.make_events import sample_event
from tests.releases import copy_release

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/maskwatch/1"
ROLE = "arn:aws:iam::123456789012:role/maskwatch-execute-dev"
OTHERS = {"AlarmEmail": "oncall@example.org", "CorsOrigin": "*", "BaselineUri": ""}


class CloudFormation:
    """Stands in for CloudFormation with one stack: refuses concurrent updates, and records events."""

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
        """End the update in progress."""
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


class Account:
    """A registry, a models bucket and a topic in moto, and a stack in the stand-in."""

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
        """Publish a release, and return its address; `change` damages it afterwards."""
        uri = publish(copy_release(self.folder / version, version=version), "models", self.s3)
        change(f"models/{version}/")
        return uri

    def register(self, version, uri, *, digest=True):
        location, _, sha = uri.partition("#")
        source = {"S3Uri": location, "S3DataType": "S3Prefix", "CompressionType": "None"}
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

    def decide(self, arn, status, **changes):
        metadata = self.package(arn).get("CustomerMetadataProperties", {})  # moto drops what is not given
        self.sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, CustomerMetadataProperties=metadata, **changes
        )

    def approved(self, version):
        """Publish, register and approve a release; return the package and the address for ModelUri."""
        uri = self.release(version)
        arn = self.register(version, uri)
        self.approve(arn)
        return arn, uri

    def package(self, arn):
        return self.sagemaker.describe_model_package(ModelPackageName=arn)

    def promote(self, arn):
        """Call `promote` once; return its conclusion, or "busy"."""
        try:
            return promote(arn, self.settings, self.clients)
        except BusyError:
            return "busy"

    def subjects(self):
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"])["Subject"] for message in found]

    @property
    def served(self):
        return [
            next(one["ParameterValue"] for one in update["Parameters"] if one["ParameterKey"] == "ModelUri")
            for update in self.cloudformation.updates
        ]


@pytest.fixture
def account(moto, tmp_path):  # noqa: ARG001 -- an AWS account
    return Account(tmp_path)


def test_an_approval_causes_one_update_of_one_parameter(account):
    arn, uri = account.approved("2.0.0")

    assert account.promote(arn) == "busy"
    (update,) = account.cloudformation.updates
    assert update["UsePreviousTemplate"] is True
    assert update["RoleARN"] == ROLE
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in OTHERS]
    assert update["Parameters"] == [{"ParameterKey": "ModelUri", "ParameterValue": uri}, *kept]
    assert account.promote(arn) == "busy"  # the canary is in progress
    account.cloudformation.end()
    assert account.promote(arn) == Conclusion.PROMOTED

    assert account.served == [uri]
    package = account.package(arn)
    assert package["ModelApprovalStatus"] == "Approved"
    assert (
        package["CustomerMetadataProperties"].items() >= {"promotion": "promoted", "gate": "passed"}.items()
    )
    assert "models/2.0.0/ serves" in package["ApprovalDescription"]
    assert account.subjects() == ["maskwatch: model 2.0.0 promoted"]


def test_a_package_without_a_digest_gets_that_of_its_manifest(account):
    uri = account.release("2.0.0")
    arn = account.register("2.0.0", uri, digest=False)
    account.approve(arn)

    account.promote(arn)

    assert account.served == [uri]


def test_people_are_notified_of_a_package_that_waits_for_approval(account):
    arn = account.register("2.0.0", account.release("2.0.0"))

    assert account.promote(arn) is None

    assert account.subjects() == ["maskwatch: model 2.0.0 waits for your approval"]
    assert account.package(arn)["ModelApprovalStatus"] == "PendingManualApproval"
    assert account.served == []


def test_a_promoted_challenger_is_no_longer_the_challenger(account):
    arn, uri = account.approved("2.0.0")
    account.cloudformation.parameters["ChallengerUri"] = uri

    account.promote(arn)
    account.cloudformation.end()

    assert account.cloudformation.parameters["ModelUri"] == uri
    assert account.cloudformation.parameters["ChallengerUri"] == ""


def test_concurrent_events_cause_one_update(account):
    arn, uri = account.approved("2.0.0")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(account.promote, [arn] * 8)) == {"busy"}
    account.cloudformation.end()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(account.promote, [arn] * 8)) == {Conclusion.PROMOTED}

    assert account.served == [uri]


def test_a_late_event_changes_nothing_even_after_a_rollback(account):
    arn, uri = account.approved("2.0.0")
    account.promote(arn)
    account.cloudformation.end()
    account.promote(arn)
    account.cloudformation.parameters["ModelUri"] = "s3://models/models/before/"

    assert account.promote(arn) == Conclusion.PROMOTED

    assert account.served == [uri]
    assert len(account.subjects()) == 1


def test_an_older_approval_that_arrives_late_is_superseded(account):
    old, _ = account.approved("2.0.0")
    new, uri = account.approved("2.1.0")
    account.promote(new)
    account.cloudformation.end()
    account.promote(new)

    assert account.promote(old) == Conclusion.SUPERSEDED

    assert account.served == [uri]
    assert account.package(old)["ModelApprovalStatus"] == "Approved"


def test_an_older_approval_is_superseded_by_one_not_yet_processed(account):
    old, _ = account.approved("2.0.0")
    new, uri = account.approved("2.1.0")

    assert account.promote(old) == Conclusion.SUPERSEDED
    account.promote(new)

    assert account.served == [uri]


def test_the_time_of_approval_decides_and_not_the_package_number(account):
    first, second = (account.register(version, account.release(version)) for version in ("2.0.0", "2.1.0"))
    account.approve(second)
    account.approve(first)

    assert account.promote(second) == Conclusion.SUPERSEDED
    account.promote(first)

    assert "models/2.0.0/" in account.served[0]


def test_a_note_on_an_approval_that_waits_does_not_make_it_the_newer_one(account):
    account.cloudformation.status = "UPDATE_IN_PROGRESS"
    old, new = account.approved("2.0.0"), account.approved("2.1.0")
    assert [account.promote(arn) for arn, _ in (old, new)] == ["busy", "busy"]
    account.decide(old[0], "Approved", ApprovalDescription="see ticket 17")
    account.cloudformation.status = "UPDATE_COMPLETE"

    assert account.promote(new[0]) == "busy"
    account.cloudformation.end()
    assert account.promote(old[0]) == Conclusion.SUPERSEDED

    assert account.served == [new[1]]
    assert account.package(old[0])["ApprovalDescription"].startswith("see ticket 17 superseded")


@pytest.mark.parametrize("status", ["Rejected", "PendingManualApproval"])
def test_an_approval_that_is_withdrawn_and_given_again_is_the_newer_one(status, account):
    account.cloudformation.status = "UPDATE_IN_PROGRESS"
    old, new = account.approved("2.0.0"), account.approved("2.1.0")
    for arn, _ in (old, new):
        account.promote(arn)
    account.decide(old[0], status)
    account.promote(old[0])
    account.approve(old[0])
    account.cloudformation.status = "UPDATE_COMPLETE"

    assert account.promote(new[0]) == Conclusion.SUPERSEDED
    account.promote(old[0])

    assert account.served == [old[1]]


def test_two_concurrent_approvals_end_with_the_newer_one_serving(account):
    old, new = account.approved("2.0.0"), account.approved("2.1.0")
    for _ in range(4):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(account.promote, [old[0], new[0]] * 2))
        if account.cloudformation.status.endswith("_IN_PROGRESS"):
            account.cloudformation.end()

    assert account.served[-1] == new[1]
    assert len(account.served) == len(set(account.served)) <= 2
    assert account.cloudformation.parameters["ModelUri"] == new[1]


def test_an_approval_waits_during_another_update(account):
    arn, uri = account.approved("2.0.0")
    account.cloudformation.status = "UPDATE_IN_PROGRESS"
    assert account.promote(arn) == "busy"
    assert account.served == []
    account.cloudformation.status = "UPDATE_COMPLETE"

    account.promote(arn)

    assert account.served == [uri]


def test_a_release_that_serves_already_causes_no_update(account):
    arn, uri = account.approved("2.0.0")
    account.cloudformation.parameters["ModelUri"] = uri

    assert account.promote(arn) == Conclusion.PROMOTED
    assert account.served == []


def test_a_package_that_is_no_longer_approved_changes_nothing(account):
    arn, _ = account.approved("2.0.0")
    account.reject(arn)

    assert account.promote(arn) is None
    assert account.served == []


def test_a_superseded_package_is_promoted_after_it_is_rejected_and_approved_again(account):
    old, uri = account.approved("2.0.0")
    new, other = account.approved("2.1.0")
    for arn in (new, new, old):
        account.promote(arn)
        if account.cloudformation.status.endswith("_IN_PROGRESS"):
            account.cloudformation.end()
    account.subjects()

    account.reject(old)
    assert account.promote(old) == Conclusion.WITHDRAWN
    assert account.promote(old) == Conclusion.WITHDRAWN
    assert account.subjects() == ["maskwatch: model 2.0.0 withdrawn"]
    account.approve(old)
    assert account.promote(old) == "busy"
    account.cloudformation.end()

    assert account.promote(old) == Conclusion.PROMOTED
    assert account.served == [other, uri]


@pytest.mark.parametrize(
    ("failure", "conclusion"), [("", Conclusion.WITHDRAWN), ("alarm", Conclusion.ROLLED_BACK)]
)
def test_a_package_rejected_during_the_canary_is_reported(failure, conclusion, account):
    arn, uri = account.approved("2.0.0")
    account.promote(arn)
    account.reject(arn)

    assert account.promote(arn) == "busy"
    account.cloudformation.end(failure)
    assert account.promote(arn) == conclusion

    assert account.served == [uri]
    assert account.subjects() == [f"maskwatch: model 2.0.0 {conclusion}"]
    assert account.package(arn)["ModelApprovalStatus"] == "Rejected"


@pytest.mark.parametrize(
    ("failure", "conclusion"), [("", Conclusion.WITHDRAWN), ("alarm", Conclusion.ROLLED_BACK)]
)
def test_a_rejection_while_promote_reads_the_events_of_the_update_stays(
    failure, conclusion, account, monkeypatch
):
    arn, _ = account.approved("2.0.0")
    account.promote(arn)
    account.cloudformation.end(failure)
    get_paginator = account.cloudformation.get_paginator

    def decide(name):
        account.reject(arn)
        return get_paginator(name)

    monkeypatch.setattr(account.cloudformation, "get_paginator", decide)

    assert account.promote(arn) == conclusion

    assert account.package(arn)["ModelApprovalStatus"] == "Rejected"
    assert account.subjects() == [f"maskwatch: model 2.0.0 {conclusion}"]


@pytest.mark.parametrize("serves", [True, False])
def test_a_rejection_while_promote_verifies_the_release_stays(serves, account, monkeypatch):
    uri = account.release("2.0.0")
    arn = account.register("2.0.0", uri)
    account.approve(arn)
    account.cloudformation.parameters["ModelUri"] = uri if serves else "s3://models/models/before/"

    def decide(*_):
        account.reject(arn)
        if not serves:
            raise RefusedError("it cannot score a picture")
        return uri

    monkeypatch.setattr(promote_module, "verify", decide)

    assert account.promote(arn) is None

    assert account.package(arn)["ModelApprovalStatus"] == "Rejected"
    assert account.subjects() == []


def test_an_approval_while_promote_concludes_a_withdrawal_stays(account, monkeypatch):
    arn, uri = account.approved("2.0.0")
    account.promote(arn)
    account.cloudformation.end()
    account.reject(arn)
    get_paginator = account.cloudformation.get_paginator

    def decide(name):
        account.approve(arn)
        return get_paginator(name)

    monkeypatch.setattr(account.cloudformation, "get_paginator", decide)

    assert account.promote(arn) == Conclusion.PROMOTED

    assert account.package(arn)["ModelApprovalStatus"] == "Approved"
    assert account.served == [uri]


def test_a_package_without_a_release_is_refused_and_does_not_block_others(account):
    arn, uri = account.approved("2.0.0")
    by_hand = account.sagemaker.create_model_package(
        ModelPackageGroupName="maskwatch",
        InferenceSpecification={
            "Containers": [{"Image": "image", "ModelDataUrl": "s3://models/model.tar.gz"}],
            "SupportedContentTypes": ["image/jpeg"],
        },
        ModelApprovalStatus="Approved",
    )["ModelPackageArn"]

    assert account.promote(by_hand) == Conclusion.REFUSED
    account.promote(arn)

    assert account.served == [uri]


@pytest.mark.parametrize(
    "location", ["s3://models/elsewhere/2.0.0/", "s3://models/models/", "s3://others/models/2.0.0/"]
)
def test_a_release_at_an_invalid_or_unreadable_address_is_refused(location, account):
    arn = account.register("2.0.0", location)
    account.approve(arn)

    assert account.promote(arn) == Conclusion.REFUSED

    assert location in account.package(arn)["ApprovalDescription"]
    assert account.served == []


def overwritten(name, body):
    return lambda prefix: boto3.client("s3").put_object(Bucket="models", Key=prefix + name, Body=body)


def manifest(**members):
    def change(prefix):
        s3 = boto3.client("s3")
        found = json.loads(s3.get_object(Bucket="models", Key=f"{prefix}manifest.json")["Body"].read())
        s3.put_object(Bucket="models", Key=f"{prefix}manifest.json", Body=json.dumps(found | members))

    return change


def deleted(prefix):
    boto3.client("s3").delete_object(Bucket="models", Key=f"{prefix}manifest.json")


@pytest.mark.parametrize(
    ("change", "digest", "reason"),
    [
        (overwritten("classifier.tflite", b"\0\0\0\0TFL3"), True, "classifier.tflite: sha256 is"),
        (manifest(labels=list(reversed(LABELS))), False, "labels are"),
        (manifest(labels=list(reversed(LABELS))), True, "the release's address says"),
        (manifest(version="1.9.9"), False, "is release 1.9.9, not 2.0.0"),
        (deleted, True, "there is no release in"),
    ],
    ids=["broken file", "other labels", "changed after registration", "another version", "no manifest"],
)
def test_an_invalid_release_is_refused_finally(change, digest, reason, account):
    arn = account.register("2.0.0", account.release("2.0.0", change), digest=digest)
    account.approve(arn)

    assert account.promote(arn) == Conclusion.REFUSED
    assert account.promote(arn) == Conclusion.REFUSED

    assert account.served == []
    package = account.package(arn)
    assert package["ModelApprovalStatus"] == "Rejected"
    assert reason in package["ApprovalDescription"]
    assert account.subjects() == ["maskwatch: model 2.0.0 refused"]


@pytest.mark.parametrize("probabilities", [(float("nan"),) * 3, (2.0, 1.0, 0.0)])
def test_a_release_with_invalid_probabilities_is_refused(probabilities, account, monkeypatch):
    arn, _ = account.approved("2.0.0")
    result = SimpleNamespace(probabilities=probabilities)
    models = SimpleNamespace(classifier=SimpleNamespace(classify=lambda _: result))
    monkeypatch.setattr(verify, "load_models", lambda *_, **__: models)
    monkeypatch.setattr(verify, "score", lambda *_: None)

    assert account.promote(arn) == Conclusion.REFUSED
    assert account.served == []


def test_a_release_that_cannot_score_is_refused(account, monkeypatch):
    arn, _ = account.approved("2.0.0")
    monkeypatch.setattr(verify, "score", lambda *_: 1 / 0)

    assert account.promote(arn) == Conclusion.REFUSED
    assert "cannot score a picture" in account.package(arn)["ApprovalDescription"]


def test_a_failure_of_s3_does_not_refuse_a_release(account, monkeypatch):
    arn, _ = account.approved("2.0.0")

    def fail(*_, **__):
        raise EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(verify, "read", fail)
    with pytest.raises(EndpointConnectionError):
        account.promote(arn)

    assert account.package(arn)["ModelApprovalStatus"] == "Approved"


def test_a_rolled_back_package_is_rejected_and_can_be_approved_again(account):
    arn, uri = account.approved("2.0.0")
    account.promote(arn)
    account.cloudformation.end(failure="CodeDeploy rolled back: PredictVersionAlarm")

    assert account.promote(arn) == Conclusion.ROLLED_BACK
    assert account.promote(arn) == Conclusion.ROLLED_BACK  # a repeated event
    package = account.package(arn)
    assert package["ModelApprovalStatus"] == "Rejected"
    assert "CodeDeploy rolled back: PredictVersionAlarm" in package["ApprovalDescription"]
    assert account.cloudformation.parameters["ModelUri"] == "s3://models/models/before/"
    assert account.subjects() == ["maskwatch: model 2.0.0 rolled-back"]
    assert len(account.served) == 1

    account.approve(arn)
    assert account.promote(arn) == "busy"
    assert account.promote(arn) == "busy"
    account.cloudformation.end()
    assert account.promote(arn) == Conclusion.PROMOTED
    assert account.served == [uri, uri]


def test_a_stack_that_cannot_be_updated_is_an_error(account):
    arn, _ = account.approved("2.0.0")
    account.cloudformation.status = "UPDATE_ROLLBACK_FAILED"

    with pytest.raises(StuckError, match="continue its rollback"):
        account.promote(arn)


@pytest.fixture
def app(account, monkeypatch):
    for name, value in zip(
        ("STACK_ID", "UPDATE_ROLE", "ALARMS_TOPIC"), vars(account.settings).values(), strict=True
    ):
        monkeypatch.setenv(name, value)
    module = importlib.import_module("functions.promote.app")
    monkeypatch.setattr(module, "settings", account.settings)
    monkeypatch.setattr(module, "clients", account.clients)
    return module


def test_a_message_returns_to_the_queue_until_its_update_has_ended(app, account):
    arn, uri = account.approved("2.0.0")
    event = sample_event("promote")
    (message,) = event["Records"]
    assert json.loads(message["body"])["detail"]["ModelPackageArn"] == arn

    waits = {"batchItemFailures": [{"itemIdentifier": message["messageId"]}]}
    assert app.handler(event, None) == waits
    assert app.handler(event, None) == waits
    account.cloudformation.end()
    assert app.handler(event, None) == {"batchItemFailures": []}
    assert account.served == [uri]
