"""Finding pictures, reading them, and scaling them down for the API."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import simplejpeg
from PIL import Image, ImageOps, PngImagePlugin

from maskwatch.client import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FORMATS: Final = ("JPEG", "PNG", "WEBP")  # those that the service accepts
# The API's limit. A copy: pip installs no functions/; tests/unit/test_contract_copies.py compares.
MAX_BYTES: Final = 4_400_000
MAX_PIXELS: Final = 12_200_000  # that the API accepts in any file of MAX_BYTES
SENT_PIXELS: Final = 4_000_000  # of a scaled-down picture; the service itself uses no more of a larger one
ENDINGS: Final = ", ".join(f"*{ending}" for ending in TYPES)
_QUALITY: Final = 90  # of a JPEG; at SENT_PIXELS even noise then stays under MAX_BYTES
_EOI: Final = b"\xff\xd9"  # the end marker of JPEG; other formats ignore what follows their end
# Text and zeros in front of a picture, such as line ends or the header of a part of an MJPEG stream.
_IN_FRONT: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?[\0\s -~]{0,4096}?(?=\xff\xd8\xff|\x89PNG|RIFF....WEBP)", re.DOTALL
)
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS: Final = (  # the start of those that have pixels or an orientation
    b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf",
    b"iTXtXML:com.adobe.xmp\0", b"tEXtRaw profile type ", b"zTXtRaw profile type ",
)  # fmt: skip
_SWAPPED: Final = 5  # from this EXIF orientation on, width and height are swapped
_ORIENTATION: Final = 0x0112
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # 64 MB, since editors write large XMP
Image.MAX_IMAGE_PIXELS = 200_000_000  # those of the largest phone photos; Pillow refuses twice as many


class UsageError(Exception):
    """The command line cannot be carried out; the message says why."""


@dataclass(frozen=True)
class Picture:
    """A picture to score.

    Attributes:
        name: Its name in the output.
        copy: Path of its annotated copy, relative to the folder of copies.
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
    """Find the pictures that names refer to: files, folders (searched by file ending), and `-` for standard input.

    Returns:
        The pictures, and the number of files in folders that were left out.

    Raises:
        UsageError: A file does not exist or cannot be reached, or a folder has no pictures.
    """
    pictures, left_out = [], 0
    for name in names:
        path = Path(name)
        if not name:  # of which Path makes the current folder
            raise UsageError("the name of a picture is empty")
        if name == "-":
            pictures.append(Picture(name, Path("stdin.jpg"), None))
        elif is_folder(name):
            files, others = list_pictures(path)
            if not files:
                raise UsageError(f"{name} has no files named {ENDINGS}")
            left_out += others
            pictures += [Picture(str(file), file.relative_to(path), file) for file in files]
        else:
            copy = path.name if path.suffix.lower() in TYPES else f"{path.name}.jpg"
            pictures.append(Picture(name, Path(copy), path))
    return pictures, left_out


def is_folder(name: str) -> bool:
    """Return whether there is a folder of this name, rather than a file.

    Raises:
        UsageError: There is neither, or it cannot be reached.
    """
    try:
        return stat.S_ISDIR(Path(name).stat().st_mode)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {name}") from error
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from error


def list_pictures(folder: Path, *, follow_links: bool = True) -> tuple[list[Path], int]:
    """Return the files below a folder that have a picture's ending, sorted, and the number of other files.

    Hidden files count as neither. Unreadable folders and broken links count as pictures, so that reading them fails
    with an error that the caller reports. A folder is searched once, by its own path rather than that of a link. With
    `follow_links`, linked folders are searched, too, unless their own names are hidden.
    """
    files: list[Path] = []
    closed: list[Path] = []
    searched: set[str] = set()
    tops = [folder]
    for top in tops:  # links come last
        for parent, folders, names in os.walk(top, onerror=lambda error: closed.append(Path(error.filename))):
            if (real := os.path.realpath(parent)) in searched:
                folders.clear()
                continue
            searched.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if follow_links:
                links = (path for name in folders if (path := Path(parent, name)).is_symlink())
                tops += (path for path in links if not Path(os.path.realpath(path)).name.startswith("."))
            paths = (Path(parent, name) for name in names if not name.startswith("."))
            files += (path for path in paths if os.path.isfile(path) or not os.path.exists(path))  # noqa: PTH110, PTH113 -- raise nothing
    pictures = [path for path in files if path.suffix.lower() in TYPES]
    return sorted(pictures + [path for path in closed if os.path.exists(path)]), len(files) - len(pictures)  # noqa: PTH110


def upright(data: bytes) -> Image.Image:
    """Open a picture, apply its EXIF orientation, and convert it to RGB as the service does.

    Raises:
        OSError: It is not a readable picture.
    """
    with _opened(data) as image:
        return _flat(ImageOps.exif_transpose(image))


def check_jpeg(data: bytes) -> None:
    """Check for damage that libjpeg only warns of, and Pillow ignores.

    Raises:
        OSError: It is a damaged JPEG picture.
    """
    data = _IN_FRONT.sub(b"", data)
    if not data.startswith(b"\xff\xd8"):
        return
    try:  # at an eighth of its size, which is fast; a missing end marker is not damage
        simplejpeg.decode_jpeg(data + _EOI, min_height=1, min_width=1)
    except ValueError as error:
        if "subsampling" not in str(error):  # of a kind that simplejpeg does not know
            raise OSError(f"it is damaged or cut short ({error})") from error


def scaled_down(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """Scale a picture down to `SENT_PIXELS`.

    Returns:
        The upright copy as a JPEG file, and the width and height of the upright original.

    Raises:
        OSError: It is not a readable picture, or is damaged.
    """
    check_jpeg(data)
    file = io.BytesIO()
    with _opened(data) as image:
        width, height = image.size
        swapped = image.getexif().get(_ORIENTATION, 1) >= _SWAPPED
        scale = min((SENT_PIXELS / (width * height)) ** 0.5, 1)
        image.thumbnail((max(width * scale, 1), max(height * scale, 1)))
        _flat(ImageOps.exif_transpose(image)).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue(), (height, width) if swapped else (width, height)


def scale_boxes(answer: Mapping[str, Any], original: tuple[int, int]) -> dict[str, Any]:
    """Return an answer about a smaller copy with its boxes scaled to the original's width and height."""
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
    data = _IN_FRONT.sub(b"", data)
    if data.startswith(_PNG):
        data = _without_metadata(data)
    try:
        with Image.open(io.BytesIO(data + _EOI), formats=_FORMATS) as image:
            yield image
    except Exception as error:
        raise OSError(
            f"its {len(data):,} bytes are not a JPEG, PNG or WebP picture that can be read"
        ) from error


def _without_metadata(png: bytes) -> bytes:
    """Remove the metadata of a PNG file, for which Pillow, unlike the service, refuses some."""
    chunks, start = [_PNG], len(_PNG)
    while start < len(png):
        end = start + 12 + int.from_bytes(png[start : start + 4])  # length, name, content, checksum
        if png.startswith(_PNG_CHUNKS, start + 4):
            chunks.append(png[start:end])
        start = end
    return b"".join(chunks)


def _flat(image: Image.Image) -> Image.Image:
    """Convert a picture to RGB as the service does: transparency on white, and the upper 8 of 16 bits."""
    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white
