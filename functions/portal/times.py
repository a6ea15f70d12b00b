"""The range of time that a query asks for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final

from functions.shared.problem import INVALID_PARAMETER, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_RANGE: Final = timedelta(days=6)  # before the last day
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_DAY: Final = re.compile("[12][0-9]{3}-[0-9]{2}-[0-9]{2}")  # far from the ends of the calendar


def parse_range(query: Mapping[str, str], now: datetime, zone: tzinfo = UTC) -> tuple[datetime, datetime]:
    """Return the first and the last hour, UTC, of the range from `from` to `to`, which includes both.

    Args:
        query: Without `to`, the range ends with this day; without `from`, it is a week.
        now: The current time, UTC.
        zone: Time zone in which days begin and end.

    Raises:
        InputError: A time is malformed, or `from` is later than `to`.
    """
    try:
        last = _moment(query.get("to", f"{now.astimezone(zone):%Y-%m-%d}"), zone, end=True)
        day = (last.astimezone(zone) - _DEFAULT_RANGE).date()
        first = _moment(query.get("from", day.isoformat()), zone)
    except ValueError as error:
        detail = "`from` and `to` must be days such as 2026-11-22, or whole hours such as 2026-11-22T09:00:00Z (UTC)."
        raise InputError(INVALID_PARAMETER, detail) from error
    if first > last:
        raise InputError(INVALID_PARAMETER, "`from` is later than `to`; the range includes both.")
    return first, last


def hour_text(hour: datetime) -> str:
    """Return an hour, UTC, as answers write it."""
    return hour.isoformat().replace("+00:00", "Z")


def _moment(text: str, zone: tzinfo, *, end: bool = False) -> datetime:
    """Parse a day in a time zone, or a time, to an hour in UTC; for a day, its first hour, or its last with `end`."""
    text = text[:11] + text[11:].replace(" ", "+")  # a plus sign that was not percent-encoded
    if not _DAY.match(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    if _DAY.fullmatch(text):
        # Added in local time, since a day may have 23 or 25 hours.
        midnight = moment.replace(tzinfo=zone) + timedelta(days=int(end))
        return _next_hour(midnight) - int(end) * _HOUR
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    hour = _next_hour(moment)
    if hour != moment and (moment.minute or moment.second or moment.microsecond):
        raise ValueError(text)
    return hour


def _next_hour(moment: datetime) -> datetime:
    """Return the first whole hour, UTC, from a moment on: an hour belongs to the day of its first minute."""
    moment = moment.astimezone(UTC)
    return moment + (_EPOCH - moment) % _HOUR
