"""One picture to the API's answer, and to a copy with the answer drawn on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from maskwatch.client import ApiError, Client, UnreachableError
from maskwatch.draw import draw
from maskwatch.output import Outcome
from maskwatch.pictures import MAX_BYTES, Picture, as_in, shrunk, upright

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOR_ALL: Final = {
    "forbidden",
    "throttled",
    "invalid-parameter",
}  # refusals that every other picture would get
SMALLER: Final = {"too-large", "too-many-pixels"}  # refusals that a smaller copy does not get
_QUALITY: Final = 90  # of a drawn copy, unless it is a PNG


def score(client: Client, query: Mapping[str, str], picture: Picture, copy: Path | None) -> Outcome:
    """Score one picture, and draw the answer.

    Args:
        client: Of the API.
        query: Its parameters.
        picture: A smaller copy is sent of one that is larger than the API takes.
        copy: Where the drawn copy goes; None for no copy.

    Raises:
        ApiError: Every other picture would be refused, too.
    """
    try:
        data = picture.read()
        answer = _predict(client, query, data)
        if copy:
            copy.parent.mkdir(parents=True, exist_ok=True)
            draw(upright(data), answer).save(copy, quality=_QUALITY)
    except OSError as error:
        return Outcome(picture.name, None, str(error))
    except ApiError as refusal:
        if isinstance(refusal, UnreachableError) or refusal.kind in FOR_ALL:
            raise
        return Outcome(picture.name, None, str(refusal), refusal.kind)
    return Outcome(picture.name, answer)


def _predict(client: Client, query: Mapping[str, str], data: bytes) -> dict[str, Any]:
    if len(data) <= MAX_BYTES:
        try:
            return client.predict(data, **query)
        except ApiError as refusal:
            if refusal.kind not in SMALLER:
                raise
    smaller, original = shrunk(data)
    return as_in(original, client.predict(smaller, **query))
