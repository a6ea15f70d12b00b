"""Accuracy by feedback: which labels count, and whether figures and intervals are correct."""

import json
from collections import Counter
from datetime import UTC, date, datetime

import numpy as np
import pytest

from functions.drift import feedback_join
from functions.drift.accuracy import LabelledPrediction, design_effect, figures
from functions.drift.feedback_join import FeedbackJoin
from functions.shared.contract import AUDIT_SHARE, LABELS, in_audit_sample
from functions.shared.feedback import feedback_keys
from functions.shared.record import parse_record
from functions.shared.statistics import share
from tests.records import drawn, parsed
from training.metrics import precision_recall_f1, wilson_interval

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 11, 21), date(2026, 11, 20)
AUDITED = "00000000-0000-4000-8000-{:012x}"
CHOSEN = "ffffffff-0000-4000-8000-{:012x}"


@pytest.fixture
def say(insights):
    def put(name, label, day=TODAY, time="2026-11-21T10:00:00.000+00:00", **more):
        body = {"prediction_id": name, "label": label, "time": time} | more
        folder = "audit/" if more.get("audit") else ""  # as Portal does
        insights.put_object(Key=f"feedback/dt={day}/{folder}{name}.json", Body=json.dumps(body).encode())

    return put


@pytest.fixture
def joined(insights):
    """Join predictions, given by id and options, with the feedback."""

    def join(*records, time_left=lambda: 1.0):
        s3 = insights.meta.client
        keys = feedback_keys(s3, "insights", YESTERDAY, TODAY)
        feedback = FeedbackJoin(s3, "insights", keys, TODAY, "")
        rng = np.random.default_rng(0)
        for name, options in records:
            feedback.add(parse_record(parsed(drawn(rng, NOON, prediction_id=name, **options))))
        accuracy, _ = feedback.accuracy("salt", time_left)
        return accuracy

    return join


def test_only_the_feedback_of_the_days_is_listed(say, insights):
    for number in range(18, 24):
        say("a", "mask", day=date(2026, 11, number))
    assert feedback_keys(insights.meta.client, "insights", YESTERDAY, TODAY) == [
        "feedback/dt=2026-11-20/a.json",
        "feedback/dt=2026-11-21/a.json",
    ]


def test_predictions_are_joined_with_their_labels(say, joined):
    for name, label in {"a": "mask", "b": "mask", "c": "no_mask", "gone": "mask"}.items():
        say(name, label)
    found = joined(
        ("a", {"label": "mask", "source": "gate-1"}),
        ("b", {"label": "no_mask", "source": "gate-2", "version": "2"}),
        ("c", {"label": "no_mask", "source": "gate-2"}),
        ("d", {"label": "incorrect"}),
    )
    assert (found.chosen.n, found.chosen.total, found.audit.n) == (3, 4, 0)
    assert found.chosen.accuracy.value == 2 / 3
    assert found.chosen.bounds == (2 / 4, 3 / 4)
    assert found.chosen.confusion == ((1, 1, 0), (0, 1, 0), (0, 0, 0))
    assert {source: (result.n, result.total) for source, result in found.sources.items()} == {
        "gate-1": (1, 2),
        "gate-2": (2, 2),
    }
    assert found.unknown == 1


@pytest.mark.parametrize("later", [TODAY, YESTERDAY])
def test_the_latest_label_counts_whichever_day_it_is_stored_under(say, joined, later):
    earlier = YESTERDAY if later == TODAY else TODAY
    say("a", "mask", earlier, "2026-11-20T23:59:59.999+00:00")
    say("a", "no_mask", later, "2026-11-21T00:00:00+00:00")
    assert joined(("a", {"label": "mask"})).chosen.confusion[1] == (1, 0, 0)


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
        b'{"prediction_id": "a", "label": "mask", "time": "2026-11-21T10:00:00Z", "api_key_id": 3}',
    ],
    ids=lambda body: body[:70].decode(errors="replace"),
)
def test_invalid_feedback_is_counted_and_the_rest_is_used(insights, say, joined, body):
    say("b", "mask")
    insights.put_object(Key=f"feedback/dt={TODAY}/a.json", Body=body)
    found = joined(("a", {"label": "mask"}), ("b", {"label": "mask"}))
    assert (found.chosen.n, found.corrupt, found.unread) == (1, 1, 0)


def test_invented_labels_do_not_displace_real_ones(say, joined, monkeypatch):
    monkeypatch.setattr(feedback_join, "MAX_LABELS", 10)
    for number in range(50):
        say(f"invented-{number}", "no_mask")
    for number in range(8):
        say(f"real-{number}", "mask")
    found = joined(*((f"real-{number}", {"label": "mask"}) for number in range(8)))
    assert (found.chosen.n, found.unknown, found.unread) == (8, 50, 0)


def test_a_random_part_of_too_many_labels_is_read_and_the_rest_counted(say, joined, monkeypatch):
    monkeypatch.setattr(feedback_join, "MAX_LABELS", 20)
    for number in range(60):
        say(f"p-{number:02}", "mask" if number < 30 else "no_mask")
    found = joined(*((f"p-{number:02}", {"label": "mask"}) for number in range(60)))
    assert (found.chosen.n, found.unread) == (20, 40)
    assert 0.2 < found.chosen.accuracy.value < 0.8  # neither the first nor the last


def test_the_labels_of_one_api_key_are_limited(say, joined, monkeypatch):
    monkeypatch.setattr(feedback_join, "MAX_LABELS_OF_KEY", 5)
    for number in range(20):
        say(f"loud-{number}", "no_mask", api_key_id="loud")
    for number in range(4):
        say(f"calm-{number}", "mask", api_key_id="calm")
    names = [f"loud-{number}" for number in range(20)] + [f"calm-{number}" for number in range(4)]
    found = joined(*((name, {"label": "mask"}) for name in names))
    assert (found.chosen.n, found.unread) == (9, 15)


def test_labels_that_are_not_read_in_time_are_counted(say, joined):
    for number in range(30):
        say(str(number), "mask")
    left = iter([1] * 4)
    found = joined(
        *((str(number), {"label": "mask"}) for number in range(30)), time_left=lambda: next(left, 0)
    )
    assert (found.chosen.n, found.unread) == (4, 26)


def test_the_audit_sample_is_reported_for_each_release(say, joined):
    for number in range(3):
        say(AUDITED.format(number), "mask", audit=True)
    say(AUDITED.format(3), "no_mask")  # in the audit sample, but not labelled as part of it
    say(CHOSEN.format(4), "no_mask", audit=True)  # labelled as part of the audit sample, but not in it
    records = [(AUDITED.format(number), {"label": "mask", "version": str(number % 2)}) for number in range(4)]
    found = joined(*records, (AUDITED.format(9), {"label": "mask"}), (CHOSEN.format(4), {"label": "mask"}))
    assert (found.audit.n, found.audit.total, found.audit.accuracy.value) == (3, 5, 1.0)
    assert (found.chosen.n, found.chosen.total) == (5, 6)
    assert {name: (result.n, result.total) for name, result in found.model_versions.items()} == {
        "0": (2, 2),
        "1": (1, 2),
        "1.0.0": (0, 1),
    }


@pytest.mark.parametrize("day", [TODAY, YESTERDAY])
def test_a_prediction_stays_in_the_audit_sample_when_it_is_labelled_again(say, joined, day):
    """Otherwise reports of mistakes would remove just the wrong ones."""
    names = [AUDITED.format(number) for number in range(10)]
    for name in names:
        say(name, "mask", day, "2026-11-20T09:00:00+00:00", audit=True)
    for name in names[:3]:
        say(name, "no_mask")
    found = joined(*((name, {"label": "mask"}) for name in names))
    assert (found.audit.n, found.audit.accuracy.value) == (10, 0.7)


def test_the_audit_sample_has_its_share_of_all_ids():
    rng = np.random.default_rng(0)
    hits = sum(in_audit_sample(rng.bytes(16).hex()) for _ in range(50_000))
    assert hits / 50_000 == pytest.approx(AUDIT_SHARE, rel=0.2)
    assert not in_audit_sample("no id")


def test_an_uncertain_answer_counts_with_its_most_probable_label_and_as_uncertain(say, joined):
    say("a", "mask")
    say("b", "mask")
    found = joined(("a", {"label": "mask", "min_confidence": 1.1}), ("b", {"label": "mask"})).chosen
    assert (found.accuracy.value, found.uncertain.value) == (1, 1 / 2)


def test_there_is_no_f1_for_a_label_that_is_not_the_actual_one_of_any_prediction():
    found = figures([one("mask", "mask", 0), one("mask", "no_mask", 1)], 2)
    assert found.f1["mask"] is not None
    assert (found.f1["no_mask"], found.f1["incorrect"]) == (None, None)


def test_without_feedback_there_are_no_figures(joined):
    found = joined(("a", {"label": "mask"}))
    assert (found.chosen.n, found.chosen.accuracy, found.chosen.bounds) == (0, None, (0, 1))
    assert set(found.chosen.f1.values()) == {None}
    assert found.sources == {}


def one(actual, predicted, number, *, minute=None):
    return LabelledPrediction(
        "gate", number if minute is None else minute, "1", actual, predicted, uncertain=False, audit=True
    )


def independent(confusion):
    """Predictions of different minutes with this confusion matrix."""
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(confusion[i][j])]
    return [one(LABELS[i], LABELS[j], number) for number, (i, j) in enumerate(pairs)]


@pytest.mark.parametrize("seed", range(5))
def test_figures_equal_those_of_training(seed):
    confusion = np.random.default_rng(seed).integers(0, 40, (3, 3))
    found = figures(independent(confusion), 10_000)
    for name, expected in zip(("precision", "recall", "f1"), precision_recall_f1(confusion), strict=True):
        shares = [getattr(found, name)[label] for label in LABELS]
        assert [one.value for one in shares] == pytest.approx(expected)
        assert all(0 <= one.low <= one.value <= one.high <= 1 for one in shares)
    low, high = wilson_interval(int(np.trace(confusion)), int(confusion.sum()))
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((low, high))


def test_an_interval_contains_its_share_and_stays_within_0_and_1():
    for count in range(1, 60):
        for hits in range(count + 1):
            found = share(hits, count)
            assert 0 <= found.low <= found.value <= found.high <= 1
            assert found.low < found.high


def test_the_interval_of_f1_covers_the_true_value_in_95_of_100_draws():
    chances = np.array([[0.40, 0.05, 0.03], [0.04, 0.30, 0.02], [0.03, 0.03, 0.10]])
    true = precision_recall_f1((chances * 10_000).astype(int))[2]
    held = Counter()
    draws = np.random.default_rng(0).multinomial(150, chances.ravel(), 1_000).reshape(-1, 3, 3)
    for confusion in draws:
        f1 = figures(independent(confusion), 150).f1
        held.update(
            label
            for label, value in zip(LABELS, true, strict=True)
            if f1[label].low <= value <= f1[label].high
        )
    assert [held[label] / len(draws) for label in LABELS] == pytest.approx([0.95] * 3, abs=0.03)


def test_frames_of_one_minute_count_less_than_as_many_of_different_minutes():
    rng = np.random.default_rng(0)
    people = [("mask", "mask" if rng.random() < 0.9 else "no_mask") for _ in range(60)]
    alike = [one(*pair, 0, minute=minute) for minute, pair in enumerate(people) for _ in range(5)]
    assert design_effect(alike) == pytest.approx(5, rel=0.2)
    assert figures(alike, 300).accuracy.low == pytest.approx(
        figures([one(*pair, number) for number, pair in enumerate(people)], 60).accuracy.low, abs=0.02
    )
    all_right = [one("mask", "mask", 0, minute=minute) for minute in range(6) for _ in range(5)]
    assert design_effect(all_right) == 5
    assert design_effect([one("mask", "mask", 0, minute=0)] * 4) == 4
    assert design_effect([]) == 1


@pytest.mark.parametrize("right", [0.85, 0.97])
def test_intervals_of_repeated_people_cover_the_true_value(right):
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        judged = [
            one("mask", "mask" if ok else "no_mask", 0, minute=minute)
            for minute, ok in enumerate(rng.random(80) < right)
            for _ in range(rng.integers(1, 6))
        ]
        found = figures(judged, len(judged)).accuracy
        held += found.low <= right <= found.high
    assert held / 400 >= 0.92
