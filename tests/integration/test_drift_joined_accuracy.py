"""The accuracy that Drift reports for real pictures with feedback is their true accuracy."""

import base64
import csv
import gzip
import importlib
import io
import json
from collections import Counter
from contextlib import redirect_stdout
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from functions.drift.settings import read_settings
from functions.inference import predict
from functions.portal import buckets, feedback
from functions.shared.contract import LABELS
from tests.make_events import api_event

EVERY = 12  # one in so many test pictures, by source and label


@pytest.fixture(scope="module")
def rows(data):
    with (data / "crops.csv").open(newline="") as lines:
        return sorted(
            (row for row in csv.DictReader(lines) if row["split"] == "test"),
            key=lambda row: (row["source"], row["label"], row["file"]),
        )[::EVERY]


@pytest.fixture(scope="module")
def answered(data, rows):
    """The answer to every readable picture with its row, and the lines that Predict wrote."""
    answers = []
    with redirect_stdout(io.StringIO()) as lines:
        for row in rows:
            image = base64.b64encode((data / row["file"]).read_bytes()).decode()
            body = {"image": image, "detect": False, "source": row["source"], "min_confidence": 0.8}
            event = api_event("POST", "/predict", content_type="application/json", body=json.dumps(body))
            answer = predict.handler(event, None)
            if answer["statusCode"] == 200:
                answers.append((row, json.loads(answer["body"])))
    return answers, lines.getvalue()


@pytest.fixture(scope="module")
def result(answered):
    """The accuracy in latest.json."""
    with pytest.MonkeyPatch.context() as patch:
        return joined(*answered, patch)


def joined(answers, lines, monkeypatch):
    """Run Drift on the lines and on feedback with each picture's label, and return the accuracy in latest.json."""
    for name, value in {
        "RECORDS_BUCKET": "records",
        "INSIGHTS_BUCKET": "insights",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    app = importlib.import_module("functions.drift.app")
    with mock_aws():
        s3 = boto3.client("s3", "us-east-1")
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        buckets.s3.cache_clear()
        monkeypatch.setattr(app, "s3", s3)
        monkeypatch.setattr(app, "settings", read_settings())
        for bucket in ("records", "insights"):
            s3.create_bucket(Bucket=bucket)
        key = f"dt={datetime.now(UTC):%Y-%m-%d}/stream-1.gz"
        s3.put_object(Bucket="records", Key=key, Body=gzip.compress(lines.encode()))
        for row, answer in answers:
            body = {"prediction_id": answer["prediction_id"], "label": row["label"]}
            feedback.store(feedback.parse(json.dumps(body).encode(), datetime.now(UTC), ""), "insights")
        app.handler({}, SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000))
        latest = s3.get_object(Bucket="insights", Key="drift/latest.json")["Body"].read()
    buckets.s3.cache_clear()
    return json.loads(latest)["accuracy"]


def test_the_reported_accuracy_is_that_of_the_pictures(answered, result):
    answers, _ = answered
    assert len(answers) > 150
    guesses = [max(LABELS, key=answer["probabilities"].get) for _, answer in answers]
    right = [row["label"] == guess for (row, _), guess in zip(answers, guesses, strict=True)]
    overall = result["chosen"]
    assert overall["n"] == len(answers)
    assert overall["accuracy"]["value"] == sum(right) / len(right)
    pairs = Counter((row["label"], guess) for (row, _), guess in zip(answers, guesses, strict=True))
    assert overall["confusion"] == [[pairs[truth, guess] for guess in LABELS] for truth in LABELS]
    unsure = sum(answer["label"] == "uncertain" for _, answer in answers)
    assert unsure
    assert overall["uncertain"]["value"] == unsure / len(answers)
    assert result["unknown"] == 0


def test_the_accuracy_of_each_source_is_that_of_its_pictures(answered, result):
    answers, _ = answered
    right, count = Counter(), Counter()
    for row, answer in answers:
        count[row["source"]] += 1
        right[row["source"]] += row["label"] == max(LABELS, key=answer["probabilities"].get)
    assert len(count) > 1
    assert {source: figures["n"] for source, figures in result["sources"].items()} == dict(count)
    for source, figures in result["sources"].items():
        assert figures["accuracy"]["value"] == right[source] / count[source]
