"""Numbers on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def checked(
    parse: Callable[[str], float], holds: Callable[[float], bool], what: str
) -> Callable[[str], float]:
    """Return a type for `add_argument`: numbers for which something holds; `what` describes them in the refusal."""

    def check(text: str) -> float:
        with suppress(ValueError):
            if holds(number := parse(text)):
                return number
        raise ArgumentTypeError(f"{text!r} is not {what}")

    return check
