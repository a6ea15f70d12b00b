"""Faces of single frames to people: who is who from frame to frame, and a label that does not flicker.

The page does the same (functions/portal/page/track.js); tests/tracking.json specifies both.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LABELS: Final = ("mask", "incorrect", "no_mask")  # by which people are counted


@dataclass(frozen=True)
class Settings:
    """How people are followed.

    Attributes:
        steadiness: Seconds over which probabilities are smoothed.
        margin: By how much another label must lead before it takes over.
        overlap: Of two boxes, intersection over union, from which they are the same face.
        patience: Seconds that a face may be out of sight.
        sightings: In how many frames a face must have been seen to count as a person.
    """

    steadiness: float = 0.5
    margin: float = 0.2
    overlap: float = 0.25
    patience: float = 1.0
    sightings: int = 3


DEFAULTS: Final = Settings()


@dataclass(frozen=True)
class Face:
    """One face of a frame.

    Attributes:
        box: Its left, top, width and height, in any unit as long as it stays the same.
        probabilities: By label.
    """

    box: Mapping[str, float]
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Track:
    """One face, followed over frames; times are in seconds.

    Attributes:
        id: A number of its own.
        box: Where it was last seen.
        probabilities: Smoothed, by label.
        label: Which it has; another must lead to take over.
        since: When it got its label.
        first: When it was first seen.
        last: When it was last seen.
        seen: In how many frames.
    """

    id: int
    box: Mapping[str, float]
    probabilities: Mapping[str, float]
    label: str
    since: float
    first: float
    last: float
    seen: int


@dataclass(frozen=True)
class Known:
    """What is known after some frames.

    Attributes:
        tracks: Of those in sight, or out of it for no longer than `patience`.
        gone: How many people left, by their last label.
        next: The number of the next new face.
    """

    tracks: tuple[Track, ...] = ()
    gone: Mapping[str, int] = field(default_factory=Counter)
    next: int = 1


NOBODY: Final = Known()


def overlap(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """Return the intersection over union of two boxes."""
    width = min(a["left"] + a["width"], b["left"] + b["width"]) - max(a["left"], b["left"])
    height = min(a["top"] + a["height"], b["top"] + b["height"]) - max(a["top"], b["top"])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a["width"] * a["height"] + b["width"] * b["height"] - shared)


def follow(known: Known, faces: Sequence[Face], now: float, settings: Settings = DEFAULTS) -> Known:
    """Return what is known after one more frame; `now` is in seconds, infinite to let everybody go."""
    found = _match(known.tracks, faces, settings.overlap)
    tracks = []
    gone = Counter(known.gone)
    for track in known.tracks:
        if track.id in found:
            tracks.append(_seen(track, faces[found[track.id]], now, settings))
        elif now - track.last <= settings.patience:
            tracks.append(track)
        elif track.seen >= settings.sightings:
            gone[track.label] += 1
    taken = set(found.values())
    new = [face for i, face in enumerate(faces) if i not in taken]
    for number, face in enumerate(new, known.next):
        label = _likeliest(face.probabilities)
        tracks.append(Track(number, face.box, face.probabilities, label, now, now, now, 1))
    return Known(tuple(tracks), gone, known.next + len(new))


def people(known: Known, settings: Settings = DEFAULTS) -> list[Track]:
    """Return the tracks that were seen often enough to be people."""
    return [track for track in known.tracks if track.seen >= settings.sightings]


def tally(known: Known, settings: Settings = DEFAULTS) -> dict[str, int]:
    """Return how many people there were so far, those in sight included: all, and by their last label."""
    return counts(Counter(track.label for track in people(known, settings)) + Counter(known.gone))


def counts(labels: Counter[str]) -> dict[str, int]:
    """Return how many people have each label, and how many there are."""
    return {"people": labels.total()} | {label: labels[label] for label in LABELS}


def without_mask(known: Known, now: float, after: float, settings: Settings = DEFAULTS) -> list[Track]:
    """Return the tracks of people in sight who have had no mask for longer than `after` seconds."""
    return [
        track for track in people(known, settings) if track.label == "no_mask" and now - track.since > after
    ]


def _match(tracks: Sequence[Track], faces: Sequence[Face], least: float) -> dict[int, int]:
    """Return which face continues which track, the best overlaps first: indices of faces by ids of tracks."""
    shares = [(overlap(track.box, face.box), track.id, i) for track in tracks for i, face in enumerate(faces)]
    found: dict[int, int] = {}
    taken = set()
    for share, track_id, i in sorted(shares, key=lambda pair: -pair[0]):
        if share < least:
            break
        if track_id not in found and i not in taken:
            found[track_id] = i
            taken.add(i)
    return found


def _seen(track: Track, face: Face, now: float, settings: Settings) -> Track:
    # By time rather than by frame, so that it means the same at any rate.
    weight = 1 - math.exp(-(now - track.last) / settings.steadiness) if settings.steadiness > 0 else 1
    smoothed = {
        label: p + weight * (face.probabilities[label] - p) for label, p in track.probabilities.items()
    }
    best = _likeliest(smoothed)
    label = best if smoothed[best] - smoothed[track.label] > settings.margin else track.label
    since = track.since if label == track.label else now
    return replace(
        track,
        box=face.box,
        probabilities=smoothed,
        label=label,
        since=since,
        last=now,
        seen=track.seen + 1,
    )


def _likeliest(probabilities: Mapping[str, float]) -> str:
    return max(probabilities, key=lambda label: probabilities[label])
