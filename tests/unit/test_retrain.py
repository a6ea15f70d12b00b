"""Retrain starts one execution at a time, and none within the cool-down."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest

from functions.retrain import app
from tests.make_events import sample_event

ALARM = sample_event("retrain")


class Pipeline:
    """Stands in for SageMaker: starts one execution per token."""

    def __init__(self):
        self.executions, self.tokens = [], {}

    def get_paginator(self, name):
        assert name == "list_pipeline_executions"
        return SimpleNamespace(paginate=self.pages)

    def pages(self, **request):
        assert request["PipelineName"] == "maskwatch-classifier"
        newest = sorted(self.executions, key=lambda one: one["StartTime"], reverse=True)
        return [
            {"PipelineExecutionSummaries": newest[start : start + 2]} for start in range(0, len(newest), 2)
        ]

    def start_pipeline_execution(self, **request):
        assert request["PipelineName"] == "maskwatch-classifier"
        assert 32 <= len(request["ClientRequestToken"]) <= 128
        arn = self.tokens.setdefault(request["ClientRequestToken"], f"arn:execution/{len(self.tokens)}")
        if all(one["PipelineExecutionArn"] != arn for one in self.executions):
            self.add("Executing", datetime.now(UTC), arn)
        return {"PipelineExecutionArn": arn}

    def add(self, status, start, arn="arn:execution/before"):
        self.executions.append(
            {"PipelineExecutionArn": arn, "PipelineExecutionStatus": status, "StartTime": start}
        )


@pytest.fixture
def pipeline(monkeypatch):
    found = Pipeline()
    monkeypatch.setenv("PIPELINE", "maskwatch-classifier")
    monkeypatch.setenv("COOL_DOWN_DAYS", "14")
    monkeypatch.setattr(app, "boto3", SimpleNamespace(client=lambda _: found))
    return found


def ago(**time):
    return datetime.now(UTC) - timedelta(**time)


def test_an_alarm_starts_the_first_execution(pipeline):
    assert app.handler(ALARM, None) == {"outcome": "started", "execution": "arn:execution/0"}
    assert len(pipeline.executions) == 1


@pytest.mark.parametrize("status", ["Executing", "Stopping"])
@pytest.mark.parametrize("event", [ALARM, {"by_hand": True}], ids=["alarm", "by hand"])
def test_nothing_starts_during_an_execution(status, event, pipeline):
    pipeline.add(status, ago(days=30))

    assert app.handler(event, None) == {"outcome": "under way", "execution": "arn:execution/before"}
    assert len(pipeline.executions) == 1


def test_nothing_starts_during_an_execution_even_if_later_ones_have_ended(pipeline):
    pipeline.add("Executing", ago(days=30))
    for days in (29, 28, 27):
        pipeline.add("Stopped", ago(days=days), f"arn:execution/{days}")

    answer = app.handler({"by_hand": True}, None)

    assert answer == {"outcome": "under way", "execution": "arn:execution/before"}
    assert len(pipeline.executions) == 4


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "Stopped"])
def test_within_the_cool_down_only_a_start_by_hand_works(status, pipeline):
    pipeline.add(status, ago(days=13))

    assert app.handler(ALARM, None)["outcome"] == "cooling down"
    assert app.handler({"by_hand": True}, None)["outcome"] == "started"


def test_an_alarm_after_the_cool_down_starts_another_execution(pipeline):
    pipeline.add("Succeeded", ago(days=15))

    assert app.handler(ALARM, None)["outcome"] == "started"


def test_concurrent_alarms_start_one_execution(pipeline, monkeypatch):
    pipeline.add("Succeeded", ago(days=15))
    executions = list(pipeline.executions)
    monkeypatch.setattr(pipeline, "pages", lambda **_: [{"PipelineExecutionSummaries": executions}])

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(app.handler, [ALARM] * 4, [None] * 4))

    assert len({answer["execution"] for answer in answers}) == 1
    assert len(pipeline.executions) == 2


@pytest.mark.usefixtures("moto")
def test_the_requests_are_valid_for_sagemaker(monkeypatch):
    monkeypatch.setenv("PIPELINE", "maskwatch-classifier")
    monkeypatch.setenv("COOL_DOWN_DAYS", "14")

    boto3.client("sagemaker").create_pipeline(
        PipelineName="maskwatch-classifier",
        PipelineDefinition='{"Version": "2020-12-01", "Steps": []}',
        ClientRequestToken=32 * "x",
        RoleArn="arn:aws:iam::123456789012:role/maskwatch-training",
    )

    first, second = app.handler(ALARM, None), app.handler(ALARM, None)

    assert (first["outcome"], second["outcome"]) == ("started", "cooling down")
    assert first["execution"] == second["execution"]
