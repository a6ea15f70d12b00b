"""The CloudWatch metrics of a run."""

import json
from datetime import UTC, date, datetime

import pytest

from functions.drift.accuracy import LabelledPrediction, figures
from functions.drift.compare import DriftComparison
from functions.drift.feedback_join import FeedbackFigures
from functions.drift.gather import Counts
from functions.drift.metrics import lines
from functions.drift.report import Report, SourceReport
from functions.drift.window import Window
from infra.local.logs import embedded_metrics

END = datetime(2026, 11, 21, 9, tzinfo=UTC)
STATUSES = {"gate-1": "drift", "gate-2": "ok", "gate-3": "not enough", "": "silent", "gate-4": "new"}
EFFECTS = {"input": 1.5, "embedding": 0.4, "prediction": 0.1, "confidence": 0.02}
COMPARED = DriftComparison("drift", STATUSES, EFFECTS, (), 10, 7)
NONE = figures([], 0)


def judged(n, right):
    return figures(
        [
            LabelledPrediction(
                "gate-1",
                minute,
                "1",
                "mask",
                "mask" if minute < right else "no_mask",
                uncertain=False,
                audit=True,
            )
            for minute in range(n)
        ],
        n,
    )


def report(comparison=COMPARED, verdict="drift", counts=None, audit=NONE, sources=None):
    statuses = comparison.sources if comparison else {}
    return Report(
        window=Window(datetime(2026, 11, 20, 9, tzinfo=UTC), END),
        verdict=verdict,
        counts=counts or Counts(),
        baseline=None,
        serving_version="1",
        comparison=comparison,
        sources={name: SourceReport(status, 1, 1.0, {}) for name, status in statuses.items()},
        accuracy=FeedbackFigures(NONE, audit, sources or {}, {"1": audit}, unknown=4, corrupt=0, unread=5),
        labelled_since=date(2026, 11, 14),
        min_accuracy=0.9,
        notes=(),
    )


def result(report):
    found = {}
    for line in lines("MaskWatch/dev", "drift", report, 2, 12.3456):
        for metric, value in embedded_metrics(line):
            assert metric.namespace == "MaskWatch/dev"
            assert metric.second == END.timestamp()
            found.setdefault(metric.dimensions, {})[metric.name] = value
    return found


def test_metrics_of_all_sources_have_the_dimension_service():
    counts = Counts(records=7, valid=70, corrupt=2, objects=5, damaged=1)
    measured = result(report(counts=counts, audit=judged(40, 30)))[("service", "drift"),]
    assert 0.5 < measured.pop("AccuracyLow") < 0.75 < measured.pop("AccuracyHigh") < 0.9
    assert measured == {
        "DriftVerdict": 1,
        "OtherVersion": 0,
        "NewFindings": 2,
        "InputDrift": 1.5,
        "EmbeddingDrift": 0.4,
        "PredictionDrift": 0.1,
        "ConfidenceDrop": 0.02,
        "Records": 70,
        "CorruptRecords": 2 + 14,
        "Accuracy": 0.75,
        "UnreadLabels": 5,
        "UnknownLabels": 4,
        "RunTime": 12.346,
    }


def test_an_object_of_which_nothing_can_be_read_counts():
    assert result(report(counts=Counts(objects=1, damaged=1)))[("service", "drift"),]["CorruptRecords"] == 1


def test_each_source_has_metrics():
    found = result(report(sources={"gate-1": judged(10, 8), "gate-9": judged(10, 8)}))
    assert {dimensions: values for dimensions, values in found.items() if dimensions[0][0] == "source"} == {
        (("source", "gate-1"),): {"DriftVerdict": 1, "ChosenAccuracy": 0.8},
        (("source", "gate-2"),): {"DriftVerdict": 0},
        (("source", "gate-9"),): {"ChosenAccuracy": 0.8},
        (("source", "(none)"),): {"DriftVerdict": 1},
    }


def test_another_release_than_the_baseline_s_gives_a_metric_and_no_verdict():
    measured = result(report(verdict="other version", counts=Counts(records=7)))[("service", "drift"),]
    assert measured["OtherVersion"] == 1
    assert "DriftVerdict" not in measured


@pytest.mark.parametrize("n", [0, 29])
def test_few_audited_predictions_give_no_accuracy(n):
    assert "AccuracyHigh" not in result(report(audit=judged(n, n)))[("service", "drift"),]


@pytest.mark.parametrize("comparison", [None, DriftComparison("not enough", {}, {}, (), 0, 0)])
def test_without_tests_there_is_no_verdict_or_effect(comparison):
    assert result(report(comparison, "not enough" if comparison else "no baseline")) == {
        (("service", "drift"),): {
            "NewFindings": 2,
            "Records": 0,
            "CorruptRecords": 0,
            "UnreadLabels": 5,
            "UnknownLabels": 4,
            "RunTime": 12.346,
        }
    }


def test_a_line_is_within_the_limits_of_cloudwatch():
    for line in lines("MaskWatch", "drift", report(), 0, 1.0):
        (directive,) = json.loads(line)["_aws"]["CloudWatchMetrics"]
        assert "\n" not in line
        assert len(directive["Metrics"]) <= 100
        assert {metric["Unit"] for metric in directive["Metrics"]} <= {"Count", "Seconds", "None"}
