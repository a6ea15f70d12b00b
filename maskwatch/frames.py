"""Frames of whatever is watched, the newest one always, so that none waits."""

from __future__ import annotations

import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Final

from maskwatch.output import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from threading import Event

    from PIL.Image import Image

LONGEST: Final = (
    30.0  # seconds: of a wait for a camera or the service, and without a frame until all count as gone
)
_ADDRESSES: Final = ("rtsp://", "rtsps://", "http://", "https://")


class SourceError(Exception):
    """Nothing can be seen at a source; the message says why, without its password."""


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    Attributes:
        time: In seconds, of the film, or of a clock that never goes back.
        to_image: Gives it upright and in RGB; only frames that are looked at are converted.
        opened: How often the source had been opened: with another number, there was a cut.
    """

    time: float
    to_image: Callable[[], Image]
    opened: int = 1


def newest(frames: Iterator[Frame], stopped: Event) -> Generator[Frame | None]:
    """Read frames in a thread, and give the newest whenever one is asked for.

    Gives None where there was no frame for `LONGEST` seconds. Sets `stopped` in the end, which must end `frames`.
    """
    latest: Queue[Frame] = Queue(1)
    errors: list[Exception] = []

    def read() -> None:
        try:
            for frame in frames:
                with suppress(Empty):
                    latest.get_nowait()
                latest.put(frame)
        except Exception as error:  # noqa: BLE001 -- it is raised where somebody waits for frames
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
                if time.monotonic() - given > LONGEST:
                    given = time.monotonic()
                    yield None
                continue
            yield frame
            given = time.monotonic()
    finally:
        stopped.set()
        reader.join(timeout=2)  # one that waits for a camera that hangs ends with the process
    if errors:
        raise errors[0]


def is_address(source: str) -> bool:
    """Return whether a source is the address of a camera."""
    return source.lower().startswith(_ADDRESSES)


def is_device(source: str) -> bool:
    """Return whether a source is a camera of this machine."""
    return source.startswith("/dev/")


def name_of(source: str) -> str:
    """Return a source as it may be shown: scheme and host alone of an address, for passwords stand anywhere."""
    if not is_address(source):
        return source
    scheme, _, rest = source.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    # An @ after it is of a password with one of those characters, which then stands in the authority.
    return f"{scheme}://{'…' if '@' in rest[len(authority) :] else authority.rpartition('@')[2]}"


def say(text: str) -> None:
    """Tell whoever looks after the watcher."""
    print(f"maskwatch: {printable(text)}", file=sys.stderr, flush=True)
