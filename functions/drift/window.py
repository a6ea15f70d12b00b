"""The time range of a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HOURS: Final = 24 * 31


@dataclass(frozen=True)
class Window:
    """A time range from `start` (inclusive) to `end` (exclusive)."""

    start: datetime
    end: datetime


def parse_window(event: Mapping[str, Any], usual_hours: int, now: datetime) -> Window:
    """Parse the window of an event: `hours` (default: `usual_hours`) up to `to` (default: `now`).

    Raises:
        ValueError: A value is not valid; the message says what is.
    """
    hours, to = event.get("hours", usual_hours), event.get("to")
    if not isinstance(hours, int | float) or not 0 < hours <= MAX_HOURS:
        raise ValueError(f"`hours` must be a number above 0, of at most {MAX_HOURS} (31 days), not {hours!r}")
    try:
        end = now if to is None else datetime.fromisoformat(to)
        end = (end if end.tzinfo else end.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
        window = Window(end - timedelta(hours=hours), end)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"`to` must be a time such as 2026-11-21T09:00:00Z, not {to!r}") from error
    if end > now:  # its report would stay the latest until then
        raise ValueError(f"`to` must not be in the future; {to!r} is UTC unless it names a zone")
    return window
