"""Who wore a mask, hour by hour or day by day: put together from the summaries of the days, which Drift writes."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from functions.portal import store
from functions.shared.contract import OUTCOMES, compliance_key, read_source
from functions.shared.fields import refuse_unknown
from functions.shared.problem import INVALID_PARAMETER, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COUNTS: Final = ("pictures", "faces", *OUTCOMES)
COLUMNS: Final = ("time", "source", *_COUNTS, *(f"share_{label}" for label in OUTCOMES))
MAX_DAYS: Final = {"day": 366, "hour": 31}
_MAX_ROWS: Final = 30_000  # more would not fit into an answer anyway
_MAX_ANSWER: Final = 6_000_000  # characters, escaped twice as Lambda hands them on; it takes 6 MiB
_PATIENCE: Final = 12.0  # seconds, of the function's own 20
_AT_ONCE: Final = 32  # summaries; with a thousand sources one has some megabytes
_USUAL: Final = timedelta(days=6)  # before the last day
_FORMS: Final = ("json", "csv")
_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Spreadsheets compute what begins like this. Where they part cells by other characters than commas, a cell may begin
# in the middle of ours.
_FORMULA: Final = re.compile(r'(?:^|(?<=[,;|\t"]))(?=\s*[-=+@＝＋－＠])')  # noqa: RUF001 -- they take wide ones, too


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        first: The first hour that counts, UTC.
        last: The last hour that counts, UTC.
        by: What a row is about, an `hour` or a `day`.
        source: Only of this camera or site, empty for pictures that told none; None for all.
        form: Of the answer, `json` or `csv`.
    """

    first: datetime
    last: datetime
    by: str
    source: str | None
    form: str


def parse(query: Mapping[str, str], accept: str, now: datetime) -> Wanted:
    """Read the parameters of a request.

    Args:
        query: The parameters.
        accept: The header of this name.
        now: In UTC; where no other end is told, the range ends with this day.

    Raises:
        InputError: One is malformed, or the range is too long; the detail says how to do it right.
    """
    query = {name: text for name, text in query.items() if text or name == "source"}
    refuse_unknown(query, ("from", "to", "by", "source", "format"))
    by = _choice(query, "by", tuple(MAX_DAYS))
    form = _choice(query, "format", _FORMS) if "format" in query or "text/csv" not in accept else "csv"
    source = read_source(query["source"]) or "" if "source" in query else None
    try:
        last = _moment(query.get("to", f"{now:%Y-%m-%d}"), end=True)
        first = _moment(query["from"]) if "from" in query else last.replace(hour=0) - _USUAL
    except (ValueError, OverflowError) as error:
        detail = (
            "`from` and `to` must be days such as 2026-11-22, or times such as 2026-11-22T09:00:00Z (UTC)."
        )
        raise InputError(INVALID_PARAMETER, detail) from error
    days = (last.date() - first.date()).days + 1
    if first > last:
        raise InputError(INVALID_PARAMETER, "`from` is later than `to`; the range includes both.")
    if days > MAX_DAYS[by]:
        detail = f"That range is {days:,} days long; ask for at most {MAX_DAYS[by]} days by {by}"
        raise InputError(INVALID_PARAMETER, f"{detail}{', or by day' if by == 'hour' else ''}.")
    return Wanted(first, last, by, source, form)


def find(wanted: Wanted, bucket: str) -> dict[str, Any]:
    """Return the counts of the range as they are answered: what was asked for, `as_of`, `rows` and their `total`.

    Raises:
        InputError: There are more than may be answered at once.
    """
    first, last = _text(wanted.first), _text(wanted.last)
    counts: dict[tuple[str, str], Counter[str]] = {}
    written = []
    for summary in _summaries(wanted, bucket):
        written.append(summary["written"])
        for row in summary["rows"]:
            hour, source = row["hour"], row["source"]
            if first <= hour <= last and wanted.source in {None, source}:
                begin = hour if wanted.by == "hour" else f"{hour[:10]}T00:00:00Z"
                counts.setdefault((begin, source), Counter()).update({name: row[name] for name in _COUNTS})
        if len(counts) > _MAX_ROWS:
            raise _too_much(f"The answer would have more than {_MAX_ROWS:,} rows")
    return {
        "from": first,
        "to": last,
        "by": wanted.by,
        "as_of": max(written, default=None),
        "rows": [
            {"time": begin, "source": source} | _told(counted)
            for (begin, source), counted in sorted(counts.items())
        ],
        "total": _told(sum(counts.values(), Counter())),
    }


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
        raise _too_much(f"The answer would have {len(found['rows']):,} rows, which is too many at once")
    return text


def _choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    told = query.get(name, choices[0])
    if told not in choices:
        raise InputError(INVALID_PARAMETER, f"`{name}` must be {' or '.join(choices)}.")
    return told


def _moment(text: str, *, end: bool = False) -> datetime:
    """Read a day or a time to its hour, UTC; of a day the first, or the last where it is the end of a range."""
    text = text.replace(" ", "+")  # a plus that was not percent-encoded
    if not _DAY.match(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment != moment.replace(minute=0, second=0, microsecond=0):
        raise ValueError(text)
    return moment.replace(hour=23) if end and _DAY.fullmatch(text) else moment


def _text(hour: datetime) -> str:
    return hour.isoformat().replace("+00:00", "Z")


def _summaries(wanted: Wanted, bucket: str) -> Iterator[dict[str, Any]]:
    """Give the summaries that there are, one by one: parsed they are ten times as large."""
    days = (wanted.last.date() - wanted.first.date()).days + 1
    keys = [compliance_key(wanted.first.date() + timedelta(day)) for day in range(days)]
    until = time.monotonic() + _PATIENCE
    store.s3()  # made here, since threads must not make it at once
    with ThreadPoolExecutor(store.CONNECTIONS) as pool:
        for start in range(0, days, _AT_ONCE):
            for text in pool.map(lambda key: store.read(bucket, key), keys[start : start + _AT_ONCE]):
                if text is not None:
                    yield json.loads(text)
            if time.monotonic() > until:
                raise _too_much("There is more in that range than can be counted at once")


def _too_much(what: str) -> InputError:
    detail = f"{what}. Ask for fewer days, by day, or for one source after the other."
    return InputError(INVALID_PARAMETER, detail)


def _told(counted: Counter[str]) -> dict[str, Any]:
    """Return counts and, of the faces, shares; None where there are no faces."""
    faces = counted["faces"]
    return {name: counted[name] for name in _COUNTS} | {
        f"share_{label}": round(counted[label] / faces, 4) if faces else None for label in OUTCOMES
    }
