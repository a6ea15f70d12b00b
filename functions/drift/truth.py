"""What people say that a picture showed, against what was predicted: accuracy, precision, recall and F1."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from functions.drift.objects import fetch
from functions.shared.contract import FEEDBACK, LABELS, UNCERTAIN, day_prefix
from functions.shared.s3 import list_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date

    from functions.drift.records import Record

MOST: Final = 20_000  # labels that one run reads, the newest days' first
SOURCES: Final = 20  # whose figures are told
_AT_ONCE: Final = 16  # objects that are fetched ahead; they are tiny
_Z: Final = 1.959964  # of the normal distribution, two-sided 95%


@dataclass(frozen=True)
class Feedback:
    """What was said.

    Attributes:
        labels: By prediction id; where something was said more than once, the last.
        corrupt: How many objects hold no feedback.
        unread: How many there are that were left for want of time, or because they are too many.
    """

    labels: Mapping[str, str]
    corrupt: int
    unread: int


@dataclass(frozen=True)
class _Judged:
    """What a prediction and the truth about it are counted by."""

    source: str
    model_version: str
    truth: str
    guess: str
    uncertain: bool


def read_feedback(s3: Any, bucket: str, days: Iterable[date], time_left: Callable[[], float]) -> Feedback:
    """Read what was said on some days, the newest first."""
    keys = [key for day in days for key in list_keys(s3, bucket, f"{FEEDBACK}{day_prefix(day)}")]
    said: dict[str, tuple[datetime, str]] = {}
    read = corrupt = 0
    for _, body in fetch(s3, bucket, keys[:MOST], _AT_ONCE):
        if time_left() <= 0:
            break
        read += 1
        if body is None:  # taken back
            continue
        told = _as_feedback(body)
        if told is None:
            corrupt += 1
        else:
            name, time, label = told
            said[name] = max(said.get(name, (time, label)), (time, label))
    return Feedback({name: label for name, (_, label) in said.items()}, corrupt, len(keys) - read)


def _as_feedback(body: bytes) -> tuple[str, datetime, str] | None:
    try:
        told = json.loads(body)
        name, time, label = told["prediction_id"], datetime.fromisoformat(told["time"]), told["label"]
        if isinstance(name, str) and label in LABELS:
            return name, time.astimezone(UTC), label
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        pass
    return None


class Join:
    """Puts predictions and what was said about them together."""

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback
        self._judged = Counter[_Judged]()

    def add(self, record: Record) -> None:
        """Judge a prediction, if something was said about it; never the same one twice."""
        if record.body is None:
            return
        truth = self._feedback.labels.get(record.body["prediction_id"])
        if truth is not None:
            guess = top_label(record.body["probabilities"])
            uncertain = record.body["label"] == UNCERTAIN
            self._judged[_Judged(record.source, record.model_version, truth, guess, uncertain)] += 1

    def as_json(self) -> dict[str, Any]:
        """Return the figures: overall, by model version, and by source for the `SOURCES` with the most of them."""
        judged = self._judged.items()
        count = Counter[str]()
        for about, number in judged:
            count[about.source] += number
        busiest = sorted(count, key=lambda source: (-count[source], source))[:SOURCES]
        versions = sorted({about.model_version for about in self._judged})
        return {
            "overall": _figures(judged),
            "sources": {
                name: _figures(item for item in judged if item[0].source == name) for name in busiest
            },
            "model_versions": {
                name: _figures(item for item in judged if item[0].model_version == name) for name in versions
            },
            "unmatched": len(self._feedback.labels) - self._judged.total(),
            "corrupt": self._feedback.corrupt,
            "unread": self._feedback.unread,
        }


def _figures(judged: Iterable[tuple[_Judged, int]]) -> dict[str, Any]:
    counted = Counter[tuple[str, str]]()
    uncertain = 0
    for about, number in judged:
        counted[about.truth, about.guess] += number
        uncertain += number * about.uncertain
    return figures(counted, uncertain)


def top_label(probabilities: Mapping[str, float]) -> str:
    """Return the most probable label; of equals the first, as in an answer."""
    return max(LABELS, key=lambda label: probabilities[label])


def figures(counted: Mapping[tuple[str, str], int], uncertain: int) -> dict[str, Any]:
    """Return how well labels were guessed, each figure with its 95% interval, None where it is not defined.

    Args:
        counted: How often there was which truth and which guess.
        uncertain: How many of these the answer called uncertain; they count by their most probable label.
    """
    confusion = [[counted.get((truth, guess), 0) for guess in LABELS] for truth in LABELS]
    n = sum(map(sum, confusion))
    hits = {label: confusion[i][i] for i, label in enumerate(LABELS)}
    are = {label: sum(confusion[i]) for i, label in enumerate(LABELS)}
    called = {label: sum(row[i] for row in confusion) for i, label in enumerate(LABELS)}
    return {
        "n": n,
        "accuracy": share(sum(hits.values()), n),
        "precision": {label: share(hits[label], called[label]) for label in LABELS},
        "recall": {label: share(hits[label], are[label]) for label in LABELS},
        "f1": {label: _f1(hits[label], are[label] + called[label] - hits[label]) for label in LABELS},
        "uncertain": share(uncertain, n),
        "confusion": confusion,
    }


def share(hits: int, count: int) -> dict[str, float] | None:
    """Return a share of `count` with its 95% interval (Wilson 1927)."""
    if not count:
        return None
    value = hits / count
    middle, scale = value + _Z**2 / (2 * count), 1 + _Z**2 / count
    spread = _Z * sqrt(value * (1 - value) / count + (_Z / count) ** 2 / 4)
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return {"value": value, "low": min(max(low, 0.0), value), "high": max(min(high, 1.0), value)}


def _f1(hits: int, either: int) -> dict[str, float] | None:
    """Return F1 with its interval by the indirect Wilson method (Lam, Gopal and Qian 2023).

    Of the pictures that are so labelled or were so called, J are both. J is a share, and F1 = 2J / (1 + J).
    """
    jaccard = share(hits, either)
    return jaccard and {name: 2 * value / (1 + value) for name, value in jaccard.items()}
