"""Counts of faces by label and confidence in buckets of ten seconds, on which rules are evaluated.

The `track` of a picture identifies the person of its largest face. That person counts once in a window, with the
label of most frames, as in compliance. The other faces of the picture count for rules that a single face violates,
but not for shares, which would add people and frames. Without a `track`, every face counts once per frame.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from functions.alerts.rules import STEPS
from functions.shared.contract import ANSWER_LABELS, UNCERTAIN, label_of_stay

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from functions.shared.record import Record

BUCKET_SECONDS: Final = 10
VIOLATIONS: Final = ("no_mask", "incorrect")  # labels of faces without a proper mask


@dataclass(frozen=True)
class Bucket:
    """The faces of a source in `BUCKET_SECONDS`.

    Attributes:
        start: Unix time.
        counts: Faces by key, see `count_keys`.
        model_version: The release that made the last prediction.
        written: When predictions were added last, Unix time; later than `start` by how late they came.
    """

    start: int
    counts: Mapping[str, int]
    model_version: str
    written: float


@dataclass(frozen=True)
class FaceCounts:
    """The faces in a window; a tracked person counts once.

    Attributes:
        faces: How many faces there are.
        people: How many of them are tracked people.
        labels: Faces by label; `uncertain` below the rule's minimum confidence.
        lowest: The lowest confidence by label, in steps of `1 / STEPS`.
        model_version: The release that made the last prediction.
    """

    faces: int
    people: int
    labels: Mapping[str, int]
    lowest: Mapping[str, int]
    model_version: str

    @property
    def violations(self) -> int:
        """How many faces are without a proper mask."""
        return sum(self.labels[label] for label in VIOLATIONS)

    @property
    def share(self) -> float:
        """The share of faces without a proper mask; 0 if there are no faces."""
        return self.violations / self.faces if self.faces else 0.0


def bucket_start(time: float) -> int:
    """Return the start of the bucket that contains a Unix time."""
    return int(time // BUCKET_SECONDS) * BUCKET_SECONDS


def count_keys(record: Record) -> list[str]:
    """Return the key under which each face of a prediction is counted.

    It is `label|step`, `label|step|person` for a tracked person, and `label|step|` for faces beside one. The person
    is a hash of the track, because long track names could fill a bucket's item: DynamoDB allows 400 KB.
    """
    keys = [
        f"{face['label']}|{min(int(face['confidence'] * STEPS + 1e-9), STEPS)}"
        for face in record.body["faces"]
    ]
    if not record.track:
        return keys
    people = [blake2b(record.track.encode(), digest_size=8).hexdigest()] + [""] * len(keys)
    return [f"{key}|{person}" for key, person in zip(keys, people, strict=False)]


def count_faces(buckets: Iterable[Bucket], min_step: int, *, others: bool) -> FaceCounts:
    """Add up buckets of one source, which are in chronological order.

    Below the confidence `min_step`, in steps of `1 / STEPS`, a label is uncertain. `others` is whether faces beside a
    tracked person count.
    """
    labels, lowest = Counter[str](), dict[str, int]()
    stays: dict[str, Counter[str]] = defaultdict(Counter)
    steps: dict[tuple[str, str], int] = {}
    version = ""
    for bucket in buckets:
        version = bucket.model_version
        for key, count in bucket.counts.items():
            label, number, *people = key.split("|", 2)
            step = int(number)
            name = label if step >= min_step else UNCERTAIN
            for person in filter(None, people):
                stays[person][name] += count
                steps[person, name] = min(step, steps.get((person, name), STEPS))
            if not people or (people == [""] and others):
                labels[name] += count
                lowest[name] = min(step, lowest.get(name, STEPS))
    for person, frames in stays.items():
        name = label_of_stay(frames)
        labels[name] += 1
        lowest[name] = min(steps[person, name], lowest.get(name, STEPS))
    return FaceCounts(
        labels.total(), len(stays), {label: labels[label] for label in ANSWER_LABELS}, lowest, version
    )
