"""Times on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime


def utc(text: str) -> datetime:
    """Read a time, which is one of UTC where it names no other zone, and return it in UTC.

    Raises:
        ArgumentTypeError: It is no time.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{text!r} is no time: give a day, 2026-11-01, or 2026-11-01T09:00+01:00"
        ) from error
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
