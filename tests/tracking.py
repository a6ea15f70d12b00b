"""The cases of tracking.json, which specify tracking for the page and the command line."""

import json
from pathlib import Path

from tests.browser.answers import face

CASES = json.loads(Path(__file__).with_suffix(".json").read_text())
ALERT_AFTER = 1  # seconds, in the cases


def faces_of(frame):
    """Return the faces of a frame in the API's format."""
    return [face(label, confidence, box) for label, confidence, *box in frame["faces"]]


def expected(case):
    """Return for each frame: tracks as "id label confidence", counts other than 0, and ids with an alert."""
    return [{name: frame[name] for name in ("tracks", "counts", "alerts")} for frame in case["frames"]]


def state(tracks, counts, alerts):
    """Return an implementation's state after a frame in that form; `tracks` has ids, labels and probabilities."""
    return {
        "tracks": [f"{number} {label} {max(chances.values()):.6f}" for number, label, chances in tracks],
        "counts": {name: count for name, count in counts.items() if count},
        "alerts": alerts,
    }
