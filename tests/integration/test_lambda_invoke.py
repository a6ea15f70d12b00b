"""boto3 and the AWS CLI can invoke the functions of the local stack."""

import json

import pytest

from tests.system import ROOT

HEALTH = (ROOT / "events" / "health.json").read_bytes()


@pytest.fixture(scope="module")
def client(system):
    return system.client("lambda")


@pytest.fixture(scope="module")
def predict(system):
    """The function's name."""
    return system.outputs["PredictFunction"]


@pytest.mark.parametrize(
    "form",
    ["{}", "{}:live", "arn:aws:lambda:us-east-1:123456789012:function:{}", "123456789012:function:{}:live"],
)
def test_a_function_can_be_named_by_name_or_arn(client, predict, form):
    answer = client.invoke(FunctionName=form.format(predict), Payload=HEALTH)

    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert json.loads(json.loads(answer["Payload"].read())["body"])["status"] == "ok"


def test_a_failure_is_reported_as_by_lambda(client, predict):
    answer = client.invoke(FunctionName=predict, Payload=b'{"no": "request"}')

    assert answer["FunctionError"] == "Unhandled"
    error = json.loads(answer["Payload"].read())
    assert error.keys() == {"errorType", "errorMessage"}


def test_an_asynchronous_call_is_accepted(client, predict):
    answer = client.invoke(FunctionName=predict, InvocationType="Event", Payload=HEALTH)

    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""


def test_an_unknown_function_is_not_found(client):
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="nobody"):
        client.invoke(FunctionName="nobody", Payload=b"{}")


def test_an_event_above_lambda_s_limit_is_refused(client, predict):
    with pytest.raises(client.exceptions.RequestTooLargeException):
        client.invoke(FunctionName=predict, Payload=json.dumps("x" * 6_300_000).encode())
