"""Writes records of past days into the bucket, as Firehose does."""

import gzip
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time

import numpy as np

from functions.inference.decode import decode
from functions.inference.fetch import open_release
from functions.inference.prediction import Prediction, PredictOptions
from functions.inference.record import Recorder
from functions.inference.score import load_models, score
from functions.shared.contract import day_prefix
from tests.records import written_at
from tests.rehearsal.environment import STACK
from tests.system import System

PICTURES = 30  # per camera and day, one a minute


def predict(pictures: Iterable[bytes]) -> list[Prediction]:
    """Return the predictions of the image's release for pictures."""
    models = load_models(open_release(""), threads=1)
    return [score(decode(picture), models, PredictOptions()) for picture in pictures]


def put_records(system: System, day: date, seen: Mapping[str, Sequence[Prediction]]) -> None:
    """Write the records of a day, on which each camera took some of its pictures at random."""
    rng = np.random.default_rng(day.toordinal())
    version = next(iter(seen.values()))[0].model_version
    recorder, lines = Recorder(f"MaskWatch/{STACK}", "/predict", version), []
    for camera, predictions in seen.items():
        for minute, number in enumerate(rng.integers(len(predictions), size=PICTURES)):
            prediction = replace(predictions[number], id=str(uuid.uuid4()))
            with written_at(datetime.combine(day, time(9, minute), UTC)) as written:
                recorder.write_prediction(prediction, source=camera, request_id="rehearsal")
            lines.append(written.getvalue())
    body = gzip.compress("".join(lines).encode())
    system.client("s3").put_object(
        Bucket=system.outputs["RecordsBucket"], Key=f"{day_prefix(day)}rehearsal.gz", Body=body
    )
