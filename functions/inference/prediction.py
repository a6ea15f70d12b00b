"""What is asked about a picture, and what is answered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.shared.contract import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MAX_FACES: Final = 50
MAX_FACES: Final = 400  # the detector considers no more; a crowd has some 100


@dataclass(frozen=True)
class PredictOptions:
    """How a picture is scored.

    Attributes:
        min_confidence: Below it, 0 to 1, a label is `uncertain`.
        detect: Whether to look for faces; false where the picture is a cut-out face.
        max_faces: How many faces to classify at most, the largest first.
        min_face: Pixels of the original that a face's shorter side must have to be classified.
    """

    min_confidence: float = 0.0
    detect: bool = True
    max_faces: int = DEFAULT_MAX_FACES
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
    """A detected face: its box, the detector's score (0 to 1), and how its mask is worn."""

    box: Box
    detection_confidence: float
    verdict: Verdict


@dataclass(frozen=True)
class Prediction:
    """What was found in a picture, and what is kept about it.

    Attributes:
        id: A UUID; names the prediction in the answer, the record and feedback about it.
        verdict: On the largest face, or on the whole picture where no face was found.
        faces: Largest first.
        rotated: Degrees, clockwise, that the picture had to be turned by before a face was found in it; mostly 0.
        width: Of the upright original, in pixels.
        height: Of the upright original, in pixels.
        model_version: Of the release that made it.
        projection: Features of what the verdict is on, in 16 numbers, for drift detection.
        statistics: Numbers that describe the picture, see `image_statistics`.
        decode_ms: From bytes to pixels.
        detect_ms: From pixels to faces.
        inference_ms: From faces to verdicts.
    """

    id: str
    verdict: Verdict
    faces: tuple[Face, ...]
    rotated: int
    width: int
    height: int
    model_version: str
    projection: tuple[float, ...]
    statistics: Mapping[str, float]
    decode_ms: float
    detect_ms: float
    inference_ms: float

    def as_json(self) -> dict[str, Any]:
        """Return the answer that clients get."""
        return {
            "prediction_id": self.id,
            **asdict(self.verdict),
            "classified": "face" if self.faces else "picture",
            "image": {"width": self.width, "height": self.height},
            "rotated": self.rotated,
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
        """The number of faces, and of faces with each label."""
        labels = [face.verdict.label for face in self.faces]
        return {"faces": len(labels)} | {label: labels.count(label) for label in OUTCOMES}
