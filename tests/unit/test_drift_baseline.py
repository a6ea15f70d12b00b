"""The reference that drift is measured against: small, and faithful to what it sums up."""

import json
from collections import Counter

import numpy as np
import pytest

from functions.drift.baseline import FEWEST, build, read
from functions.drift.features import CONFIDENCE, FEATURES, PROJECTIONS
from functions.inference.fetch import BAKED
from functions.inference.release import load_release
from tests.drift_samples import sample

EVERYTHING = sample(3000, seed=1)


def column(values: np.ndarray, feature: str) -> np.ndarray:
    return values[:, FEATURES.index(feature)]


def test_it_survives_being_written_and_read() -> None:
    written = build(EVERYTHING, "1.2.3", {"gate-1": sample(300), "gate-2": sample(50)})
    text = written.as_json()
    assert read(text).as_json() == read(text.encode()).as_json() == text
    assert read(text).model_version == "1.2.3"


def test_it_is_small() -> None:
    assert len(build(EVERYTHING, "1", {}).as_json()) < 150_000


def test_a_feature_is_laid_out_as_it_was() -> None:
    sketch = build(EVERYTHING, "1", {}).everything
    for feature in FEATURES:
        was, laid_out = column(EVERYTHING.values, feature), sketch.column(feature)
        assert len(laid_out) == len(was)
        apart = np.sort(was) - laid_out
        assert np.abs(apart).mean() < 0.02 * was.std()


def test_whole_numbers_stay_whole() -> None:
    faces = build(EVERYTHING, "1", {}).everything.column("faces")
    assert set(faces) == set(column(EVERYTHING.values, "faces"))


def test_confidence_is_that_of_the_labels_asked_for() -> None:
    sketch = build(EVERYTHING, "1", {}).everything
    labels, confidence = np.array(EVERYTHING.labels), column(EVERYTHING.values, CONFIDENCE)
    for label in ("mask", "no_mask"):
        told = sketch.confidence_at(Counter({label: 7}))
        assert told.mean() == pytest.approx(confidence[labels == label].mean(), abs=0.002)
    half = sketch.confidence_at(Counter({"mask": 10, "no_mask": 10})).mean()
    assert half == pytest.approx(
        np.mean([confidence[labels == label].mean() for label in ("mask", "no_mask")]), abs=0.002
    )


def test_the_confidence_in_a_label_that_it_does_not_know_is_that_of_all() -> None:
    sketch = build(sample(500, labels={"mask": 1.0}), "1", {}).everything
    assert sketch.confidence_at(Counter({"incorrect": 5})).mean() == pytest.approx(
        sketch.column(CONFIDENCE).mean(), abs=1e-3
    )


def test_the_moments_of_the_projections_are_kept() -> None:
    sketch = read(build(EVERYTHING, "1", {}).as_json()).everything
    values = EVERYTHING.values[:, [FEATURES.index(name) for name in PROJECTIONS]]
    assert sketch.mean == pytest.approx(values.mean(axis=0), rel=1e-3, abs=1e-4)
    assert sketch.covariance == pytest.approx(np.cov(values, rowvar=False), rel=1e-3, abs=1e-4)


def test_a_source_with_enough_predictions_is_a_reference_for_itself() -> None:
    told = build(EVERYTHING, "1", {"many": sample(FEWEST), "few": sample(FEWEST - 1)})
    assert set(told.sources) == {"many"}


def test_too_few_predictions_make_no_baseline() -> None:
    with pytest.raises(ValueError, match=f"at least {FEWEST} predictions, and there are 199"):
        build(sample(199), "1", {})


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"kind": "maskwatch-baseline-1"}', b"\xff"])
def test_what_is_no_baseline_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no baseline"):
        read(text)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "another"},
        {"features": ["brightness"]},
        {"everything": {}},
        {"sources": []},
        {"model_version": None, "everything": None},
    ],
)
def test_a_baseline_of_something_else_is_refused(change: dict[str, object]) -> None:
    told = json.loads(build(EVERYTHING, "1", {}).as_json()) | change
    with pytest.raises(ValueError, match="no baseline"):
        read(json.dumps(told))


def test_the_release_in_the_image_has_one_of_its_own() -> None:
    release = load_release(BAKED)
    assert "baseline.json" in release.manifest["files"]
    baseline = read((BAKED / "baseline.json").read_bytes())
    assert baseline.model_version == release.version
    assert baseline.everything.count > 3000
