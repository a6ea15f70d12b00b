"""Drift is a difference of a source that is both unlikely and large, on several days or in their mean."""

import re

import numpy as np
import pytest

from functions.drift.baseline import build
from functions.drift.compare import compare
from functions.drift.effects import KINDS, MIN_EFFECTIVE
from functions.drift.features import FEATURES, PROJECTIONS, Sample, merge
from functions.shared.statistics import holm
from tests.drift_samples import days, sample

OWN = build("1", days(14))
RELEASE = build("1", [{"validation": sample(3000, seed=99)}])


def compared(baseline=OWN, **options):
    """Compare seven days of one source, of which the last is also the window."""
    past = days(7, seed=5_000, **options)
    return compare(past[-1], past, baseline)


def found(comparison, *, confirmed=True):
    return {one.feature for one in comparison.findings if one.confirmed == confirmed}


def test_the_same_distribution_is_no_drift():
    comparison = compared()
    assert (comparison.verdict, comparison.findings, comparison.sources) == ("ok", (), {"gate-1": "ok"})
    assert set(comparison.effects) == set(KINDS)


@pytest.mark.parametrize("feature", ["brightness", "noise", "size", "face_side"])
@pytest.mark.parametrize("by", [-1.2, 1.2])
def test_a_shifted_image_statistic_is_found(feature, by):
    comparison = compared(shift={feature: by})
    assert comparison.verdict == "drift"
    (finding,) = comparison.findings
    assert (finding.feature, finding.kind, finding.source, finding.days) == (feature, "input", "gate-1", 7)
    assert finding.effect == pytest.approx(1.2, abs=0.25)
    assert ("has risen" if by > 0 else "has fallen") in finding.words


def test_one_day_is_suspected_and_two_are_drift():
    past = days(7, seed=5_000)
    dark = days(2, seed=6_000, shift={"brightness": -1.5})
    once, twice = [*past[:-1], dark[0]], [*past[:-2], *dark]
    comparison = compare(once[-1], once, OWN)
    assert (comparison.verdict, comparison.sources["gate-1"]) == ("ok", "suspected")
    assert found(comparison, confirmed=False) == {"brightness"}
    comparison = compare(twice[-1], twice, OWN)
    assert (comparison.verdict, comparison.sources["gate-1"]) == ("drift", "drift")


def test_earlier_days_alone_do_not_confirm_a_finding():
    past = days(7, seed=5_000)
    dark = days(2, seed=6_000, shift={"brightness": -1.5})
    comparison = compare(past[-1], [past[0], *dark, *past[3:]], OWN)
    assert not [one for one in comparison.findings if one.confirmed and not one.lasting]


def test_a_small_lasting_shift_is_found_in_the_mean_of_the_days():
    past = days(7, seed=5_000, shift={"brightness": 0.55})
    comparison = compare(past[-1], past, OWN)
    (finding,) = (one for one in comparison.findings if one.feature == "brightness")
    assert finding.lasting
    assert comparison.verdict == "drift"


def test_a_lasting_shift_below_the_limit_is_no_drift():
    assert compared(size=2_000, shift={"brightness": 0.15}).verdict == "ok"


def test_days_may_differ_as_much_as_in_the_baseline():
    def weather(seed):
        skies = np.random.default_rng(seed).normal(0, 0.6, 14)
        return [
            {"gate-1": sample(200, seed=seed + day, shift={"brightness": float(sky)})}
            for day, sky in enumerate(skies)
        ]

    past = days(2, seed=7_000, shift={"brightness": 1.0})
    assert compare(past[-1], past, build("1", weather(10))).verdict == "ok"
    assert compare(past[-1], past, OWN).verdict == "drift"


def test_a_wider_spread_around_the_same_mean_is_found():
    past = days(3, seed=5_000)
    for day in past:
        day["gate-1"].values[:, FEATURES.index("contrast")] *= 2
    (finding,) = compare(past[-1], past, OWN).findings
    assert finding.feature == "contrast"
    assert re.search(r"contrast is spread more widely, by (8|9|10|11)\d%", finding.words)


def test_a_changed_embedding_is_one_finding():
    comparison = compared(shift=dict.fromkeys(PROJECTIONS[:2], 1.2))
    (finding,) = comparison.findings
    assert (finding.feature, finding.kind) == ("projection", "embedding")
    assert finding.words.startswith("2 of the 16")


def test_other_proportions_of_labels_are_no_change_of_pictures_or_confidence():
    def day(seed, mix):
        one = sample(200, seed=seed, labels=mix)
        for place, moved in enumerate((0.0, 2.0, -2.0)):  # faces without masks look different
            rows = np.flatnonzero(one.labels == place)
            one.values[np.ix_(rows, [FEATURES.index(name) for name in (*PROJECTIONS, "saturation")])] += moved
        return {"gate-1": one}

    usual, fewer = (
        {"mask": 0.8, "no_mask": 0.17, "incorrect": 0.03},
        {"mask": 0.4, "no_mask": 0.5, "incorrect": 0.1},
    )
    baseline = build("1", [day(seed, usual) for seed in range(14)])
    past = [day(100 + seed, fewer) for seed in range(7)]
    comparison = compare(past[-1], past, baseline)
    assert found(comparison) == {"label"}
    assert not found(comparison, confirmed=False)
    assert re.search(r"mask 8\d% → [34]\d%, no_mask 1\d% → [45]\d%", comparison.findings[0].words)


def test_labels_that_are_not_in_the_baseline_are_found_without_nan():
    baseline = build("1", days(5, labels={"mask": 1.0}))
    past = days(3, seed=5_000, labels={"incorrect": 1.0})
    comparison = compare(past[-1], past, baseline)
    assert "label" in found(comparison)
    assert all(np.isfinite(size) for size in comparison.effects.values())


def test_lower_confidence_in_the_same_labels_is_found_and_higher_is_not():
    comparison = compared(unsure=0.08)
    assert found(comparison) == {"confidence"}
    assert comparison.findings[0].effect == pytest.approx(0.08, abs=0.02)
    assert compared(unsure=-0.02).verdict == "ok"


def test_too_few_independent_predictions_give_no_verdict():
    few = [{"gate-1": sample(MIN_EFFECTIVE - 1, shift={"brightness": 3})}]
    comparison = compare(few[0], few, OWN)
    assert (comparison.verdict, comparison.tests, comparison.effects) == ("not enough", 0, {})
    assert compare({}, [], OWN).verdict == "not enough"


def test_frames_with_a_small_effective_number_are_too_few():
    alike = sample(500, shift={"brightness": 3})
    alike = Sample(alike.values, alike.labels, 5_000, effective=10.0)
    assert compare({"gate-1": alike}, [{"gate-1": alike}] * 2, OWN).verdict == "not enough"


def test_each_source_is_compared_with_its_own_reference_and_a_new_one_with_none():
    dark = days(14, "dark", seed=2_000, shift={"brightness": -3})
    baseline = build("1", [{**one, **other} for one, other in zip(days(14), dark, strict=True)])
    past = [
        {**one, **other, **new}
        for one, other, new in zip(
            days(3, seed=5_000),
            days(3, "dark", seed=6_000),
            days(3, "new", seed=7_000, shift={"noise": 5}),
            strict=True,
        )
    ]
    comparison = compare(past[-1], past, baseline)
    assert comparison.sources == {"gate-1": "ok", "dark": "drift", "new": "new"}
    assert {(one.source, one.feature) for one in comparison.findings} == {("dark", "brightness")}


def test_other_proportions_of_sources_are_no_drift():
    bright = days(14, "bright", seed=2_000, shift={"brightness": 3})
    baseline = build("1", [{**one, **other} for one, other in zip(days(14), bright, strict=True)])
    quiet = days(3, "bright", size=20, seed=6_000, shift={"brightness": 3})
    past = [{**one, **other} for one, other in zip(days(3, seed=5_000), quiet, strict=True)]
    assert compare(past[-1], past, baseline).verdict == "ok"


def test_a_known_source_that_sends_nothing_is_silent():
    baseline = build("1", [{**one, **other} for one, other in zip(days(14), days(14, "gate-2"), strict=True)])
    past = days(3, seed=5_000)
    comparison = compare(past[-1], past, baseline)
    assert comparison.sources == {"gate-1": "ok", "gate-2": "silent"}
    assert comparison.verdict == "drift"
    assert "no record arrived for 3 whole days" in comparison.findings[0].words
    assert compare(past[-1], past[-1:], baseline).verdict == "ok"


def test_a_source_that_only_another_release_answers_is_not_silent():
    baseline = build("1", [{**one, **other} for one, other in zip(days(14), days(14, "gate-2"), strict=True)])
    past, both = days(3, seed=5_000), {"gate-1", "gate-2"}
    assert compare(past[-1], past, baseline, [both] * 4).sources["gate-2"] == "not enough"
    assert compare(past[-1], past, baseline, [{"gate-1"}] * 3 + [both]).sources["gate-2"] != "silent"
    assert compare(past[-1], past, baseline, [both] + [{"gate-1"}] * 3).sources["gate-2"] == "silent"


def test_days_without_any_record_do_not_make_a_source_silent():
    baseline = build("1", [{**one, **other} for one, other in zip(days(14), days(14, "gate-2"), strict=True)])
    before, after = days(1, seed=5_000)[0], days(1, seed=5_001)[0]
    past = [before | days(1, "gate-2", seed=5_000)[0], {}, {}]
    assert compare(after, past, baseline).verdict == "ok"


def test_a_source_that_sends_nothing_on_weekends_is_not_silent():
    two = days(14, "gate-2")
    week = [
        {**one, **(other if day % 7 < 5 else {})}
        for day, (one, other) in enumerate(zip(days(14), two, strict=True))
    ]
    past = days(2, seed=5_000)
    assert compare(past[-1], past, build("1", week)).sources["gate-2"] != "silent"


def test_the_baseline_of_a_release_is_compared_with_all_sources_pooled_and_not_by_labels():
    comparison = compared(RELEASE, labels={"mask": 1.0})
    assert comparison.verdict == "ok"
    assert comparison.sources == {"gate-1": "new"}
    assert "prediction" not in comparison.effects
    changed = compared(RELEASE, shift={"brightness": 2})
    assert changed.verdict == "drift"
    assert {(one.source, one.confirmed) for one in changed.findings} == {(None, True), ("gate-1", False)}


def test_identical_pictures_are_compared_without_errors():
    def alike(day):
        one = day["gate-1"]
        return {"gate-1": Sample(np.repeat(one.values[:1], 200, axis=0), one.labels * 0, 200, 200.0)}

    same = alike(days(1)[0])
    assert compare(same, [same] * 3, build("1", [same] * 5)).verdict == "ok"
    past = days(3, seed=5_000)
    assert compare(past[-1], past, build("1", [same] * 5)).verdict == "drift"


def test_thirty_sites_without_drift_raise_no_false_alarm():
    alarms = 0
    for seed in range(30):
        baseline = build("1", days(7, seed=10_000 + 100 * seed))
        past = days(7, seed=10_050 + 100 * seed)
        alarms += compare(past[-1], past, baseline).verdict == "drift"
    assert alarms == 0


def test_holm_corrects_for_multiple_testing():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_merging_adds_up_the_effective_numbers():
    both = merge([sample(10), sample(20, seed=1, predictions=100)])
    assert (len(both.labels), both.predictions, both.effective) == (30, 110, 30.0)
    assert merge([]).predictions == 0
