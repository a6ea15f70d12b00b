"""How masks were worn, hour by hour and source by source: a file a day that is written whole each time."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from functions.drift.records import OTHERS, day_of
from functions.shared.contract import OUTCOMES, compliance_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.drift.records import Record

SOURCES: Final = 1_000  # of a day that are told apart; whoever names more uses the name for something else
_COLUMNS: Final = ("pictures", "faces", *OUTCOMES)
_COLUMN: Final = {name: number for number, name in enumerate(_COLUMNS)}
_HOUR: Final = 3600  # seconds


class Compliance:
    """Counts pictures and faces."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[tuple[int, str], list[int]]] = defaultdict(
            dict
        )  # by day, hour and source
        self._sources: dict[int, set[str]] = defaultdict(set)  # by day

    def add(self, record: Record) -> None:
        """Count a prediction."""
        hour = int(record.time // _HOUR)
        sources = self._sources[hour // 24]
        source = record.source
        if source not in sources:
            if len(sources) < SOURCES:
                sources.add(source)
            else:
                source = OTHERS
        counts = self._counts[hour // 24].setdefault((hour, source), [0] * len(_COLUMNS))
        counts[0] += 1
        counts[1] += len(record.faces)
        for label in record.faces:
            counts[_COLUMN[label]] += 1

    def days(self) -> Mapping[date, list[dict[str, Any]]]:
        """Return the rows of every day that has any, by hour and source."""
        return {
            day_of(day * 24 * _HOUR): [
                {"hour": f"{datetime.fromtimestamp(hour * _HOUR, UTC):%Y-%m-%dT%H:00:00Z}", "source": source}
                | dict(zip(_COLUMNS, counts, strict=True))
                for (hour, source), counts in sorted(rows.items())
            ]
            for day, rows in sorted(self._counts.items())
        }


def write(s3: Any, bucket: str, day: date, rows: list[dict[str, Any]], now: datetime) -> str:
    """Write a day's file, and return its key."""
    key = compliance_key(day)
    document = {"date": day.isoformat(), "written": f"{now:%Y-%m-%dT%H:%M:%SZ}", "rows": rows}
    body = json.dumps(document, separators=(",", ":")).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return key
