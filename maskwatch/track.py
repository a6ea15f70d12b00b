"""Tracking: matches faces across frames to people, and smooths their labels.

The page does the same (functions/portal/page/track.js); tests/tracking.json specifies both.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN_LABELS: Final = ("mask", "incorrect", "no_mask")  # in the order in which people see them


@dataclass(frozen=True)
class Settings:
    """Parameters of tracking.

    Attributes:
        steadiness: Seconds over which probabilities are smoothed.
        margin: Lead in probability that another label needs to take over.
        overlap: Intersection over union from which two boxes are the same face.
        patience: Seconds that a face may be out of sight.
        sightings: Frames in which a face must have been seen to count as a person.
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
        box: Left, top, width and height, in the same unit in every frame.
        probabilities: Probability of each label.
    """

    box: Mapping[str, float]
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Track:
    """A face followed over frames; times are in seconds.

    Attributes:
        id: Unique number.
        box: Where it was last seen.
        probabilities: Smoothed probability of each label.
        label: Its current label.
        since: Time of the latest change of label.
        first: Time of the first frame with it.
        last: Time of the last frame with it.
        seen: Number of frames with it.
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
    """The state of tracking after some frames.

    Attributes:
        tracks: Tracks in sight, or out of sight for no longer than `patience`.
        gone: Number of people who left, by their last label.
        next: Id of the next track.
    """

    tracks: tuple[Track, ...] = ()
    gone: Mapping[str, int] = field(default_factory=Counter)
    next: int = 1


NOBODY: Final = Known()


def iou(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """Return the intersection over union of two boxes."""
    width = min(a["left"] + a["width"], b["left"] + b["width"]) - max(a["left"], b["left"])
    height = min(a["top"] + a["height"], b["top"] + b["height"]) - max(a["top"], b["top"])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a["width"] * a["height"] + b["width"] * b["height"] - shared)


def follow(known: Known, faces: Sequence[Face], now: float, settings: Settings = DEFAULTS) -> Known:
    """Return the state after one more frame; `now` is in seconds, infinite to end all tracks."""
    matched = _match(known.tracks, faces, settings.overlap)
    tracks = []
    gone = Counter(known.gone)
    for track in known.tracks:
        if track.id in matched:
            tracks.append(_update_track(track, faces[matched[track.id]], now, settings))
        elif now - track.last <= settings.patience:
            tracks.append(track)
        elif track.seen >= settings.sightings:
            gone[track.label] += 1
    taken = set(matched.values())
    new = [face for i, face in enumerate(faces) if i not in taken]
    for number, face in enumerate(new, known.next):
        label = _likeliest(face.probabilities)
        tracks.append(Track(number, face.box, face.probabilities, label, now, now, now, 1))
    return Known(tuple(tracks), gone, known.next + len(new))


def people(known: Known, settings: Settings = DEFAULTS) -> list[Track]:
    """Return the tracks that were seen often enough to be people."""
    return [track for track in known.tracks if track.seen >= settings.sightings]


def tally(known: Known, settings: Settings = DEFAULTS) -> dict[str, int]:
    """Return the number of people so far, including those in sight: in total, and by their last label."""
    return counts(Counter(track.label for track in people(known, settings)) + Counter(known.gone))


def counts(labels: Counter[str]) -> dict[str, int]:
    """Return the number of people in total and with each label."""
    return {"people": labels.total()} | {label: labels[label] for label in SHOWN_LABELS}


def without_mask(known: Known, now: float, after: float, settings: Settings = DEFAULTS) -> list[Track]:
    """Return the tracks of people in sight who have had no mask for longer than `after` seconds."""
    return [
        track for track in people(known, settings) if track.label == "no_mask" and now - track.since > after
    ]


def _match(tracks: Sequence[Track], faces: Sequence[Face], min_iou: float) -> dict[int, int]:
    """Match faces to tracks greedily, best overlap first: indices of faces by ids of tracks."""
    shares = [(iou(track.box, face.box), track.id, i) for track in tracks for i, face in enumerate(faces)]
    matched: dict[int, int] = {}
    taken = set()
    for share, track_id, i in sorted(shares, key=lambda pair: -pair[0]):
        if share < min_iou:
            break
        if track_id not in matched and i not in taken:
            matched[track_id] = i
            taken.add(i)
    return matched


def _update_track(track: Track, face: Face, now: float, settings: Settings) -> Track:
    # Weighted by time rather than by frame, so that smoothing does not depend on the frame rate.
    weight = 1 - math.exp(-(now - track.last) / settings.steadiness) if settings.steadiness > 0 else 1
    smoothed = {
        label: p + weight * (face.probabilities[label] - p) for label, p in track.probabilities.items()
    }
    best = _likeliest(smoothed)
    label = best if smoothed[best] - smoothed[track.label] > settings.margin else track.label
    since = track.since if label == track.label else now
    return replace(
        track, box=face.box, probabilities=smoothed, label=label, since=since, last=now, seen=track.seen + 1
    )


def _likeliest(probabilities: Mapping[str, float]) -> str:
    return max(probabilities, key=lambda label: probabilities[label])
