"""Defers SIGINT and SIGTERM to waits, so that nothing else is interrupted."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred_signals() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Defer the signals; yield a context manager within which they raise KeyboardInterrupt."""
    received = waits = False

    def handle(*_: object) -> None:
        nonlocal received
        received = True
        if waits:
            raise KeyboardInterrupt

    @contextmanager
    def interruptible() -> Iterator[None]:
        nonlocal waits
        waits = True
        try:
            if received:
                raise KeyboardInterrupt
            yield
        finally:
            waits = False

    before = {each: signal.signal(each, handle) for each in _SIGNALS}
    try:
        yield interruptible
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
