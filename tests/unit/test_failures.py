"""Failures that Lambda does not count as errors are counted for the version that ran."""

import json
from types import SimpleNamespace

import pytest

from functions.inference import predict
from tests.batch import context, load_handler, message, notification
from tests.make_events import CONTEXT, api_event


@pytest.fixture(autouse=True)
def version(monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "7")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "predict")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "MaskWatch/maskwatch")


def failures(text):
    lines = [json.loads(line) for line in text.splitlines() if '"Failures"' in line]
    return [(line["service"], line["version"], line["Failures"]) for line in lines]


def test_an_answer_of_500_is_a_failure_of_its_version(monkeypatch, capsys):
    monkeypatch.setattr(predict, "decode", lambda *_: 1 / 0)
    event = api_event("POST", "/predict", content_type="image/png", body=b"picture")

    answer = predict.handler(event, CONTEXT)

    printed = capsys.readouterr().out
    assert answer["statusCode"] == 500
    assert failures(printed) == [("predict", "7", 1)]
    (metrics,) = [
        json.loads(line)["_aws"]["CloudWatchMetrics"] for line in printed.splitlines() if '"Failures"' in line
    ]
    assert metrics[0]["Namespace"] == "MaskWatch/maskwatch"
    assert metrics[0]["Dimensions"] == [["service", "version"]]


def test_a_refusal_is_not_a_failure(capsys):
    event = api_event("POST", "/predict", content_type="image/png", body=b"no picture")

    answer = predict.handler(event, CONTEXT)

    assert answer["statusCode"] in {415, 422}
    assert failures(capsys.readouterr().out) == []


def test_a_message_that_batch_returns_is_a_failure(monkeypatch, capsys):
    def refuse(upload, _request_id):
        if upload.key == "bad.jpg":
            raise ConnectionError

    with pytest.MonkeyPatch.context() as patch:
        batch = load_handler(patch, "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters")
    monkeypatch.setattr(batch, "scorer", SimpleNamespace(score=refuse))

    batch.handler({"Records": [message(n, notification(f"{n}.jpg")) for n in range(3)]}, context())
    assert failures(capsys.readouterr().out) == []

    batch.handler(
        {"Records": [message(0, notification("good.jpg")), message(1, notification("bad.jpg"))]}, context()
    )
    assert failures(capsys.readouterr().out) == [("predict", "7", 1)]
