"""What pictures and predictions are like when all is well, in a few kilobytes: what drift is measured against."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.drift.features import CONFIDENCE, FEATURES, PROJECTIONS
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from functions.drift.features import Sample

FEWEST: Final = 200  # predictions that a reference is made of; a source with fewer is none for itself
_STEPS: Final = 400  # quantiles of a feature
_STEPS_OF_A_PART: Final = 100  # of a source, and of the confidence in one label
_ROWS: Final = 5_000  # that a feature is laid out in, at most
_KIND: Final = "maskwatch-baseline-1"


@dataclass(frozen=True)
class Sketch:
    """Predictions, summed up feature by feature.

    Attributes:
        count: How many they were.
        labels: How many of them had each label for the most probable one.
        quantiles: Of each feature, ascending, float32 (steps, len(FEATURES)); each stands for as many predictions.
        confidences: Quantiles, ascending, of the confidence in each label that occurs.
        mean: Of the projections, (16,).
        covariance: Of the projections, (16, 16).
    """

    count: int
    labels: Mapping[str, int]
    quantiles: NDArray[np.float32]
    confidences: Mapping[str, NDArray[np.float32]]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def column(self, feature: str) -> NDArray[np.float32]:
        """Return a feature's values, ascending, as many as there were predictions, though at most `_ROWS`."""
        return _laid_out(self.quantiles[:, FEATURES.index(feature)], min(self.count, _ROWS))

    def confidence_at(self, labels: Mapping[str, int]) -> NDArray[np.float32]:
        """Return the confidences that predictions would have whose labels occur in another proportion.

        A label that the sketch does not know has those of all labels together.
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
    """The reference.

    Attributes:
        model_version: Of the release that made the predictions.
        everything: All of them.
        sources: Those of each source that had at least `FEWEST`; none, where the baseline is a release's own.
    """

    model_version: str
    everything: Sketch
    sources: Mapping[str, Sketch]

    def as_json(self) -> str:
        """Return what `read` reads."""
        return json.dumps(
            {
                "kind": _KIND,
                "model_version": self.model_version,
                "features": FEATURES,
                "everything": _as_json(self.everything),
                "sources": {name: _as_json(sketch) for name, sketch in self.sources.items()},
            },
            separators=(",", ":"),
        )


def build(overall: Sample, model_version: str, samples: Mapping[str, Sample]) -> Baseline:
    """Sum up predictions that were made when all was well.

    Args:
        overall: All of them, or a random sample.
        model_version: Of the release that made them.
        samples: The same by source.

    Raises:
        ValueError: They are too few.
    """
    if len(overall.labels) < FEWEST:
        raise ValueError(
            f"a baseline needs at least {FEWEST} predictions, and there are {len(overall.labels)}"
        )
    own = {name: sample for name, sample in samples.items() if len(sample.labels) >= FEWEST}
    return Baseline(
        model_version,
        _sketch(overall, _STEPS),
        {name: _sketch(sample, _STEPS_OF_A_PART) for name, sample in own.items()},
    )


def read(text: str | bytes) -> Baseline:
    """Read a baseline.

    Raises:
        ValueError: It is none, or one of other features than are recorded now; the message says so.
    """
    try:
        told = json.loads(text)
        _check(told)
        sources = {name: _read(sketch) for name, sketch in told["sources"].items()}
        return Baseline(str(told["model_version"]), _read(told["everything"]), sources)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"this is no baseline: {error}") from error


def _check(told: Mapping[str, Any]) -> None:
    if told["kind"] != _KIND or told["features"] != list(FEATURES):
        raise ValueError("it is of another version of MaskWatch; write it anew")


def _sketch(sample: Sample, steps: int) -> Sketch:
    labels = np.array(sample.labels)
    confidence = sample.values[:, FEATURES.index(CONFIDENCE)]
    projections = projected(sample)
    return Sketch(
        count=len(labels),
        labels={label: Counter(sample.labels)[label] for label in LABELS},
        quantiles=_quantiles(sample.values, steps),
        confidences={
            label: _quantiles(confidence[labels == label], _STEPS_OF_A_PART)
            for label in LABELS
            if (labels == label).any()
        },
        mean=projections.mean(axis=0),
        covariance=np.cov(projections, rowvar=False),
    )


def projected(sample: Sample) -> NDArray[np.float64]:
    """Return the projections of a sample's predictions, (n, 16)."""
    first = FEATURES.index(PROJECTIONS[0])
    return sample.values[:, first : first + len(PROJECTIONS)].astype(np.float64)


def _quantiles(values: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    middles = (np.arange(steps) + 0.5) / steps
    return np.quantile(values, middles, axis=0, method="inverted_cdf").astype(np.float32)


def _laid_out(quantiles: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    return quantiles[np.arange(rows) * len(quantiles) // max(rows, 1)]


def _as_json(sketch: Sketch) -> dict[str, Any]:
    return {
        "count": sketch.count,
        "labels": sketch.labels,
        "quantiles": {
            feature: _rounded(column) for feature, column in zip(FEATURES, sketch.quantiles.T, strict=True)
        },
        "confidences": {label: _rounded(values) for label, values in sketch.confidences.items()},
        "mean": _rounded(sketch.mean),
        "covariance": [_rounded(row) for row in sketch.covariance],
    }


def _rounded(values: NDArray[Any]) -> list[float]:
    return [float(f"{value:.5g}") for value in values.tolist()]


def _read(told: Mapping[str, Any]) -> Sketch:
    sketch = Sketch(
        count=int(told["count"]),
        labels={label: int(told["labels"][label]) for label in LABELS},
        quantiles=np.array([told["quantiles"][feature] for feature in FEATURES], np.float32).T,
        confidences={label: np.array(values, np.float32) for label, values in told["confidences"].items()},
        mean=np.array(told["mean"], np.float64),
        covariance=np.array(told["covariance"], np.float64),
    )
    side = len(PROJECTIONS)
    if sketch.count < 1 or sketch.mean.shape != (side,) or sketch.covariance.shape != (side, side):
        raise ValueError("its moments are incomplete")
    return sketch
