"""The command line tracks people as tests/tracking.json specifies for it and for the page."""

import math

import pytest

from maskwatch.track import NOBODY, Face, Settings, follow, tally, without_mask
from tests.tracking import ALERT_AFTER, CASES, expected, faces_of, state


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_people_are_tracked_as_specified(case):
    known, settings = NOBODY, Settings(**case["settings"])
    seen = []
    for frame in case["frames"]:
        faces = [Face(face["box"], face["probabilities"]) for face in faces_of(frame)]
        known = follow(known, faces, frame["at"], settings)
        tracks = [(track.id, track.label, track.probabilities) for track in known.tracks]
        alerts = without_mask(known, frame["at"], ALERT_AFTER, settings)
        seen.append(state(tracks, tally(known, settings), [track.id for track in alerts]))

    assert seen == expected(case)


def test_at_the_end_everybody_leaves():
    face = Face({"left": 0, "top": 0, "width": 1, "height": 1}, {"mask": 1, "no_mask": 0, "incorrect": 0})
    known = NOBODY
    for now in range(3):
        known = follow(known, [face], now)

    known = follow(known, [], math.inf)

    assert (known.tracks, tally(known)["people"]) == ((), 1)
