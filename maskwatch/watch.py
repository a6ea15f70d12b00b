"""Watches a video, a camera or a folder, and prints a JSON line for each event, as the page does."""

from __future__ import annotations

import io
import json
import math
import os
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from secrets import token_hex
from threading import Event as Flag
from typing import TYPE_CHECKING, Any, Final, Literal

from maskwatch.client import ApiError, Client, UnreachableError
from maskwatch.events import WatchState, largest, leave, update
from maskwatch.frame_writer import open_frame_writer
from maskwatch.frames import MAX_WAIT, Frame, warn
from maskwatch.pace import Pace
from maskwatch.signals import deferred_signals
from maskwatch.source import frames_of, is_video
from maskwatch.track import Face

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from PIL import Image

    from maskwatch.events import Event
    from maskwatch.frame_writer import FrameWriter

_QUALITY: Final = 80  # of the JPEG that is sent
_MIN_INTERVAL: Final = 0.02  # minimum seconds between frames of a video without a speed
_END: Final = False  # no more frames; None means that there is none at the moment
_SIDES: Final = {"left": "width", "top": "height", "width": "width", "height": "height"}


def watch(
    client: Client,
    camera: str,
    *,
    source: str | None,
    rate: float,
    speed: float | None,
    alert_after: float,
    draw_to: Path | None,
) -> None:
    """Print a line for each event until a video ends or the process is stopped; then everybody leaves.

    Args:
        client: A client of the API that does not retry, because a newer frame is better, if there is one.
        camera: A video, a camera, or a folder to which pictures are added.
        source: Name of the source in records and events.
        rate: Frames per second to send.
        speed: Factor by which a video is played faster than recorded; None to wait for every answer.
        alert_after: Seconds without a mask after which an alert for a person begins.
        draw_to: A video or a folder for annotated frames.

    Raises:
        ApiError: The service refuses all frames, or was never reached.
        NoFramesError: `camera` has no frames.
        UsageError: There is no such `camera`, or `draw_to` cannot be written or is part of it.
    """
    sends_every_frame = is_video(camera) and speed is None
    is_folder = os.path.isdir(camera)  # noqa: PTH112 -- raises nothing
    interval = _MIN_INTERVAL if sends_every_frame else 1 / (rate * (speed or 1))
    with ExitStack() as stack:
        interruptible = stack.enter_context(deferred_signals())
        stack.enter_context(suppress(KeyboardInterrupt))
        with interruptible():
            frames = stack.enter_context(closing(frames_of(camera, rate, speed, Flag())))
        draw = open_frame_writer(draw_to, camera, stack) if draw_to else None
        watcher = _Watcher(
            client,
            interruptible,
            source,
            1 / rate,
            math.inf if sends_every_frame else MAX_WAIT,
            alert_after,
            draw,
        )

        unanswered: Frame | None = None

        def take() -> Frame | Literal[False] | None:
            with interruptible(), suppress(StopIteration):
                return frames.send(unanswered)
            return _END

        stack.callback(watcher.end_stays)
        for frame in iter(take, _END):
            unanswered = None
            if not frame:
                watcher.end_stays()
                continue
            started = time.monotonic()
            image = frame.to_image()
            file = frame.file or _encode(image)
            while (answer := watcher.ask(file)) is None and sends_every_frame:
                pass
            if answer:
                watcher.process(frame, image, answer)
            elif answer is None and is_folder:  # to which no newer picture may ever be added
                unanswered = replace(frame, time=time.monotonic())  # the clock of a folder's frames
            with interruptible():
                time.sleep(max(interval * watcher.pace.slowdown - (time.monotonic() - started), 0))


class _Watcher:
    """The state of watching one source."""

    def __init__(
        self,
        client: Client,
        interruptible: Callable[[], AbstractContextManager[None]],
        source: str | None,
        interval: float,
        max_gap: float,
        alert_after: float,
        draw: FrameWriter | None,
    ) -> None:
        self._client, self._interruptible, self._source = client, interruptible, source
        self._interval, self._alert_after, self._draw = interval, alert_after, draw
        self._max_gap = max_gap  # seconds without an answer of the service after which everybody has left
        self._run = token_hex(3)  # distinguishes the stays of two runs
        self._state, self.pace = WatchState(), Pace()
        self._first: Frame | None = None  # the first frame that was answered
        self._last: Frame | None = None
        self._answered = 0.0  # the time of the last answer
        self._waited = False  # for the service, since the last answered frame
        self._missed = 0.0  # seconds of interruptions, which do not count for alerts
        self._warned = ""

    def ask(self, file: bytes) -> Mapping[str, Any] | None:
        """Return the answer for a frame, empty if this one is refused; None after waiting for a retry.

        Raises:
            ApiError: The service refuses all frames, or was never reached.
        """
        person = largest(self._state)
        track = f"{self._run}-{person.id}" if person else None
        try:
            with self._interruptible():
                answer = self._client.predict(file, source=self._source or None, track=track)
        except ApiError as refusal:
            # A firewall that blocks the first frame blocks the address, and so all of them.
            if refusal.status == HTTPStatus.UNPROCESSABLE_ENTITY or (
                refusal.problem == "blocked" and self._first
            ):
                self._warn_once(refusal)
                return {}
            self._wait_out(refusal)
            return None
        self.pace, self._answered = self.pace.answered(), time.monotonic()
        if self._warned:
            warn("the service answers again")
        self._warned = ""
        return answer

    def _wait_out(self, refusal: ApiError) -> None:
        # After an answer, a refusal without a problem document is a proxy's or a login page's, and passes.
        passes = self._first and not refusal.problem
        if not passes and (not refusal.transient or isinstance(refusal, UnreachableError)):
            raise refusal
        self._warn_once(refusal)
        self.pace, wait = self.pace.refused(refusal)
        self._waited = True
        if time.monotonic() - self._answered + wait > self._max_gap:
            self.end_stays()
        with self._interruptible():
            time.sleep(wait)

    def _warn_once(self, refusal: ApiError) -> None:
        if str(refusal) != self._warned:  # the same message only once
            warn(str(refusal))
        self._warned = str(refusal)

    def process(self, frame: Frame, image: Image.Image, answer: Mapping[str, Any]) -> None:
        """Track people over one more frame, and print the events."""
        first, last = self._first or frame, self._last or frame
        gap = frame.time - last.time
        if gap > MAX_WAIT:  # also in a recording of movements only
            self.end_stays()
        elif self._waited or frame.opened != last.opened:
            self._missed += max(gap - self._interval, 0)
        self._first, self._last, self._waited = first, frame, False
        now = frame.time - self._missed
        size = answer["image"]
        faces = [
            Face(
                {side: face["box"][side] / size[dimension] for side, dimension in _SIDES.items()},
                face["probabilities"],
            )
            for face in answer["faces"]
        ]
        self._state, events = update(self._state, faces, now, self._alert_after)
        self._print(events)
        if self._draw:
            in_view = [track for track in self._state.known.tracks if track.last == now]
            try:
                self._draw(image, frame.time - first.time, in_view, events)
            except OSError as error:  # such as a full disk, which must not stop events
                warn(f"drawing stopped: {error}")
                self._draw = None

    def end_stays(self) -> None:
        """End all stays, and print the events."""
        self._state, events = leave(self._state)
        self._print(events)

    def _print(self, events: Sequence[Event]) -> None:
        at = self._last.time - self._first.time if self._first and self._last else 0
        for event in events:
            fields = {
                "event": event["event"],
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "at": round(at, 3),
                "source": self._source,
                "track": f"{self._run}-{event['person']}",
            }
            print(json.dumps(fields | event), flush=True)


def _encode(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
