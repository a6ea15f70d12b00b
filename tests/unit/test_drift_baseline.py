"""The reference that drift is measured against: small, and faithful to what it sums up."""

import json
from collections import Counter

import numpy as np
import pytest

from functions.drift.baseline import MIN_DAYS, MIN_SAMPLES, build, read
from functions.drift.features import CONFIDENCE, FEATURES
from functions.inference.fetch import BAKED
from functions.inference.release import load_release
from functions.shared.contract import LABELS
from tests.drift_samples import days, sample

EVERYTHING = sample(3000, seed=1)
OF_RELEASE = [{"validation": EVERYTHING}]


def column(values: np.ndarray, feature: str) -> np.ndarray:
    return values[:, FEATURES.index(feature)]


def test_it_survives_being_written_and_read() -> None:
    written = build("1.2.3", days(4))
    text = written.to_json()
    assert read(text).to_json() == read(text.encode()).to_json() == text
    assert read(text).model_version == "1.2.3"


def test_it_is_small() -> None:
    assert len(build("1", OF_RELEASE).to_json()) < 150_000


def test_a_feature_is_laid_out_as_it_was() -> None:
    sketch = build("1", OF_RELEASE).overall
    for feature in FEATURES:
        was, laid_out = column(EVERYTHING.values, feature), sketch.column(feature)
        assert len(laid_out) == len(was)
        apart = np.sort(was) - laid_out
        assert np.abs(apart).mean() < 0.02 * was.std()


def test_whole_numbers_stay_whole() -> None:
    faces = build("1", OF_RELEASE).overall.column("faces")
    assert set(faces) == set(column(EVERYTHING.values, "faces"))


def test_confidence_is_that_of_the_labels_asked_for() -> None:
    sketch = build("1", OF_RELEASE).overall
    labels, confidence = np.array(LABELS)[EVERYTHING.labels], column(EVERYTHING.values, CONFIDENCE)
    for label in ("mask", "no_mask"):
        result = sketch.confidence_at(Counter({label: 7}))
        assert result.mean() == pytest.approx(confidence[labels == label].mean(), abs=0.002)
    half = sketch.confidence_at(Counter({"mask": 10, "no_mask": 10})).mean()
    assert half == pytest.approx(
        np.mean([confidence[labels == label].mean() for label in ("mask", "no_mask")]), abs=0.002
    )


def test_the_confidence_in_a_label_that_it_does_not_know_is_that_of_all() -> None:
    sketch = build("1", [{"": sample(500, labels={"mask": 1.0})}]).overall
    assert sketch.confidence_at(Counter({"incorrect": 5})).mean() == pytest.approx(
        sketch.column(CONFIDENCE).mean(), abs=1e-3
    )


def test_the_moments_by_label_are_kept() -> None:
    moments = read(build("1", OF_RELEASE).to_json()).overall.moments
    rows = EVERYTHING.values[EVERYTHING.labels == 1]
    assert moments.means[1] == pytest.approx(rows.mean(axis=0), rel=1e-3, abs=1e-3)
    assert moments.variances[1] == pytest.approx(rows.var(axis=0), rel=1e-3, abs=1e-3)
    assert moments.counts.tolist() == np.bincount(EVERYTHING.labels).tolist()


def test_a_rare_label_has_the_moments_of_all() -> None:
    rare = sample(400, labels={"mask": 0.995, "no_mask": 0.005, "incorrect": 0.0})
    moments = build("1", [{"": rare}]).overall.moments
    assert moments.counts[1] < 5
    assert moments.means[1] == pytest.approx(rare.values.mean(axis=0), rel=1e-3, abs=1e-3)


def test_a_source_with_enough_days_and_predictions_is_a_reference_for_itself() -> None:
    enough = days(MIN_DAYS, "enough")
    found = build("1", [
        {**one, **few, **(short if number < MIN_DAYS - 1 else {})}
        for number, (one, few, short) in enumerate(
            zip(enough, days(MIN_DAYS, "few", size=40), days(MIN_DAYS, "short", size=500), strict=True)
        )
    ])  # fmt: skip
    assert set(found.sources) == {"enough"}
    assert found.sources["enough"].days.count == MIN_DAYS


def test_how_days_differ_is_learned_beyond_chance() -> None:
    equal = build("1", days(14)).sources["gate-1"].days
    skies = np.random.default_rng(0).normal(0, 0.5, 14)
    weather = [
        {"gate-1": sample(200, seed=day, shift={"brightness": float(sky)})} for day, sky in enumerate(skies)
    ]
    differing = build("1", weather).sources["gate-1"].days
    assert equal.variance[0] < 0.01
    assert differing.variance[0] == pytest.approx(np.var(skies) / (1 + np.var(skies)), rel=0.35)
    assert differing.largest[0] > 2 * equal.largest[0]


def test_the_longest_silence_is_remembered() -> None:
    week = days(10)
    gaps = [{} if number in {2, 5, 6} else day for number, day in enumerate(week)]
    assert build("1", gaps).sources["gate-1"].days.longest_silence == 2


def test_too_few_predictions_make_no_baseline() -> None:
    with pytest.raises(ValueError, match=f"at least {MIN_SAMPLES} predictions .* there are 199"):
        build("1", [{"gate-1": sample(199)}])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"kind": "maskwatch-baseline-1"}', b"\xff"])
def test_what_is_no_baseline_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no baseline"):
        read(text)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "another"},
        {"features": ["brightness"]},
        {"overall": {}},
        {"sources": []},
        {"model_version": None, "overall": None},
    ],
)
def test_a_baseline_of_something_else_is_refused(change: dict[str, object]) -> None:
    result = json.loads(build("1", OF_RELEASE).to_json()) | change
    with pytest.raises(ValueError, match="no baseline"):
        read(json.dumps(result))


def test_the_release_in_the_image_has_one_of_its_own() -> None:
    release = load_release(BAKED)
    assert "baseline.json" in release.manifest["files"]
    baseline = read((BAKED / "baseline.json").read_bytes())
    assert baseline.model_version == release.version
    assert baseline.overall.count > 2000
