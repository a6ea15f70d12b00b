"""A prediction record as numbers to compare: what the picture was like, what the network made of it, how surely."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, log2
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

APPEARANCE: Final = ("brightness", "contrast", "sharpness", "saturation", "noise", "blockiness")
OF_FACES: Final = ("faces", "face_side")  # 0 where there is none
INPUTS: Final = (*APPEARANCE, "size", "shape", *OF_FACES)
CONFIDENCE: Final = "confidence"
PROJECTIONS: Final = tuple(f"projection_{number}" for number in range(16))
FEATURES: Final = (*INPUTS, CONFIDENCE, *PROJECTIONS)
TITLES: Final[Mapping[str, str]] = {
    "brightness": "brightness",
    "contrast": "contrast",
    "sharpness": "sharpness",
    "saturation": "saturation",
    "noise": "noise",
    "blockiness": "JPEG blockiness",
    "size": "picture size",
    "shape": "width by height",
    "faces": "faces found",
    "face_side": "largest face",
    "confidence": "confidence",
}
_LENGTHS: Final = frozenset({"size", "face_side"})


@dataclass(frozen=True)
class Sample:
    """Predictions, as many of them as were kept.

    Attributes:
        values: Their features, float32 (n, len(FEATURES)).
        labels: The most probable label of each, (n,).
        seen: How many predictions these were taken from.
    """

    values: NDArray[np.float32]
    labels: tuple[str, ...]
    seen: int


def features(record: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the features of a prediction record, in the order of `FEATURES`.

    Sizes are logarithms to base 2: `size` of the side of a square with as many pixels, `shape` of width by height,
    `face_side` of the shorter side of the largest face, which is 0 where there is none.

    Raises:
        ValueError: The record lacks one, or it is no number.
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
    if len(measured) != len(FEATURES):
        raise ValueError(f"the record's projection has not {len(PROJECTIONS)} numbers")
    return measured


def shown(feature: str, value: float) -> str:
    """Return a feature's value as people read it: sizes in pixels, not as logarithms."""
    if feature in _LENGTHS:
        return f"{2**value:.0f} px" if value else "none"
    if feature == "shape":
        return f"{2**value:.2f}"
    return f"{value:.1%}" if feature == CONFIDENCE else f"{value:.3g}"


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
