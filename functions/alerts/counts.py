"""Faces by label and confidence, in steps of ten seconds: what a rule looks at.

A picture that came with a `track` follows the person of its largest face. That person counts once in a window, by the
label of most frames, as in compliance; all other faces count as often as they were seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from functions.alerts.rules import STEPS
from functions.shared.contract import OUTCOMES, UNCERTAIN
from functions.shared.record import label_of_stay

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from functions.shared.record import Record

SECONDS: Final = 10  # of a bucket
VIOLATIONS: Final = ("no_mask", "incorrect")  # labels of faces without a proper mask


@dataclass(frozen=True)
class Bucket:
    """The faces of a source in ten seconds.

    Attributes:
        start: Unix time.
        counts: Faces by key, see `keys_of`.
        model_version: Of the release that judged the last of them.
    """

    start: int
    counts: Mapping[str, int]
    model_version: str


@dataclass(frozen=True)
class Seen:
    """The faces of a window, a person who was followed being one.

    Attributes:
        faces: How many there were.
        people: How many of them were followed.
        labels: How many of each label; below the rule's confidence they are uncertain.
        lowest: Steps of confidence of the least sure face, by label.
        model_version: Of the release that judged the last of them.
    """

    faces: int
    people: int
    labels: Mapping[str, int]
    lowest: Mapping[str, int]
    model_version: str

    @property
    def violations(self) -> int:
        """How many wear no proper mask."""
        return sum(self.labels[label] for label in VIOLATIONS)

    @property
    def share(self) -> float:
        """Of those without a proper mask; 0 of none."""
        return self.violations / self.faces if self.faces else 0.0


def bucket_start(time: float) -> int:
    """Return when the bucket of a Unix time begins."""
    return int(time // SECONDS) * SECONDS


def bucket_name(start: float) -> str:
    """Return a bucket's name, in the order of time."""
    return f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%M:%SZ}"


def keys_of(record: Record) -> list[str]:
    """Return what a prediction's faces are counted under: `label|step`, of a person followed `label|step|person`.

    The person is a hash of the track, lest long names fill a bucket's item in DynamoDB, which has 400 KB.
    """
    assert record.body is not None  # noqa: S101 -- a refusal has no faces, and is not counted
    keys = [
        f"{face['label']}|{min(int(face['confidence'] * STEPS + 1e-9), STEPS)}"
        for face in record.body["faces"]
    ]
    if keys and record.track:
        keys[0] = f"{keys[0]}|{blake2b(record.track.encode(), digest_size=8).hexdigest()}"
    return keys


def total(buckets: Iterable[Bucket], min_level: int) -> Seen:
    """Sum buckets up.

    Args:
        buckets: Of one source, in the order of time.
        min_level: Steps of confidence below which a label is uncertain.
    """
    labels, lowest = Counter[str](), dict[str, int]()
    stays: dict[str, Counter[str]] = defaultdict(Counter)
    levels: dict[tuple[str, str], int] = {}
    version = ""
    for bucket in buckets:
        version = bucket.model_version
        for key, count in bucket.counts.items():
            label, level, *followed = key.split("|", 2)
            step = int(level)
            name = label if step >= min_level else UNCERTAIN
            for track in followed:
                stays[track][name] += count
                levels[track, name] = min(step, levels.get((track, name), STEPS))
            if not followed:
                labels[name] += count
                lowest[name] = min(step, lowest.get(name, STEPS))
    for track, frames in stays.items():
        name = label_of_stay(frames)
        labels[name] += 1
        lowest[name] = min(levels[track, name], lowest.get(name, STEPS))
    return Seen(labels.total(), len(stays), {label: labels[label] for label in OUTCOMES}, lowest, version)
