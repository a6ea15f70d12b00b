"""Parses prediction records, which functions/inference/record.py writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from functions.shared.contract import ANSWER_LABELS, LABELS, MAX_SOURCE, MAX_TRACK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ANSWER_LABELS: Final = frozenset(ANSWER_LABELS)


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a prediction, a shadow prediction or a refusal.

    Attributes:
        key: 64 bits of a hash of its id; equal for duplicates.
        time: When it was written, Unix seconds.
        taken: The best known time of the picture: the upload's for an upload, otherwise `time`.
        source: The camera or site; empty if there is none.
        model_version: The release that made the prediction.
        track: The caller's id of the person with the largest face; empty if there is none.
        face_labels: The label of every face.
        body: The whole record.
        is_refusal: Whether a request was refused, so that there is no prediction.
        shadow: Whether it is a shadow prediction.
        rescored: Whether another release has scored the same bytes from the same source before, so that the people
            are counted already.
    """

    key: int
    time: float
    taken: float
    source: str
    model_version: str
    track: str
    face_labels: tuple[str, ...]
    body: Mapping[str, Any]
    is_refusal: bool = False
    shadow: bool = False
    rescored: bool = False


def parse_record(value: Any) -> Record | None:
    """Parse a JSON value; return None if it is not a valid record."""
    try:
        time = datetime.fromisoformat(value["time"])
        taken = datetime.fromisoformat(value["uploaded"]) if "uploaded" in value else time
        if time.tzinfo is None or taken.tzinfo is None:
            return None
        reason, shadow = value.get("rejected"), False
        if reason is not None:
            name = f"{value['request_id']} {value['time']} {reason}"
            source, track, labels = "", "", []
        else:
            shadow = "shadow_of" in value
            name = "shadow of " + value["shadow_of"] if shadow else value["prediction_id"]
            source, track = value["source"] or "", value.get("track") or ""
            labels = [face["label"] for face in value["faces"]]
            if not _has_valid_labels(value, labels):
                return None
        version = value["model_version"]
        if not (isinstance(version, str) and isinstance(track, str) and len(track) <= MAX_TRACK):
            return None
        if not (source.isprintable() and len(source) <= MAX_SOURCE):
            return None
        key = int.from_bytes(blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
        return Record(
            key=key,
            time=time.timestamp(),
            taken=taken.timestamp(),
            source=source,
            model_version=version,
            track=track,
            face_labels=tuple(labels),
            body=value,
            is_refusal=reason is not None,
            shadow=shadow,
            rescored=value.get("rescored") is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _has_valid_labels(value: Mapping[str, Any], face_labels: Sequence[str]) -> bool:
    labels, probabilities = [*face_labels, value["label"]], value["probabilities"]
    if "shadow_of" in value:
        labels.append(value["live"]["label"])
        if not isinstance(value["live"]["model_version"], str):
            return False
    return _ANSWER_LABELS.issuperset(labels) and all(0 <= probabilities[label] <= 1 for label in LABELS)
