"""Check that an API answers: `python -m infra.ops smoke --stack maskwatch-dev`, or `--url … --key …`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from PIL import Image

from infra.ops.address import add_api_options, api_of
from infra.ops.errors import OpsError
from maskwatch.client import ApiError, Client, UnreachableError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable


def problems(url: str, key: str) -> list[str]:
    """Return what is wrong with the API at `url`; nothing, where all is well."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(file, "JPEG")
    picture = file.getvalue()
    known, stranger = Client(url, key), Client(url, "")
    asked: dict[str, Callable[[], dict[str, Any]]] = {
        "/health": known.health,
        "/openapi.json": known.openapi,
        "/predict": lambda: known.predict(picture),
        "/compliance": known.compliance,
    }
    found = []
    for path, ask in asked.items():
        try:
            ask()
        except UnreachableError as error:
            return [str(error)]
        except ApiError as refusal:
            found.append(f"{path} refused: {refusal}")
    try:
        stranger.predict(picture)
        found.append("/predict answered without a key")
    except ApiError as refusal:
        if refusal.kind != "forbidden":
            found.append(f"/predict without a key was not forbidden, but: {refusal}")
    return found


def add_options(parser: ArgumentParser) -> None:
    """Say which API."""
    add_api_options(parser)


def command(options: Namespace) -> None:
    """Check an API.

    Raises:
        OpsError: Something is wrong with it.
    """
    url, key = api_of(options)
    found = problems(url, key)
    if found:
        raise OpsError(f"{url} is not well: {'; '.join(found)}")
    print(f"{url} is well")
