"""Sources of frames: a video, a camera, or a folder to which pictures are added."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maskwatch.frames import Frame, NoFramesError, is_address, is_device, newest, warn
from maskwatch.pictures import (
    MAX_BYTES,
    MAX_PIXELS,
    UsageError,
    check_jpeg,
    is_folder,
    list_pictures,
    upright,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from threading import Event

_SIDE: Final = 1920  # pixels of the longer side of a picture
# Times the duration of a poll until the next, so that a large folder takes a fifth of a processor.
_REST: Final = 4
_File = tuple[int, int, int, int]  # device, inode, time of the content in ns, size: the same after a move


def is_video(source: str) -> bool:
    """Return whether a source is a video, which has an end and times of its own."""
    return not (is_address(source) or is_device(source) or os.path.isdir(source))  # noqa: PTH112 -- raises nothing


def frames_of(
    source: str, rate: float, speed: float | None, stopped: Event
) -> Generator[Frame | None, Frame | None]:
    """Yield the frames of a source to score, and None after a long time without a frame.

    Args:
        source: A file, a device, an address or a folder.
        rate: Frames per second of a video without a speed, none of which is skipped; polls of a folder per second.
        speed: Factor by which a video is played faster than recorded; None to play it as fast as frames are
            requested.
        stopped: Ends the frames.

    Raises:
        NoFramesError: The source has no frames.
        UsageError: There is no such file, or PyAV is missing.
    """
    if not is_address(source):
        try:
            if is_folder(source):
                next(Path(source).iterdir(), None)
                return newest(_folder(Path(source), rate, stopped), stopped)
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error.strerror}") from error
    try:
        from maskwatch import video  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise UsageError("videos and cameras need PyAV: pip install av") from error
    if not is_video(source):
        return newest(video.camera(source, stopped), stopped)
    if speed is None:
        return _sampled(video.read(source), rate)
    return newest(video.play(video.read(source), speed, stopped), stopped)


def _sampled(frames: Iterable[Frame], rate: float) -> Generator[Frame, Frame | None]:
    due = 0.0
    for frame in frames:
        if frame.time >= due - 1e-6:  # tolerance for rounding errors
            yield frame
            due = max(due + 1 / rate, frame.time)


def _folder(folder: Path, rate: float, stopped: Event) -> Iterator[Frame]:
    """Yield the newest picture of a folder whenever there is a new one that is completely written."""
    before, done = set[_File](), set[_File]()
    took = 0.0
    while not stopped.wait(max(1 / rate, _REST * took)):
        started = time.monotonic()
        if not os.path.isdir(folder):  # noqa: PTH112 -- raises nothing
            raise NoFramesError(f"{folder} is gone")
        pictures = _pictures_in(folder)
        took = time.monotonic() - started
        # A file that has changed since the last poll may still be growing.
        complete = pictures.keys() & before
        before = set(pictures)
        # Not by time alone: backups and moves change that of old pictures, and clocks are set back.
        _, path = max((pictures[file] for file in complete - done), default=(0, None))
        done = complete or done  # a share that is away for a moment has no files
        if path:
            try:
                data = path.read_bytes()
                check_jpeg(data)
                image = upright(data)
            except OSError as error:
                warn(f"{path} is skipped: {error}")
            else:
                fits = len(data) <= MAX_BYTES and image.width * image.height <= MAX_PIXELS
                image.thumbnail((_SIDE, _SIDE))
                yield Frame(time.monotonic(), image.copy, file=data if fits else None)


def _pictures_in(folder: Path) -> dict[_File, tuple[int, Path]]:
    """Return when each picture changed last in any way, and its path."""
    pictures = {}
    for path in list_pictures(folder, follow_links=False)[0]:  # a link may lead to the stills
        with suppress(OSError):  # it was just removed, or is a broken link
            status = path.stat()
            file = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
            pictures[file] = (status.st_ctime_ns, path)
    return pictures
