"""Parses prediction records, and summarizes the frames of one person's stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from functions.shared.contract import LABELS, MAX_SOURCE, MAX_TRACK, OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN: Final = frozenset(OUTCOMES)


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
        faces: The label of every face.
        body: The whole record; None for a refusal.
        shadow: Whether it is a shadow prediction.
        rescored: Whether another release has scored the same upload before, so that its people are counted already.
    """

    key: int
    time: float
    taken: float
    source: str
    model_version: str
    track: str
    faces: tuple[str, ...]
    body: Mapping[str, Any] | None
    shadow: bool = False
    rescored: bool = False


def as_record(value: Any) -> Record | None:
    """Parse a JSON value; return None if it is not a valid record."""
    try:
        time = datetime.fromisoformat(value["time"])
        taken = datetime.fromisoformat(value["uploaded"]) if "uploaded" in value else time
        if time.tzinfo is None or taken.tzinfo is None:
            return None
        version, reason = value["model_version"], value.get("rejected")
        if reason is not None:
            name, source, faces = f"{value['request_id']} {value['time']} {reason}", None, []
            track, shadow = "", False
        else:
            shadow = "shadow_of" in value
            name = f"shadow of {value['shadow_of']}" if shadow else value["prediction_id"]
            source, answered = value["source"], [value["live"]] if shadow else []
            track = value.get("track") or ""
            faces, result = [face["label"] for face in value["faces"]], value["probabilities"]
            labels = [*faces, value["label"], *(live["label"] for live in answered)]
            if not (
                _KNOWN.issuperset(labels)
                and all(0 <= result[of] <= 1 for of in LABELS)
                and all(isinstance(live["model_version"], str) for live in answered)
            ):
                return None
        source = source or ""
        if not (source.isprintable() and len(source) <= MAX_SOURCE):
            return None
        if not (isinstance(version, str) and isinstance(track, str) and len(track) <= MAX_TRACK):
            return None
        key = int.from_bytes(blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
        return Record(
            key=key,
            time=time.timestamp(),
            taken=taken.timestamp(),
            source=source,
            model_version=version,
            track=track,
            faces=tuple(faces),
            body=value if reason is None else None,
            shadow=shadow,
            rescored=value.get("rescored") is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def label_of_stay(frames: Mapping[str, int]) -> str:
    """Return the label of most frames of a stay; `frames` counts them by label."""
    return max(OUTCOMES, key=lambda outcome: frames.get(outcome, 0))
