"""An operator promotes a published release by hand: verified first, and only parameters of releases change."""

import json

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError

from functions.promote.stack import StackState
from infra.ops import update
from infra.ops.__main__ import main
from infra.ops.errors import OpsError
from infra.ops.publish_model import publish
from tests.releases import copy_release

GIVEN = {
    "ModelUri": "",
    "PreviousModelUri": "",
    "ChallengerUri": "",
    "ChallengerShare": "0",
    "RollbackAlarms": "all",
    "CorsOrigin": "https://example.org",
}
TEMPLATE = json.dumps(
    {
        "Parameters": {name: {"Type": "String"} for name in GIVEN},
        "Resources": {"ModelsBucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "models"}}},
        "Outputs": {"ModelsBucket": {"Value": {"Ref": "ModelsBucket"}}},
    }
)


@pytest.fixture
def cloudformation(moto):  # noqa: ARG001 -- an AWS account
    client = boto3.client("cloudformation")
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in GIVEN.items()]
    client.create_stack(StackName="maskwatch-dev", TemplateBody=TEMPLATE, Parameters=parameters)
    return client


def parameters(cloudformation):
    (stack,) = cloudformation.describe_stacks(StackName="maskwatch-dev")["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}


def published(tmp_path):
    return publish(copy_release(tmp_path / "release"), "models", boto3.client("s3"))


def test_a_published_release_is_promoted(cloudformation, tmp_path, capsys):
    uri = published(tmp_path)
    version = uri.split("/")[-2]

    main(["promote", version, "--stack", "maskwatch-dev"])

    assert parameters(cloudformation) == {**GIVEN, "ModelUri": uri}
    assert f"{version} serves" in capsys.readouterr().out


def test_in_an_incident_only_the_alarms_of_the_new_version_count(cloudformation, tmp_path):
    version = published(tmp_path).split("/")[-2]

    for command in (
        ["promote", version],
        ["rollback"],
        ["challenge", "10", "--release", version],
        ["challenge", "0"],
    ):
        main([*command, "--ignore-alarms", "--stack", "maskwatch-dev"])

        assert parameters(cloudformation)["RollbackAlarms"] == "version", command
        update.change_parameters("maskwatch-dev", GIVEN, cloudformation)


def test_a_second_rollback_does_not_restore_the_release_that_was_left(cloudformation, tmp_path):
    version = published(tmp_path).split("/")[-2]
    main(["promote", version, "--stack", "maskwatch-dev"])
    main(["rollback", "--stack", "maskwatch-dev"])

    with pytest.raises(SystemExit, match="The release before the release in the image is not known"):
        main(["rollback", "--stack", "maskwatch-dev"])

    assert parameters(cloudformation) == {**GIVEN, "PreviousModelUri": "none"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [(KeyboardInterrupt(), "Stopped."), (ConnectTimeoutError(endpoint_url="x"), "AWS cannot be reached")],
)
def test_a_command_that_is_interrupted_says_that_the_update_goes_on(
    cloudformation, monkeypatch, error, reason
):
    def interrupted(*_):
        raise error

    monkeypatch.setattr(update, "read_stack", interrupted)
    monkeypatch.setattr(update, "state_of", lambda *_: StackState("maskwatch-dev", GIVEN))

    with pytest.raises(OpsError, match=f"The update of maskwatch-dev goes on, .* {reason}"):
        update.change_parameters("maskwatch-dev", {"ChallengerShare": "10"}, cloudformation)


def test_a_broken_release_is_not_promoted(cloudformation, tmp_path):
    version = published(tmp_path).split("/")[-2]
    boto3.client("s3").put_object(Bucket="models", Key=f"models/{version}/classifier.tflite", Body=b"x")

    with pytest.raises(SystemExit, match=r"must not serve: .*classifier\.tflite: sha256"):
        main(["promote", version, "--stack", "maskwatch-dev"])

    assert parameters(cloudformation)["ModelUri"] == ""


@pytest.mark.parametrize("command", [("challenge", "10"), ("shadow",)])
def test_the_serving_release_cannot_be_its_own_challenger(cloudformation, tmp_path, command):
    version = published(tmp_path).split("/")[-2]
    main(["promote", version, "--stack", "maskwatch-dev"])
    before = parameters(cloudformation)

    with pytest.raises(SystemExit, match=f"{version} is the serving release; name another"):
        main([*command, "--release", version, "--stack", "maskwatch-dev"])

    assert parameters(cloudformation) == before


def test_a_trial_that_another_one_ends_is_named(cloudformation, tmp_path, capsys):
    version = published(tmp_path).split("/")[-2]
    update.change_parameters("maskwatch-dev", {"ChallengerUri": "s3://models/models/1/#0"}, cloudformation)

    main(["shadow", "--release", version, "--stack", "maskwatch-dev"])
    assert "The trial of s3://models/models/1/#0 has ended." in capsys.readouterr().out

    main(["challenge", "10", "--release", version, "--stack", "maskwatch-dev"])
    assert "has ended" not in capsys.readouterr().out


def test_a_release_that_is_not_published_is_named(cloudformation):
    with pytest.raises(SystemExit) as ended:
        main(["promote", "2.2.0", "--stack", "maskwatch-dev"])

    assert ended.value.code == (
        "Release 2.2.0 must not serve: there is no release in s3://models/models/2.2.0/; publish it first "
        "(make publish-model)"
    )
    assert parameters(cloudformation)["ModelUri"] == ""


@pytest.fixture
def rolled_back(monkeypatch):
    """A stack whose next update is rolled back after some seconds."""
    states = iter(["CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"])
    monkeypatch.setattr(update, "_PAUSE", 0)
    return states


def test_a_canary_rollback_is_reported(rolled_back):
    arn, tokens = "arn:stack", []

    class CloudFormation:
        def describe_stacks(self, **_):
            one = {"ParameterKey": "ModelUri", "ParameterValue": ""}
            return {"Stacks": [{"StackId": arn, "StackStatus": next(rolled_back), "Parameters": [one]}]}

        def update_stack(self, **request):
            tokens.append(request["ClientRequestToken"])

        def get_paginator(self, _):
            return self

        def paginate(self, **_):
            failed = {
                "LogicalResourceId": "PredictFunctionAliaslive",
                "PhysicalResourceId": "arn:alias",
                "ResourceStatus": "UPDATE_FAILED",
                "ResourceStatusReason": "PredictVersionAlarm",
                "ClientRequestToken": tokens[0],
            }
            return [
                {"StackEvents": []},
                {"StackEvents": [failed | {"Timestamp": update.datetime.now(update.UTC)}]},
            ]

    with pytest.raises(OpsError, match=r"rolled back.*PredictFunctionAliaslive: PredictVersionAlarm"):
        update.change_parameters("maskwatch-dev", {"ModelUri": "s3://new"}, CloudFormation())


def test_an_update_after_which_another_one_began_was_not_rolled_back(monkeypatch):
    monkeypatch.setattr(update, "_PAUSE", 0)
    arn, tokens = "arn:stack", []
    states = iter([("UPDATE_COMPLETE", "old"), ("UPDATE_IN_PROGRESS", ""), ("UPDATE_COMPLETE", "another")])

    class CloudFormation:
        def describe_stacks(self, **_):
            status, uri = next(states)
            one = {"ParameterKey": "ModelUri", "ParameterValue": uri}
            return {"Stacks": [{"StackId": arn, "StackStatus": status, "Parameters": [one]}]}

        def update_stack(self, **request):
            tokens.append(request["ClientRequestToken"])

        def get_paginator(self, _):
            return self

        def paginate(self, **_):
            done = {
                "LogicalResourceId": "stack",
                "PhysicalResourceId": arn,
                "ResourceStatus": "UPDATE_COMPLETE",
                "Timestamp": update.datetime.now(update.UTC),
            }
            events = [{"ClientRequestToken": "other"}, {"ClientRequestToken": tokens[0]}]
            return [{"StackEvents": [done | event for event in events]}]

    with pytest.raises(OpsError, match="The update succeeded, but a later one has changed ModelUri"):
        update.change_parameters("maskwatch-dev", {"ModelUri": "s3://new"}, CloudFormation())


def test_a_stack_that_is_being_updated_is_not_changed():
    class CloudFormation:
        def describe_stacks(self, **_):
            return {"Stacks": [{"StackId": "arn:stack", "StackStatus": "UPDATE_IN_PROGRESS"}]}

    with pytest.raises(OpsError, match="is in UPDATE_IN_PROGRESS"):
        update.change_parameters("maskwatch-dev", {"ModelUri": "s3://new"}, CloudFormation())
