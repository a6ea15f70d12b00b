"""Numbers on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Number = TypeVar("Number", int, float)


def checked(
    parse: Callable[[str], Number], holds: Callable[[Number], bool], what: str
) -> Callable[[str], Number]:
    """Return a type for `add_argument`: numbers for which something holds; `what` describes them in the refusal."""

    def check(text: str) -> Number:
        with suppress(ValueError):
            if holds(number := parse(text)):
                return number
        raise ArgumentTypeError(f"{text!r} is not {what}")

    return check
