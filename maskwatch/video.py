"""Videos and cameras, read with PyAV, which the extra `video` installs."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import av

from maskwatch.frames import MAX_WAIT, Frame, NoFramesError, is_address, is_device, warn, without_password

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from threading import Event

    from av.container import InputContainer
    from av.video.stream import VideoStream
    from PIL.Image import Image

    Packet = av.Packet[VideoStream]

_SIDE: Final = 960  # pixels of the longer side of a frame; the detector sees 448
_OPEN_TIMEOUT: Final = 8.0  # seconds, during which signals are not handled
_READ_TIMEOUT: Final = 10.0
_RESTART: Final = 1.0  # seconds back; a recording of joined parts, whose clock begins anew
_WAITED: Final = 0.005  # seconds; a longer read means that the camera had no packet ready
_BEHIND: Final = 2.0  # seconds without such a wait after which packets are skipped


def read(source: str) -> Iterator[Frame]:
    """Yield all frames of a video with their times in it.

    Raises:
        NoFramesError: It is not a readable video.
    """
    with _open(source) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        usual = float(1 / (stream.guessed_rate or 25))  # seconds between frames
        start, latest = None, -usual
        for picture in _decode(container.demux(stream)):
            following = latest + usual
            if picture.time is None:  # as in a raw stream
                latest = following
            else:
                if start is None or picture.time - start < latest - _RESTART:
                    start = picture.time - following
                when = picture.time - start
                latest = when if when > latest else following  # an AVI may have times out of order
            yield _frame(picture, latest, stream.sample_aspect_ratio)
    if latest < 0:
        raise NoFramesError(f"{without_password(source)} has no readable picture")


def play(frames: Iterable[Frame], speed: float, stopped: Event) -> Iterator[Frame]:
    """Yield each frame of a video at its time, sped up by a factor; gaps of over `MAX_WAIT` seconds are skipped."""
    start, last = time.monotonic(), 0.0
    for frame in frames:
        if frame.time - last > MAX_WAIT:
            start -= (frame.time - last) / speed
        last = frame.time
        if stopped.wait(max(start + frame.time / speed - time.monotonic(), 0)):
            return
        yield frame


def camera(source: str, stopped: Event) -> Iterator[Frame]:
    """Open a camera, and yield all its frames; after an interruption, open it again until that succeeds.

    Raises:
        NoFramesError: It cannot be opened the first time.
    """
    return _camera(source, _open(source), stopped)


def _camera(source: str, container: InputContainer, stopped: Event) -> Iterator[Frame]:
    name, failures = without_password(source), 0
    for opened in count(1):
        reason = f"{name}: the stream ended"
        try:
            with container:
                stream = container.streams.video[0]
                stream.thread_type = "NONE"  # slice threads do not report damage, and frame threads add delay
                stretch = stream.sample_aspect_ratio
                for picture in _decode(_up_to_date(container.demux(video=0))):
                    if failures:
                        warn(f"{name} is back")
                    failures = 0
                    yield _frame(picture, time.monotonic(), stretch, opened)
                    if stopped.is_set():
                        return
        except (av.FFmpegError, OSError) as error:
            reason = f"{name}: {_reason(error)}"
        again, failures = _reopen(source, reason, failures, stopped)
        if again is None:
            return
        container = again


def _reopen(source: str, reason: str, failures: int, stopped: Event) -> tuple[InputContainer | None, int]:
    """Open a camera again with exponential backoff up to `MAX_WAIT`; return None when stopped."""
    warned = ""
    while True:
        if reason != warned:
            warn(f"{reason}; trying again")
        warned = reason
        if stopped.wait(min(2.0 ** min(failures, 10), MAX_WAIT)):
            return None, failures
        failures += 1
        try:
            return _open(source), failures
        except NoFramesError as error:
            reason = str(error)


def _open(source: str) -> InputContainer:
    if is_address(source):
        _look_up(source)
    try:
        container = av.open(
            source,
            format="v4l2" if is_device(source) else None,
            # Over TCP, all of it arrives.
            options={"rtsp_transport": "tcp"} if source.lower().startswith("rtsp") else {},
            timeout=(_OPEN_TIMEOUT, _READ_TIMEOUT),
        )
    except (av.FFmpegError, OSError) as error:
        raise NoFramesError(f"{without_password(source)} cannot be opened: {_reason(error)}") from error
    if not container.streams.video:
        container.close()
        raise NoFramesError(f"{without_password(source)} has no video")
    return container


def _look_up(address: str) -> None:
    """Look the host up, because FFmpeg reports a missing one as "input/output error"."""
    host = None
    with suppress(ValueError):
        host = urlsplit(address).hostname
    try:
        socket.getaddrinfo(host or "", None)
    except (OSError, UnicodeError) as error:
        raise NoFramesError(f"{without_password(address)} cannot be opened: there is no such host") from error


def _reason(error: Exception) -> str:
    """Return the reason only: FFmpeg's messages also contain the address with its password."""
    if isinstance(error, av.error.InvalidDataError):
        return "it is not a readable video"
    if isinstance(error, av.error.ExitError):
        return "it sent nothing for too long"
    reason = str(getattr(error, "strerror", None) or type(error).__name__)
    return reason[:1].lower() + reason[1:]


def _decode(packets: Iterator[Packet]) -> Iterator[av.VideoFrame]:
    """Yield the pictures of packets; after a damaged one, skip all up to the next key frame."""
    damaged = False
    for packet in packets:
        pictures = []
        try:
            pictures = packet.decode()
        except av.error.InvalidDataError:
            damaged = True
        for picture in pictures:
            damaged = picture.is_corrupt or (damaged and not picture.key_frame)
            if not damaged:
                yield picture


def _up_to_date(packets: Iterator[Packet]) -> Iterator[Packet]:
    """Skip packets up to the next key frame if decoding is slower than the camera.

    A reader that must wait for a packet is up to date. One that never waits falls behind.
    """
    waited = asked = time.monotonic()
    skips = False
    for packet in packets:
        now = time.monotonic()
        if now - asked > _WAITED:
            waited = now
        behind = now - waited > _BEHIND
        skips = behind or (skips and not packet.is_keyframe)
        if not skips:
            yield packet
        asked = time.monotonic()


def _frame(picture: av.VideoFrame, when: float, stretch: Fraction | None, opened: int = 1) -> Frame:
    def to_image() -> Image:
        width, height = picture.width * (stretch or Fraction(1)), Fraction(picture.height)
        scale = min(_SIDE / max(width, height), Fraction(1))
        size = [max(round(side * scale), 1) for side in (width, height)]
        image: Image = picture.to_image(width=size[0], height=size[1])  # type: ignore[no-untyped-call]
        return image.rotate(picture.rotation, expand=True) if picture.rotation else image

    return Frame(when, to_image, opened)
