"""Scores a picture: detects faces, classifies each, and computes image statistics."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.inference.classify import Classifier
from functions.inference.detect import Detections, Detector
from functions.inference.image_statistics import image_statistics
from functions.inference.prediction import Box, Face, Prediction, Verdict
from functions.shared.contract import LABELS, UNCERTAIN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from functions.inference.classify import Classification
    from functions.inference.decode import Picture
    from functions.inference.prediction import PredictOptions
    from functions.inference.release import Release

MARGIN: Final = 0.45  # added on each side of a face, as a share of its width and height


@dataclass(frozen=True)
class Models:
    """The loaded networks of a release. Not thread-safe."""

    detector: Detector
    classifier: Classifier
    version: str


def load_models(release: Release, threads: int) -> Models:
    """Load a release's networks; `threads` is the number of threads per inference."""
    return Models(
        Detector(release.detector, release.min_detection, threads),
        Classifier(release.classifier, threads, release.small_classifier),
        release.version,
    )


@dataclass(frozen=True)
class _View:
    """A picture, rotated so that its faces are upright.

    Attributes:
        pixels: RGB (H, W, 3).
        quarters: Clockwise quarter turns from the original.
        found: The faces, in these pixels.
    """

    pixels: NDArray[np.uint8]
    quarters: int
    found: Detections


def score(picture: Picture, models: Models, options: PredictOptions) -> Prediction:
    """Detect the faces in a picture and classify each; classify the whole picture if there is none."""
    started = time.perf_counter()
    view = _upright(picture.pixels, models.detector) if options.detect else _without_detection(picture.pixels)
    boxes = rotate_back(view.found.boxes, view.quarters, view.pixels.shape[1::-1])
    height, width = picture.pixels.shape[:2]
    boxes = boxes * np.array([picture.width / width, picture.height / height] * 2, np.float32)
    chosen = _chosen(boxes, options)
    detected = time.perf_counter()
    crops = [crop_with_margin(view.pixels, box) for box in view.found.boxes[chosen]] or [view.pixels]
    results = models.classifier.classify(crops)
    finished = time.perf_counter()
    verdicts = [_verdict(result, options.min_confidence) for result in results]
    return Prediction(
        id=str(uuid.uuid4()),
        verdict=verdicts[0],
        faces=tuple(
            Face(_box(box), round(float(detection_score), 4), verdict)
            for box, detection_score, verdict in zip(
                boxes[chosen], view.found.scores[chosen], verdicts, strict=False
            )
        ),
        rotated=90 * view.quarters,
        width=picture.width,
        height=picture.height,
        model_version=models.version,
        projection=tuple(round(value, 4) for value in results[0].projection.tolist()),
        statistics=image_statistics(picture.pixels),
        decode_ms=round(picture.decode_ms, 3),
        detect_ms=round((detected - started) * 1e3, 3),
        inference_ms=round((finished - detected) * 1e3, 3),
    )


def _without_detection(pixels: NDArray[np.uint8]) -> _View:
    return _View(pixels, 0, Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)))


def _upright(pixels: NDArray[np.uint8], detector: Detector) -> _View:
    """Detect faces; if there are none, try the rotated picture, because the camera may hang upside down."""
    view = _View(pixels, 0, detector.detect(pixels))
    if len(view.found.scores):
        return view
    for quarters in (1, 2, 3):
        rotated = np.ascontiguousarray(np.rot90(pixels, -quarters))
        found = detector.detect(rotated)
        if found.scores.max(initial=0) > view.found.scores.max(initial=0):
            view = _View(rotated, quarters, found)
    return view


def rotate_back(boxes: NDArray[np.float32], quarters: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return boxes (faces, 4) of a rotated picture in pixels of the original.

    Args:
        boxes: Left, top, right, bottom in pixels of the rotated picture.
        quarters: Clockwise quarter turns of the rotated picture.
        size: Width and height of the rotated picture.
    """
    width, height = size
    for _ in range(quarters):
        left, top, right, bottom = boxes.T
        boxes = np.stack([top, width - right, bottom, width - left], axis=1)
        width, height = height, width
    return boxes


def _chosen(boxes: NDArray[np.float32], options: PredictOptions) -> NDArray[np.intp]:
    """Return the indexes of the boxes (faces, 4) to classify, the largest first."""
    sides = boxes[:, 2:] - boxes[:, :2]
    order = np.argsort(-sides.prod(axis=1), kind="stable")
    large_enough = sides.min(axis=1)[order] >= options.min_face
    return np.asarray(order[large_enough][: options.max_faces])


def crop_with_margin(pixels: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Crop a face with `MARGIN` around it from RGB (H, W, 3); the box is in its pixels."""
    margin = MARGIN * (box[2:] - box[:2])
    left, top = np.floor(box[:2] - margin).astype(int).clip(0)
    right, bottom = np.ceil(box[2:] + margin).astype(int)
    return pixels[top:bottom, left:right]


def _box(edges: NDArray[np.float32]) -> Box:
    left, top, right, bottom = edges.round().astype(int).tolist()
    return Box(left, top, max(right - left, 1), max(bottom - top, 1))


def _verdict(result: Classification, min_confidence: float) -> Verdict:
    """Round probabilities to four decimals, and adjust the highest so that they sum to 1."""
    rounded = {label: round(p, 4) for label, p in zip(LABELS, result.probabilities, strict=True)}
    top = max(rounded, key=lambda label: rounded[label])
    rounded[top] = round(1 - sum(p for label, p in rounded.items() if label != top), 4)
    label = max(LABELS, key=lambda label: rounded[label])
    confidence = rounded[label]
    return Verdict(label if confidence >= min_confidence else UNCERTAIN, confidence, rounded)
