"""A prediction record as the inference functions log it and others read it, and what it says of one person's stay."""

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
    """A prediction, what a challenger said in its shadow, or the refusal of a request, that was written down.

    Attributes:
        key: 64 bits of a hash of what identifies it; the same for a duplicate.
        time: When it was made, Unix seconds.
        taken: When people were as it says, as far as is known: of an upload when that came, otherwise `time`.
        source: The camera or site; empty where none was told.
        model_version: Of the release that made it.
        track: The person that the largest face belongs to, as the caller followed it; empty where none was told.
        faces: The label of every face.
        body: All of it; None for a refusal.
        shadow: Whether it is what a challenger said of a picture that another release answered.
        rescored: Whether another release had scored the same upload before, so that its people are counted already.
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
    """Return the record that a JSON value is, or None where it is none."""
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
    """Return the label of a person who was in sight for a while: the one of most frames, given by label."""
    return max(OUTCOMES, key=lambda outcome: frames.get(outcome, 0))
