"""Counts of faces and people by hour, source and label: one file per day, which each run rewrites."""

from __future__ import annotations

import json
import operator
from array import array
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from itertools import chain
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from functions.drift.heavy_hitters import HeavyHitters
from functions.drift.records import OTHERS, day_of
from functions.shared.contract import (
    ANSWER_LABELS,
    COMPLIANCE_COUNTS,
    LABELS,
    compliance_key,
    iso,
    label_of_stay,
)
from functions.shared.s3 import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.shared.record import Record

MAX_SOURCES: Final = 1_000  # the busiest of all days; others are pooled
MAX_STAYS: Final = 200_000  # of a day; further ones are not counted as people
_COLUMN: Final = {name: number for number, name in enumerate(COMPLIANCE_COUNTS)}
_HOUR: Final = 3600  # seconds


class _Row:
    """The counts of one hour and source."""

    __slots__ = ("counts", "minutes", "versions")

    def __init__(self) -> None:
        self.counts = [0] * len(COMPLIANCE_COUNTS)
        self.minutes = 0  # a bit for each minute with a face
        self.versions = Counter[str]()

    def add(self, other: _Row) -> None:
        self.counts = [count + more for count, more in zip(self.counts, other.counts, strict=True)]
        self.minutes |= other.minutes
        self.versions.update(other.versions)


class _Stay:
    """The frames of a tracked person."""

    __slots__ = ("first", "frames", "last", "source")

    def __init__(self, first: float, source: str) -> None:
        self.first, self.last, self.source = first, first, intern(source)
        self.frames = array("I", [0] * len(ANSWER_LABELS))  # by label


class Compliance:
    """Counts pictures, faces, and people in records that have a track.

    Attributes:
        crowded: Days with more than `MAX_STAYS` people.
    """

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, _Row]] = defaultdict(dict)  # by source and hour
        # By hour, and by a hash of source and track, which is smaller than both.
        self._stays: dict[int, dict[int, _Stay]] = defaultdict(dict)
        self._begun = Counter[date]()  # stays by day, each once for every hour that it touches
        self._busiest = HeavyHitters(MAX_SOURCES)
        self.crowded = set[date]()

    def add(self, record: Record) -> None:
        """Count a prediction in the hour when its picture was taken or uploaded."""
        left_out = self._busiest.add(record.source)
        if left_out is not None:
            self._pool(left_out)
        source = OTHERS if left_out == record.source else record.source
        hour = int(record.taken // _HOUR)
        row = self._rows[source].setdefault(hour, _Row())
        counts = row.counts
        counts[0] += 1
        if not record.face_labels:
            return
        counts[1] += len(record.face_labels)
        for label in record.face_labels:
            counts[_COLUMN[label]] += 1
        row.minutes |= 1 << int(record.taken % _HOUR // 60)
        row.versions[record.model_version] += 1
        self.add_person(record)

    def add_person(self, record: Record) -> None:
        """Count a frame of the tracked person, who is the largest face; nothing if there is none.

        Called alone for the day before the first, because a stay that began then must not count on the first.
        """
        if not (record.track and record.face_labels):
            return
        key, stays = hash((record.source, record.track)), self._stays[int(record.taken // _HOUR)]
        stay = stays.get(key)
        if stay is None:
            day = day_of(record.taken)
            if self._begun[day] == MAX_STAYS:
                self.crowded.add(day)
                return
            self._begun[day] += 1
            stay = stays[key] = _Stay(record.taken, record.source)
        stay.first, stay.last = min(stay.first, record.taken), max(stay.last, record.taken)
        stay.frames[ANSWER_LABELS.index(record.face_labels[0])] += 1

    def _pool(self, source: str) -> None:
        for hour, row in self._rows.pop(source, {}).items():
            self._rows[OTHERS].setdefault(hour, _Row()).add(row)

    def days(self) -> Mapping[date, Sequence[Mapping[str, Any]]]:
        """Return the rows by day, sorted by hour and source; a person counts in the hour when the stay began."""
        self._join_stays()
        people: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        for stay in chain.from_iterable(stays.values() for stays in self._stays.values()):
            kept = stay.source if stay.source in self._rows else OTHERS
            label = label_of_stay(dict(zip(ANSWER_LABELS, stay.frames, strict=True)))
            people[int(stay.first // _HOUR), kept].update(("people", f"people_{label}"))
        by_day: dict[date, list[dict[str, Any]]] = defaultdict(list)
        for source, rows in self._rows.items():
            for hour, row in rows.items():
                counts = dict(zip(COMPLIANCE_COUNTS, row.counts, strict=True))
                counts |= {"minutes": row.minutes.bit_count()} | people[hour, source]
                time = f"{datetime.fromtimestamp(hour * _HOUR, UTC):%Y-%m-%dT%H:00:00Z}"
                by_day[day_of(hour * _HOUR)].append({"hour": time, "source": source} | counts)
        return {
            day: sorted(rows, key=lambda row: (row["hour"], row["source"]))
            for day, rows in sorted(by_day.items())
        }

    def _join_stays(self) -> None:
        """Join each stay with that of the hour before; one without a frame for an hour has ended.

        Then a track was used again, as by cameras that count people from 1 every morning and after a failure.
        """
        before: dict[int, _Stay] = {}
        for _, stays in sorted(self._stays.items()):
            joined = {}
            for key, stay in list(stays.items()):
                joined[key] = stay
                earlier = before.get(key)
                if earlier and stay.first - earlier.last < _HOUR:
                    earlier.last = stay.last
                    earlier.frames = array("I", map(operator.add, earlier.frames, stay.frames))
                    joined[key] = earlier
                    del stays[key]
            before = joined

    def versions(self) -> Mapping[date, Counter[str]]:
        """Return the number of pictures with faces by day and release."""
        by_day: dict[date, Counter[str]] = defaultdict(Counter)
        for rows in self._rows.values():
            for hour, row in rows.items():
                by_day[day_of(hour * _HOUR)].update(row.versions)
        return by_day


def confusion_of(manifest: Mapping[str, Any]) -> list[list[int]] | None:
    """Return the confusion matrix of the served path in a manifest; rows are actual labels, columns predicted ones.

    That of the detector's scenes is closer to a camera's pictures, but has few masks that are worn wrongly, and a
    release that keeps its detector has none. None if the manifest has no matrix of that shape; shares are then not
    corrected, which the answer of `GET /compliance` shows.
    """
    try:
        confusion: list[list[int]] = manifest["metrics"]["served"]["confusion"]
        has_shape = [len(row) for row in confusion] == [len(LABELS)] * len(LABELS)
        are_counts = all(type(n) is int and n >= 0 for row in confusion for n in row)
    except (KeyError, TypeError):
        return None
    return confusion if has_shape and are_counts else None


def write(
    s3: Any,
    bucket: str,
    day: date,
    rows: Sequence[Mapping[str, Any]],
    now: datetime,
    version: str | None,
    confusions: Mapping[str | None, Sequence[Sequence[int]] | None],
) -> str | None:
    """Write a day's file and return its key; return None if the existing one counts more pictures.

    The rows are those of `Compliance.days`, and `version` is the release that scored most of the day's pictures with
    faces, None if there are none. `confusions` has the matrices of known releases, see `confusion_of`; the existing
    file has that of a release that serves no longer.
    """
    key = compliance_key(day)
    existing, pictures = _parse(read(s3, bucket, key))
    if pictures > sum(row["pictures"] for row in rows):
        return None
    if existing.get("model_version", version) == version:  # older files name no release
        confusions = {version: existing.get("confusion"), **confusions}
    document = {
        "date": day.isoformat(),
        "written": iso(now.timestamp()),
        "model_version": version,
        "confusion": confusions.get(version),
        "rows": rows,
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return key


def _parse(file: bytes | None) -> tuple[Mapping[str, Any], int]:
    """Return a day's file and its number of pictures; nothing if it cannot be parsed, so that it is replaced."""
    try:
        document = json.loads(file or b"")
        return document, sum(int(row["pictures"]) for row in document["rows"])
    except (KeyError, TypeError, ValueError):
        return {}, 0
