"""Pictures on their way to the API: found, read, and made small enough for it."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageOps

from maskwatch.client import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FORMATS: Final = ("JPEG", "PNG", "WEBP")  # that the service reads
MAX_BYTES: Final = 4_400_000  # that the API takes of a picture
SENT_PIXELS: Final = (
    4_000_000  # of one that was scaled down; the service looks at no more of a larger one either
)
ENDINGS: Final = ", ".join(f"*{ending}" for ending in TYPES)
_QUALITY: Final = 90  # of a JPEG; even noise of so many pixels then stays under the limit
_SWAPPED: Final = 5  # from this EXIF orientation on, width and height are
_ORIENTATION: Final = 0x0112


class UsageError(Exception):
    """Pictures cannot be scored as the command line says; the message says why."""


@dataclass(frozen=True)
class Picture:
    """One that is to be scored.

    Attributes:
        name: What it is called in the output.
        copy: Where among the drawn copies its own belongs.
        path: The file; None for standard input.
    """

    name: str
    copy: Path
    path: Path | None

    def read(self) -> bytes:
        """Return the bytes of the file.

        Raises:
            OSError: It cannot be read, or is empty.
        """
        data = self.path.read_bytes() if self.path else sys.stdin.buffer.read()
        if not data:
            raise OSError("the file is empty" if self.path else "nothing came on standard input")
        return data


def find(names: Iterable[str]) -> tuple[list[Picture], int]:
    """Find a picture for each file, for each in a folder that is named like one, and for `-`, standard input.

    Returns:
        The pictures, and how many files in the folders were left out.

    Raises:
        UsageError: There is no such file, or no picture in a folder.
    """
    pictures, left_out = [], 0
    for name in names:
        path = Path(name)
        if name == "-":
            pictures.append(Picture(name, Path("stdin.jpg"), None))
        elif path.is_dir():
            files, others = within(path)
            if not files:
                raise UsageError(f"{name} has no files named {ENDINGS}")
            left_out += others
            pictures += [Picture(str(file), file.relative_to(path), file) for file in files]
        elif path.exists():
            copy = path.name if path.suffix.lower() in TYPES else f"{path.name}.jpg"
            pictures.append(Picture(name, Path(copy), path))
        else:
            raise UsageError(f"there is no file {name}")
    return pictures, left_out


def within(folder: Path) -> tuple[list[Path], int]:
    """Return the files in a folder, however deep, that are named like a picture, in order, and the number of others.

    Hidden files are neither.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and path.is_file()
    )
    pictures = [path for path in files if path.suffix.lower() in TYPES]
    return pictures, len(files) - len(pictures)


def upright(data: bytes) -> Image.Image:
    """Open a picture as it is looked at.

    Raises:
        OSError: It is none that can be read.
    """
    with _opened(data) as image:
        return ImageOps.exif_transpose(image)


def shrunk(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """Make a picture small enough for the API.

    Returns:
        A smaller, upright copy as a JPEG file, and the width and height of the upright original.

    Raises:
        OSError: It is none that can be read.
    """
    file = io.BytesIO()
    with _opened(data) as image:
        width, height = image.size
        swapped = image.getexif().get(_ORIENTATION, 1) >= _SWAPPED
        scale = min((SENT_PIXELS / (width * height)) ** 0.5, 1)
        image.thumbnail((max(width * scale, 1), max(height * scale, 1)))
        _flat(ImageOps.exif_transpose(image)).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue(), (height, width) if swapped else (width, height)


def as_in(original: tuple[int, int], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer about a smaller copy as it would be about the original of this width and height."""
    width, height = original
    across, down = width / answer["image"]["width"], height / answer["image"]["height"]
    factors = {"left": across, "top": down, "width": across, "height": down}
    faces = [
        face | {"box": {side: round(pixels * factors[side]) for side, pixels in face["box"].items()}}
        for face in answer["faces"]
    ]
    return {**answer, "image": {"width": width, "height": height}, "faces": faces}


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            yield image
    except Exception as error:
        raise OSError(
            f"its {len(data):,} bytes are not a JPEG, PNG or WebP picture that can be read"
        ) from error


def _flat(image: Image.Image) -> Image.Image:
    """Return a picture in RGB as the service would see it: on white, and of 16 bits the upper eight."""
    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white
