"""Samples one record per source and minute in bounded memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift.features import FEATURES, Sample, effective_number, features, label_index
from functions.drift.heavy_hitters import HeavyHitters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from functions.shared.record import Record

MAX_SOURCES: Final = 100  # the busiest, besides those of the baseline
MINUTE: Final = 60  # seconds in which the frames of a source show the same people
_MINUTES_PER_DAY: Final = 86_400 // MINUTE
_SLOTS: Final = 1 << 20  # of the first table


class HashSet:
    """A set of 64-bit hashes, which takes about 16 bytes for each; Python's own takes about 100."""

    def __init__(self) -> None:
        self._tables = [array("Q", bytes(8 * _SLOTS))]
        self._free = _SLOTS // 2

    def add(self, key: int) -> bool:
        """Add a hash; return whether it is new."""
        key = key or 1  # 0 marks an empty slot
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


class _Minute:
    """The predictions of one source in one minute: their number, and the one with the smallest key."""

    __slots__ = ("count", "key", "label", "values")

    def __init__(self) -> None:
        self.count, self.key = 0, 1 << 64
        self.values, self.label = b"", -1


class Sampler:
    """Keeps one record of each source and minute, because the frames of a minute show the same people.

    Keys are hashes, so the record with the smallest key is a random one, independent of the order of records.

    Attributes:
        unusable: Records that lack a feature.
    """

    def __init__(self, always: Iterable[str] = ()) -> None:
        """Keep the sources in `always`, and the busiest `MAX_SOURCES` of the others."""
        self._sources: dict[str, dict[int, _Minute]] = {}
        self._busiest = HeavyHitters(MAX_SOURCES, always)
        self.unusable = 0

    def add(self, record: Record) -> None:
        """Add a prediction."""
        left_out = self._busiest.add(record.source)
        if left_out is not None:
            self._sources.pop(left_out, None)
        if left_out == record.source:
            return
        minutes = self._sources.setdefault(record.source, {})
        number = int(record.taken // MINUTE)
        minute = minutes.get(number)
        if minute is None:
            minute = _Minute()
        if record.key < minute.key:
            row = _row(record)
            if row is None:
                self.unusable += 1
                return
            minute.key, (minute.values, minute.label) = record.key, row
        minute.count += 1
        minutes[number] = minute

    def between(self, start: float, end: float) -> Mapping[str, Sample]:
        """Return the samples by source, busiest first, from the minute of one Unix time up to that of another."""
        first, last = int(start // MINUTE), -int(-end // MINUTE)
        samples = {}
        for source, minutes in self._sources.items():
            numbers = sorted(minutes)
            chosen = numbers[bisect_left(numbers, first) : bisect_left(numbers, last)]
            if chosen:
                samples[source] = _sample([minutes[number] for number in chosen])
        return dict(sorted(samples.items(), key=lambda item: (-item[1].predictions, item[0])))

    def days(self) -> Mapping[date, Mapping[str, Sample]]:
        """Return the samples by source for each day (UTC), in order."""
        days = sorted(
            {number // _MINUTES_PER_DAY for minutes in self._sources.values() for number in minutes}
        )
        return {
            datetime.fromtimestamp(day * 86_400, UTC).date(): self.between(day * 86_400, (day + 1) * 86_400)
            for day in days
        }


def _row(record: Record) -> tuple[bytes, int] | None:
    try:
        with np.errstate(over="raise"):
            values = np.array(features(record.body)).astype(np.float32)
    except (ValueError, FloatingPointError):
        return None
    return values.tobytes(), label_index(record.body["probabilities"])


def _sample(minutes: list[_Minute]) -> Sample:
    values = np.frombuffer(b"".join(minute.values for minute in minutes), np.float32).reshape(
        -1, len(FEATURES)
    )
    labels = np.array([minute.label for minute in minutes], np.int8)
    return Sample(values, labels, sum(minute.count for minute in minutes), effective_number(values))
