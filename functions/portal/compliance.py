"""Who wore a mask, hour by hour or day by day: put together from the summaries of the days, which Drift writes.

Faces are counted in frames, so that one person who stays is many of them. Where the records carry tracks, people are
counted as well, once a stay.
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

from functions.portal import store
from functions.portal.correction import correct
from functions.shared.contract import COMPLIANCE_COUNTS, LABELS, OUTCOMES, compliance_key, read_source
from functions.shared.fields import refuse_unknown
from functions.shared.problem import INVALID_PARAMETER, NOT_IN_TIME, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from functions.shared.problem import Problem

_CORRECTED: Final = tuple(f"corrected_{label}{end}" for label in LABELS for end in ("", "_low", "_high"))
COLUMNS: Final = (
    "time", "source", *COMPLIANCE_COUNTS, *(f"share_{label}" for label in OUTCOMES), *_CORRECTED
)  # fmt: skip
MAX_DAYS: Final = {"day": 366, "hour": 31}
_MAX_ROWS: Final = 30_000  # more would not fit into an answer anyway
_MAX_ANSWER: Final = 6_000_000  # characters, escaped twice as Lambda hands them on; it takes 6 MiB
_PATIENCE: Final = 12.0  # seconds, of the function's own 20
_AT_ONCE: Final = 32  # summaries; with a thousand sources one has some megabytes
_USUAL: Final = timedelta(days=6)  # before the last day
_LATE: Final = timedelta(hours=1)  # after a day's end, when nearly all its records are there
_FORMS: Final = ("json", "csv")
_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Spreadsheets compute what begins like this. Where they part cells by other characters than commas, a cell may begin
# in the middle of ours.
_FORMULA: Final = re.compile(r'(?:^|(?<=[,;|\t"]))(?=\s*[-=+@＝＋－＠])')  # noqa: RUF001 -- they take wide ones, too


@dataclass(frozen=True)
class ComplianceQuery:
    """What is asked for.

    Attributes:
        first: The first hour that counts, UTC.
        last: The last hour that counts, UTC.
        by: What a row is about, an `hour` or a `day`.
        source: Only of this camera or site, empty for pictures that told none; None for all.
        form: Of the answer, `json` or `csv`.
        zone: In which days begin and end.
    """

    first: datetime
    last: datetime
    by: str
    source: str | None
    form: str
    zone: tzinfo


@dataclass
class _Counted:
    """A row: its counts, and these by the confusion of the release that judged, None where it is not known."""

    counts: Counter[str]
    by_confusion: dict[str, Counter[str]]

    def add(self, row: Mapping[str, Any], confusion: str) -> None:
        counts = Counter({name: row.get(name, 0) for name in COMPLIANCE_COUNTS})
        self.counts.update(counts)
        self.by_confusion.setdefault(confusion, Counter()).update(counts)


def parse(query: Mapping[str, str], accept: str, now: datetime) -> ComplianceQuery:
    """Read the parameters of a request.

    Args:
        query: The parameters.
        accept: The header of this name.
        now: In UTC; where no other end is told, the range ends with this day.

    Raises:
        InputError: One is malformed, or the range is too long; the detail says how to do it right.
    """
    query = {name: text for name, text in query.items() if text or name == "source"}
    refuse_unknown(query, ("from", "to", "by", "source", "format", "tz"))
    by = _choice(query, "by", tuple(MAX_DAYS))
    form = _choice(query, "format", _FORMS) if "format" in query or "text/csv" not in accept else "csv"
    source = read_source(query["source"]) or "" if "source" in query else None
    zone = _zone(query.get("tz", "UTC"))
    try:
        last = _moment(query.get("to", f"{now.astimezone(zone):%Y-%m-%d}"), zone, end=True)
        day = (last.astimezone(zone) - _USUAL).date()
        first = _moment(query.get("from", day.isoformat()), zone)
    except (ValueError, OverflowError) as error:
        detail = (
            "`from` and `to` must be days such as 2026-11-22, or times such as 2026-11-22T09:00:00Z (UTC)."
        )
        raise InputError(INVALID_PARAMETER, detail) from error
    days = (last.astimezone(zone).date() - first.astimezone(zone).date()).days + 1
    if first > last:
        raise InputError(INVALID_PARAMETER, "`from` is later than `to`; the range includes both.")
    if days > MAX_DAYS[by]:
        detail = f"That range is {days:,} days long; ask for at most {MAX_DAYS[by]} days by {by}"
        raise InputError(INVALID_PARAMETER, f"{detail}{', or by day' if by == 'hour' else ''}.")
    return ComplianceQuery(first, last, by, source, form, zone)


def find(selection: ComplianceQuery, bucket: str, now: datetime) -> dict[str, Any]:
    """Return the counts of the range as they are answered.

    `as_of` is when the oldest of the counts was made; `missing` are days, UTC, that are over and of which nothing was
    counted; `partial` are those that were last counted before they were over.

    Args:
        selection: What is asked for.
        bucket: Where the summaries are.
        now: In UTC.

    Raises:
        InputError: There are more than may be answered at once, or than can be counted in time.
    """
    first, last = _text(selection.first), _text(selection.last)
    rows: dict[tuple[str, str], _Counted] = {}
    written: dict[date, datetime | None] = {}
    for day, summary in _summaries(selection, bucket):
        written[day] = datetime.fromisoformat(summary["written"]) if summary else None
        confusion = json.dumps(summary.get("confusion")) if summary else ""
        for row in summary["rows"] if summary else ():
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
    ends = {day: datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) for day in written}
    return {
        "from": first,
        "to": last,
        "by": selection.by,
        "tz": str(selection.zone),
        "as_of": _oldest(written.values()),
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


def _oldest(written: Iterable[datetime | None]) -> str | None:
    found = min((at for at in written if at), default=None)
    return _text(found) if found else None


def as_text(found: Mapping[str, Any], form: str) -> str:
    """Return the answer in its form.

    Raises:
        InputError: It is larger than may be answered at once.
    """
    if form == "csv":
        file = io.StringIO()
        file.write("\ufeff")  # by which Excel knows UTF-8
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(row | {"source": _FORMULA.sub("'", row["source"])} for row in found["rows"])
        text = file.getvalue()
    else:
        text = json.dumps(found)
    if len(json.dumps(text)) > _MAX_ANSWER:
        raise _too_much(
            f"The answer would have {len(found['rows']):,} rows, which is too many at once", INVALID_PARAMETER
        )
    return text


def _choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    result = query.get(name, choices[0])
    if result not in choices:
        raise InputError(INVALID_PARAMETER, f"`{name}` must be {' or '.join(choices)}.")
    return result


def _zone(name: str) -> tzinfo:
    """Find a time zone by its name in the database of time zones (IANA)."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # no such zone, or no name of any
        detail = f"`tz` must be the name of a time zone, such as Europe/Berlin, not {name[:64]!r}."
        raise InputError(INVALID_PARAMETER, detail) from error


def _moment(text: str, zone: tzinfo, *, end: bool = False) -> datetime:
    """Read a day of a time zone, or a time, as an hour of UTC; of a day the first, or the last if it is the end."""
    text = text.replace(" ", "+")  # a plus that was not percent-encoded
    if not _DAY.match(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    if _DAY.fullmatch(text):
        midnight = moment.replace(tzinfo=zone) + timedelta(days=int(end))  # as the clocks there go
        midnight = midnight.astimezone(UTC).replace(minute=0)
        return midnight - timedelta(hours=1) if end else midnight
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment != moment.replace(minute=0, second=0, microsecond=0):
        raise ValueError(text)
    return moment


def _day_of(hour: str, zone: tzinfo) -> str:
    """Return the beginning of the day, in a time zone, that an hour's first minute falls in."""
    if zone is UTC:
        return f"{hour[:10]}T00:00:00Z"
    local = datetime.fromisoformat(hour).astimezone(zone)
    return datetime(local.year, local.month, local.day, tzinfo=zone).isoformat()


def _text(hour: datetime) -> str:
    return hour.isoformat().replace("+00:00", "Z")


def _summaries(selection: ComplianceQuery, bucket: str) -> Iterator[tuple[date, dict[str, Any] | None]]:
    """Give every day's summary, if there is one, one by one: parsed they are ten times as large."""
    count = (selection.last.date() - selection.first.date()).days + 1
    days = [selection.first.date() + timedelta(day) for day in range(count)]
    until = time.monotonic() + _PATIENCE
    store.s3()  # made here, since threads must not make it at once
    with ThreadPoolExecutor(store.CONNECTIONS) as pool:
        for start in range(0, count, _AT_ONCE):
            some = days[start : start + _AT_ONCE]
            texts = pool.map(lambda day: store.read(bucket, compliance_key(day)), some)
            for day, text in zip(some, texts, strict=True):
                yield day, None if text is None else json.loads(text)
            if time.monotonic() > until and some[-1] != days[-1]:
                raise _too_much("This range cannot be counted in time", NOT_IN_TIME)


def _too_much(what: str, problem: Problem) -> InputError:
    detail = f"{what}. Ask for fewer days, by day, or for one source after the other."
    return InputError(problem, detail)


def _figures(counted: _Counted) -> dict[str, Any]:
    """Return counts and, of the faces, shares as they were predicted and corrected; None where they are not known."""
    counts = counted.counts
    faces = counts["faces"]
    groups = [
        (
            [of[label] for label in LABELS],
            float(of["minutes"] or of["faces"]),
            json.loads(confusion),
        )
        for confusion, of in counted.by_confusion.items()
    ]
    found = correct(groups) if all(confusion for _, _, confusion in groups) else None
    corrected: list[float | None] = [value for one in found or () for value in (one.value, one.low, one.high)]
    corrected = corrected or [None] * len(_CORRECTED)
    return (
        {name: counts[name] for name in COMPLIANCE_COUNTS}
        | {f"share_{label}": round(counts[label] / faces, 4) if faces else None for label in OUTCOMES}
        | {
            name: None if value is None else round(value, 4)
            for name, value in zip(_CORRECTED, corrected, strict=True)
        }
    )
