"""A film, a camera or a folder to a JSON line an event: frame by frame, as the page does it."""

from __future__ import annotations

import io
import json
import math
import time
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from secrets import token_hex
from threading import Event as Flag
from typing import TYPE_CHECKING, Any, Final, Literal

from maskwatch.client import ApiError, Client, UnreachableError
from maskwatch.drawing import drawing
from maskwatch.events import Scene, leave, look, nearest
from maskwatch.frames import LONGEST, Frame, say
from maskwatch.pace import Pace
from maskwatch.signals import held
from maskwatch.source import frames_of, is_film
from maskwatch.track import Face

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from PIL import Image

    from maskwatch.drawing import Drawing
    from maskwatch.events import Event

_QUALITY: Final = 80  # of the JPEG that is sent
_QUICKEST: Final = 0.02  # seconds from one frame to the next of a film that has no speed
_END: Final = False  # where there are no more frames; None is that there is none at the moment
_SIDES: Final = {"left": "width", "top": "height", "width": "width", "height": "height"}


def watch(
    client: Client,
    source: str,
    *,
    name: str | None,
    rate: float,
    speed: float | None,
    alert_after: float,
    draw_to: Path | None,
) -> None:
    """Write a line for each event, until a film ends or somebody stops it; then everybody has left.

    Args:
        client: Of the API; one that does not ask again by itself, for by then there is a newer frame.
        source: A film, a camera, or a folder that fills.
        name: What records and events call it.
        rate: How many frames a second are sent.
        speed: How many times as fast as it was taken a film is played; None for as fast as its frames are answered.
        alert_after: Seconds without a mask after which there is an alert for a person.
        draw_to: A film or a folder for what was seen.

    Raises:
        ApiError: The service refuses, or was never reached.
        SourceError: Nothing can be seen at the source.
        UsageError: The source is none, or nothing can be drawn there.
    """
    every = is_film(source) and speed is None  # frame counts: each waits for its answer
    interval = _QUICKEST if every else 1 / (rate * (speed or 1))
    with ExitStack() as stack:
        waiting = stack.enter_context(held())
        stack.enter_context(suppress(KeyboardInterrupt))
        with waiting():
            frames = stack.enter_context(closing(frames_of(source, rate, speed, Flag())))
        draw = drawing(draw_to, stack) if draw_to else None
        watcher = _Watcher(client, waiting, name, 1 / rate, math.inf if every else LONGEST, alert_after, draw)

        def take() -> Frame | Literal[False] | None:
            with waiting():
                return next(frames, _END)

        stack.callback(watcher.leave)
        for frame in iter(take, _END):
            if not frame:
                watcher.leave()
                continue
            started = time.monotonic()
            image = frame.to_image()
            jpeg = _encode(image)
            while (answer := watcher.ask(jpeg)) is None and every:
                pass
            if answer:
                watcher.see(frame, image, answer)
            with waiting():
                time.sleep(max(interval * watcher.pace.slowdown - (time.monotonic() - started), 0))


class _Watcher:
    """Who is before one camera, and what has been told of them."""

    def __init__(
        self,
        client: Client,
        waiting: Callable[[], AbstractContextManager[None]],
        name: str | None,
        interval: float,
        longest: float,
        alert_after: float,
        draw: Drawing | None,
    ) -> None:
        self._client, self._waiting, self._name = client, waiting, name
        self._interval, self._alert_after, self._draw = interval, alert_after, draw
        self._longest = (
            longest  # seconds of waiting or of a cut after which all have left; a film waits as well
        )
        self._run = token_hex(3)  # by which the stays of two runs differ
        self._scene, self.pace = Scene(), Pace()
        self._first: Frame | None = None  # of those that were answered
        self._last: Frame | None = None
        self._waited = 0.0  # seconds since then, for the service
        self._missed = 0.0  # seconds in which nobody was watched, so that they do not count
        self._said = ""

    def ask(self, jpeg: bytes) -> Mapping[str, Any] | None:
        """Return what the service says about a frame: nothing where it cannot read it, None after a wait if later.

        Raises:
            ApiError: It refuses all frames, or was never reached.
        """
        person = nearest(self._scene)
        query = {"source": self._name, "track": person and f"{self._run}-{person.id}"}
        try:
            with self._waiting():
                answer = self._client.predict(jpeg, "image/jpeg", **{k: v for k, v in query.items() if v})
        except ApiError as refusal:
            if refusal.status == HTTPStatus.UNPROCESSABLE_ENTITY:
                self._say_once(refusal)
                return {}
            self._wait_out(refusal)
            return None
        self.pace = self.pace.answered()
        if self._said:
            say("the service answers again")
        self._said = ""
        return answer

    def _wait_out(self, refusal: ApiError) -> None:
        unreachable = isinstance(refusal, UnreachableError)
        later = unreachable or refusal.status == HTTPStatus.TOO_MANY_REQUESTS
        if not (later or refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR) or (
            unreachable and not self._first
        ):
            raise refusal
        self._say_once(refusal)
        self.pace, wait = self.pace.refused(refusal)
        self._waited += wait
        if self._waited > self._longest:
            self.leave()
        with self._waiting():
            time.sleep(wait)

    def _say_once(self, refusal: ApiError) -> None:
        if str(refusal) != self._said:  # however long it lasts
            say(str(refusal))
        self._said = str(refusal)

    def see(self, frame: Frame, image: Image.Image, answer: Mapping[str, Any]) -> None:
        """Follow people over one more frame, and tell what happened."""
        first, last = self._first or frame, self._last or frame
        if self._waited or frame.opened != last.opened:
            gap = frame.time - last.time
            if gap > self._longest:
                self.leave()
            else:
                self._missed += max(gap - self._interval, 0)
        self._first, self._last, self._waited = first, frame, 0.0
        now = frame.time - self._missed
        size = answer["image"]
        faces = [
            Face(
                {side: face["box"][side] / size[whole] for side, whole in _SIDES.items()},
                face["probabilities"],
            )
            for face in answer["faces"]
        ]
        self._scene, events = look(self._scene, faces, now, self._alert_after)
        self._tell(events)
        if self._draw:
            in_view = [track for track in self._scene.known.tracks if track.last == now]
            try:
                self._draw(image, frame.time - first.time, in_view, events)
            except OSError as error:  # a full disk, say, which keeps no event from being told
                say(f"nothing more is drawn: {error}")
                self._draw = None

    def leave(self) -> None:
        """Let everybody go, since nobody is watched any more."""
        self._scene, events = leave(self._scene)
        self._tell(events)

    def _tell(self, events: Sequence[Event]) -> None:
        at = self._last.time - self._first.time if self._first and self._last else 0
        for event in events:
            about = {
                "event": event["event"],
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "at": round(at, 3),
                "source": self._name,
                "track": f"{self._run}-{event['person']}",
            }
            print(json.dumps(about | event), flush=True)


def _encode(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
