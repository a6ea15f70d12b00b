"""Ask a running API the least it must do: `python -m infra.smoke --stack maskwatch-dev`, or `--url … --key …`."""

from __future__ import annotations

import argparse
import io
import sys
from typing import TYPE_CHECKING, Any

from PIL import Image

from infra.address import add_options, chosen
from maskwatch.client import Client, Refused, Unreachable

if TYPE_CHECKING:
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
        except Unreachable as error:
            return [str(error)]
        except Refused as refusal:
            found.append(f"{path} refused: {refusal}")
    try:
        stranger.predict(picture)
        found.append("/predict answered without a key")
    except Refused as refusal:
        if refusal.kind != "forbidden":
            found.append(f"/predict without a key was not forbidden, but: {refusal}")
    return found


def main() -> None:
    """Ask as the command line says; exit 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    url, key = chosen(parser.parse_args())
    found = problems(url, key)
    print("\n".join(found) or f"{url} is well")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
