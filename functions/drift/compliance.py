"""How masks were worn, hour by hour and source by source: a file a day that is written whole each time."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from functions.drift.busiest import Busiest
from functions.drift.records import OTHERS, day_of
from functions.shared.contract import COMPLIANCE_COUNTS, compliance_key
from functions.shared.record import label_of_stay
from functions.shared.s3 import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.shared.record import Record

SOURCES: Final = 1_000  # that are told apart, the busiest of all days together
MAX_STAYS: Final = 200_000  # people who are told apart
_COLUMN: Final = {name: number for number, name in enumerate(COMPLIANCE_COUNTS)}
_HOUR: Final = 3600  # seconds


class _Row:
    """The counts of an hour and a source."""

    __slots__ = ("counts", "minutes", "versions")

    def __init__(self) -> None:
        self.counts = [0] * len(COMPLIANCE_COUNTS)
        self.minutes = 0  # a bit for each in which faces were seen
        self.versions = Counter[str]()

    def add(self, other: _Row) -> None:
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.minutes |= other.minutes
        self.versions.update(other.versions)


class Compliance:
    """Counts pictures, faces in them, and people where the records say who is who."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, _Row]] = defaultdict(dict)  # by source and hour
        self._stays: dict[tuple[str, str], tuple[float, Counter[str]]] = {}
        self._busiest = Busiest(SOURCES)

    def add(self, record: Record) -> None:
        """Count a prediction, at the time that its picture is of."""
        displaced = self._busiest.add(record.source)
        if displaced is not None:
            self._pool(displaced)
        hour = int(record.taken // _HOUR)
        row = self._rows[record.source].setdefault(hour, _Row())
        counts = row.counts
        counts[0] += 1
        if not record.faces:
            return
        counts[1] += len(record.faces)
        for label in record.faces:
            counts[_COLUMN[label]] += 1
        row.minutes |= 1 << int(record.taken % _HOUR // 60)
        row.versions[record.model_version] += 1
        if record.track:
            self._follow(record)

    def _follow(self, record: Record) -> None:
        """Take note that a person is in sight, of whom the largest face of a picture is."""
        name = record.source, record.track
        if name not in self._stays and len(self._stays) == MAX_STAYS:
            return
        first, labels = self._stays.get(name, (record.taken, Counter[str]()))
        labels[record.faces[0]] += 1
        self._stays[name] = min(first, record.taken), labels

    def _pool(self, source: str) -> None:
        for hour, row in self._rows.pop(source, {}).items():
            self._rows[OTHERS].setdefault(hour, _Row()).add(row)

    def days(self) -> Mapping[date, Sequence[Mapping[str, Any]]]:
        """Return the rows of every day that has any, by hour and source; a person counts where the stay began."""
        people: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        for (source, _), (first, labels) in self._stays.items():
            kept = source if source in self._rows else OTHERS
            people[int(first // _HOUR), kept].update(("people", f"people_{label_of_stay(labels)}"))
        found: dict[date, list[dict[str, Any]]] = defaultdict(list)
        for source, rows in self._rows.items():
            for hour, row in rows.items():
                counts = dict(zip(COMPLIANCE_COUNTS, row.counts, strict=True))
                counts |= {"minutes": row.minutes.bit_count()} | people[hour, source]
                time = f"{datetime.fromtimestamp(hour * _HOUR, UTC):%Y-%m-%dT%H:00:00Z}"
                found[day_of(hour * _HOUR)].append({"hour": time, "source": source} | counts)
        return {
            day: sorted(rows, key=lambda row: (row["hour"], row["source"]))
            for day, rows in sorted(found.items())
        }

    def versions(self) -> Mapping[date, Counter[str]]:
        """Return how many pictures of each day were judged by which release."""
        found: dict[date, Counter[str]] = defaultdict(Counter)
        for rows in self._rows.values():
            for hour, row in rows.items():
                found[day_of(hour * _HOUR)].update(row.versions)
        return found


def write(
    s3: Any,
    bucket: str,
    day: date,
    rows: Sequence[Mapping[str, Any]],
    now: datetime,
    confusion: Sequence[Sequence[int]] | None,
) -> str | None:
    """Write a day's file and return its key; None where the one that is there counts more pictures.

    Args:
        s3: A boto3 client.
        bucket: Where summaries are.
        day: UTC.
        rows: See `Compliance.days`.
        now: When they were counted.
        confusion: Of the release that judged the day's pictures, on its test pictures, where it is known; rows are
            actual labels, columns predicted ones.
    """
    key = compliance_key(day)
    if _pictures(read(s3, bucket, key)) > sum(row["pictures"] for row in rows):
        return None
    document = {
        "date": day.isoformat(),
        "written": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "confusion": confusion,
        "rows": rows,
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return key


def _pictures(summary: bytes | None) -> int:
    """Return how many pictures a day's file counts; of one that cannot be read none, so that it is replaced."""
    try:
        return sum(int(row["pictures"]) for row in json.loads(summary or b"")["rows"])
    except (KeyError, TypeError, ValueError):
        return 0
