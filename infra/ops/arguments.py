"""Types of arguments on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime

from maskwatch.arguments import checked

positive_count = checked(int, lambda number: number >= 1, "a whole number, at least 1")
positive_share = checked(float, lambda number: 0 < number <= 1, "a share: give a number above 0, at most 1")
percentage = checked(float, lambda number: 0 <= number <= 100, "a percentage: give a number from 0 to 100")


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
