"""Events between frames: a person came, changed the label or left; an alert began or ended."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskwatch.track import NOBODY, Face, Known, Track, counts, follow, people, tally, without_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Event = dict[str, Any]  # fields of its JSON line


@dataclass(frozen=True)
class WatchState:
    """The people in front of the camera, and the ids of those with an alert."""

    known: Known = NOBODY
    alerted: frozenset[int] = frozenset()


def update(
    state: WatchState, faces: Sequence[Face], now: float, alert_after: float
) -> tuple[WatchState, list[Event]]:
    """Return the state after one more frame, and the events.

    Both times are in seconds: that of the frame, and that without a mask after which an alert for a person begins.
    """
    known = follow(state.known, faces, now)
    alerted = frozenset(track.id for track in without_mask(known, now, alert_after))
    return _with_events(state, WatchState(known, alerted))


def leave(state: WatchState) -> tuple[WatchState, list[Event]]:
    """Return the state after everybody has left, and the events."""
    return _with_events(state, WatchState(follow(state.known, [], math.inf)))


def largest(state: WatchState) -> Track | None:
    """Return the person with the largest face, or None if there is nobody."""
    return max(people(state.known), key=lambda track: track.box["width"] * track.box["height"], default=None)


def _with_events(before: WatchState, after: WatchState) -> tuple[WatchState, list[Event]]:
    count = {
        "in_view": counts(Counter(track.label for track in people(after.known))),
        "so_far": tally(after.known),
        "alerts": len(after.alerted),
    }
    return after, [event | count for event in _events(before, after)]


def _events(before: WatchState, after: WatchState) -> Iterator[Event]:
    were = {track.id: track for track in people(before.known)}
    are = {track.id: track for track in people(after.known)}
    for track in (were | are).values():
        old = were.get(track.id)
        if old is None:
            yield _event("came", track)
        elif old.label != track.label:
            yield _event("changed", track) | {"from": old.label}
        if track.id in after.alerted - before.alerted:
            yield _event("alert_on", track)
        if track.id in before.alerted - after.alerted:
            yield _event("alert_off", track)
        if track.id not in are:
            yield _event("left", track) | {"stayed": round(track.last - track.first, 2)}


def _event(name: str, track: Track) -> Event:
    confidence = round(track.probabilities[track.label], 3)
    return {"event": name, "person": track.id, "label": track.label, "confidence": confidence}
