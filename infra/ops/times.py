"""Times on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime


def utc(text: str) -> datetime:
    """Parse a time, in UTC if it names no zone, and return it in UTC.

    Raises:
        ArgumentTypeError: It is not a time.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{text!r} is not a time: give a day, such as 2026-11-01, or a time, such as 2026-11-01T09:00+01:00"
        ) from error
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
