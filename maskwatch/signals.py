"""SIGINT and SIGTERM for a process that is to end well: they end a wait at once, and come between nothing else."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Hold the signals back, and give a context in which they raise KeyboardInterrupt."""
    asked = waits = False

    def handle(*_: object) -> None:
        nonlocal asked
        asked = True
        if waits:
            raise KeyboardInterrupt

    @contextmanager
    def waiting() -> Iterator[None]:
        nonlocal waits
        waits = True
        try:
            if asked:
                raise KeyboardInterrupt
            yield
        finally:
            waits = False

    before = {each: signal.signal(each, handle) for each in _ENDING}
    try:
        yield waiting
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
