"""What CloudWatch is told of a run."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from functions.drift.metrics import lines
from infra.local.logs import embedded_metrics

END = datetime(2026, 11, 21, 9, tzinfo=UTC)
NONE = {"accuracy": None}
JUDGED = {"accuracy": {"value": 0.8, "low": 0.7, "high": 0.88}}
COMPARED = SimpleNamespace(
    verdict="drift",
    sources={"gate-1": "drift", "gate-2": "ok", "gate-3": "not enough", "": "ok"},
    effects={"input": 1.5, "embedding": 0.4, "prediction": 0.1, "confidence": 0.02},
)


def told(comparison=None, overall=NONE, sources=None, **counts):
    counts = {"records": 0, "corrupt": 0, "damaged": 0} | counts
    facts = {"counts": counts, "truth": {"overall": overall, "sources": sources or {}}}
    found = {}
    for line in lines("MaskWatch/dev", "drift", END, facts, comparison, 12.3456):
        for metric, value in embedded_metrics(line):
            assert metric.namespace == "MaskWatch/dev"
            assert metric.second == END.timestamp()
            found.setdefault(metric.dimensions, {})[metric.name] = value
    return found


def test_everything_together_is_told_by_service():
    assert told(COMPARED, JUDGED, records=7, corrupt=2, damaged=1)[("service", "drift"),] == {
        "DriftVerdict": 1,
        "InputDrift": 1.5,
        "EmbeddingDrift": 0.4,
        "PredictionDrift": 0.1,
        "ConfidenceDrop": 0.02,
        "Records": 7,
        "CorruptRecords": 3,
        "Accuracy": 0.8,
        "AccuracyLow": 0.7,
        "AccuracyHigh": 0.88,
        "RunTime": 12.346,
    }


def test_each_source_is_told():
    found = told(COMPARED, JUDGED, {"gate-1": JUDGED, "gate-9": JUDGED})
    accuracy = {"Accuracy": 0.8, "AccuracyHigh": 0.88}
    assert {dimensions: values for dimensions, values in found.items() if dimensions[0][0] == "source"} == {
        (("source", "gate-1"),): {"DriftVerdict": 1, **accuracy},
        (("source", "gate-2"),): {"DriftVerdict": 0},
        (("source", "gate-9"),): accuracy,
        (("source", "(none)"),): {"DriftVerdict": 0},
    }


@pytest.mark.parametrize("comparison", [None, SimpleNamespace(verdict="not enough", sources={}, effects={})])
def test_where_nothing_can_be_said_no_verdict_is_told(comparison):
    assert told(comparison) == {
        (("service", "drift"),): {"Records": 0, "CorruptRecords": 0, "RunTime": 12.346}
    }


def test_a_line_is_what_cloudwatch_takes():
    facts = {"counts": {"records": 1, "corrupt": 0, "damaged": 0}, "truth": {"overall": NONE, "sources": {}}}
    for line in lines("MaskWatch", "drift", END, facts, COMPARED, 1.0):
        (directive,) = json.loads(line)["_aws"]["CloudWatchMetrics"]
        assert "\n" not in line
        assert len(directive["Metrics"]) <= 100
        assert {metric["Unit"] for metric in directive["Metrics"]} <= {"Count", "Seconds", "None"}
