"""Effect sizes of the differences between predictions and a reference, and their sampling variances.

The tests compare the mean and the spread of each feature, the share of each label, and the confidence. Means and
spreads are compared with those of the reference reweighted to the current proportions of labels: if fewer people wear
masks, the pictures contain more faces without masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift.features import CONFIDENCE, FEATURES, INPUTS, PROJECTIONS
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from functions.drift.features import Sample

INPUT, EMBEDDING, PREDICTION, CONFIDENCE_DROP = KINDS = ("input", "embedding", "prediction", "confidence")
MEAN, SPREAD, SHARE = "mean", "spread", "share"
MIN_EFFECTIVE: Final = 20  # independent predictions in a sample that is tested
_MIN_OF_LABEL: Final = 5  # predictions of a label; a rarer label gets the moments of all labels
_COMPARED: Final = (*INPUTS, *PROJECTIONS)
_INDEXES: Final = np.array([FEATURES.index(feature) for feature in _COMPARED])
_CONFIDENCE: Final = FEATURES.index(CONFIDENCE)
_PROJECTIONS: Final = np.array([FEATURES.index(feature) for feature in PROJECTIONS])
# The smallest standard deviation used as the unit of an effect, because a feature may be constant in the reference,
# such as the size of one camera's pictures. The floor of a projection is a tenth of the median of all projections.
_FLOORS: Final[Mapping[str, float]] = {
    "size": 0.1, "shape": 0.05, "faces": 0.25, "face_side": 0.1, CONFIDENCE: 0.01,
}  # fmt: skip
_FLOOR_OF_APPEARANCE: Final = 0.01
_FLOOR_OF_PROJECTION: Final = 0.1


@dataclass(frozen=True)
class Test:
    """One statistic that is compared.

    Attributes:
        feature: One of the features, or a label.
        kind: One of `KINDS`.
        statistic: `mean`, `spread` or `share`.
        limit: The effect at which a difference is large: for a mean, in standard deviations of the reference; for a
            spread, the natural logarithm of the ratio; for a share and for the confidence, the difference.
        between_days: The expected standard deviation of the effect between days without drift.
    """

    feature: str
    kind: str
    statistic: str
    limit: float
    between_days: float


def _tests() -> tuple[Test, ...]:
    kinds = [(feature, INPUT if feature in INPUTS else EMBEDDING) for feature in _COMPARED]
    limits = {INPUT: 0.25, EMBEDDING: 0.3}
    # 5% of a feature's variance is between days: a standard deviation of 0.22.
    return (
        *(Test(feature, kind, MEAN, limits[kind], 0.22) for feature, kind in kinds),
        *(Test(feature, kind, SPREAD, 0.25, 0.1) for feature, kind in kinds),
        *(Test(label, PREDICTION, SHARE, 0.1, 0.05) for label in LABELS),
        Test(CONFIDENCE, CONFIDENCE_DROP, MEAN, 0.02, 0.01),
    )


TESTS: Final = _tests()


@dataclass(frozen=True)
class Moments:
    """Means and variances of the features by label.

    Attributes:
        effective: The effective number of independent predictions.
        counts: Predictions by label, float64 (labels,).
        means: Means by label, float64 (labels, features); those of all labels for a rare label.
        variances: Variances, in the same form.
    """

    effective: float
    counts: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]


@dataclass(frozen=True)
class Effects:
    """The effects of all `TESTS`.

    Attributes:
        values: The effects in the unit of each test (for the confidence, how much it fell), float64 (tests,).
        sampling_variance: Their sampling variance from the predictions, float64 (tests,).
        reference_variance: Their sampling variance from the reference, float64 (tests,).
    """

    values: NDArray[np.float64]
    sampling_variance: NDArray[np.float64]
    reference_variance: NDArray[np.float64]


def moments(sample: Sample) -> Moments:
    """Return the moments of a sample that is not empty."""
    values = sample.values.astype(np.float64)
    counts = np.bincount(sample.labels, minlength=len(LABELS)).astype(np.float64)
    means = np.tile(values.mean(axis=0), (len(LABELS), 1))
    variances = np.tile(values.var(axis=0), (len(LABELS), 1))
    for label in np.flatnonzero(counts >= _MIN_OF_LABEL):
        rows = values[sample.labels == label]
        means[label], variances[label] = rows.mean(axis=0), rows.var(axis=0)
    return Moments(sample.effective, counts, means, variances)


def effects(sample: Sample, reference: Moments) -> Effects:
    """Compare predictions with a reference that is reweighted to their proportions of labels.

    The sampling variances are those of a mean of independent predictions within labels; of the logarithm of a
    standard deviation, (kurtosis - 1) / (4 n); and of a share, p (1 - p) / n.
    """
    n = max(sample.effective, 1.0)
    counts = np.bincount(sample.labels, minlength=len(LABELS)).astype(np.float64)
    shares = counts / counts.sum()
    # The share of the reference's predictions that is independent.
    fraction = reference.effective / reference.counts.sum()
    by_label = np.maximum(
        np.where(reference.counts >= _MIN_OF_LABEL, reference.counts, reference.counts.sum()), 1
    )
    expected = shares @ reference.means
    variance = shares @ (reference.variances + reference.means**2) - expected**2
    within = shares @ reference.variances
    of_means = (shares**2 / (by_label * fraction)) @ reference.variances
    deviation = _floored(np.sqrt(np.maximum(variance, 0)))

    values = sample.values.astype(np.float64)
    mean, spread = values.mean(axis=0), _floored(values.std(axis=0), deviation)
    kurtosis = (((values - mean) / spread) ** 4).mean(axis=0).clip(1.8, 20)
    p = (reference.counts + shares * n + 0.5) / (reference.counts.sum() + n + 1.5)
    reference_n = max(reference.effective, 1.0)
    return Effects(
        _of_tests(
            (mean - expected) / deviation,
            np.log(spread / deviation),
            shares - reference.counts / reference.counts.sum(),
            expected - mean,
        ),
        _of_tests(within / deviation**2 / n, (kurtosis - 1) / (4 * n), p * (1 - p) / n, within / n),
        _of_tests(
            of_means / deviation**2, (kurtosis - 1) / (4 * reference_n), p * (1 - p) / reference_n, of_means
        ),
    )


def _of_tests(
    means: NDArray[np.float64],
    spreads: NDArray[np.float64],
    shares: NDArray[np.float64],
    drops: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the values of `TESTS`, float64 (tests,), from those of all features and of the labels."""
    return np.concatenate([means[_INDEXES], spreads[_INDEXES], shares, [drops[_CONFIDENCE]]])


def _floored(deviation: NDArray[np.float64], base: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return standard deviations of at least their floors, float64 (features,).

    The floor of the projections is computed from `base` (default: `deviation`).
    """
    floors = np.array([_FLOORS.get(feature, _FLOOR_OF_APPEARANCE) for feature in FEATURES])
    usual = float(np.median((deviation if base is None else base)[_PROJECTIONS]))
    floors[_PROJECTIONS] = max(_FLOOR_OF_PROJECTION * usual, 1e-3)
    floored: NDArray[np.float64] = np.maximum(deviation, floors)
    return floored
