"""The hook that CodeDeploy asks before a new version of Predict gets traffic."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from samtranslator.yaml_helper import yaml_parse

from functions.inference import predict

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}


@pytest.fixture
def verdict(monkeypatch):
    """Run the hook on a version of Predict that answers as `invoke` does; return what CodeDeploy is told."""

    def run(invoke):
        told = []
        clients = {
            "lambda": SimpleNamespace(invoke=invoke),
            "codedeploy": SimpleNamespace(
                put_lifecycle_event_hook_execution_status=lambda **said: told.append(said)
            ),
        }
        monkeypatch.setattr(boto3, "client", clients.get)
        monkeypatch.setenv("VERSION", "arn:aws:lambda:us-east-1:123456789012:function:predict:7")
        hook = yaml_parse(TEMPLATE.read_text())["Resources"]["PredictPreflight"]["Properties"]
        code = {}
        exec(hook["InlineCode"], code)  # noqa: S102 -- the template's own code
        code["handler"](EVENT, None)
        (said,) = told
        assert said["deploymentId"] == "d-1"
        assert said["lifecycleEventHookExecutionId"] == "e-1"
        return said["status"]

    return run


def test_a_version_that_is_well_may_take_traffic(verdict):
    def invoke(FunctionName, Payload):  # noqa: N803 -- boto3's names
        assert FunctionName.endswith(":7")
        answer = predict.handler(json.loads(Payload), SimpleNamespace(aws_request_id="1"))
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    assert verdict(invoke) == "Succeeded"


def test_a_version_that_cannot_start_may_not(verdict):
    def invoke(**_):
        error = {"errorType": "ReleaseError", "errorMessage": "sha256 is …"}
        return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(error).encode())}

    assert verdict(invoke) == "Failed"


def test_a_version_that_answers_an_error_may_not(verdict):
    def invoke(**_):
        return {"Payload": io.BytesIO(b'{"statusCode": 500}')}

    assert verdict(invoke) == "Failed"
