"""Scores a picture: detects faces, classifies each, and computes image statistics."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.inference.classify import Classifier
from functions.inference.detect import UNSURE_SCORE, Detector, add_evidence
from functions.inference.image_statistics import image_statistics
from functions.inference.prediction import Box, Classification, Face, Prediction
from functions.shared.contract import LABELS, UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from functions.inference.classify import ClassifierOutput
    from functions.inference.decode import Picture
    from functions.inference.detect import Detections
    from functions.inference.prediction import PredictOptions
    from functions.inference.release import Release

# An attacker can make a picture whose detections are all refused; this limits how many beyond `max_faces` are
# classified.
MAX_REFUSED: Final = 20
# A face in a rotated picture needs a higher score, since six looks more find more that is no face. Chosen on val.
MIN_ROTATED_SCORE: Final = 0.8
MARGIN: Final = 0.45  # added on each side of a face, as a share of its width and height


@dataclass(frozen=True)
class Models:
    """The loaded networks of a release. Not thread-safe."""

    detector: Detector
    classifier: Classifier
    version: str


def load_models(release: Release, threads: int) -> Models:
    """Load a release's networks; `threads` is the number of threads per inference."""
    classifier = Classifier(release.classifier, threads, release.small_classifier)
    unsure_score = UNSURE_SCORE if classifier.has_face_evidence else release.min_score
    detector = Detector(release.detector, release.min_score, threads, unsure_score)
    return Models(detector, classifier, release.version)


@dataclass(frozen=True)
class _View:
    """A picture as detection looked at it, possibly rotated.

    Attributes:
        pixels: RGB (H, W, 3).
        quarters: Clockwise quarter turns from the original.
        detections: The faces, and unsure detections, in these pixels.
    """

    pixels: NDArray[np.uint8]
    quarters: int
    detections: Detections


@dataclass(frozen=True)
class _ClassifiedFace:
    """A face: its box in pixels of the upright picture, its score (0 to 1), and the classifier's output."""

    box: NDArray[np.float32]
    score: float
    output: ClassifierOutput


def score(picture: Picture, models: Models, options: PredictOptions) -> Prediction:
    """Detect the faces in a picture and classify each; classify the whole picture if there is none."""
    started = time.perf_counter()
    view, faces, detection = _find(picture, models, options) if options.detect else (None, [], 0.0)
    if faces:
        outputs = [face.output for face in faces]
    else:
        outputs = [models.classifier.classify(view.pixels if view else picture.pixels)]
    finished = time.perf_counter()
    classifications = [_classification(output, options.min_confidence) for output in outputs]
    return Prediction(
        id=str(uuid.uuid4()),
        classification=classifications[0],
        faces=tuple(
            Face(_box(face.box), round(face.score, 4), classification)
            # A picture without a face has a classification, too.
            for face, classification in zip(faces, classifications, strict=False)
        ),
        rotated=90 * view.quarters if view else 0,
        width=picture.width,
        height=picture.height,
        model_version=models.version,
        projection=tuple(round(value, 4) for value in outputs[0].projection.tolist()),
        statistics=image_statistics(picture.pixels),
        decode_ms=round(picture.decode_ms, 3),
        detect_ms=round(detection * 1e3, 3),
        inference_ms=round((finished - started - detection) * 1e3, 3),
    )


def _find(
    picture: Picture, models: Models, options: PredictOptions
) -> tuple[_View | None, list[_ClassifiedFace], float]:
    """Look at a picture until the classifier confirms a face, or the faces are too small.

    Returns:
        The view, None if it has no face; the faces that are large enough; and the seconds that detection took.
    """
    views, detection = _views(picture.pixels, models.detector), 0.0
    classifications_left = options.max_faces + MAX_REFUSED
    while classifications_left:
        started = time.perf_counter()
        view = next(views, None)
        detection += time.perf_counter() - started
        if view is None:
            break
        boxes = _in_picture(view, picture)
        large = _by_size(boxes, options.min_face)
        tried = large[:classifications_left]
        faces = list(islice(_confirm(view, boxes, tried, models), options.max_faces))
        sure = view.detections.scores >= _min_score(view, models)
        has_only_small_faces = sure.any() and not sure[large].any()
        if faces or has_only_small_faces:
            return view, faces, detection
        classifications_left -= len(tried)
    return None, [], detection


def _views(pixels: NDArray[np.uint8], detector: Detector) -> Iterator[_View]:
    """Yield the views with faces: as it is; a close-up; rotated, as the camera may hang upside down.

    The last are those that have only unsure detections: the picture as it is, and the close-up.
    """
    unsure, rotated = [], []
    for detections in detector.searches(pixels):
        view = _View(pixels, 0, detections)
        if detector.has_face(detections):
            yield view
        elif len(detections.scores):
            unsure.append(view)
    for quarters in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(pixels, -quarters))
        detections = detector.detect(turned)
        if detector.has_face(detections):
            rotated.append(_View(turned, quarters, detections))
    yield from sorted(rotated, key=lambda view: -float(view.detections.scores[0]))
    yield from unsure


def _min_score(view: _View, models: Models) -> float:
    """Return the score from which a detection in a view is taken for a face."""
    return max(models.detector.min_score, MIN_ROTATED_SCORE if view.quarters else 0.0)


def rotate_back(boxes: NDArray[np.float32], quarters: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return boxes (faces, 4: left, top, right, bottom) of a rotated picture in pixels of the original.

    It was rotated by clockwise quarter turns; `size` is its width and height.
    """
    width, height = size
    for _ in range(quarters):
        left, top, right, bottom = boxes.T
        boxes = np.stack([top, width - right, bottom, width - left], axis=1)
        width, height = height, width
    return boxes


def _in_picture(view: _View, picture: Picture) -> NDArray[np.float32]:
    """Return the boxes (faces, 4) of a view in pixels of the upright picture."""
    height, width = picture.pixels.shape[:2]
    boxes = rotate_back(view.detections.boxes, view.quarters, view.pixels.shape[1::-1])
    return np.asarray(boxes * np.array([picture.width / width, picture.height / height] * 2, np.float32))


def _by_size(boxes: NDArray[np.float32], min_face: int) -> NDArray[np.intp]:
    """Return the indexes of the boxes (faces, 4) of at least `min_face` pixels, the largest first."""
    sides = boxes[:, 2:] - boxes[:, :2]
    order = np.argsort(-sides.prod(axis=1), kind="stable")
    return np.asarray(order[sides.min(axis=1)[order] >= min_face])


def _confirm(
    view: _View, boxes: NDArray[np.float32], chosen: Iterable[int], models: Models
) -> Iterator[_ClassifiedFace]:
    """Classify the chosen detections of a view in turn, and yield those that the classifier confirms."""
    for number in chosen:
        detected, box = float(view.detections.scores[number]), view.detections.boxes[number]
        output, score = classify_detection(view.pixels, box, detected, models.classifier)
        if score >= _min_score(view, models):
            yield _ClassifiedFace(boxes[number], score, output)


def classify_detection(
    pixels: NDArray[np.uint8], box: NDArray[np.float32], score: float, classifier: Classifier
) -> tuple[ClassifierOutput, float]:
    """Classify a detection in RGB (H, W, 3); return the output, and the score with the classifier's evidence."""
    output = classifier.classify(crop_with_margin(pixels, box))
    return output, add_evidence(score, output.face_evidence)


def crop_with_margin(pixels: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Crop a face with `MARGIN` around it from RGB (H, W, 3); the box is in its pixels."""
    margin = MARGIN * (box[2:] - box[:2])
    left, top = np.floor(box[:2] - margin).astype(int).clip(0)
    right, bottom = np.ceil(box[2:] + margin).astype(int)
    return pixels[top:bottom, left:right]


def _box(edges: NDArray[np.float32]) -> Box:
    left, top, right, bottom = edges.round().astype(int).tolist()
    return Box(left, top, max(right - left, 1), max(bottom - top, 1))


def _classification(output: ClassifierOutput, min_confidence: float) -> Classification:
    """Round probabilities to four decimals, and adjust the highest so that they sum to 1."""
    rounded = {label: round(p, 4) for label, p in zip(LABELS, output.probabilities, strict=True)}
    top = max(rounded, key=lambda label: rounded[label])
    rounded[top] = round(1 - sum(p for label, p in rounded.items() if label != top), 4)
    label = max(LABELS, key=lambda label: rounded[label])
    confidence = rounded[label]
    return Classification(label if confidence >= min_confidence else UNCERTAIN, confidence, rounded)
