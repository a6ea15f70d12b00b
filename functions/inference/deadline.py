"""A call that may not come back in time."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns; left behind, it goes on in a thread of its own.

    Raises:
        TimeoutError: It took longer.
    """
    future = Future[T]()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 -- it is raised where it is waited for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result(max(seconds, 0))
