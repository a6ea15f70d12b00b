"""A challenger is compared with the serving release."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.integrate import quad

from functions.drift.accuracy import LabelledPrediction
from functions.drift.challenge import (
    ALIKE,
    BETTER,
    DIFFERENT_SOURCES,
    TOO_FEW,
    WORSE,
    AnswerCounts,
    describe,
    pairs_needed,
    sequential_p,
)
from functions.drift.feedback_join import FeedbackJoin
from functions.shared.feedback import feedback_keys
from functions.shared.record import parse_record
from tests.records import drawn, parsed
from tests.schemas import DOCUMENT, validate

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def shadow_of(line, label):
    """Return the record of a challenger's shadow prediction."""
    answer = parsed(line)
    kept = ("time", "request_id", "route", "source", "faces", "DetectTime", "InferenceTime")
    probabilities = {name: float(name == label) for name in ("mask", "no_mask", "incorrect")}
    return {name: answer[name] for name in kept} | {
        "model_version": "2",
        "shadow_of": answer["prediction_id"],
        "live": {"model_version": answer["model_version"], "label": answer["label"]},
        "label": label,
        "probabilities": probabilities,
    }


def judged(number, actual, predicted, version="1", shadow=None):
    return LabelledPrediction("gate-1", number, version, actual, predicted, False, True, shadow)  # noqa: FBT003


def predictions(right, count, version):
    return [judged(n, "mask", "mask" if n < right else "no_mask", version) for n in range(count)]


def test_a_shadow_record_is_read_as_such(rng):
    line = drawn(rng, NOON, label="mask", version="1")
    record = parse_record(shadow_of(line, "no_mask"))

    assert record.shadow
    assert record.model_version == "2"
    assert record.key != parse_record(parsed(line)).key
    assert not parse_record(parsed(line)).shadow


@pytest.mark.parametrize("name", [None, 1, ["x"], {}])
def test_a_shadow_record_names_its_prediction(rng, name):
    assert parse_record(shadow_of(drawn(rng, NOON), "mask") | {"shadow_of": name}) is None


@pytest.mark.parametrize("ms", [float("nan"), float("inf"), 1e300, 10**400, -1, "5", None])
def test_a_damaged_time_is_left_out(rng, ms):
    counts = AnswerCounts("1", "2")
    counts.add(parse_record(parsed(drawn(rng, NOON, version="2")) | {"DetectTime": ms}))

    found = counts.result([]).challenger

    assert (found.pictures, found.median_ms) == (1, None)


@pytest.mark.parametrize(
    "live", [None, {}, {"model_version": 1, "label": "mask"}, {"model_version": "1", "label": "x"}]
)
def test_a_damaged_shadow_record_is_not_a_record(rng, live):
    assert parse_record(shadow_of(drawn(rng, NOON), "mask") | {"live": live}) is None


def test_in_shadow_mode_both_are_compared_on_the_same_pictures(rng):
    counts = AnswerCounts("1", "2")
    for number in range(40):
        line = drawn(rng, NOON + timedelta(minutes=number), label="mask", version="1")
        counts.add(parse_record(parsed(line)))
        counts.add(parse_record(shadow_of(line, "no_mask" if number < 10 else "mask")))

    found = counts.result([])

    assert found.shadow
    assert (found.serving.pictures, found.challenger.pictures) == (40, 40)
    assert found.challenger.labels == {"no_mask": 10, "mask": 30}
    assert found.agreement.value == 0.75
    assert found.disagreements == [("mask", "no_mask", 10)]
    assert found.serving.median_ms == found.challenger.median_ms == pytest.approx(9.5, abs=0.01)
    assert (found.verdict, found.p, found.needed) == (TOO_FEW, 1, pairs_needed(0.2))


def test_frames_of_one_minute_give_a_wider_interval_than_as_many_minutes(rng):
    intervals = []
    for interval in (1, 60):
        counts = AnswerCounts("1", "2")
        for number in range(60):
            line = drawn(rng, NOON + timedelta(seconds=interval * number), label="mask", version="1")
            counts.add(parse_record(shadow_of(line, "no_mask" if number % 4 == 0 else "mask")))
        agreement = counts.result([]).agreement
        intervals.append(agreement.high - agreement.low)

    assert intervals[0] > 2 * intervals[1]


def test_other_releases_are_not_counted(rng):
    counts = AnswerCounts("1", "2")
    for version in ("1", "2", "3"):
        counts.add(parse_record(parsed(drawn(rng, NOON, version=version))))
    counts.add(parse_record(shadow_of(drawn(rng, NOON, version="0"), "mask")))

    found = counts.result([])

    assert (found.serving.pictures, found.challenger.pictures, found.shadow) == (1, 1, False)


def test_without_a_challenger_there_is_no_comparison():
    assert AnswerCounts("1", "").result([]) is None
    assert AnswerCounts("1", "1").result([]) is None


def test_on_different_sources_there_is_no_verdict():
    found = AnswerCounts("1", "2").result([*predictions(5400, 6000, "1"), *predictions(5990, 6000, "2")])

    assert (found.verdict, found.p, found.needed) == (DIFFERENT_SOURCES, None, None)
    assert [side.accuracy.value for side in (found.serving, found.challenger)] == [0.9, 5990 / 6000]
    assert describe(json.loads(json.dumps(found.to_dict()))).endswith("only shadow mode gives a verdict.")


def test_in_shadow_mode_the_interval_of_each_release_is_that_of_its_own_mistakes(rng):
    """Both are wrong on 80 of 400 pictures: one of the five of each minute, and all five of every fifth minute."""
    counts = AnswerCounts("1", "2")
    counts.add(parse_record(shadow_of(drawn(rng, NOON, version="1"), "mask")))
    pictures = [(minute, frame) for minute in range(80) for frame in range(5)]

    found = counts.result(
        [
            judged(
                minute,
                "mask",
                "no_mask" if frame == 0 else "mask",
                shadow="no_mask" if minute % 5 == 0 else "mask",
            )
            for minute, frame in pictures
        ]
    )

    assert found.serving.accuracy.value == found.challenger.accuracy.value == 0.8
    widths = [side.accuracy.high - side.accuracy.low for side in (found.serving, found.challenger)]
    assert widths[1] > 1.5 * widths[0]


@pytest.fixture
def shadowed(rng):
    """Return a function that compares pairs in shadow mode."""
    counts = AnswerCounts("1", "2")
    counts.add(parse_record(shadow_of(drawn(rng, NOON, version="1"), "mask")))
    return counts.result


LOST, WON, OTHER = ("mask", "no_mask"), ("no_mask", "mask"), ("mask", "mask")


def pairs(kinds, frames=1):
    """Predictions of `frames` pictures a minute, all of which the same release has right."""
    return [
        judged(minute, "mask", predicted, shadow=shadow)
        for minute, (predicted, shadow) in enumerate(kinds)
        for _ in range(frames)
    ]


def spread(lost, won, others):
    """Evenly distribute minutes that were lost, won and neither."""
    counts = ((LOST, lost), (WON, won), (OTHER, others))
    return [
        kind for _, kind in sorted(((n + 0.5) / count, kind) for kind, count in counts for n in range(count))
    ]


@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize(
    ("won", "others", "verdict"),
    [(400, 0, BETTER), (100, 5000, ALIKE), (100, 200, TOO_FEW), (0, 5000, WORSE)],
)
def test_in_shadow_mode_the_minutes_decide_in_which_one_release_has_more_right(
    shadowed, won, others, frames, verdict
):
    found = shadowed(pairs(spread(100, won, others), frames))

    assert found.verdict == verdict
    assert (found.p < 0.05) is (verdict in {BETTER, WORSE})
    assert found.challenger.labelled == found.serving.labelled == (100 + won + others) * frames
    missing = pairs_needed(0.5) - 400
    assert found.needed == (missing * frames if verdict == TOO_FEW else 0)


def test_a_minute_in_which_each_release_is_right_once_is_undecided(shadowed):
    both = [
        judged(minute, "mask", predicted, shadow=shadow)
        for minute in range(40)
        for predicted, shadow in (("mask", "no_mask"), ("no_mask", "mask"))
    ]

    assert shadowed(both).p == 1


def test_equal_releases_seldom_get_a_verdict_however_often_one_looks(rng):
    """Of 1,000 trials with a look after each of 300 wins and losses."""
    ever = [sequential_p(trial)[0] < 0.05 for trial in (rng.random((1000, 300)) < 0.5).tolist()]

    assert 0.005 < np.mean(ever) <= 0.05


@pytest.mark.parametrize("shadow", [True, False])
@pytest.mark.parametrize("order", [1, -1])
def test_a_trial_that_changed_its_mode_is_judged_in_the_newest(rng, shadow, order):
    counts = AnswerCounts("1", "2")
    lines = [drawn(rng, NOON + timedelta(minutes=m), label="mask", version="1") for m in (0, 30)]
    shadowed, answered = (lines[1], lines[0]) if shadow else lines
    records = [shadow_of(shadowed, "mask"), parsed(answered) | {"model_version": "2"}]
    for record in records[::order]:
        counts.add(parse_record(record))

    found = counts.result(
        [*predictions(54, 60, "1"), *predictions(56, 60, "2"), judged(1, "mask", "mask", shadow="mask")]
    )

    assert found.shadow is shadow
    assert (found.serving.labelled, found.challenger.labelled) == ((1, 1) if shadow else (61, 60))
    assert found.verdict == (TOO_FEW if shadow else DIFFERENT_SOURCES)


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_challenger_is_not_judged_by_the_shadow_predictions_of_another(insights, rng, version, order):
    name = "00000000-0000-4000-8000-000000000000"  # in the audit sample
    label = {"prediction_id": name, "label": "mask", "time": NOON.isoformat(), "audit": True}
    insights.put_object(Key=f"feedback/dt={NOON.date()}/{name}.json", Body=json.dumps(label).encode())
    line = drawn(rng, NOON, label="mask", version="1", prediction_id=name)
    shadows = [shadow_of(line, "no_mask"), shadow_of(line, "mask") | {"model_version": "3"}]

    s3 = insights.meta.client
    keys = feedback_keys(s3, "insights", NOON.date(), NOON.date())
    join = FeedbackJoin(s3, "insights", keys, NOON.date(), version)
    for record in (parsed(line), *shadows[::order]):
        join.add(parse_record(record))
    _, audited = join.accuracy("salt", lambda: 1.0)

    assert [one.shadow for one in audited] == [{"2": "no_mask", "3": "mask"}[version]]


@pytest.mark.parametrize("chance", [0.5, 0.8])
def test_the_p_value_is_the_smallest_inverse_of_a_mean_likelihood_ratio(rng, chance):
    wins = (rng.random(60) < chance).tolist()

    def inverse(won, lost):
        return 1 / quad(lambda one: (2 * one) ** won * (2 - 2 * one) ** lost, 0, 1)[0]

    after_each = [inverse(sum(wins[:n]), n - sum(wins[:n])) for n in range(1, 61)]
    assert sequential_p(wins)[0] == pytest.approx(min(1, *after_each))
    assert sequential_p([]) == (1, False)


@pytest.mark.parametrize(("kinds", "verdict"), [(8 * [WON] + [LOST], BETTER), (8 * [LOST] + [WON], WORSE)])
@pytest.mark.parametrize("order", [1, -1])
def test_a_verdict_stays_whatever_comes_after_it(shadowed, kinds, verdict, order):
    found = shadowed(pairs(kinds)[::order])

    assert (found.verdict, found.p) == (verdict, pytest.approx(9 / 2**8))


def test_the_required_pairs_detect_the_difference_with_the_required_power(rng):
    n = pairs_needed(0.15, 0.05)
    found = [
        sequential_p((rng.random(rng.binomial(n, 0.15)) < 2 / 3).tolist())[0] < 0.05 for _ in range(2000)
    ]

    assert 0.8 < np.mean(found) < 0.9


def test_the_description_says_how_many_labels_are_needed(shadowed):
    text = describe(json.loads(json.dumps(shadowed(pairs(spread(1, 1, 8))).to_dict())))

    assert text.endswith(f"{pairs_needed(0.2) - 10:,} more labels of the audit sample are needed.")


@pytest.mark.parametrize("verdict", [TOO_FEW, BETTER])
def test_reports_of_earlier_versions_are_described(shadowed, verdict):
    """They say for each release how many labels are needed, and have verdicts on different sources."""
    report = json.loads(json.dumps(shadowed(pairs(spread(1, 1, 8))).to_dict())) | {"verdict": verdict}
    del report["needed"]

    assert "needed" not in describe(report)
    assert describe(report | {"shadow": False}).endswith("only shadow mode gives a verdict.")


def test_a_comparison_is_as_the_api_documents_it(shadowed):
    report = json.loads(json.dumps(shadowed(pairs(spread(1, 1, 8))).to_dict()))
    validate(report, "Challenge")
    verdicts = DOCUMENT["components"]["schemas"]["Challenge"]["properties"]["verdict"]["enum"]
    assert set(verdicts) == {TOO_FEW, BETTER, WORSE, ALIKE, DIFFERENT_SOURCES}
