"""A call that its caller need not wait for."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def start_thread(call: Callable[[], T]) -> Future[T]:
    """Start a call in its own thread, and return its future; the call continues if its caller stops waiting."""
    future = Future[T]()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 -- raised by `result`
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
