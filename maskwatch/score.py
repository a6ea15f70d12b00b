"""One picture to what the API says about it, and to a copy with that drawn on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from maskwatch.client import ApiError, Client, UnreachableError
from maskwatch.draw import draw
from maskwatch.output import Outcome
from maskwatch.pictures import MAX_BYTES, Picture, as_in, shrunk, upright

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TO_ALL: Final = {"forbidden", "throttled", "invalid-parameter"}  # what one picture is told, all would be
_SMALLER: Final = {"too-large", "too-many-pixels"}  # what a smaller copy is not told
_QUALITY: Final = 90  # of a drawn copy, unless it is a PNG


def score(client: Client, query: Mapping[str, str], picture: Picture, copy: Path | None) -> Outcome:
    """Ask about one picture, and draw what is answered.

    Args:
        client: Who is asked.
        query: What else is told about the picture.
        picture: Which one; larger than the API takes, it is asked about a smaller copy.
        copy: Where the drawn copy goes, if there is to be one.

    Raises:
        ApiError: So would be all others.
    """
    try:
        data = picture.read()
        answer = _ask(client, query, data)
        if copy:
            copy.parent.mkdir(parents=True, exist_ok=True)
            draw(upright(data), answer).save(copy, quality=_QUALITY)
    except OSError as error:
        return Outcome(picture.name, None, str(error))
    except ApiError as refusal:
        if isinstance(refusal, UnreachableError) or refusal.kind in _TO_ALL:
            raise
        return Outcome(picture.name, None, str(refusal), refusal.kind)
    return Outcome(picture.name, answer)


def _ask(client: Client, query: Mapping[str, str], data: bytes) -> dict[str, Any]:
    if len(data) <= MAX_BYTES:
        try:
            return client.predict(data, **query)
        except ApiError as refusal:
            if refusal.kind not in _SMALLER:
                raise
    smaller, original = shrunk(data)
    return as_in(original, client.predict(smaller, **query))
