"""Random prediction records, written by the real recorder."""

import contextlib
import io
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from unittest.mock import patch

import numpy as np

from functions.inference.prediction import Box, Classification, Face, Prediction
from functions.inference.record import Recorder
from functions.shared.contract import LABELS, UNCERTAIN
from functions.shared.problem import TOO_LARGE

VERSION = "1.0.0"
PREDICTION = Prediction(
    id="5f0c8a52-7c1e-4b5e-9a53-6a6b1f0f2d11",
    classification=Classification("mask", 0.9, {"mask": 0.9, "no_mask": 0.06, "incorrect": 0.04}),
    faces=(),
    rotated=0,
    width=640,
    height=480,
    model_version="7",
    projection=(0.5,) * 16,
    statistics={"brightness": 0.4, "contrast": 0.2, "sharpness": 0.1, "saturation": 0.3},
    decode_ms=3.1,
    detect_ms=5.3,
    inference_ms=4.2,
)
APPEARANCE = ("brightness", "contrast", "sharpness", "saturation", "noise", "blockiness")


def drawn(
    rng: np.random.Generator,
    time: datetime,
    *,
    label: str | None = None,
    source: str | None = "gate-1",
    version: str = VERSION,
    faces: int = 1,
    min_confidence: float = 0.0,
    prediction_id: str | None = None,
    shift: float = 0.0,
    track: str | None = None,
) -> str:
    """Return the line of a record whose values are random unless given.

    Args:
        rng: Where chance comes from.
        time: When it is said to have been written.
        label: The most probable one.
        source: The camera or site.
        version: Of the model.
        faces: How many were found, each with the same label.
        min_confidence: Below it the label is said to be uncertain.
        prediction_id: The prediction's id.
        shift: Deviations by which the picture's figures are off.
        track: Of the person that the largest face belongs to.
    """
    label = label or str(rng.choice(LABELS))
    confidence = round(rng.uniform(0.5, 1), 4)
    other = round((1 - confidence) * rng.random(), 4)
    rest = iter((other, round(1 - confidence - other, 4)))
    probabilities = {name: confidence if name == label else next(rest) for name in LABELS}
    classification = Classification(
        label if confidence >= min_confidence else UNCERTAIN, confidence, probabilities
    )
    box = Box(10, 20, *rng.integers(40, 200, 2).tolist())
    prediction = Prediction(
        id=prediction_id or str(uuid.UUID(bytes=rng.bytes(16), version=4)),
        classification=classification,
        faces=(Face(box, round(rng.uniform(0.8, 1), 4), classification),) * faces,
        rotated=0,
        width=640,
        height=480,
        model_version=version,
        projection=tuple(round(rng.normal(shift), 4) for _ in range(16)),
        statistics={name: round(0.4 + 0.1 * rng.normal(shift), 4) for name in APPEARANCE},
        decode_ms=3.1,
        detect_ms=5.3,
        inference_ms=4.2,
    )
    recorder = Recorder("MaskWatch", "/predict", version)
    with written_at(time) as written:
        recorder.write_prediction(prediction, source=source, request_id=rng.bytes(8).hex(), track=track)
    return written.getvalue()


def refused(time: datetime) -> str:
    """Return the line of a refused request."""
    with written_at(time) as written:
        Recorder("MaskWatch", "/predict", VERSION).write_refusal(TOO_LARGE, request_id="r")
    return written.getvalue()


def parsed(line: str) -> Mapping[str, Any]:
    """Return the record of a line."""
    result: Mapping[str, Any] = json.loads(line)
    return result


@contextlib.contextmanager
def written_at(time: datetime):
    written = io.StringIO()
    with patch("functions.inference.record.time.time", time.timestamp), contextlib.redirect_stdout(written):
        yield written
