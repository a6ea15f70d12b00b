"""Lambda's Invoke reaches the functions of `make run`, as boto3 and the AWS CLI call it."""

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
def test_a_function_answers_whichever_way_it_is_named(client, predict, form):
    answer = client.invoke(FunctionName=form.format(predict), Payload=HEALTH)

    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert json.loads(json.loads(answer["Payload"].read())["body"])["status"] == "ok"


def test_its_failure_is_told_as_lambda_tells_it(client, predict):
    answer = client.invoke(FunctionName=predict, Payload=b'{"no": "request"}')

    assert answer["FunctionError"] == "Unhandled"
    error = json.loads(answer["Payload"].read())
    assert error.keys() == {"errorType", "errorMessage"}


def test_an_asynchronous_call_is_accepted(client, predict):
    answer = client.invoke(FunctionName=predict, InvocationType="Event", Payload=HEALTH)

    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""


def test_a_function_that_is_not_there_is_not_found(client):
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="nobody"):
        client.invoke(FunctionName="nobody", Payload=b"{}")


def test_an_event_that_lambda_would_not_take_is_refused(client, predict):
    with pytest.raises(client.exceptions.RequestTooLargeException):
        client.invoke(FunctionName=predict, Payload=json.dumps("x" * 6_300_000).encode())
