"""What pictures and predictions are like when all is well, in some kilobytes: the reference of every comparison."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.drift.effects import MIN_EFFECTIVE, Moments, effects, moments
from functions.drift.features import CONFIDENCE, FEATURES, merged
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from functions.drift.features import Sample

MIN_SAMPLES: Final = 200  # predictions that a reference is made of
MIN_DAYS: Final = 3  # of fewer, nothing is learned about how days differ
_STEPS: Final = 400  # quantiles of a feature
_STEPS_OF_A_PART: Final = 100  # of a source, and of the confidence in one label
_ROWS: Final = 5_000  # that a feature is laid out in, at most
_KIND: Final = "maskwatch-baseline-2"


@dataclass(frozen=True)
class Days:
    """How a source's days differ from each other, each compared with all the others.

    Attributes:
        count: How many days there are.
        variance: Of a test's effect between days, beyond what sampling explains, float64 (tests,).
        largest: The largest effect of a day, float64 (tests,).
        longest_silence: The most days one after the other on which there was no record.
    """

    count: int
    variance: NDArray[np.float64]
    largest: NDArray[np.float64]
    longest_silence: int


@dataclass(frozen=True)
class Reference:
    """Predictions, summed up.

    Attributes:
        count: How many they were.
        moments: What effects are computed from.
        quantiles: Of each feature, ascending, float32 (steps, len(FEATURES)); each stands for as many predictions.
        confidences: Quantiles, ascending, of the confidence in each label that occurs.
        days: How its days differ; None where they are too few to tell, as of a release's own pictures.
    """

    count: int
    moments: Moments
    quantiles: NDArray[np.float32]
    confidences: Mapping[str, NDArray[np.float32]]
    days: Days | None

    def label_counts(self) -> dict[str, int]:
        """Return how many had each label for the most probable one."""
        return dict(zip(LABELS, self.moments.counts.astype(int).tolist(), strict=True))

    def column(self, feature: str) -> NDArray[np.float32]:
        """Return a feature's values, ascending, as many as there were predictions, though at most `_ROWS`."""
        return _laid_out(self.quantiles[:, FEATURES.index(feature)], min(self.count, _ROWS))

    def confidence_at(self, labels: Mapping[str, int]) -> NDArray[np.float32]:
        """Return the confidences that predictions would have whose labels occur in another proportion.

        A label that the reference does not know has those of all labels together.
        """
        rows, total = min(self.count, _ROWS), sum(labels.values())
        everything = self.quantiles[:, FEATURES.index(CONFIDENCE)]
        parts = [
            _laid_out(self.confidences.get(label, everything), round(rows * number / total))
            for label, number in labels.items()
        ]
        return np.sort(np.concatenate(parts))


@dataclass(frozen=True)
class Baseline:
    """What is compared with.

    Attributes:
        model_version: Of the release that made the predictions.
        overall: All of them.
        sources: Those of each source that has a past of its own; none, where the baseline is a release's own.
    """

    model_version: str
    overall: Reference
    sources: Mapping[str, Reference]

    def to_json(self) -> str:
        """Return what `read` reads."""
        return json.dumps(
            {
                "kind": _KIND,
                "model_version": self.model_version,
                "features": FEATURES,
                "overall": _to_json(self.overall),
                "sources": {name: _to_json(reference) for name, reference in self.sources.items()},
            },
            separators=(",", ":"),
        )


def build(model_version: str, days: Sequence[Mapping[str, Sample]]) -> Baseline:
    """Sum up predictions that were made when all was well.

    Args:
        model_version: Of the release that made them.
        days: By source, day after day. A single one, of one source, is what a release's own pictures are.

    Raises:
        ValueError: They are too few.
    """
    by_source: dict[str, list[Sample | None]] = {}
    for day in days:
        for source in day:
            by_source.setdefault(source, [])
    for source, samples in by_source.items():
        samples += [day.get(source) for day in days]
    everything = merged(sample for samples in by_source.values() for sample in samples if sample)
    if len(everything.labels) < MIN_SAMPLES:
        raise ValueError(
            f"a baseline needs at least {MIN_SAMPLES} predictions of different minutes, "
            f"and there are {len(everything.labels)}"
        )
    references = {source: _reference_of_days(samples) for source, samples in by_source.items()}
    return Baseline(
        model_version,
        _reference(everything, None, _STEPS),
        {source: reference for source, reference in references.items() if reference},
    )


def read(text: str | bytes) -> Baseline:
    """Read a baseline.

    Raises:
        ValueError: It is none, or one of other features than are recorded now; the message says so.
    """
    try:
        payload = json.loads(text)
        _check(payload)
        sources = {name: _read(reference) for name, reference in payload["sources"].items()}
        return Baseline(str(payload["model_version"]), _read(payload["overall"]), sources)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"this is no baseline: {error}") from error


def _check(payload: Mapping[str, Any]) -> None:
    if payload["kind"] != _KIND or payload["features"] != list(FEATURES):
        raise ValueError("it is of another version of MaskWatch; write it anew")


def _reference_of_days(samples: Sequence[Sample | None]) -> Reference | None:
    """Return the reference of one source, or None where it has too few days or predictions."""
    usable = [sample for sample in samples if sample and sample.effective >= MIN_EFFECTIVE]
    everything = merged(usable)
    if len(usable) < MIN_DAYS or len(everything.labels) < MIN_SAMPLES:
        return None
    left_out = [
        effects(day, moments(merged(usable[:place] + usable[place + 1 :])))
        for place, day in enumerate(usable)
    ]
    found = np.array([each.values for each in left_out])
    sampling = np.array([each.sampling + each.of_reference for each in left_out])
    # The method of moments (DerSimonian and Laird 1986); the mean of the other days differs from one day by
    # 1 + 1/(n - 1) times the variance of a day.
    excess = np.maximum((found**2 - sampling).mean(axis=0), 0) / (1 + 1 / (len(usable) - 1))
    silence = longest = 0
    for sample in samples:
        silence = 0 if sample else silence + 1
        longest = max(longest, silence)
    days = Days(len(usable), excess, np.abs(found).max(axis=0), longest)
    return _reference(everything, days, _STEPS_OF_A_PART)


def _reference(sample: Sample, days: Days | None, steps: int) -> Reference:
    confidence = sample.values[:, FEATURES.index(CONFIDENCE)]
    return Reference(
        count=len(sample.labels),
        moments=moments(sample),
        quantiles=_quantiles(sample.values, steps),
        confidences={
            label: _quantiles(confidence[sample.labels == place], _STEPS_OF_A_PART)
            for place, label in enumerate(LABELS)
            if (sample.labels == place).any()
        },
        days=days,
    )


def _quantiles(values: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    middles = (np.arange(steps) + 0.5) / steps
    return np.quantile(values, middles, axis=0, method="inverted_cdf").astype(np.float32)


def _laid_out(quantiles: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    return quantiles[np.arange(rows) * len(quantiles) // max(rows, 1)]


def _to_json(reference: Reference) -> dict[str, Any]:
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
    result, days = payload["moments"], payload["days"]
    return Reference(
        count=int(payload["count"]),
        moments=Moments(
            float(result["effective"]),
            np.array(result["counts"], np.float64),
            np.array(result["means"], np.float64),
            np.array(result["variances"], np.float64),
        ),
        quantiles=np.array([payload["quantiles"][feature] for feature in FEATURES], np.float32).T,
        confidences={label: np.array(values, np.float32) for label, values in payload["confidences"].items()},
        days=days
        and Days(
            int(days["count"]),
            np.array(days["variance"], np.float64),
            np.array(days["largest"], np.float64),
            int(days["longest_silence"]),
        ),
    )
