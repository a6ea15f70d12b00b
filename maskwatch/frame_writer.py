"""Writes watched frames with boxes and labels: as a video, or as a still for each event."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maskwatch.draw import draw, save
from maskwatch.frames import is_address
from maskwatch.pictures import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack

    from PIL import Image

    from maskwatch.events import Event
    from maskwatch.track import Track

    # Called with a frame, its time in seconds since the first, the tracks in it, and the events.
    FrameWriter = Callable[[Image.Image, float, Iterable[Track], Iterable[Event]], None]

VIDEO_ENDINGS: Final = (".mp4", ".mkv")
_TICK: Final = Fraction(1, 1000)  # seconds; unit of the times in a video
_SHOWN: Final = ("came", "changed", "alert_on")  # events of people who are in the picture


def open_frame_writer(path: Path, source: str, stack: ExitStack) -> FrameWriter:
    """Return a function that writes frames to a video, if the path's ending is that of one, or stills to a folder.

    The end of `stack` closes the video. The source is what is watched.

    Raises:
        UsageError: The path cannot be written, looks like a file of another kind, is the watched video, or is in the
            watched folder, whose stills would be scored, too.
    """
    is_video = path.suffix.lower() in VIDEO_ENDINGS
    places = (path,) if is_video else (path, *Path(os.path.realpath(path)).parents)
    try:
        if not is_address(source) and any(place.exists() and place.samefile(source) for place in places):
            raise UsageError(f"--draw {path} would write into what is watched, {source}; choose another path")
        if is_video:
            return _video(path, stack)
        if path.suffix and not path.is_dir():
            raise UsageError(
                f"--draw writes {' or '.join(VIDEO_ENDINGS)}, or stills into a folder; {path} is neither"
            )
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    return lambda image, _, tracks, events: _write_stills(path, image, tracks, events)


def _write_stills(folder: Path, image: Image.Image, tracks: Iterable[Track], events: Iterable[Event]) -> None:
    for event in events:
        if event["event"] in _SHOWN:
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
            still = folder / f"{now}-{event['event']}-{event['person']}.jpg"
            save(_annotate(image, tracks), still)


def _video(path: Path, stack: ExitStack) -> FrameWriter:
    try:
        import av  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise UsageError("videos need PyAV: pip install av") from error

    path.open("wb").close()  # PyAV opens it with the first frame, which is late for an error
    # Fragmented, so that the video can be played even if the process is killed.
    options = {"movflags": "frag_keyframe+empty_moov"} if path.suffix.lower() == ".mp4" else {}
    file = av.open(str(path), "w", options=options)
    if "libx264" in av.codecs_available:  # under the GPL, so not in every FFmpeg
        stream = file.add_stream("libx264", options={"preset": "veryfast", "tune": "zerolatency"})
    else:
        stream = file.add_stream("mpeg4", options={"qmax": "5"})  # the default, 31, is blurred
    stream.pix_fmt, stream.codec_context.time_base = "yuv420p", _TICK
    size: tuple[int, int] | None = None

    def add(image: Image.Image, at: float, tracks: Iterable[Track], _: Iterable[Event]) -> None:
        nonlocal size
        if size is None:
            size = (image.width // 2 * 2, image.height // 2 * 2)  # YUV 4:2:0 has no odd sides
            stream.width, stream.height = size
        drawn = _annotate(image, tracks).resize(size)
        picture = av.VideoFrame.from_image(drawn)  # type: ignore[no-untyped-call]
        picture.pts, picture.time_base = round(at / _TICK), _TICK
        file.mux(stream.encode(picture))

    def finish() -> None:
        with suppress(OSError), file:
            file.mux(stream.encode() if size else [])

    stack.callback(finish)
    return add


def _annotate(image: Image.Image, tracks: Iterable[Track]) -> Image.Image:
    sizes = {"left": image.width, "width": image.width, "top": image.height, "height": image.height}
    faces = [
        {
            "box": {side: share * sizes[side] for side, share in track.box.items()},
            "label": track.label,
            "confidence": track.probabilities[track.label],
            "number": track.id,
        }
        for track in tracks
    ]
    return draw(image, {"faces": faces}) if faces else image
