"""One picture to one prediction, whichever way the picture came."""

from __future__ import annotations

import math
import time
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.inference.classify import Classifier
from functions.inference.detect import Detector
from functions.inference.release import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from functions.inference.classify import Classification
    from functions.inference.decode import Picture
    from functions.inference.release import Release

UNCERTAIN: Final = "uncertain"
MARGIN: Final = 0.2  # of a face's sides, that it is cut out with on each of them
MAX_FACES: Final = 50
APPEARANCE_SIDE: Final = (
    224  # of a square with as many pixels as are read of a picture to describe it, at most
)
MIDDLE: Final = 256  # pixels a side of what is looked at closely
EDGE: Final = 16  # of 255; a larger step is an edge rather than noise
BLOCK: Final = 8  # pixels a side that JPEG compresses together
_FLAT: Final = 0.05  # of 255; where steps are no higher than that there is nothing to compare


@dataclass(frozen=True)
class Models:
    """A release, loaded. Not for two threads at once."""

    detector: Detector
    classifier: Classifier
    version: str


def load_models(release: Release, threads: int) -> Models:
    """Load a release's networks, each inference to run in so many threads."""
    return Models(
        Detector(release.detector, release.min_detection, threads),
        Classifier(release.classifier, threads),
        release.version,
    )


@dataclass(frozen=True)
class Question:
    """What is asked about a picture.

    Attributes:
        min_confidence: Below it, 0 to 1, a label is `uncertain`.
        detect: Whether to look for faces; not to, when the picture is one.
        max_faces: How many faces to judge at most, the largest first.
        min_face: Pixels of the original that a face's shorter side must have to be judged.
    """

    min_confidence: float = 0.0
    detect: bool = True
    max_faces: int = MAX_FACES
    min_face: int = 0


@dataclass(frozen=True)
class Verdict:
    """How a mask is worn.

    Attributes:
        label: One of the labels, or `uncertain`.
        confidence: The highest probability.
        probabilities: By label, to four decimals, summing to 1.
    """

    label: str
    confidence: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Box:
    """Where a face is, in pixels of the upright original."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Face:
    """A face that was found: where, how surely it is one (0 to 1), and how its mask is worn."""

    box: Box
    detection_confidence: float
    verdict: Verdict


@dataclass(frozen=True)
class Prediction:
    """What was found in a picture, and what is remembered of it.

    Attributes:
        id: A UUID; names the prediction in the answer, the record and feedback about it.
        verdict: On the largest face, or where there is none on the whole picture.
        faces: Largest first.
        width: Of the upright original, in pixels.
        height: Of the upright original, in pixels.
        model_version: Of the release that made it.
        projection: Features of what the verdict is on, in 16 numbers, for drift detection.
        appearance: Numbers that describe the picture, see `appearance`.
        decode_ms: From bytes to pixels.
        detect_ms: From pixels to faces.
        inference_ms: From faces to verdicts.
    """

    id: str
    verdict: Verdict
    faces: tuple[Face, ...]
    width: int
    height: int
    model_version: str
    projection: tuple[float, ...]
    appearance: Mapping[str, float]
    decode_ms: float
    detect_ms: float
    inference_ms: float

    def as_json(self) -> dict[str, Any]:
        """What a client is told."""
        return {
            "prediction_id": self.id,
            **asdict(self.verdict),
            "classified": "face" if self.faces else "picture",
            "image": {"width": self.width, "height": self.height},
            "faces": [
                {
                    "box": asdict(face.box),
                    "detection_confidence": face.detection_confidence,
                    **asdict(face.verdict),
                }
                for face in self.faces
            ],
            "summary": self.summary,
            "model_version": self.model_version,
        }

    @property
    def summary(self) -> dict[str, int]:
        """How many faces there are, and how many with each label."""
        labels = [face.verdict.label for face in self.faces]
        return {"faces": len(labels)} | {label: labels.count(label) for label in (*LABELS, UNCERTAIN)}


def score(picture: Picture, models: Models, question: Question, *, decode_ms: float) -> Prediction:
    """Find the faces in a picture and judge each; where there is none, judge the whole picture."""
    started = time.perf_counter()
    boxes, certainties = _faces(picture, models, question)
    detected = time.perf_counter()
    height, width = picture.pixels.shape[:2]
    scale = np.array([width / picture.width, height / picture.height] * 2)
    crops = [cut(picture.pixels, box * scale) for box in boxes] or [picture.pixels]
    results = models.classifier.classify(crops)
    finished = time.perf_counter()
    verdicts = [_verdict(result, question.min_confidence) for result in results]
    return Prediction(
        id=str(uuid.uuid4()),
        verdict=verdicts[0],
        faces=tuple(
            Face(_box(box), round(float(certainty), 4), verdict)
            for box, certainty, verdict in zip(boxes, certainties, verdicts, strict=False)
        ),
        width=picture.width,
        height=picture.height,
        model_version=models.version,
        projection=tuple(round(value, 4) for value in results[0].projection.tolist()),
        appearance=appearance(picture.pixels),
        decode_ms=round(decode_ms, 3),
        detect_ms=round((detected - started) * 1e3, 3),
        inference_ms=round((finished - detected) * 1e3, 3),
    )


def _faces(
    picture: Picture, models: Models, question: Question
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes in pixels of the original (faces, 4), largest first, and how surely each is a face."""
    if not question.detect:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    found = models.detector.detect(picture.pixels)
    height, width = picture.pixels.shape[:2]
    boxes = found.boxes * np.array([picture.width / width, picture.height / height] * 2, np.float32)
    sides = boxes[:, 2:] - boxes[:, :2]
    order = np.argsort(-sides.prod(axis=1), kind="stable")
    order = order[sides.min(axis=1)[order] >= question.min_face][: question.max_faces]
    return boxes[order], found.scores[order]


def cut(pixels: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A face with `MARGIN` around it, RGB (h, w, 3), of a picture (H, W, 3) and a box in its pixels."""
    margin = MARGIN * (box[2:] - box[:2])
    left, top = np.floor(box[:2] - margin).astype(int).clip(0)
    right, bottom = np.ceil(box[2:] + margin).astype(int)
    return pixels[top:bottom, left:right]


def _box(edges: NDArray[np.float32]) -> Box:
    left, top, right, bottom = edges.round().astype(int).tolist()
    return Box(left, top, max(right - left, 1), max(bottom - top, 1))


def _verdict(result: Classification, min_confidence: float) -> Verdict:
    """Probabilities to four decimals; the highest takes up what rounding would add or lose."""
    rounded = {label: round(p, 4) for label, p in zip(LABELS, result.probabilities, strict=True)}
    top = max(rounded, key=lambda label: rounded[label])
    rounded[top] = round(1 - sum(p for label, p in rounded.items() if label != top), 4)
    label = max(LABELS, key=lambda label: rounded[label])
    confidence = rounded[label]
    return Verdict(label if confidence >= min_confidence else UNCERTAIN, confidence, rounded)


def appearance(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Numbers that tell pictures of one camera from another's; drift is measured on them.

    Brightness and contrast are the mean and the deviation of the grey value, sharpness is the deviation of its
    Laplacian. These and the mean saturation are of the whole picture, of which only every so manieth pixel is read.
    Of the middle, pixel by pixel, are noise, the mean step that is left when slopes are taken away (it counts for no
    more than `EDGE`, so that edges hardly do), and blockiness, see there.

    Args:
        pixels: RGB (H, W, 3), each side at least 32.

    Returns:
        By name; white is 1.
    """
    height, width = pixels.shape[:2]
    step = max(math.ceil(math.sqrt(height * width) / APPEARANCE_SIDE), 1)
    red, green, blue = np.ascontiguousarray(pixels[::step, ::step].transpose(2, 0, 1))
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    grey = np.float32(0.299 / 255) * red + np.float32(0.587 / 255) * green + np.float32(0.114 / 255) * blue
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    top, left = max((height - MIDDLE) // 2, 0), max((width - MIDDLE) // 2, 0)
    middle = pixels[top : top + MIDDLE, left : left + MIDDLE, 1].astype(np.int16)
    across, down = np.diff(middle, axis=1), np.diff(middle, axis=0)
    measured = {
        "brightness": grey.mean(),
        "contrast": grey.std(),
        "sharpness": laplacian.std(),
        "saturation": ((highest - lowest) / np.maximum(highest, 1).astype(np.float32)).mean(),
        "noise": np.minimum(np.abs(np.diff(across, axis=0)), EDGE).mean() / 255,
        "blockiness": (_blockiness(np.abs(across).mean(axis=0)) + _blockiness(np.abs(down).mean(axis=1))) / 2,
    }
    return {name: round(float(value), 4) for name, value in measured.items()}


def _blockiness(steps: NDArray[np.float64]) -> float:
    """By how much grey values jump more at the edges of a JPEG's blocks than within them, 0 to 1.

    Args:
        steps: Mean height of the step from each column (or row) of pixels to the next, (n,).
    """
    by_phase = (
        steps[: len(steps) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=0)
    )  # wherever the first block begins
    ascending = sorted(by_phase.tolist())
    return float(1 - (ascending[BLOCK // 2] + _FLAT) / (ascending[-1] + _FLAT))
