"""A bounded memory of unbounded many records: which were seen, and a fair sample of them by source."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift.features import FEATURES, Sample, features
from functions.drift.records import OTHERS
from functions.drift.truth import top_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from functions.drift.records import Record

ROWS: Final = 5_000  # of a sample, at most: an effect that matters shows in far fewer
SOURCES: Final = 20  # that are told apart, the busiest
_TRACKED: Final = 100  # sources that have a sample of their own until all are counted; a megabyte each
_SLOTS: Final = 1 << 20  # of the first table

_Row = tuple[int, bytes, str]  # the record's key, its features, its label


class Seen:
    """A set of 64-bit hashes in some 16 bytes each, of which Python's own takes a hundred."""

    def __init__(self) -> None:
        self._tables = [array("Q", bytes(8 * _SLOTS))]
        self._free = _SLOTS // 2

    def add(self, key: int) -> bool:
        """Return whether the hash is new, and remember it."""
        key = key or 1  # a slot with 0 is empty
        if not self._free:
            self._tables.append(array("Q", bytes(16 * len(self._tables[-1]))))
            self._free = len(self._tables[-1]) // 2
        for table in self._tables:
            mask = len(table) - 1
            slot = key & mask
            while held := table[slot]:
                if held == key:
                    return False
                slot = (slot + 1) & mask
        table[slot] = key
        self._free -= 1
        return True


class Sampler:
    """Keeps of every source the records with the smallest keys.

    Keys are hashes, so these are a random sample, and the same one in whichever order the records come; what two
    samples keep of what both have seen is what one would have kept of everything.

    Attributes:
        unusable: Records that lack what is compared.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self.unusable = 0

    def add(self, record: Record) -> None:
        """Take note of a prediction."""
        kept = self._kept.get(record.source)
        if kept is None:
            name = record.source if len(self._kept) < _TRACKED else OTHERS
            kept = self._kept.setdefault(name, _Kept())
        if not kept.add(record):
            self.unusable += 1

    def samples(self) -> tuple[Mapping[str, Sample], Sample]:
        """Return the sample of each of the busiest sources and of the others together, and that of all."""
        seen = Counter({source: kept.seen for source, kept in self._kept.items()})
        seen.pop(OTHERS, None)
        named = sorted(seen, key=lambda source: (-seen[source], source))[:SOURCES]
        others = [kept for source, kept in self._kept.items() if source not in named]
        samples = {source: _merged([self._kept[source]]) for source in named}
        if others:
            samples[OTHERS] = _merged(others)
        return samples, _merged(self._kept.values())


class _Kept:
    """The rows with the smallest keys, as a heap with the largest of them on top."""

    def __init__(self) -> None:
        self.seen = 0
        self.rows: list[_Row] = []  # with the key negated

    def add(self, record: Record) -> bool:
        """Return whether the record is usable, as far as that was looked at: it is when it would be kept."""
        if len(self.rows) < ROWS or -record.key > self.rows[0][0]:
            row = _row(record)
            if row is None:
                return False
            if len(self.rows) < ROWS:
                heapq.heappush(self.rows, row)
            else:
                heapq.heapreplace(self.rows, row)
        self.seen += 1
        return True


def _row(record: Record) -> _Row | None:
    if record.body is None:
        raise ValueError("a refusal has no features")
    try:
        with np.errstate(over="raise"):
            row = np.array(features(record.body)).astype(np.float32)
    except (ValueError, FloatingPointError):
        return None
    return -record.key, row.tobytes(), top_label(record.body["probabilities"])


def _merged(parts: Iterable[_Kept]) -> Sample:
    parts = list(parts)
    rows = heapq.nlargest(ROWS, (row for part in parts for row in part.rows))
    values = np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(-1, len(FEATURES))
    return Sample(values, tuple(row[2] for row in rows), sum(part.seen for part in parts))
