"""A call with a time limit."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Return the result of a call; after the time limit, the call continues in its own thread.

    Raises:
        TimeoutError: The call took longer.
    """
    future = Future[T]()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 -- raised by `result`
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result(max(seconds, 0))
