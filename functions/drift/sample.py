"""A bounded memory of unboundedly many records: which were seen, and one record of each source and minute."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift.busiest import Busiest
from functions.drift.features import FEATURES, Sample, effective_number, features, label_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from functions.shared.record import Record

SOURCES: Final = 100  # beside those of the baseline, the busiest
BURST: Final = 60  # seconds of a source in which frames show the same people
_DAY: Final = 86_400 // BURST  # bursts
_SLOTS: Final = 1 << 20  # of the first table


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


class _Burst:
    """What one source sent in one minute: how many predictions, and the one of them with the smallest key."""

    __slots__ = ("key", "label", "seen", "values")

    def __init__(self) -> None:
        self.seen, self.key = 0, 1 << 64
        self.values, self.label = b"", -1


class Sampler:
    """Keeps one record of each source and minute.

    Frames of one minute show the same people; thinned so, what is left is nearly independent. Keys are hashes, so the
    record with the smallest is a random one of its minute, and the same in whichever order they come.

    Attributes:
        unusable: Records that lack what is compared.
    """

    def __init__(self, always: Iterable[str] = ()) -> None:
        """Keep the sources of `always`, and the busiest `SOURCES` of the others."""
        self._sources: dict[str, dict[int, _Burst]] = {}
        self._busiest = Busiest(SOURCES, always)
        self.unusable = 0

    def add(self, record: Record) -> None:
        """Take note of a prediction."""
        displaced = self._busiest.add(record.source)
        if displaced is not None:
            self._sources.pop(displaced, None)
        bursts = self._sources.setdefault(record.source, {})
        minute = int(record.taken // BURST)
        burst = bursts.get(minute)
        if burst is None:
            burst = _Burst()
        if record.key < burst.key:
            row = _row(record)
            if row is None:
                self.unusable += 1
                return
            burst.key, (burst.values, burst.label) = record.key, row
        burst.seen += 1
        bursts[minute] = burst

    def between(self, start: float, end: float) -> Mapping[str, Sample]:
        """Return the sample of each source from the minute of one Unix time up to that of another, busiest first."""
        first, last = int(start // BURST), -int(-end // BURST)
        found = {}
        for source, bursts in self._sources.items():
            minutes = sorted(bursts)
            chosen = minutes[bisect_left(minutes, first) : bisect_left(minutes, last)]
            if chosen:
                found[source] = _sample([bursts[minute] for minute in chosen])
        return dict(sorted(found.items(), key=lambda item: (-item[1].seen, item[0])))

    def days(self) -> Mapping[date, Mapping[str, Sample]]:
        """Return the samples of each day, UTC, in order."""
        numbers = sorted({minute // _DAY for bursts in self._sources.values() for minute in bursts})
        return {
            datetime.fromtimestamp(day * 86_400, UTC).date(): self.between(day * 86_400, (day + 1) * 86_400)
            for day in numbers
        }


def _row(record: Record) -> tuple[bytes, int] | None:
    if record.body is None:
        raise ValueError("a refusal has no features")
    try:
        with np.errstate(over="raise"):
            values = np.array(features(record.body)).astype(np.float32)
    except (ValueError, FloatingPointError):
        return None
    return values.tobytes(), label_place(record.body["probabilities"])


def _sample(bursts: list[_Burst]) -> Sample:
    values = np.frombuffer(b"".join(burst.values for burst in bursts), np.float32).reshape(-1, len(FEATURES))
    labels = np.array([burst.label for burst in bursts], np.int8)
    return Sample(values, labels, sum(burst.seen for burst in bursts), effective_number(values))
