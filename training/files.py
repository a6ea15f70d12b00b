"""Names of the files in a run's folder, for both networks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LOCK: Final = ".lock"  # of the process that trains it
STATE: Final = "state.json"  # recipe, data set and the figures of every epoch
CONVERSION: Final = "conversion.json"  # the converted files, their calibration and validation figures
METRICS: Final = "metrics.json"  # all figures on the test pictures
MAIN_FIGURES: Final = "scores.json"  # the main figures, by which runs are compared
PREDICTIONS: Final = "predictions.csv"
MISTAKES: Final = "mistakes.png"
LEAVE_ONE_OUT: Final = "leave-one-out.json"  # figures on sources that were left out of training
GATE: Final = "gate.json"
NOTES: Final = "notes.md"  # a person's notes on the release, for the model card
SERVED: Final = "served.json"  # figures of the served path, from bytes to answers
REPORT: Final = "report"
CLASSIFIER_WEIGHTS: Final = "classifier.weights.h5"
DETECTOR_WEIGHTS: Final = "detector.weights.h5"
DETECTOR: Final = "detector.tflite"
SMALL: Final = "small.tflite"  # the optional classifier for small faces


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
