"""What the files in a run's folder are called, for both networks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

STATE: Final = "state.json"  # recipe, data set and the figures of every epoch
CONVERSION: Final = (
    "conversion.json"  # what was converted, how it is calibrated, what it reaches in validation
)
METRICS: Final = "metrics.json"  # on the test pictures
SCORES: Final = "scores.json"  # the few of them that runs are compared by
PREDICTIONS: Final = "predictions.csv"
MISTAKES: Final = "mistakes.png"
LEAVE_ONE_OUT: Final = "leave-one-out.json"  # what to expect of pictures from elsewhere
GATE: Final = "gate.json"
NOTES: Final = "notes.md"  # what a person has to say of the release, for the model card
SERVED: Final = "served.json"  # what a client meets: the whole way from bytes to answers
REPORT: Final = "report"
CLASSIFIER_WEIGHTS: Final = "classifier.weights.h5"
DETECTOR_WEIGHTS: Final = "detector.weights.h5"
DETECTOR: Final = "detector.tflite"
SMALL: Final = "small.tflite"  # the classifier for faces of few pixels, which a run may have


def file_sha256(path: Path) -> str:
    """The hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
