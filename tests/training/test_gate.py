"""The gate refuses significantly worse candidates, and passes others if the test set is large enough."""

import dataclasses
import re

import numpy as np
import pytest

from training.answers import Answers
from training.classifier import compare as module
from training.classifier.compare import CLASSES, Group, compare, compare_latency, compare_served
from training.gate import MIN_PICTURES, Comparison, against_floor, decide
from training.metrics import calibration_error, macro_f1

ACTUAL = np.repeat([0, 1, 2], [500, 400, 100])


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Most verdicts here are clear."""
    monkeypatch.setattr(module, "DRAWS", 2_000)


def result(actual, accuracy, seed, confidence=None):
    """Return the probabilities of a model with an accuracy, which is also its confidence unless given."""
    rng = np.random.default_rng(seed)
    confidence = min(confidence or accuracy, 0.999) or 0.5
    guess = np.where(rng.random(len(actual)) < accuracy, actual, (actual + 1) % CLASSES)
    rest = (1 - confidence) / (CLASSES - 1)
    return np.eye(CLASSES)[guess] * (confidence - rest) + rest


def group(name, actual, candidate, serving):
    return Group(name, actual, candidate, serving)


def worse(comparisons):
    return {one.figure for one in comparisons if one.verdict == "worse"}


def test_the_same_model_passes_with_differences_of_0():
    serving = result(ACTUAL, 0.9, seed=1)
    comparisons = compare(
        [group("", ACTUAL, serving, serving), group("source gate", ACTUAL, serving, serving)]
    )
    assert worse(comparisons) == set()
    assert {(one.low, one.high) for one in comparisons} == {(0.0, 0.0)}
    assert decide(comparisons, {})["passed"] is True


def test_a_worse_model_is_refused_and_the_reason_names_the_figures():
    comparisons = compare([group("", ACTUAL, result(ACTUAL, 0.8, seed=2), result(ACTUAL, 0.95, seed=1))])
    decision = decide(comparisons, {"serving_version": "1.0.0"})
    assert {"accuracy", "macro_f1", "class mask: f1"} <= worse(comparisons)
    assert decision["passed"] is False
    assert decision["reason"].startswith("worse than the serving release: accuracy; ")
    assert decision["serving_version"] == "1.0.0"


def test_a_better_model_passes():
    assert (
        worse(compare([group("", ACTUAL, result(ACTUAL, 0.97, seed=2), result(ACTUAL, 0.9, seed=1))]))
        == set()
    )


def test_a_worse_class_is_noticed_even_if_others_compensate():
    candidate, serving = result(ACTUAL, 0.97, seed=2), result(ACTUAL, 0.9, seed=1)
    candidate[900:] = result(ACTUAL[900:], 0.5, seed=3)
    comparisons = compare([group("", ACTUAL, candidate, serving)])
    assert "class incorrect: f1" in worse(comparisons)
    assert "accuracy" not in worse(comparisons)


def test_a_worse_source_is_noticed_even_if_others_compensate():
    candidate, serving = result(ACTUAL, 0.97, seed=2, confidence=0.93), result(ACTUAL, 0.9, seed=1)
    there = np.arange(len(ACTUAL)) % 10 == 0
    candidate[there] = result(ACTUAL[there], 0.6, seed=3, confidence=0.93)
    parts = [
        group(name, ACTUAL[of], candidate[of], serving[of])
        for name, of in (("source gate", ~there), ("source ward", there))
    ]
    assert worse(compare([group("", ACTUAL, candidate, serving), *parts])) == {"source ward: accuracy"}


def test_a_group_of_few_pictures_is_reported_but_does_not_decide():
    few = slice(0, MIN_PICTURES - 1)
    serving = result(ACTUAL, 1.0, seed=1)
    part = group("source attic", ACTUAL[few], result(ACTUAL[few], 0.0, seed=2), serving[few])
    (one,) = [
        c for c in compare([group("", ACTUAL, serving, serving), part]) if c.figure.startswith("source")
    ]
    assert (one.verdict, one.candidate, one.serving) == ("too few", 0.0, 1.0)


def test_a_test_set_that_is_too_small_passes_nothing():
    few = slice(0, MIN_PICTURES - 1)
    serving = result(ACTUAL[few], 1.0, seed=1)
    decision = decide(compare([group("", ACTUAL[few], serving, serving)]), {})
    assert decision["passed"] is False
    assert decision["reason"] == "24 test pictures are too few to tell, 25 are needed"
    of_faces = [Comparison("face: ap50", 24, 1.0, 1.0, 0.0, 0.0, "too few", scenes=9)]
    assert decide(of_faces, {})["reason"] == "24 faces in test scenes are too few to tell, 25 are needed"


def test_an_overconfident_model_with_the_same_answers_is_refused_for_its_calibration():
    candidate, serving = (result(ACTUAL, 0.9, seed=1, confidence=c) for c in (0.999, 0.9))
    assert worse(compare([group("", ACTUAL, candidate, serving)])) == {"calibration_error"}


def test_a_significantly_slower_model_is_refused():
    serving = np.random.default_rng(0).gamma(50, 0.1, 200)
    assert compare_latency(serving * 1.5, serving).verdict == "worse"
    assert compare_latency(serving * 1.05, serving).verdict == "ok"
    assert compare_latency(serving, serving).verdict == "ok"


def test_figures_equal_those_of_the_metrics():
    candidate, serving = result(ACTUAL, 0.8, seed=2), result(ACTUAL, 0.9, seed=1)
    by_name = {one.figure: one for one in compare([group("", ACTUAL, candidate, serving)])}
    for model, probabilities in (("candidate", candidate), ("serving", serving)):
        guess = probabilities.argmax(axis=1)
        confusion = np.bincount(ACTUAL * 3 + guess, minlength=9).reshape(3, 3)
        assert getattr(by_name["accuracy"], model) == pytest.approx((guess == ACTUAL).mean())
        assert getattr(by_name["macro_f1"], model) == pytest.approx(macro_f1(confusion))
        assert getattr(by_name["mask_or_not_accuracy"], model) == pytest.approx(
            ((guess == 0) == (ACTUAL == 0)).mean()
        )
        assert getattr(by_name["calibration_error"], model) == pytest.approx(
            calibration_error(probabilities.max(axis=1), guess == ACTUAL)
        )


def test_the_interval_equals_a_bootstrap_over_pictures(monkeypatch):
    monkeypatch.setattr(module, "DRAWS", 20_000)
    candidate, serving = result(ACTUAL, 0.85, seed=2), result(ACTUAL, 0.9, seed=1)
    one = compare([group("", ACTUAL, candidate, serving)])[0]
    gain = (candidate.argmax(axis=1) == ACTUAL).astype(float) - (serving.argmax(axis=1) == ACTUAL)
    rng = np.random.default_rng(7)
    drawn = [gain[rng.integers(0, len(gain), len(gain))].mean() for _ in range(4000)]
    assert (one.low, one.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.003)


def test_equally_good_models_are_rarely_refused(monkeypatch):
    """Forty pairs that differ only by chance, compared overall, in three classes and in six sources."""
    monkeypatch.setattr(module, "DRAWS", 1000)
    monkeypatch.setattr(module, "CALIBRATION_DRAWS", 100)
    refused = 0
    for pair in range(40):
        candidate, serving = result(ACTUAL, 0.9, seed=2 * pair), result(ACTUAL, 0.9, seed=2 * pair + 1)
        parts = [slice(start, None, 6) for start in range(6)]
        groups = [group(f"source {p.start}", ACTUAL[p], candidate[p], serving[p]) for p in parts]
        refused += bool(worse(compare([group("", ACTUAL, candidate, serving), *groups])))
    assert refused <= 7  # 2.5% of each family of figures, some of which go together


@pytest.mark.parametrize("count", [40, 100])
def test_a_small_test_set_rarely_passes_a_model_that_is_5_points_worse(count, monkeypatch):
    """A test for significant loss alone would pass 87 of 100 such models with 40 pictures, and 33 with 100."""
    monkeypatch.setattr(module, "DRAWS", 1000)
    monkeypatch.setattr(module, "CALIBRATION_DRAWS", 10)
    actual = np.resize([0, 1, 2], count)
    passed = 0
    for pair in range(20):
        serving, candidate = result(actual, 0.95, seed=2 * pair), result(actual, 0.90, seed=2 * pair + 1)
        passed += decide(compare([group("", actual, candidate, serving)]), {})["passed"]
    assert passed <= 2


def test_few_pictures_on_which_models_agree_prove_nothing_and_the_reason_says_how_many_would():
    few = np.resize([0, 1, 2], 60)
    serving = result(few, 0.95, seed=1)
    candidate = serving + 1e-6 * np.eye(3)[few]  # another network, with the same answers
    decision = decide(compare([group("", few, candidate, serving)]), {})
    assert decision["passed"] is False
    assert re.match(
        r"not shown to be within the margin: accuracy -\d\.\d to \+\d\.\d points on 60 pictures \(at most 2 less\)",
        decision["reason"],
    )
    assert re.search(r"Some \d+ test pictures would show it", decision["reason"])
    assert "under 3.3 points cannot be told from chance on 60 pictures" in decision["resolution"]


@pytest.mark.parametrize(
    ("candidate", "low", "high", "needed"), [(0.08, -0.01, 0.06, 790), (0.03, -0.12, 0.06, 562)]
)
def test_the_reason_gives_an_error_with_its_own_margin_and_direction_and_the_scenes_needed(
    candidate, low, high, needed
):
    found = Comparison("face: ap50", 1042, 0.95, 0.95, -0.01, 0.01, "ok", 0.02, scenes=444)
    false = Comparison(
        "face: false", 1042, candidate, 0.06, low, high, "not shown", 0.05, less_is_better=True, scenes=444
    )
    decision = decide([found, false], {})
    assert decision["reason"] == (
        f"not shown to be within the margin: face: false {low:+.3f} to {high:+.3f} on 444 scenes (at most 0.05 more)."
        f" Some {needed} test scenes would show it, if the differences stayed"
    )
    assert "under 1.0 points cannot be told from chance on 444 scenes" in decision["resolution"]


def test_many_pictures_on_which_models_agree_are_enough():
    serving = result(ACTUAL, 0.95, seed=1)
    assert decide(compare([group("", ACTUAL, serving + 1e-6 * np.eye(3)[ACTUAL], serving)]), {})["passed"]


def test_small_losses_do_not_add_up_below_the_floor():
    """The candidate is a little worse than the serving release, which was a little worse than the floor."""
    lost = dataclasses.replace(
        compare([group("", ACTUAL, result(ACTUAL, 0.9, seed=1), result(ACTUAL, 0.9, seed=1))])[0]
    )
    below = compare([group("", ACTUAL, result(ACTUAL, 0.9, seed=1), result(ACTUAL, 0.97, seed=2))])[:1]
    decision = decide([lost, *against_floor(below)], {})
    assert decision["passed"] is False
    assert decision["reason"] == "worse than the serving release: floor accuracy"


def test_the_served_path_is_compared_by_its_answers_and_its_share_of_found_faces():
    answers = result(ACTUAL, 0.9, seed=1)
    often, seldom = (np.arange(len(ACTUAL)) % 10 < tenths for tenths in (9, 3))
    blind = compare_served(ACTUAL, Answers(seldom, answers), Answers(often, answers))
    assert worse(blind) == {"served: face_found"}
    wrong = compare_served(ACTUAL, Answers(often, result(ACTUAL, 0.7, seed=2)), Answers(often, answers))
    assert worse(wrong) == {"served: accuracy", "served: mask_or_not_accuracy", "served: macro_f1"}
    assert worse(compare_served(ACTUAL, Answers(often, answers), Answers(seldom, answers))) == set()


def test_a_verdict_is_serializable_as_json():
    decision = decide([Comparison("accuracy", 3, 0.5, 0.6, -0.2, -0.1, "worse")], {})
    assert decision["comparisons"] == [
        {
            "figure": "accuracy",
            "n": 3,
            "candidate": 0.5,
            "serving": 0.6,
            "low": -0.2,
            "high": -0.1,
            "verdict": "worse",
            "margin": 0.0,
            "less_is_better": False,
            "scenes": 0,
        }
    ]
