"""Show what drift looks like: `python -m infra.ops demo-drift FOLDER`, with `make run`.

Sends pictures from a folder to Predict as they are, then darker, blurred, as bad JPEGs, and in another mix of those
with a mask and those without, each as a source of its own; then runs the Drift function on what this took.
"""

from __future__ import annotations

import io
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageFilter
from tqdm import tqdm

from infra.ops.address import add_api_options, api_of
from infra.ops.drift import look
from infra.ops.errors import OpsError
from maskwatch.client import TYPES, ApiError, Client

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Sequence

FEWEST: Final = 200  # pictures; Drift says nothing about fewer than 100 of a source
_SAVED: Final = 95  # JPEG quality in which a changed picture is sent
_CONNECTIONS: Final = 4
_LABELS: Final = ("mask", "no_mask")


def jpeg(file: bytes, change: Callable[[Image.Image], Image.Image], quality: int = _SAVED) -> bytes:
    """Return a picture, changed, as a JPEG."""
    buffer = io.BytesIO()
    change(Image.open(io.BytesIO(file)).convert("RGB")).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


CHANGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "clean": lambda file: file,
    "darkened": lambda file: jpeg(file, lambda image: image.point(lambda value: value * 0.6)),
    "blurred": lambda file: jpeg(file, lambda image: image.filter(ImageFilter.GaussianBlur(2))),
    "bad JPEG": lambda file: jpeg(file, lambda image: image, 15),
}
MIX: Final = "other mix"


def send(client: Client, files: Sequence[bytes], source: str) -> list[str]:
    """Have pictures scored as those of a source, and return the labels; a picture that is refused has none."""

    def one(file: bytes) -> str:
        try:
            return str(client.predict(file, source=source)["label"])
        except ApiError as refusal:
            if refusal.kind:
                return ""
            raise

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return list(tqdm(pool.map(one, files), source, len(files), unit=" pictures"))


def mixed(files: Sequence[bytes], labels: Sequence[str]) -> list[bytes]:
    """Return as many pictures, four fifths of them with the rarer of mask and no_mask; none where one is missing."""
    masks, bare = (
        [file for file, shown in zip(files, labels, strict=True) if shown == label] for label in _LABELS
    )
    rarer, other = sorted((masks, bare), key=len)
    if not rarer:
        return []
    draw = random.Random(0)  # noqa: S311
    many = len(files) * 4 // 5
    return draw.choices(rarer, k=many) + draw.choices(other, k=len(files) - many)


def table(report: dict[str, Any]) -> Iterator[str]:
    """Say in lines what a report says about each source."""
    yield f"{'source':12}{'pictures':>10}  {'verdict':12}what has changed"
    for name in (*CHANGES, MIX):
        if not (told := report["sources"].get(name)):
            continue
        found = [finding for finding in report["findings"] if finding["source"] == name]
        first, *more = [finding["words"] for finding in found] or [""]
        yield f"{name:12}{told['predictions']:>10,}  {told['verdict']:12}{first}"
        yield from (f"{'':36}{words}" for words in more)


def add_options(parser: ArgumentParser) -> None:
    """Say which pictures are sent where."""
    parser.add_argument("folder", type=Path, help="pictures, also in folders within it")
    parser.add_argument("--pictures", type=int, default=400, help="of each kind (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path(".runs/drift/demo.html"), help="(default: %(default)s)"
    )
    add_api_options(parser)


def command(options: Namespace) -> None:
    """Send the pictures, run the Drift function, and print a table of what it found."""
    paths = [path for path in sorted(options.folder.rglob("*")) if path.suffix.lower() in TYPES]
    if len(paths) < FEWEST:
        raise OpsError(
            f"{options.folder} has {len(paths)} pictures; at least {FEWEST} are needed to tell anything."
        )
    random.Random(0).shuffle(paths)  # noqa: S311
    files = [path.read_bytes() for path in paths[: options.pictures]]
    client = Client(*api_of(options), _CONNECTIONS)
    started = datetime.now(UTC)
    client.health()
    labels: list[str] = []
    for name, change in CHANGES.items():
        answers = send(client, [change(file) for file in files], name)
        labels = labels or answers
    send(client, mixed(files, labels), MIX)
    hours = (datetime.now(UTC) - started).total_seconds() / 3600
    print("The Drift function looks at these predictions…", flush=True)
    report, where = look(options.stack or "maskwatch", {"hours": hours}, options.out)
    print(*table(report), "", *report["notes"], f"Report: {options.out} ({where})", sep="\n")
