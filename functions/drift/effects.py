"""By how much predictions differ from a reference, test by test, and how far chance alone would take them.

Every test is of something that one sentence can say: the mean of a figure, its spread, the share of a label, the
confidence. Means and spreads are compared with what the reference would be with the labels that occur now: where
fewer people wear masks, faces without masks are expected in the pictures.
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
MIN_EFFECTIVE: Final = 20  # independent predictions, with fewer of which nothing is said
_MIN_OF_LABEL: Final = (
    5  # predictions of a label in the reference, with fewer of which it stands for all labels
)
_COMPARED: Final = (*INPUTS, *PROJECTIONS)
_PLACES: Final = np.array([FEATURES.index(feature) for feature in _COMPARED])
_CONFIDENCE: Final = FEATURES.index(CONFIDENCE)
_PROJECTIONS: Final = np.array([FEATURES.index(feature) for feature in PROJECTIONS])
# The smallest deviation that a figure is measured in, in its own unit: a camera whose pictures all have one size has
# none. A projection that is dead in the reference counts by a tenth of the median of the others.
_FLOORS: Final[Mapping[str, float]] = {
    "size": 0.1, "shape": 0.05, "faces": 0.25, "face_side": 0.1, CONFIDENCE: 0.01,
}  # fmt: skip
_FLOOR_OF_APPEARANCE: Final = 0.01
_FLOOR_OF_PROJECTION: Final = 0.1


@dataclass(frozen=True)
class Test:
    """What is compared.

    Attributes:
        feature: One of the features, or a label.
        kind: One of `KINDS`.
        of: `mean`, `spread` or `share`.
        limit: The effect from which a difference matters: of a mean, in standard deviations of the reference; of a
            spread, in the natural logarithm of its ratio; of a share and of the confidence, as a difference.
        between_days: The standard deviation of the effect that is expected between days of an unchanged world.
    """

    feature: str
    kind: str
    of: str
    limit: float
    between_days: float


def _tests() -> tuple[Test, ...]:
    kinds = [(feature, INPUT if feature in INPUTS else EMBEDDING) for feature in _COMPARED]
    limits = {INPUT: 0.25, EMBEDDING: 0.3}
    # 5% of a figure's variance between days: a standard deviation of 0.22.
    return (
        *(Test(feature, kind, MEAN, limits[kind], 0.22) for feature, kind in kinds),
        *(Test(feature, kind, SPREAD, 0.25, 0.1) for feature, kind in kinds),
        *(Test(label, PREDICTION, SHARE, 0.1, 0.05) for label in LABELS),
        Test(CONFIDENCE, CONFIDENCE_DROP, MEAN, 0.02, 0.01),
    )


TESTS: Final = _tests()


@dataclass(frozen=True)
class Moments:
    """Means and variances by label.

    Attributes:
        effective: How many independent predictions there are.
        counts: Predictions by label, float64 (labels,).
        means: Of the features, by label, float64 (labels, features); of a rare label those of all.
        variances: The same of variances.
    """

    effective: float
    counts: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]


@dataclass(frozen=True)
class Effects:
    """How predictions differ from a reference, one figure for each of `TESTS`.

    Attributes:
        values: By how much, in the unit of the test; of the confidence, its fall, float64 (tests,).
        sampling: The variance of these by chance in the predictions, float64 (tests,).
        of_reference: The variance by chance in the reference, float64 (tests,).
    """

    values: NDArray[np.float64]
    sampling: NDArray[np.float64]
    of_reference: NDArray[np.float64]


def moments(sample: Sample) -> Moments:
    """Sum up a sample, which is not empty."""
    values = sample.values.astype(np.float64)
    counts = np.bincount(sample.labels, minlength=len(LABELS)).astype(np.float64)
    means = np.tile(values.mean(axis=0), (len(LABELS), 1))
    variances = np.tile(values.var(axis=0), (len(LABELS), 1))
    for label in np.flatnonzero(counts >= _MIN_OF_LABEL):
        rows = values[sample.labels == label]
        means[label], variances[label] = rows.mean(axis=0), rows.var(axis=0)
    return Moments(sample.effective, counts, means, variances)


def effects(sample: Sample, reference: Moments) -> Effects:
    """Compare predictions with a reference, at the labels that the predictions have.

    The variances by chance are those of a mean of independent predictions within labels, of a logarithm of a standard
    deviation, (kurtosis - 1) / (4 n), and of a share, p (1 - p) / n.
    """
    n = max(sample.effective, 1.0)
    counts = np.bincount(sample.labels, minlength=len(LABELS)).astype(np.float64)
    shares = counts / counts.sum()
    fraction = (
        reference.effective / reference.counts.sum()
    )  # of the reference's predictions that is independent
    by_label = np.maximum(
        np.where(reference.counts >= _MIN_OF_LABEL, reference.counts, reference.counts.sum()), 1
    )
    expected = shares @ reference.means
    variance = shares @ (reference.variances + reference.means**2) - expected**2
    within = shares @ reference.variances
    of_means = (shares**2 / (by_label * fraction)) @ reference.variances
    deviation = _floored(np.sqrt(np.maximum(variance, 0)))

    values = sample.values.astype(np.float64)
    mean, now = values.mean(axis=0), _floored(values.std(axis=0), deviation)
    kurtosis = (((values - mean) / now) ** 4).mean(axis=0).clip(1.8, 20)
    p = (reference.counts + shares * n + 0.5) / (reference.counts.sum() + n + 1.5)
    of_reference = max(reference.effective, 1.0)
    moved = (mean - expected) / deviation
    return Effects(
        np.concatenate(
            [
                moved[_PLACES],
                np.log(now / deviation)[_PLACES],
                shares - reference.counts / reference.counts.sum(),
                [expected[_CONFIDENCE] - mean[_CONFIDENCE]],
            ]
        ),
        np.concatenate(
            [
                (within / deviation**2 / n)[_PLACES],
                ((kurtosis - 1) / (4 * n))[_PLACES],
                p * (1 - p) / n,
                [within[_CONFIDENCE] / n],
            ]
        ),
        np.concatenate(
            [
                (of_means / deviation**2)[_PLACES],
                ((kurtosis - 1) / (4 * of_reference))[_PLACES],
                p * (1 - p) / of_reference,
                [of_means[_CONFIDENCE]],
            ]
        ),
    )


def _floored(deviation: NDArray[np.float64], of: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return deviations that are none too small to be measured in, float64 (features,).

    Args:
        deviation: What is to have a floor.
        of: The deviations by which the floor of the projections is reckoned, if not these.
    """
    floors = np.array([_FLOORS.get(feature, _FLOOR_OF_APPEARANCE) for feature in FEATURES])
    usual = float(np.median((deviation if of is None else of)[_PROJECTIONS]))
    floors[_PROJECTIONS] = max(_FLOOR_OF_PROJECTION * usual, 1e-3)
    found: NDArray[np.float64] = np.maximum(deviation, floors)
    return found
