"""A baseline is small and represents its predictions accurately."""

import json
import math
from collections import Counter

import numpy as np
import pytest

from functions.drift.baseline import MIN_DAYS, MIN_SAMPLES, build, read
from functions.drift.effects import TESTS
from functions.drift.features import CONFIDENCE, FEATURES
from functions.inference.release import load_release
from functions.shared.contract import LABELS
from functions.shared.release_files import IMAGE_RELEASE
from tests.drift_samples import days, sample

ALL = sample(3000, seed=1)
RELEASE_DAYS = [{"validation": ALL}]
WITH_DAYS = build("1", days(4)).to_json()


def column(values: np.ndarray, feature: str) -> np.ndarray:
    return values[:, FEATURES.index(feature)]


def test_a_baseline_survives_a_round_trip_through_json() -> None:
    written = build("1.2.3", days(4))
    text = written.to_json()
    assert read(text).to_json() == read(text.encode()).to_json() == text
    assert read(text).model_version == "1.2.3"


def test_a_baseline_is_small() -> None:
    assert len(build("1", RELEASE_DAYS).to_json()) < 150_000


def test_a_feature_expands_to_its_distribution() -> None:
    reference = build("1", RELEASE_DAYS).overall
    for feature in FEATURES:
        values, expanded = column(ALL.values, feature), reference.column(feature)
        assert len(expanded) == len(values)
        assert np.abs(np.sort(values) - expanded).mean() < 0.02 * values.std()


def test_integers_stay_integers() -> None:
    faces = build("1", RELEASE_DAYS).overall.column("faces")
    assert set(faces) == set(column(ALL.values, "faces"))


def test_confidence_is_that_of_the_given_labels() -> None:
    reference = build("1", RELEASE_DAYS).overall
    labels, confidence = np.array(LABELS)[ALL.labels], column(ALL.values, CONFIDENCE)
    for label in ("mask", "no_mask"):
        result = reference.confidence_at(Counter({label: 7}))
        assert result.mean() == pytest.approx(confidence[labels == label].mean(), abs=0.002)
    half = reference.confidence_at(Counter({"mask": 10, "no_mask": 10})).mean()
    assert half == pytest.approx(
        np.mean([confidence[labels == label].mean() for label in ("mask", "no_mask")]), abs=0.002
    )


def test_the_confidence_in_an_unknown_label_is_that_of_all_labels() -> None:
    reference = build("1", [{"": sample(500, labels={"mask": 1.0})}]).overall
    assert reference.confidence_at(Counter({"incorrect": 5})).mean() == pytest.approx(
        reference.column(CONFIDENCE).mean(), abs=1e-3
    )


def test_the_moments_by_label_are_kept() -> None:
    moments = read(build("1", RELEASE_DAYS).to_json()).overall.moments
    rows = ALL.values[ALL.labels == 1]
    assert moments.means[1] == pytest.approx(rows.mean(axis=0), rel=1e-3, abs=1e-3)
    assert moments.variances[1] == pytest.approx(rows.var(axis=0), rel=1e-3, abs=1e-3)
    assert moments.counts.tolist() == np.bincount(ALL.labels).tolist()


def test_a_rare_label_has_the_moments_of_all_labels() -> None:
    rare = sample(400, labels={"mask": 0.995, "no_mask": 0.005, "incorrect": 0.0})
    moments = build("1", [{"": rare}]).overall.moments
    assert moments.counts[1] < 5
    assert moments.means[1] == pytest.approx(rare.values.mean(axis=0), rel=1e-3, abs=1e-3)


def test_a_source_with_enough_days_and_predictions_has_a_reference_of_its_own() -> None:
    enough = days(MIN_DAYS, "enough")
    found = build("1", [
        {**one, **few, **(short if number < MIN_DAYS - 1 else {})}
        for number, (one, few, short) in enumerate(
            zip(enough, days(MIN_DAYS, "few", size=40), days(MIN_DAYS, "short", size=500), strict=True)
        )
    ])  # fmt: skip
    assert set(found.sources) == {"enough"}
    assert found.sources["enough"].days.count == MIN_DAYS


def test_the_variance_between_days_excludes_sampling_variance() -> None:
    equal = build("1", days(14)).sources["gate-1"].days
    skies = np.random.default_rng(0).normal(0, 0.5, 14)
    weather = [
        {"gate-1": sample(200, seed=day, shift={"brightness": float(sky)})} for day, sky in enumerate(skies)
    ]
    differing = build("1", weather).sources["gate-1"].days
    assert equal.variance[0] < 0.01
    assert differing.variance[0] == pytest.approx(np.var(skies) / (1 + np.var(skies)), rel=0.35)
    assert differing.largest[0] > 2 * equal.largest[0]


def test_the_longest_silence_is_recorded() -> None:
    week = days(10)
    gaps = [{} if number in {2, 5, 6} else day for number, day in enumerate(week)]
    assert build("1", gaps).sources["gate-1"].days.longest_silence == 2


def test_a_baseline_of_too_few_predictions_is_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {MIN_SAMPLES} predictions .* there are 199"):
        build("1", [{"gate-1": sample(199)}])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"kind": "maskwatch-baseline-1"}', b"\xff"])
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a baseline"):
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
def test_a_baseline_of_another_version_is_refused(change: dict[str, object]) -> None:
    result = json.loads(build("1", RELEASE_DAYS).to_json()) | change
    with pytest.raises(ValueError, match="not a baseline"):
        read(json.dumps(result))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("count",), 0),
        (("count",), math.inf),
        (("moments", "effective"), 0),
        (("moments", "effective"), math.nan),
        (("moments", "counts"), [0, 0, 0]),
        (("moments", "counts"), [9, 9]),
        (("moments", "counts"), [math.nan, 9, 9]),
        (("moments", "counts"), [-9, 99, 99]),
        (("moments", "means"), [[0.0] * len(FEATURES)] * 2),
        (("moments", "means"), [[math.nan] * len(FEATURES)] * 3),
        (("moments", "variances"), [[1.0] * 3] * 3),
        (("moments", "variances"), [[-1.0] * len(FEATURES)] * 3),
        (("quantiles",), {feature: [] for feature in FEATURES}),
        (("quantiles",), dict.fromkeys(FEATURES, 1.0)),
        (("quantiles",), {feature: [math.inf] for feature in FEATURES}),
        (("confidences", "mask"), []),
        (("confidences", "mask"), [math.nan]),
        (("days", "count"), 0),
        (("days", "variance"), [0.1]),
        (("days", "variance"), [-0.1] * len(TESTS)),
        (("days", "largest"), [math.nan] * len(TESTS)),
    ],
)
def test_a_damaged_reference_is_refused(path: tuple[str, ...], value: object) -> None:
    baseline = json.loads(WITH_DAYS)
    inner = baseline["sources"]["gate-1"]
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match="not a baseline"):
        read(json.dumps(baseline))


def test_the_release_in_the_image_has_a_baseline() -> None:
    release = load_release(IMAGE_RELEASE)
    assert "baseline.json" in release.manifest["files"]
    baseline = read((IMAGE_RELEASE / "baseline.json").read_bytes())
    assert baseline.model_version == release.version
    assert baseline.overall.count > 2000
