"""Frames of a source, of which only the newest is kept."""

from __future__ import annotations

import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Final

from maskwatch.output import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from threading import Event

    from PIL.Image import Image

# Seconds; maximum wait for a camera or the service, and until everybody counts as gone.
MAX_WAIT: Final = 30.0
_ADDRESSES: Final = ("rtsp://", "rtsps://", "http://", "https://")


class NoFramesError(Exception):
    """A video, camera or folder has no frames; the message says why, without its password."""


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    Attributes:
        time: Time in the video, or of a monotonic clock, in seconds.
        to_image: Converts the frame to an upright RGB image.
        opened: How many times the source has been opened; it changes after an interruption.
        file: The bytes of its file, if the API accepts it as it is: only the service detects every damage.
    """

    time: float
    to_image: Callable[[], Image]
    opened: int = 1
    file: bytes | None = None


def newest(frames: Iterator[Frame], stopped: Event) -> Generator[Frame | None, Frame | None]:
    """Read frames in a thread, and yield the newest on each iteration.

    A frame that is sent to the generator is yielded again if a newer one may come but has not. Yield None after
    `MAX_WAIT` seconds without a frame. Set `stopped` at the end, which must end `frames`.
    """
    latest: Queue[Frame] = Queue(1)
    errors: list[Exception] = []

    def read() -> None:
        try:
            for frame in frames:
                with suppress(Empty):
                    latest.get_nowait()
                latest.put(frame)
        except Exception as error:  # noqa: BLE001 -- raised by the generator
            errors.append(error)

    reader = Thread(target=read, daemon=True)
    reader.start()
    given = time.monotonic()
    try:
        while True:
            was_alive = reader.is_alive()
            try:
                frame = latest.get(timeout=0.2)
            except Empty:
                if not was_alive:
                    break
                if time.monotonic() - given > MAX_WAIT:
                    given = time.monotonic()
                    yield None
                continue
            again = yield frame
            given = time.monotonic()
            if again and reader.is_alive():
                with suppress(Full):
                    latest.put_nowait(again)
    finally:
        stopped.set()
        reader.join(timeout=2)  # a thread that waits for a camera ends with the process
    if errors:
        raise errors[0]


def is_address(source: str) -> bool:
    """Return whether a source is the address of a camera."""
    return source.lower().startswith(_ADDRESSES)


def is_device(source: str) -> bool:
    """Return whether a source is a camera of this machine."""
    return source.startswith("/dev/")


def without_password(source: str) -> str:
    """Return a source without passwords: only the scheme and the host of an address."""
    if not is_address(source):
        return source
    scheme, _, rest = source.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    # A later @ belongs to a password with one of those characters, which then is part of the authority.
    return f"{scheme}://{'…' if '@' in rest[len(authority) :] else authority.rpartition('@')[2]}"


def warn(text: str) -> None:
    """Print a message for the operator to standard error."""
    print(f"maskwatch: {printable(text)}", file=sys.stderr, flush=True)
