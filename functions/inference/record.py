"""Prediction records: one JSON line per prediction or refusal, with its CloudWatch metrics (EMF)."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from functions.shared.contract import RECORD_TIME
from functions.shared.emf import emf_line, write_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.inference.prediction import Prediction
    from functions.shared.problem import Problem

_DIMENSIONS = ["route"]  # few, because every combination of values is a metric with a price
_UNITS = {
    "DecodeTime": "Milliseconds",
    "DetectTime": "Milliseconds",
    "InferenceTime": "Milliseconds",
    "Confidence": "None",
}


class Recorder:
    """Writes the records of one process to standard output. Thread-safe."""

    def __init__(self, namespace: str, route: str, model_version: str) -> None:
        self._namespace, self._route, self._model_version = namespace, route, model_version
        self._lines = itertools.count()  # unlike a flag, it has its first value for one thread only

    def write_prediction(
        self,
        prediction: Prediction,
        *,
        source: str | None,
        request_id: str,
        track: str | None = None,
        uploaded: datetime | None = None,
        rescored: bool = False,
    ) -> None:
        """Write the record of a prediction.

        `uploaded` is when the picture was uploaded to the bucket, None for one sent to the API; `rescored` is whether
        another release has scored the same bytes from the same source before.
        """
        count = dict(prediction.summary)
        metrics = {
            "Pictures": 1,
            "Faces": count.pop("faces"),
            **{_metric("Faces", label): number for label, number in count.items()},
            "Confidence": prediction.classification.confidence,
            "DecodeTime": prediction.decode_ms,
            "DetectTime": prediction.detect_ms,
            "InferenceTime": prediction.inference_ms,
        }
        record = {
            **_times(uploaded),
            **({"rescored": True} if rescored else {}),
            **to_record(prediction, source, track),
        }
        self._write(request_id, prediction.model_version, record, metrics)

    def write_shadow(
        self,
        shadow: Prediction,
        answer: Prediction,
        *,
        source: str | None,
        request_id: str,
        uploaded: datetime | None = None,
    ) -> None:
        """Write the record of a shadow prediction.

        It has no `prediction_id`, so that it is not counted as a prediction.
        """
        record = {
            **_times(uploaded),
            "shadow_of": answer.id,
            "live": {"model_version": answer.model_version, "label": answer.classification.label},
            "source": source,
            "label": shadow.classification.label,
            "probabilities": shadow.classification.probabilities,
            "faces": _faces(shadow),
            "DetectTime": shadow.detect_ms,
            "InferenceTime": shadow.inference_ms,
        }
        agrees = shadow.classification.label == answer.classification.label
        self._write(request_id, shadow.model_version, record, {"Shadows": 1, "ShadowsAgreeing": int(agrees)})

    def write_refusal(self, problem: Problem, *, request_id: str, source: str | None = None) -> None:
        """Write the record of a refusal; `source` is None if there is none, or the request could not be parsed."""
        self._write(
            request_id,
            self._model_version,
            {"rejected": problem.identifier, "source": source},
            {"Rejected": 1, _metric("Rejected", problem.identifier): 1},
        )

    def _write(
        self, request_id: str, model_version: str, record: Mapping[str, Any], metrics: dict[str, float]
    ) -> None:
        if next(self._lines) == 0:
            metrics["ColdStart"] = 1
        now = time.time()
        members = {
            RECORD_TIME: datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
            "request_id": request_id,
            "route": self._route,
            "model_version": model_version,
            **record,
        }
        write_line(emf_line(self._namespace, now, _DIMENSIONS, members, metrics, _UNITS))


def to_record(prediction: Prediction, source: str | None, track: str | None = None) -> dict[str, Any]:
    """Return the fields of a record that describe a prediction and its picture, but never contain the picture."""
    return {
        "prediction_id": prediction.id,
        "source": source,
        **({"track": track} if track else {}),
        "label": prediction.classification.label,
        "probabilities": prediction.classification.probabilities,
        "faces": _faces(prediction),
        "image": {"width": prediction.width, "height": prediction.height, **prediction.statistics},
        "projection": prediction.projection,
    }


def _faces(prediction: Prediction) -> list[dict[str, Any]]:
    return [
        {
            "side": min(face.box.width, face.box.height),
            "detection_confidence": face.detection_confidence,
            "label": face.classification.label,
            "confidence": face.classification.confidence,
        }
        for face in prediction.faces
    ]


def _times(uploaded: datetime | None) -> dict[str, str]:
    return {"uploaded": uploaded.astimezone(UTC).isoformat()} if uploaded else {}


def _metric(kind: str, name: str) -> str:
    """Return a metric's name: `RejectedTooLarge` for `Rejected` and `too-large`."""
    return kind + name.replace("_", "-").title().replace("-", "")
