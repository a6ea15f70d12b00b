"""The features of a prediction record that are compared: image statistics, faces, confidence and embedding."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, log2
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

APPEARANCE: Final = ("brightness", "contrast", "sharpness", "saturation", "noise", "blockiness")
INPUTS: Final = (*APPEARANCE, "size", "shape", "faces", "face_side")
CONFIDENCE: Final = "confidence"
PROJECTIONS: Final = tuple(f"projection_{number}" for number in range(16))
FEATURES: Final = (*INPUTS, CONFIDENCE, *PROJECTIONS)
TITLES: Final[Mapping[str, str]] = {  # of the features whose names are not titles
    "blockiness": "JPEG blockiness",
    "size": "picture size",
    "shape": "width by height",
    "faces": "faces found",
    "face_side": "largest face",
}
_MIN_CORRELATED: Final = 8  # predictions, to estimate their autocorrelation
_LENGTHS: Final = frozenset({"size", "face_side"})


@dataclass(frozen=True)
class Sample:
    """Predictions in chronological order.

    Attributes:
        values: Their features, float32 (n, len(FEATURES)).
        labels: The most probable label of each, as its index in `LABELS`, int8 (n,).
        predictions: How many predictions the sample was drawn from.
        effective: The effective number of independent predictions, see `effective_number`.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.int8]
    predictions: int
    effective: float

    def label_counts(self) -> dict[str, int]:
        """Return the number of predictions by label."""
        counts = np.bincount(self.labels, minlength=len(LABELS)).tolist()
        return dict(zip(LABELS, counts, strict=True))


def to_sample(records: Sequence[Mapping[str, Any]]) -> Sample:
    """Return a sample of independent prediction records.

    Raises:
        ValueError: A record lacks a feature.
    """
    values = np.array([features(record) for record in records], np.float32).reshape(-1, len(FEATURES))
    labels = np.array([label_index(record["probabilities"]) for record in records], np.int8)
    return Sample(values, labels, len(records), float(len(records)))


def merge(samples: Iterable[Sample]) -> Sample:
    """Return several samples as one."""
    parts = list(samples)
    if not parts:
        return to_sample([])
    return Sample(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.labels for part in parts]),
        sum(part.predictions for part in parts),
        sum(part.effective for part in parts),
    )


def effective_number(values: NDArray[np.float32]) -> float:
    """Return the effective number of independent predictions of a source.

    The mean of n predictions with correlation r between neighbours varies like that of n (1 - r) / (1 + r)
    independent ones (Bayley and Hammersley 1946). r is averaged over the features.

    Args:
        values: Features in chronological order, float32 (n, len(FEATURES)).
    """
    n = len(values)
    if n < _MIN_CORRELATED:
        return float(n)
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    spread = (centred**2).sum(axis=0)
    varying = spread > 0
    if not varying.any():
        return 1.0
    r = float(((centred[1:] * centred[:-1]).sum(axis=0)[varying] / spread[varying]).mean())
    return max(n * (1 - r) / (1 + r), 1.0) if r > 0 else float(n)


def label_index(probabilities: Mapping[str, float]) -> int:
    """Return the index in `LABELS` of the most probable label; the first of equals, as in an answer."""
    return max(range(len(LABELS)), key=lambda index: probabilities[LABELS[index]])


def features(record: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the features of a prediction record in the order of `FEATURES`.

    Sizes are logarithms to base 2: `size` of the side of a square with as many pixels, `shape` of width / height,
    `face_side` of the shorter side of the largest face. `face_side` is 0 if there is no face.

    Raises:
        ValueError: A feature is missing or not a finite number.
    """
    try:
        image, faces = record["image"], record["faces"]
        width, height = (_number(image[side]) for side in ("width", "height"))
        measured = (
            *(_number(image[name]) for name in APPEARANCE),
            log2(width * height) / 2,
            log2(width / height),
            float(len(faces)),
            log2(_number(faces[0]["side"])) if faces else 0.0,
            max(_number(p) for p in record["probabilities"].values()),
            *(_number(value) for value in record["projection"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"the record has no features: {error!r}") from error
    if not all(map(isfinite, measured)):
        raise ValueError("the record has a feature that is not finite")
    if len(measured) != len(FEATURES):
        raise ValueError(f"the record's projection does not have {len(PROJECTIONS)} numbers")
    return measured


def format_value(feature: str, value: float) -> str:
    """Return a feature's value as text for people: sizes in pixels, not as logarithms."""
    if feature in _LENGTHS:
        return f"{2**value:.0f} px" if value else "none"
    if feature == "shape":
        return f"{2**value:.2f}"
    return f"{value:.1%}" if feature == CONFIDENCE else f"{value:.3g}"


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
