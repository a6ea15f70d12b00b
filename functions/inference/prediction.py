"""The options and the result of scoring a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.shared.contract import ANSWER_LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MAX_FACES: Final = 50
MAX_FACES: Final = 400  # the detector's limit; a crowd has about 100


@dataclass(frozen=True)
class PredictOptions:
    """How a picture is scored.

    Attributes:
        min_confidence: The confidence, 0 to 1, below which a label is `uncertain`.
        detect: Whether to detect faces; false if the picture is a cropped face.
        max_faces: Maximum number of faces to return, the largest first.
        min_face: Minimum length of a face's shorter side, in pixels of the original.
    """

    min_confidence: float = 0.0
    detect: bool = True
    max_faces: int = DEFAULT_MAX_FACES
    min_face: int = 0


@dataclass(frozen=True)
class Classification:
    """How a mask is worn, as an answer says it.

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
    """The box of a face, in pixels of the upright original."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Face:
    """A detected face: its box, its score (0 to 1), and how its mask is worn."""

    box: Box
    detection_confidence: float
    classification: Classification


@dataclass(frozen=True)
class Prediction:
    """The result of scoring a picture.

    Attributes:
        id: A UUID, which identifies the prediction in the answer, the record and feedback.
        classification: That of the largest face, or of the whole picture if no face was found.
        faces: Faces, largest first.
        rotated: Degrees by which the picture was rotated clockwise to find faces; mostly 0.
        width: Width of the upright original, in pixels.
        height: Height of the upright original, in pixels.
        model_version: The release that made the prediction.
        projection: The classifier's projection of the face or picture that `classification` is of, 16 numbers.
        statistics: See `image_statistics`.
        decode_ms: Time of decoding.
        detect_ms: Time of detection.
        inference_ms: Time of classification.
    """

    id: str
    classification: Classification
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

    def to_dict(self) -> dict[str, Any]:
        """Return the answer that clients get."""
        return {
            "prediction_id": self.id,
            **asdict(self.classification),
            "classified": "face" if self.faces else "picture",
            "image": {"width": self.width, "height": self.height},
            "rotated": self.rotated,
            "faces": [
                {
                    "box": asdict(face.box),
                    "detection_confidence": face.detection_confidence,
                    **asdict(face.classification),
                }
                for face in self.faces
            ],
            "summary": self.summary,
            "model_version": self.model_version,
        }

    @property
    def summary(self) -> dict[str, int]:
        """The number of faces, and of faces with each label."""
        labels = [face.classification.label for face in self.faces]
        return {"faces": len(labels)} | {label: labels.count(label) for label in ANSWER_LABELS}
