"""Numbers on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError


def positive_count(text: str) -> int:
    """Parse a number of things, at least 1.

    Raises:
        ArgumentTypeError: It is not one.
    """
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number, at least 1")
    return int(text)


def positive_share(text: str) -> float:
    """Parse a share above 0, at most 1.

    Raises:
        ArgumentTypeError: It is not one.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise ArgumentTypeError(f"{text!r} is not a share: give a number above 0, at most 1")
    return number
