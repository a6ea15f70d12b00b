"""How people are followed, as tracking.json specifies it for the page and the command line alike."""

import json
from pathlib import Path

from tests.browser.answers import face

CASES = json.loads(Path(__file__).with_suffix(".json").read_text())
ALERT_AFTER = 1  # seconds, of its alerts


def faces_of(frame):
    """The faces of a frame, as the API answers them."""
    return [face(label, confidence, box) for label, confidence, *box in frame["faces"]]


def expected(case):
    """Of each frame: its tracks as "id label confidence", counts that are not 0, and ids of people to alert for."""
    return [{name: frame[name] for name in ("tracks", "counts", "alerts")} for frame in case["frames"]]


def told(tracks, counts, alerts):
    """What an implementation knows after a frame, in the same form; of each track its id, label and probabilities."""
    return {
        "tracks": [f"{number} {label} {max(chances.values()):.6f}" for number, label, chances in tracks],
        "counts": {name: count for name, count in counts.items() if count},
        "alerts": alerts,
    }
