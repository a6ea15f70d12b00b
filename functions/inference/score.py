"""One picture's bytes to one prediction, whichever way the picture came."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from functions.inference.classify import resize
from functions.inference.decode import decode
from functions.inference.release import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from functions.inference.classify import Classifier
    from functions.inference.release import Release

UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Prediction:
    """What was found in a picture, and what is remembered of it.

    Attributes:
        id: A UUID; names the prediction in the answer, the record and feedback about it.
        label: One of the labels, or `uncertain`.
        confidence: The highest probability.
        probabilities: By label, to four decimals, summing to 1.
        width: Of the upright original, in pixels.
        height: Of the upright original, in pixels.
        model_version: Of the release that made it.
        projection: The last features in 16 numbers, for drift detection.
        appearance: Brightness, contrast, sharpness and saturation, see `appearance`.
        decode_ms: From bytes to pixels.
        inference_ms: From pixels to probabilities.
    """

    id: str
    label: str
    confidence: float
    probabilities: Mapping[str, float]
    width: int
    height: int
    model_version: str
    projection: tuple[float, ...]
    appearance: Mapping[str, float]
    decode_ms: float
    inference_ms: float


def score(image: bytes, classifier: Classifier, release: Release, min_confidence: float) -> Prediction:
    """Decode a picture and classify the whole of it.

    Raises:
        Rejected: The bytes are not a picture that can be scored.
    """
    started = time.perf_counter()
    picture = decode(image)
    decoded = time.perf_counter()
    pixels = resize(picture.pixels, release.input_size)
    result = classifier.classify([pixels])[0]
    finished = time.perf_counter()
    probabilities = _rounded(result.probabilities)
    label = max(LABELS, key=lambda label: probabilities[label])
    confidence = probabilities[label]
    return Prediction(
        id=str(uuid.uuid4()),
        label=label if confidence >= min_confidence else UNCERTAIN,
        confidence=confidence,
        probabilities=probabilities,
        width=picture.width,
        height=picture.height,
        model_version=release.version,
        projection=tuple(round(value, 4) for value in result.projection.tolist()),
        appearance=appearance(pixels),
        decode_ms=round((decoded - started) * 1e3, 3),
        inference_ms=round((finished - decoded) * 1e3, 3),
    )


def _rounded(probabilities: tuple[float, float, float]) -> dict[str, float]:
    """To four decimals; the highest takes up what rounding would add or lose, so that the sum stays 1."""
    rounded = {label: round(p, 4) for label, p in zip(LABELS, probabilities, strict=True)}
    top = max(rounded, key=lambda label: rounded[label])
    rounded[top] = round(1 - sum(p for label, p in rounded.items() if label != top), 4)
    return rounded


def appearance(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Numbers that tell pictures of one camera from another's; drift is measured on them.

    Args:
        pixels: RGB (H, W, 3), resized as for the classifier, so that sharpness compares.

    Returns:
        Mean and deviation of the grey value, deviation of its Laplacian, mean saturation; white is 1.
    """
    image = Image.fromarray(pixels)
    grey = np.asarray(image.convert("L"), np.float32) / 255
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    measured = {
        "brightness": grey.mean(),
        "contrast": grey.std(),
        "sharpness": laplacian.std(),
        "saturation": np.asarray(image.convert("HSV"))[..., 1].mean() / 255,
    }
    return {name: round(float(value), 4) for name, value in measured.items()}
