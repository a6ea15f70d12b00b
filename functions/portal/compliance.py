"""Compliance by hour or by day, aggregated from the daily counts that Drift writes.

Faces are counted per frame, so one person who stays is counted many times. Where the records carry tracks, people
are counted as well, once per stay.
"""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from functions.portal import buckets
from functions.portal.correction import correct
from functions.portal.times import hour_text, parse_range
from functions.shared.contract import ANSWER_LABELS, COMPLIANCE_COUNTS, LABELS, compliance_key, read_source
from functions.shared.fields import refuse_unknown
from functions.shared.problem import INVALID_PARAMETER, NOT_IN_TIME, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from functions.shared.problem import Problem

_CORRECTED: Final = tuple(f"corrected_{label}{end}" for label in LABELS for end in ("", "_low", "_high"))
COLUMNS: Final = (
    "time", "source", *COMPLIANCE_COUNTS, *(f"share_{label}" for label in ANSWER_LABELS), *_CORRECTED
)  # fmt: skip
MAX_DAYS: Final = {"day": 366, "hour": 31}
_MAX_ROWS: Final = 30_000  # more would exceed the size of an answer
_MAX_ANSWER: Final = 6_000_000  # characters, escaped twice as in Lambda's payload, whose limit is 6 MiB
_TIMEOUT: Final = 12.0  # seconds, of the function's own 20
_CHUNK: Final = 32  # days in memory at once; with a thousand sources, one is some megabytes
_LATE: Final = timedelta(hours=1)  # after the end of a day nearly all its records have arrived
# Spreadsheets evaluate cells that begin like this. If they separate cells at other characters than commas, a cell may
# begin in the middle of a value.
FORMULA: Final = re.compile(r'(?:^|(?<=[,;|\t"]))(?=\s*[-=+@＝＋－＠])')  # noqa: RUF001 -- full-width signs count, too
_WEIGHT: Final = re.compile(r";\s*q=(0(?:\.\d*)?)\s*(?:;|$)")  # one below 1; without one, it is 1


@dataclass(frozen=True)
class ComplianceQuery:
    """The parameters of a request.

    Attributes:
        first: First hour of the range, UTC, inclusive.
        last: Last hour of the range, UTC, inclusive.
        by: Time span of a row: `hour` or `day`.
        source: A camera or site; empty for pictures without a source, None for all.
        answer_format: `json` or `csv`.
        zone: Time zone in which days begin and end.
    """

    first: datetime
    last: datetime
    by: str
    source: str | None
    answer_format: str
    zone: tzinfo


@dataclass
class _Counted:
    """The counts of a row, in total and by the confusion matrix (as JSON) of the release that predicted them."""

    counts: Counter[str]
    by_confusion: dict[str, Counter[str]]

    def add(self, row: Mapping[str, Any], confusion: str) -> None:
        counts = Counter({name: row.get(name, 0) for name in COMPLIANCE_COUNTS})
        self.counts.update(counts)
        self.by_confusion.setdefault(confusion, Counter()).update(counts)


def parse(query: Mapping[str, str], accept: str, now: datetime) -> ComplianceQuery:
    """Parse the query string and `Accept` header of a request; without `to`, the range ends with the day of `now`.

    Raises:
        InputError: A parameter is malformed, or the range is too long; the detail shows the right form.
    """
    query = {name: text for name, text in query.items() if text or name == "source"}
    refuse_unknown(query, ("from", "to", "by", "source", "format", "tz"))
    by = _choice(query, "by", tuple(MAX_DAYS))
    answer_format = _choice(
        {"format": "csv" if _prefers_csv(accept) else "json"} | query, "format", ("json", "csv")
    )
    source = read_source(query["source"]) or "" if "source" in query else None
    zone = _zone(query.get("tz", "UTC"))
    first, last = parse_range(query, now, zone)
    # In local time, since a day may have 23 or 25 hours.
    days = (last.astimezone(zone) - first.astimezone(zone)).days + 1
    if days > MAX_DAYS[by]:
        detail = f"That range is {days:,} days long; ask for at most {MAX_DAYS[by]} days by {by}"
        raise InputError(INVALID_PARAMETER, f"{detail}{', or by day' if by == 'hour' else ''}.")
    return ComplianceQuery(first, last, by, source, answer_format, zone)


def find(selection: ComplianceQuery, bucket: str, now: datetime) -> dict[str, Any]:
    """Return the counts of a range, as the API answers them.

    `as_of` is the time of the newest counts used. `missing` lists past days (UTC) without counts; `partial` lists
    days whose counts were written before the day was over.

    Raises:
        InputError: The answer would have too many rows, or the range cannot be counted in time.
    """
    first, last = hour_text(selection.first), hour_text(selection.last)
    rows: dict[tuple[str, str], _Counted] = {}
    written: dict[date, datetime | None] = {}
    for day, document in _daily_counts(selection, bucket):
        written[day] = datetime.fromisoformat(document["written"]) if document else None
        confusion = json.dumps(document.get("confusion")) if document else ""
        for row in document["rows"] if document else ():
            hour, source = row["hour"], row["source"]
            if first <= hour <= last and selection.source in {None, source}:
                begin = hour if selection.by == "hour" else _day_of(hour, selection.zone)
                rows.setdefault((begin, source), _Counted(Counter(), {})).add(row, confusion)
        if len(rows) > _MAX_ROWS:
            raise _too_much(f"The answer would have more than {_MAX_ROWS:,} rows", INVALID_PARAMETER)
    total = _Counted(Counter(), {})
    for counted in rows.values():
        for confusion, counts in counted.by_confusion.items():
            total.add(counts, confusion)
    newest = max((at for at in written.values() if at), default=None)
    ends = {day: datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) for day in written}
    return {
        "from": first,
        "to": last,
        "by": selection.by,
        "tz": str(selection.zone),
        "as_of": newest and hour_text(newest),
        "missing": [
            day.isoformat() for day, at in written.items() if at is None and ends[day] + _LATE <= now
        ],
        "partial": [day.isoformat() for day, at in written.items() if at and at < ends[day] + _LATE],
        "rows": [
            {"time": begin, "source": source} | _figures(counted)
            for (begin, source), counted in sorted(rows.items(), key=lambda item: item[0])
        ],
        "total": _figures(total),
    }


def as_text(answer: Mapping[str, Any], answer_format: str) -> str:
    """Serialise the answer as JSON or CSV.

    Raises:
        InputError: It is larger than one answer may be.
    """
    if answer_format == "csv":
        file = io.StringIO()
        file.write("\ufeff")  # Excel recognises UTF-8 by it
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(row | {"source": FORMULA.sub("'", row["source"])} for row in answer["rows"])
        text = file.getvalue()
    else:
        text = json.dumps(answer)
    if len(json.dumps(text)) > _MAX_ANSWER:
        raise _too_much(
            f"The answer would have {len(answer['rows']):,} rows, which is too many at once",
            INVALID_PARAMETER,
        )
    return text


def _choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    result = query.get(name, choices[0])
    if result not in choices:
        raise InputError(INVALID_PARAMETER, f"`{name}` must be {' or '.join(choices)}.")
    return result


def _prefers_csv(accept: str) -> bool:
    """Whether an `Accept` header gives CSV a higher weight than JSON; generated clients list both alike."""
    weights = {
        part.partition(";")[0].strip(): float(weight[1]) if (weight := _WEIGHT.search(part)) else 1.0
        for part in accept.lower().split(",")
    }
    of_json = (weights[name] for name in ("application/json", "application/*", "*/*") if name in weights)
    return weights.get("text/csv", 0) > next(of_json, 0)


def _zone(name: str) -> tzinfo:
    """Return the time zone with this IANA name."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # an unknown zone, or not a valid name
        detail = f"`tz` must be the name of a time zone, such as Europe/Berlin, not {name[:64]!r}."
        raise InputError(INVALID_PARAMETER, detail) from error


def _day_of(hour: str, zone: tzinfo) -> str:
    """Return the start of the day, in a time zone, to which an hour's first minute belongs."""
    if zone is UTC:
        return f"{hour[:10]}T00:00:00Z"
    local = datetime.fromisoformat(hour).astimezone(zone)
    return datetime(local.year, local.month, local.day, tzinfo=zone).isoformat()


def _daily_counts(selection: ComplianceQuery, bucket: str) -> Iterator[tuple[date, dict[str, Any] | None]]:
    """Yield each day with its counts, or None; one at a time, since they are ten times as large when parsed."""
    count = (selection.last.date() - selection.first.date()).days + 1
    days = [selection.first.date() + timedelta(day) for day in range(count)]
    until = time.monotonic() + _TIMEOUT
    buckets.s3()  # created here, since threads must not create it concurrently
    with ThreadPoolExecutor(buckets.CONNECTIONS) as pool:
        for start in range(0, count, _CHUNK):
            chunk = days[start : start + _CHUNK]
            texts = pool.map(lambda day: buckets.read(bucket, compliance_key(day)), chunk)
            for day, text in zip(chunk, texts, strict=True):
                yield day, None if text is None else json.loads(text)
            if time.monotonic() > until and chunk[-1] != days[-1]:
                raise _too_much("This range cannot be counted in time", NOT_IN_TIME)


def _too_much(what: str, problem: Problem) -> InputError:
    detail = f"{what}. Ask for fewer days, by day, or for one source after the other."
    return InputError(problem, detail)


def _figures(counted: _Counted) -> dict[str, Any]:
    """Return the counts, the predicted shares of faces and the corrected shares; None where a share is unknown.

    A corrected share is that of the faces with a label; its interval allows for any label of uncertain faces.
    """
    counts = counted.counts
    faces = counts["faces"]
    groups = [
        ([part[label] for label in LABELS], float(part["minutes"] or part["faces"]), json.loads(confusion))
        for confusion, part in counted.by_confusion.items()
        if part["faces"]  # without faces there is nothing to correct
    ]
    shares = correct(groups) if all(confusion for _, _, confusion in groups) else None
    corrected: list[float | None] = [None] * len(_CORRECTED)
    if shares:
        known = 1 - counts["uncertain"] / faces
        corrected = [
            value
            for share in shares
            # Faces of which the label is uncertain may have any: all of them this one, or none.
            for value in (share.value, known * share.low, known * share.high + 1 - known)
        ]
    return (
        {name: counts[name] for name in COMPLIANCE_COUNTS}
        | {f"share_{label}": round(counts[label] / faces, 4) if faces else None for label in ANSWER_LABELS}
        | {
            name: None if value is None else round(value, 4)
            for name, value in zip(_CORRECTED, corrected, strict=True)
        }
    )
