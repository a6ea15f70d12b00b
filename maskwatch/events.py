"""What happens before a camera, from one frame to the next: somebody came, changed, left; an alert is on, or off."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maskwatch.track import NOBODY, Face, Known, Track, counts, follow, people, tally, without_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Event = dict[str, Any]  # what its JSON line says


@dataclass(frozen=True)
class Scene:
    """Who is before the camera, and for whom there is an alert."""

    known: Known = NOBODY
    alerted: frozenset[int] = frozenset()


def look(scene: Scene, faces: Sequence[Face], now: float, alert_after: float) -> tuple[Scene, list[Event]]:
    """Return the scene after one more frame, and what happened.

    Args:
        scene: After the frame before.
        faces: Of this frame.
        now: In seconds.
        alert_after: Seconds without a mask after which there is an alert for a person.
    """
    known = follow(scene.known, faces, now)
    bare = frozenset(track.id for track in without_mask(known, now, alert_after))
    return _after(scene, Scene(known, bare))


def leave(scene: Scene) -> tuple[Scene, list[Event]]:
    """Return the scene when nobody is watched any more, and who left."""
    return _after(scene, Scene(follow(scene.known, [], math.inf)))


def nearest(scene: Scene) -> Track | None:
    """Return the person whose face is largest, or None while nobody is there."""
    return max(people(scene.known), key=lambda track: track.box["width"] * track.box["height"], default=None)


def _after(before: Scene, after: Scene) -> tuple[Scene, list[Event]]:
    count = {
        "in_view": counts(Counter(track.label for track in people(after.known))),
        "so_far": tally(after.known),
        "alerts": len(after.alerted),
    }
    return after, [event | count for event in _events(before, after)]


def _events(before: Scene, after: Scene) -> Iterator[Event]:
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
