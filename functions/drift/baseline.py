"""The reference distributions of pictures and predictions, against which drift is measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.drift.effects import MIN_EFFECTIVE, TESTS, Moments, effects, moments
from functions.drift.features import CONFIDENCE, FEATURES, merge
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from functions.drift.features import Sample

MIN_SAMPLES: Final = 200  # predictions in a reference
MIN_DAYS: Final = 3  # in a source's reference, to estimate how days differ
_STEPS: Final = 400  # quantiles of a feature
_PART_STEPS: Final = 100  # quantiles of a source's features, and of the confidence in one label
_MAX_ROWS: Final = 5_000  # of an expanded feature
_FORMAT: Final = "maskwatch-baseline-2"


@dataclass(frozen=True)
class Days:
    """How a source's days differ; each day is compared with all others.

    Attributes:
        count: How many days there are.
        variance: Variance of each test's effect between days, beyond sampling variance, float64 (tests,).
        largest: The largest effect of a day, float64 (tests,).
        longest_silence: The largest number of consecutive days without a record.
    """

    count: int
    variance: NDArray[np.float64]
    largest: NDArray[np.float64]
    longest_silence: int


@dataclass(frozen=True)
class Reference:
    """A summary of predictions.

    Attributes:
        count: How many predictions there were.
        moments: Means and variances, from which effects are computed.
        quantiles: Equidistant quantiles of each feature, ascending, float32 (steps, len(FEATURES)).
        confidences: Quantiles of the confidence by predicted label, ascending.
        days: How days differ; None if there are too few, as for a release's validation pictures.
    """

    count: int
    moments: Moments
    quantiles: NDArray[np.float32]
    confidences: Mapping[str, NDArray[np.float32]]
    days: Days | None

    def label_counts(self) -> dict[str, int]:
        """Return the number of predictions by most probable label."""
        return dict(zip(LABELS, self.moments.counts.astype(int).tolist(), strict=True))

    def column(self, feature: str) -> NDArray[np.float32]:
        """Return values of a feature with its distribution, ascending: `count` values, but at most `_MAX_ROWS`."""
        return _expanded(self.quantiles[:, FEATURES.index(feature)], min(self.count, _MAX_ROWS))

    def confidence_at(self, labels: Mapping[str, int]) -> NDArray[np.float32]:
        """Return the confidences that the reference would have with other proportions of labels.

        A label that does not occur in the reference has the confidences of all labels.
        """
        rows, total = min(self.count, _MAX_ROWS), sum(labels.values())
        pooled = self.quantiles[:, FEATURES.index(CONFIDENCE)]
        parts = [
            _expanded(self.confidences.get(label, pooled), round(rows * number / total))
            for label, number in labels.items()
        ]
        return np.sort(np.concatenate(parts))


@dataclass(frozen=True)
class Baseline:
    """The references of a release.

    Attributes:
        model_version: The release that made the predictions.
        overall: The reference of all predictions.
        sources: The references of sources with enough predictions; none in the baseline of a release itself.
    """

    model_version: str
    overall: Reference
    sources: Mapping[str, Reference]

    def to_json(self) -> str:
        """Return the JSON that `read` parses."""
        return json.dumps(
            {
                "kind": _FORMAT,
                "model_version": self.model_version,
                "features": FEATURES,
                "overall": _to_dict(self.overall),
                "sources": {name: _to_dict(reference) for name, reference in self.sources.items()},
            },
            separators=(",", ":"),
        )


def build(model_version: str, days: Sequence[Mapping[str, Sample]]) -> Baseline:
    """Build a baseline from a release's predictions of a good period: samples by source, for each day.

    A release's validation pictures are one day of one source.

    Raises:
        ValueError: There are too few predictions.
    """
    by_source: dict[str, list[Sample | None]] = {}
    for day in days:
        for source in day:
            by_source.setdefault(source, [])
    for source, samples in by_source.items():
        samples += [day.get(source) for day in days]
    pooled = merge(sample for samples in by_source.values() for sample in samples if sample)
    if len(pooled.labels) < MIN_SAMPLES:
        raise ValueError(
            f"a baseline needs at least {MIN_SAMPLES} predictions of different minutes, "
            f"but there are {len(pooled.labels)}"
        )
    references = {source: _reference_of_days(samples) for source, samples in by_source.items()}
    return Baseline(
        model_version,
        _reference(pooled, None, _STEPS),
        {source: reference for source, reference in references.items() if reference},
    )


def read(text: str | bytes) -> Baseline:
    """Parse a baseline.

    Raises:
        ValueError: It is malformed or has other features than this version; the message says which.
    """
    try:
        payload = json.loads(text)
        _check(payload)
        sources = {name: _read(reference) for name, reference in payload["sources"].items()}
        return Baseline(str(payload["model_version"]), _read(payload["overall"]), sources)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"this is not a baseline: {error}") from error


def _check(payload: Mapping[str, Any]) -> None:
    if payload["kind"] != _FORMAT or payload["features"] != list(FEATURES):
        raise ValueError("another version of MaskWatch wrote it; write a new one")


def _reference_of_days(samples: Sequence[Sample | None]) -> Reference | None:
    """Return the reference of one source, or None if it has too few days or predictions."""
    usable = [sample for sample in samples if sample and sample.effective >= MIN_EFFECTIVE]
    pooled = merge(usable)
    if len(usable) < MIN_DAYS or len(pooled.labels) < MIN_SAMPLES:
        return None
    leave_one_out = [
        effects(day, moments(merge(usable[:index] + usable[index + 1 :]))) for index, day in enumerate(usable)
    ]
    daily_effects = np.array([day.values for day in leave_one_out])
    sampling = np.array([day.sampling_variance + day.reference_variance for day in leave_one_out])
    # The method of moments (DerSimonian and Laird 1986). A day minus the mean of the n - 1 others has 1 + 1/(n - 1)
    # times the variance of a day.
    excess = np.maximum((daily_effects**2 - sampling).mean(axis=0), 0) / (1 + 1 / (len(usable) - 1))
    silence = longest = 0
    for sample in samples:
        silence = 0 if sample else silence + 1
        longest = max(longest, silence)
    days = Days(len(usable), excess, np.abs(daily_effects).max(axis=0), longest)
    return _reference(pooled, days, _PART_STEPS)


def _reference(sample: Sample, days: Days | None, steps: int) -> Reference:
    confidence = sample.values[:, FEATURES.index(CONFIDENCE)]
    return Reference(
        count=len(sample.labels),
        moments=moments(sample),
        quantiles=_quantiles(sample.values, steps),
        confidences={
            label: _quantiles(confidence[sample.labels == index], _PART_STEPS)
            for index, label in enumerate(LABELS)
            if (sample.labels == index).any()
        },
        days=days,
    )


def _quantiles(values: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    middles = (np.arange(steps) + 0.5) / steps
    return np.quantile(values, middles, axis=0, method="inverted_cdf").astype(np.float32)


def _expanded(quantiles: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    return quantiles[np.arange(rows) * len(quantiles) // max(rows, 1)]


def _to_dict(reference: Reference) -> dict[str, Any]:
    days = reference.days
    return {
        "count": reference.count,
        "moments": {
            "effective": reference.moments.effective,
            "counts": _rounded(reference.moments.counts),
            "means": [_rounded(row) for row in reference.moments.means],
            "variances": [_rounded(row) for row in reference.moments.variances],
        },
        "quantiles": {
            feature: _rounded(column) for feature, column in zip(FEATURES, reference.quantiles.T, strict=True)
        },
        "confidences": {label: _rounded(values) for label, values in reference.confidences.items()},
        "days": days
        and {
            "count": days.count,
            "variance": _rounded(days.variance),
            "largest": _rounded(days.largest),
            "longest_silence": days.longest_silence,
        },
    }


def _rounded(values: NDArray[Any]) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]


def _read(payload: Mapping[str, Any]) -> Reference:
    given, days = payload["moments"], payload["days"]
    by_label = len(LABELS), len(FEATURES)
    reference = Reference(
        count=int(payload["count"]),
        moments=Moments(
            float(given["effective"]),
            _array(given["counts"], np.float64, len(LABELS)),
            _array(given["means"], np.float64, *by_label),
            _array(given["variances"], np.float64, *by_label),
        ),
        quantiles=_array(
            [payload["quantiles"][feature] for feature in FEATURES], np.float32, len(FEATURES), None
        ).T,
        confidences={
            label: _array(values, np.float32, None) for label, values in payload["confidences"].items()
        },
        days=days
        and Days(
            int(days["count"]),
            _array(days["variance"], np.float64, len(TESTS)),
            _array(days["largest"], np.float64, len(TESTS)),
            int(days["longest_silence"]),
        ),
    )
    own = reference.moments
    if reference.count <= 0 or not 0 < own.effective < np.inf or own.counts.sum() <= 0:
        raise ValueError("a reference has no predictions")
    if min(own.counts.min(), own.variances.min()) < 0:
        raise ValueError("a count or a variance is negative")
    if reference.days and (reference.days.count < MIN_DAYS or reference.days.variance.min() < 0):
        raise ValueError("the days of a reference are too few, or their variance is negative")
    return reference


def _array(values: Any, dtype: Any, *shape: int | None) -> NDArray[Any]:
    """Return finite numbers as an array that is not empty; None stands for any length."""
    array = np.array(values, dtype)
    if array.ndim != len(shape) or not all(
        given and wanted in {None, given} for wanted, given in zip(shape, array.shape, strict=True)
    ):
        raise ValueError(f"an array has the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("a number is not finite")
    return array
