"""What was predicted against what people say: which feedback counts, and the figures that come of it."""

import json
from datetime import UTC, date, datetime

import boto3
import numpy as np
import pytest
from moto import mock_aws

from functions.drift import truth
from functions.drift.records import as_record
from functions.drift.truth import Feedback, Join, figures, read_feedback, share
from functions.shared.contract import LABELS
from tests.records import drawn, parsed
from training.metrics import precision_recall_f1, wilson_interval

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 11, 21), date(2026, 11, 20)


@pytest.fixture
def insights(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.resource("s3", "us-east-1").create_bucket(Bucket="insights")


@pytest.fixture
def say(insights):
    def put(name, label, day=TODAY, time="2026-11-21T10:00:00.000+00:00"):
        body = {"prediction_id": name, "label": label, "time": time}
        insights.put_object(Key=f"feedback/dt={day}/{name}.json", Body=json.dumps(body).encode())

    return put


@pytest.fixture
def heard(insights):
    def read(days=(TODAY, YESTERDAY), time_left=lambda: 1.0):
        return read_feedback(insights.meta.client, "insights", days, time_left)

    return read


def test_feedback_of_the_days_is_read(say, heard):
    say("a", "mask")
    say("b", "no_mask", YESTERDAY)
    say("c", "incorrect", date(2026, 11, 1))
    assert heard() == Feedback({"a": "mask", "b": "no_mask"}, corrupt=0, unread=0)


@pytest.mark.parametrize("later", [TODAY, YESTERDAY])
def test_the_last_word_counts_whichever_day_it_lies_under(say, heard, later):
    earlier = YESTERDAY if later == TODAY else TODAY
    say("a", "mask", earlier, "2026-11-20T23:59:59.999+00:00")
    say("a", "no_mask", later, "2026-11-21T00:00:00+00:00")
    assert heard().labels == {"a": "no_mask"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"prediction_id": "a", "label": "mask"}',
        b'{"prediction_id": "a", "label": "uncertain", "time": "2026-11-21T10:00:00Z"}',
        b'{"prediction_id": "a", "label": [], "time": "2026-11-21T10:00:00Z"}',
        b'{"prediction_id": 3, "label": "mask", "time": "2026-11-21T10:00:00Z"}',
        b'{"prediction_id": "a", "label": "mask", "time": "today"}',
        b'{"prediction_id": "a", "label": "mask", "time": "0001-01-01T00:00:00+09:00"}',
    ],
    ids=lambda body: body[:70].decode(errors="replace"),
)
def test_what_is_no_feedback_is_counted_and_costs_nothing_else(insights, say, heard, body):
    say("b", "mask")
    insights.put_object(Key=f"feedback/dt={TODAY}/a.json", Body=body)
    assert heard() == Feedback({"b": "mask"}, corrupt=1, unread=0)


def test_of_too_much_feedback_the_newest_is_read(say, heard, monkeypatch):
    monkeypatch.setattr(truth, "MOST", 3)
    for day in (YESTERDAY, TODAY):
        for number in range(2):
            say(f"{day}-{number}", "mask", day)
    told = heard()
    assert set(told.labels) == {"2026-11-21-0", "2026-11-21-1", "2026-11-20-0"}
    assert told.unread == 1


def test_when_time_is_over_the_rest_is_left(say, heard):
    for number in range(30):
        say(str(number), "mask")
    left = iter([1] * 4)
    told = heard(time_left=lambda: next(left, 0))
    assert (len(told.labels), told.unread) == (4, 26)


def joined(feedback, *records):
    join = Join(Feedback(feedback, 0, 0))
    rng = np.random.default_rng(0)
    for name, options in records:
        join.add(as_record(parsed(drawn(rng, NOON, prediction_id=name, **options))))
    return join.as_json()


def test_predictions_are_joined_with_what_was_said_about_them():
    told = joined(
        {"a": "mask", "b": "mask", "c": "no_mask", "gone": "mask"},
        ("a", {"label": "mask", "source": "gate-1"}),
        ("b", {"label": "no_mask", "source": "gate-2", "version": "2"}),
        ("c", {"label": "no_mask", "source": "gate-2"}),
        ("d", {"label": "incorrect"}),
    )
    assert told["overall"]["n"] == 3
    assert told["overall"]["accuracy"]["value"] == 2 / 3
    assert told["overall"]["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert {source: figures["n"] for source, figures in told["sources"].items()} == {"gate-1": 1, "gate-2": 2}
    assert told["sources"]["gate-2"]["accuracy"]["value"] == 1 / 2
    assert {name: figures["n"] for name, figures in told["model_versions"].items()} == {"1.0.0": 2, "2": 1}
    assert told["unmatched"] == 1


def test_an_uncertain_answer_counts_by_its_most_probable_label_and_is_told():
    told = joined(
        {"a": "mask", "b": "mask"},
        ("a", {"label": "mask", "min_confidence": 1.1}),
        ("b", {"label": "mask"}),
    )["overall"]
    assert told["accuracy"]["value"] == 1
    assert told["uncertain"]["value"] == 1 / 2


def test_without_feedback_there_are_no_figures():
    told = joined({}, ("a", {"label": "mask"}))
    assert told["overall"]["n"] == 0
    assert told["overall"]["accuracy"] is None
    assert set(told["overall"]["f1"].values()) == {None}
    assert told["sources"] == {}


def test_sources_with_the_most_feedback_are_told(monkeypatch):
    monkeypatch.setattr(truth, "SOURCES", 2)
    records = [
        (f"{source}{number}", {"source": source})
        for source in "abc"
        for number in range("acb".index(source) + 1)
    ]
    told = joined({name: "mask" for name, _ in records}, *records)
    assert {source: figures["n"] for source, figures in told["sources"].items()} == {"b": 3, "c": 2}
    assert told["overall"]["n"] == 6


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_those_that_training_tells(seed):
    confusion = np.random.default_rng(seed).integers(0, 40, (3, 3))
    counted = {(LABELS[i], LABELS[j]): int(confusion[i, j]) for i in range(3) for j in range(3)}
    told = figures(counted, uncertain=0)
    precision, recall, f1 = precision_recall_f1(confusion)
    for name, expected in {"precision": precision, "recall": recall, "f1": f1}.items():
        assert [told[name][label]["value"] for label in LABELS] == pytest.approx(expected)
    low, high = wilson_interval(int(np.trace(confusion)), int(confusion.sum()))
    assert told["accuracy"] == pytest.approx(
        {"value": np.trace(confusion) / confusion.sum(), "low": low, "high": high}
    )
    for name in ("precision", "recall", "f1"):
        assert all(0 <= told[name][label]["low"] <= told[name][label]["value"] for label in LABELS)
        assert all(told[name][label]["value"] <= told[name][label]["high"] <= 1 for label in LABELS)


def test_an_interval_stays_within_bounds_and_holds_its_share():
    for count in range(1, 60):
        for hits in range(count + 1):
            told = share(hits, count)
            assert 0 <= told["low"] <= told["value"] <= told["high"] <= 1
            assert told["low"] < told["high"]


def test_the_interval_of_f1_holds_the_truth_in_95_of_100_draws():
    chances = np.array([[0.40, 0.05, 0.03], [0.04, 0.30, 0.02], [0.03, 0.03, 0.10]])
    true = precision_recall_f1((chances * 10_000).astype(int))[2]
    draws = np.random.default_rng(0).multinomial(150, chances.ravel(), 2_000).reshape(-1, 3, 3)
    held = np.zeros(3)
    for confusion in draws:
        counted = {(LABELS[i], LABELS[j]): int(confusion[i, j]) for i in range(3) for j in range(3)}
        told = figures(counted, 0)["f1"]
        held += [
            told[label]["low"] <= value <= told[label]["high"]
            for label, value in zip(LABELS, true, strict=True)
        ]
    assert (held / len(draws)).tolist() == pytest.approx([0.95] * 3, abs=0.02)
