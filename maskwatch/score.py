"""Scoring of one picture, and drawing of the answer on a copy."""

from __future__ import annotations

import sys
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from tqdm import tqdm

from maskwatch.client import ApiError, Client, UnreachableError
from maskwatch.draw import draw, save
from maskwatch.output import Response, printable
from maskwatch.pictures import MAX_BYTES, Picture, scale_boxes, scaled_down, upright

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Refusals that all pictures would get.
FATAL: Final = {"forbidden", "not-found", "throttled", "quota-exceeded", "invalid-parameter"}
SIZE: Final = {"too-large", "too-many-pixels"}  # refusals that a smaller copy avoids
_DRAWING: Final = Lock()  # one picture at a time, because the largest phone photos take 2 GB


def score(
    client: Client, query: Mapping[str, str | float | None], picture: Picture, copy: Path | None
) -> Response:
    """Score one picture with options of POST /predict, and draw the answer on a copy, if there is a path for it.

    If the picture is larger than the API accepts, a smaller copy is sent.

    Raises:
        ApiError: The API refused in a way that would affect every other picture, too.
    """
    try:
        data = picture.read()
        answer = _predict(client, query, data)
    except OSError as error:
        return Response(picture.name, None, str(error))
    except ApiError as refusal:
        if isinstance(refusal, UnreachableError) or refusal.problem in FATAL:
            raise
        return Response(picture.name, None, str(refusal), refusal.problem)
    try:
        if copy:
            with _DRAWING:
                copy.parent.mkdir(parents=True, exist_ok=True)
                drawn = draw(upright(data), answer)
                copy.unlink(missing_ok=True)  # it may be a link to the picture
                save(drawn, copy)
    except OSError as error:  # the answer is still valid
        tqdm.write(f"maskwatch: {printable(f'{picture.name} could not be drawn: {error}')}", file=sys.stderr)
    return Response(picture.name, answer)


def _predict(client: Client, query: Mapping[str, str | float | None], data: bytes) -> dict[str, Any]:
    if len(data) <= MAX_BYTES:
        try:
            return client.predict(data, **query)
        except ApiError as refusal:
            if refusal.problem not in SIZE:
                raise
    smaller, original = scaled_down(data)
    return scale_boxes(client.predict(smaller, **query), original)
