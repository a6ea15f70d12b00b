"""What counts as a change: what is both unlikely and large, wherever it happens."""

import re
from dataclasses import replace

import numpy as np
import pytest

from functions.drift.baseline import build
from functions.drift.compare import ALPHA, FEWEST, KINDS, LIMITS, compare, holm
from functions.drift.features import FEATURES, PROJECTIONS
from tests.drift_samples import sample

BASELINE = build(sample(3000, seed=99), "1", {})
EMPTY = sample(0)


def features(comparison, source=None) -> set[str]:
    return {finding.feature for finding in comparison.findings if finding.source == source}


@pytest.mark.parametrize("count", [FEWEST, 500, 5000])
def test_more_of_the_same_is_no_drift(count: int) -> None:
    told = compare({}, sample(count), BASELINE)
    assert (told.verdict, told.findings) == ("ok", ())
    assert set(told.effects) == set(KINDS)


def test_of_many_runs_hardly_any_sees_what_is_not_there() -> None:
    alarms = sum(compare({}, sample(300, seed=seed), BASELINE).verdict == "drift" for seed in range(100))
    assert alarms <= 2


@pytest.mark.parametrize("feature", ["brightness", "noise", "size", "face_side"])
@pytest.mark.parametrize("by", [-0.6, 0.6])
def test_a_figure_of_the_picture_that_moves_is_found(feature: str, by: float) -> None:
    told = compare({}, sample(500, shift={feature: by}), BASELINE)
    assert told.verdict == "drift"
    (finding,) = told.findings
    assert (finding.feature, finding.kind, finding.source) == (feature, "input", None)
    assert finding.effect == pytest.approx(0.6, abs=0.15)
    assert ("has risen" if by > 0 else "has fallen") in finding.words


def test_a_wider_spread_around_the_same_middle_is_found() -> None:
    window = sample(500)
    window.values[:, FEATURES.index("contrast")] *= 2
    (finding,) = compare({}, window, BASELINE).findings
    assert finding.feature == "contrast"
    assert "is spread differently" in finding.words


def test_a_difference_too_small_to_matter_is_none_however_sure() -> None:
    told = compare({}, sample(5000, shift={"brightness": 0.2}, seen=1_000_000), BASELINE)
    (test,) = (test for test in told.tests if test.feature == "brightness")
    assert test.p < 1e-6 < ALPHA
    assert told.verdict == "ok"


def test_a_large_difference_that_may_be_chance_is_none() -> None:
    window = sample(FEWEST, labels={"mask": 0.72, "no_mask": 0.24, "incorrect": 0.04}, seed=3)
    told = compare({}, window, BASELINE)
    assert told.effects["prediction"] >= LIMITS["prediction"]
    assert "label" not in features(told)


def test_the_network_seeing_something_else_is_found() -> None:
    told = compare({}, sample(500, shift=dict.fromkeys(PROJECTIONS, 0.25)), BASELINE)
    assert "embedding" in features(told)
    assert told.effects["embedding"] == pytest.approx(1, abs=0.2)  # 16 times 0.25², and the root of it


def test_one_projection_that_moves_is_told_in_one_finding() -> None:
    told = compare({}, sample(500, shift={"projection_3": 0.9, "projection_7": 0.7}), BASELINE)
    assert features(told) == {"projection", "embedding"}
    (projection,) = (finding for finding in told.findings if finding.feature == "projection")
    assert projection.words.startswith("2 of the 16")
    assert projection.effect == pytest.approx(0.9, abs=0.15)


def test_another_mix_of_labels_is_found_and_is_no_fall_of_confidence() -> None:
    told = compare({}, sample(500, labels={"mask": 0.05, "no_mask": 0.15, "incorrect": 0.8}), BASELINE)
    assert features(told) == {"label"}
    assert re.search(r"mask \d\d% → \d%, no_mask \d\d% → 1\d%, incorrect \d% → 8\d%", told.findings[0].words)


def test_labels_that_the_baseline_never_had_are_found() -> None:
    one_label = build(sample(500, labels={"mask": 1.0}), "1", {})
    assert "label" in features(compare({}, sample(200, labels={"incorrect": 1.0}), one_label))
    assert compare({}, sample(200, labels={"mask": 1.0}, seed=5), one_label).verdict == "ok"


def test_less_confidence_in_the_same_labels_is_found_and_more_is_not() -> None:
    told = compare({}, sample(500, unsure=0.06), BASELINE)
    assert features(told) == {"confidence"}
    assert told.findings[0].effect == pytest.approx(0.06, abs=0.01)
    assert compare({}, sample(500, unsure=-0.02), BASELINE).verdict == "ok"


def test_with_few_predictions_nothing_is_said() -> None:
    told = compare({"gate": EMPTY}, sample(FEWEST - 1, shift={"brightness": 3}), BASELINE)
    assert (told.verdict, told.tests) == ("not enough", ())
    assert compare({}, EMPTY, BASELINE).verdict == "not enough"


def test_a_source_that_changes_is_told_from_those_that_do_not() -> None:
    samples = {
        "fine": sample(2000, seed=1),
        "dark": sample(200, seed=2, shift={"brightness": -1.5}),
        "rare": sample(20, seed=3),
    }
    told = compare(samples, sample(2220, seed=4), BASELINE)
    assert told.sources == {"fine": "ok", "dark": "drift", "rare": "not enough"}
    assert told.verdict == "drift"
    assert features(told, "dark") == {"brightness"}
    assert not features(told, "fine")


def test_the_only_source_has_the_verdict_on_all() -> None:
    window = sample(500, shift={"brightness": -1.5})
    told = compare({"gate": window}, window, BASELINE)
    assert told.sources == {"gate": "drift"}
    assert [finding.source for finding in told.findings] == [None]


def test_a_source_with_a_past_is_compared_with_it() -> None:
    dark = sample(400, seed=6, shift={"brightness": -2})
    own = build(sample(3000, seed=99), "1", {"dark": dark, "bright": sample(400, seed=7)})
    assert set(own.sources) == {"dark", "bright"}
    samples = {"dark": sample(300, seed=8, shift={"brightness": -2}), "bright": sample(300, seed=9)}
    assert compare(samples, sample(600), own).verdict == "ok"
    samples["dark"] = sample(300, seed=8)
    assert compare(samples, sample(600), own).sources == {"dark": "drift", "bright": "ok"}


def test_pictures_that_are_all_alike_break_nothing() -> None:
    window = sample(300)
    same = replace(window, values=np.repeat(window.values[:1], 300, axis=0), labels=("mask",) * 300)
    assert compare({}, same, BASELINE).verdict == "drift"
    assert compare({}, same, build(same, "1", {})).verdict == "ok"
    assert compare({}, window, build(same, "1", {})).verdict == "drift"


def test_findings_come_with_what_exceeds_its_limit_most_first() -> None:
    told = compare({}, sample(500, shift={"brightness": 0.6, "noise": 2.0, "size": 1.0}), BASELINE)
    assert [finding.feature for finding in told.findings] == ["noise", "size", "brightness"]


def test_holm_corrects_for_many_tests() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_words_tell_figures_that_differ() -> None:
    window = sample(500)
    window.values[:, FEATURES.index("faces")] = np.random.default_rng(0).poisson(0.3, 500)
    (finding,) = compare({}, window, BASELINE).findings
    assert re.fullmatch(
        r"faces found has fallen: one was found in 6\d% of the pictures, and now in 2\d%", finding.words
    )
