"""Untrusted bytes to an upright RGB array: the one way pixels enter, in training as in serving."""

from __future__ import annotations

import io
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import PIL.WebPImagePlugin  # noqa: F401 -- lest Pillow import all of its seventy plugins to find this one
from PIL import Image, JpegImagePlugin, PngImagePlugin

from functions.shared.contract import MAX_UPLOAD_BYTES
from functions.shared.problem import (
    TOO_LARGE,
    TOO_MANY_PIXELS,
    TOO_SMALL,
    UNREADABLE_IMAGE,
    UNSUPPORTED_TYPE,
    InputError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

ACCEPTED = "Send a JPEG, PNG or WebP picture."
MAX_PIXELS = 40_000_000
MAX_SIDE = 65_535
MIN_SIDE = 32
_LIMITS = f"at most {MAX_PIXELS / 1e6:.0f} megapixels, and {MAX_SIDE:,} a side, are accepted. Scale it down."

# No file may cost more than 200 MiB. Pillow keeps a pixel in 4 bytes, whatever it was in the file, so 40 megapixels
# take 160 MB of it. Two decoders need more: WebP's has two canvases and makes a copy of one, and that of a JPEG in
# several scans holds every coefficient in 2 bytes. Metadata is copied, too, and may be all there is to a file.
_PIXEL_BYTES = 4
_WEBP_PIXEL_BYTES = 16
_COEFFICIENT_BYTES = 2
_MEMORY = 175_000_000  # leaves enough for the array that is handed on
_WEBP_MEMORY = 204_000_000  # at its peak there is no such array yet; a phone's 4032x3024 fits
_MAX_SCANS = 100  # a progressive JPEG has about 10; thousands of empty ones would take minutes
PngImagePlugin.MAX_TEXT_MEMORY = 4_000_000  # compressed text is kept decompressed, 4 bytes a character
_WORKING_PIXELS = 4_000_000  # of the array that is handed on
_BAND_PIXELS = 1_000_000  # converted at a time

_UPRIGHT = {  # by EXIF orientation; from 5 on the sides are swapped
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPED = 5
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Picture:
    """An upright picture.

    Attributes:
        pixels: RGB, uint8, (H, W, 3); at reduced scale when the picture was large.
        width: Of the upright original, in pixels.
        height: Of the upright original, in pixels.
        decode_ms: How long decoding took.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    decode_ms: float


def decode(data: bytes, *, max_bytes: int = MAX_UPLOAD_BYTES, min_side: int = 448) -> Picture:
    """Decode a JPEG, PNG or WebP file, of an animation the first frame.

    Args:
        data: The file's bytes, from anyone.
        max_bytes: The largest file that is looked at.
        min_side: A large picture is reduced by a whole factor, as far as both sides stay at least this long,
            and further where it would still have more than 4 megapixels.

    Raises:
        InputError: The file cannot be scored; the detail says why.
    """
    started = time.perf_counter()
    if len(data) > max_bytes:
        detail = f"The picture has {len(data):,} bytes; at most {max_bytes:,} are accepted."
        raise InputError(TOO_LARGE, detail)
    file_format = _sniff(data)
    try:
        pixels, width, height = _read(data, file_format, min_side)
    except InputError:
        raise
    except (
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:  # far beyond our own limit
        raise InputError(TOO_MANY_PIXELS, f"Of a picture {_LIMITS}") from error
    except Exception as error:
        detail = f"The {file_format} picture is damaged or cut short. Send the whole file again."
        raise InputError(UNREADABLE_IMAGE, detail) from error
    return Picture(pixels, width, height, (time.perf_counter() - started) * 1e3)


def _sniff(data: bytes) -> str:
    """The accepted format that the first bytes announce."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if not data:
        raise InputError(UNREADABLE_IMAGE, f"The picture has 0 bytes. {ACCEPTED}")
    if other := _other_format(data):
        raise InputError(UNSUPPORTED_TYPE, f"This is {other}. {ACCEPTED}")
    raise InputError(UNREADABLE_IMAGE, f"These {len(data):,} bytes are not a picture. {ACCEPTED}")


def _other_format(data: bytes) -> str | None:
    """What people send instead, for an answer that helps them."""
    if data[4:8] == b"ftyp":
        brands = data[8:40]
        if b"avi" in brands:
            return "an AVIF picture"
        return "a HEIC picture" if b"hei" in brands or b"mif1" in brands else "a video"
    for name, signatures in (
        ("a GIF picture", (b"GIF87a", b"GIF89a")),
        ("a PDF document", (b"%PDF-",)),
        ("a TIFF picture", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
        ("a JPEG XL picture", (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    ):
        if data.startswith(signatures):
            return name
    if data.startswith(b"BM") and data[6:10] == bytes(4):
        return "a BMP picture"
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<svg") or (start.startswith((b"<?xml", b"<!")) and b"<svg" in start):
        return "an SVG picture"
    return None


def _read(data: bytes, file_format: str, min_side: int) -> tuple[NDArray[np.uint8], int, int]:
    if file_format == "WEBP":  # to open it is to allocate its canvases
        _check_size(*_webp_size(data), (_WEBP_MEMORY - 2 * len(data)) // _WEBP_PIXEL_BYTES)
    image: Image.Image = Image.open(io.BytesIO(data), formats=(file_format,))
    width, height = image.size
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        _check_size(width, height, _jpeg_pixel_limit(image, data))
        scale = _scale(width, height, min_side)
        image.draft(None, (width // scale, height // scale))
    else:
        _check_size(width, height, (_MEMORY - 3 * len(data)) // _PIXEL_BYTES)
    image.load()
    orientation = _orientation(image)
    image = _reduced_rgb(image, _scale(*image.size, min_side))
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
        if orientation >= _SWAPPED:
            width, height = height, width
    return np.asarray(image), width, height


def _check_size(width: int, height: int, limit: int) -> None:
    """Refuse by the size alone; `limit` is what the file's kind and length allow."""
    size = f"The picture is {width}x{height}"
    if min(width, height) < MIN_SIDE:
        raise InputError(TOO_SMALL, f"{size}; at least {MIN_SIDE} pixels a side are needed.")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(TOO_MANY_PIXELS, f"{size}; {_LIMITS}")
    if width * height > limit:
        detail = f"{size}; this file may have {limit / 1e6:.1f} megapixels. Scale it down, or send a baseline JPEG."
        raise InputError(TOO_MANY_PIXELS, detail)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height from the first chunk (RFC 9649); nonsense where the file is cut short or forged."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _jpeg_pixel_limit(image: JpegImagePlugin.JpegImageFile, data: bytes) -> int:
    """Limited is a JPEG whose coefficients must all be held until its last scan."""
    if "progressive" not in image.info and _first_scan_components(data) == image.layers:
        return MAX_PIXELS
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise InputError(
            UNREADABLE_IMAGE, f"The JPEG picture has more than {_MAX_SCANS} scans. Save it anew."
        )
    samples = [horizontal * vertical for _, horizontal, vertical, _ in image.layer]
    return int((_MEMORY - 3 * len(data)) * max(samples) / sum(samples)) // _COEFFICIENT_BYTES


def _first_scan_components(data: bytes) -> int:
    """How many colour components the first scan carries; 0 where the markers are not one after the other."""
    position = 2
    while data[position : position + 1] == b"\xff" and data[position + 1] != 0xDA:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return data[position + 4] if data[position : position + 2] == b"\xff\xda" else 0


def _scale(width: int, height: int, min_side: int) -> int:
    return max(min(width, height) // min_side, math.ceil(math.sqrt(width * height / _WORKING_PIXELS)), 1)


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # a picture with broken metadata is still a picture
        return int(image.getexif()[_ORIENTATION_TAG])
    return 1


def _reduced_rgb(image: Image.Image, scale: int) -> Image.Image:
    """Convert a loaded image band by band, so that at no time two of its full size exist."""
    width, height = image.size
    if scale == 1 and image.mode == "RGB" and not image.has_transparency_data:
        return image
    rows = max(_BAND_PIXELS // (width * scale), 1) * scale
    reduced = Image.new("RGB", (math.ceil(width / scale), math.ceil(height / scale)))
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        reduced.paste(_flat_rgb(band).reduce(scale), (0, top // scale))
    return reduced


def _flat_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I;16":  # Pillow would clip it to 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    flat = Image.new("RGB", image.size, "white")  # what a cut-out portrait is shown on nearly everywhere
    flat.paste(image, mask=image)
    return flat
