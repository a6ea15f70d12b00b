"""Untrusted bytes to an upright RGB array: the one way pixels enter, in training as in serving."""

from __future__ import annotations

import io
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import PIL.PngImagePlugin  # so that Pillow does not import all of its seventy plugins to find these
import PIL.WebPImagePlugin  # noqa: F401
from PIL import Image

from functions.inference.formats import DamagedError, jpeg, png, webp
from functions.inference.formats.sniff import (
    JPEG,
    PNG,
    WEBP,
    accepted_format,
    count_leading_bytes,
    other_format,
    strip_leading_bytes,
    was_converted_as_text,
)
from functions.inference.memory import limit_memory
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
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

ACCEPTED = "Send a JPEG, PNG or WebP picture."
_WAS_TEXT: Final = (
    "The file was read as text and written again on its way, which destroys a picture. Send its bytes unchanged: "
    "read it in binary mode, and transfer it in binary mode."
)
MAX_PIXELS = 40_000_000
MAX_SIDE = 65_535
MIN_SIDE = 32
_LIMITS = f"at most {MAX_PIXELS / 1e6:.0f} megapixels, and {MAX_SIDE:,} a side, are accepted. Scale it down."

# No file may cost more than 200 MiB and two seconds of a processor; docs/pictures.md has the most that each format
# costs. Pillow keeps a pixel in 4 bytes, whatever it was in the file, so 40 megapixels of PNG take 160 MB. Two
# decoders need more: WebP's has two canvases and makes a copy of one, and a JPEG in several scans holds every
# coefficient in 2 bytes. The bytes of the file are copied, too.
_PIXEL_BYTES = 4
_WEBP_PIXEL_BYTES = 16
_COEFFICIENT_BYTES = 2
# 40 megapixels of 8-bit RGBA, and more; twice as much takes two seconds to inflate.
_MAX_PNG_BITS = 8 * 200_000_000
_MAX_DECODER_BYTES = 175_000_000  # the rest of the 200 MiB is for the returned array
_MAX_WEBP_BYTES = 204_000_000  # at its peak there is no such array yet; a phone's 4032x3024 fits
# A few hundred kilobytes of lossless WebP can ask for Huffman tables of 700 MB. This limit counts both canvases,
# although only one is ever written.
_MAX_WEBP_ALLOCATED_BYTES = 240_000_000
_MAX_RETURNED_PIXELS = 4_000_000
_BAND_PIXELS = 1_000_000  # converted at a time

_UPRIGHT: Final[Mapping[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]]] = {  # by EXIF orientation
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}
_SWAPPED: Final = 5  # from this EXIF orientation on, width and height are swapped


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


def decode(data: bytes, *, min_side: int = 448) -> Picture:
    """Decode a JPEG, PNG or WebP file, of an animation the first frame.

    The pixels must be whole: a picture that its decoder only warns about is refused. Its metadata, and bytes before
    or after it, may be anything.

    Args:
        data: The file's bytes, from anyone.
        min_side: A large picture is reduced by a whole factor, as far as both sides stay at least this long,
            and further where it would still have more than 4 megapixels.

    Raises:
        InputError: The file cannot be scored; the detail says why.
    """
    started = time.perf_counter()
    if len(data) > MAX_UPLOAD_BYTES:
        raise too_large(len(data))
    data = strip_leading_bytes(data)
    file_format = accepted_format(data)
    if file_format is None:
        raise _not_accepted(data)
    try:
        pixels, (width, height), orientation = _READERS[file_format](data, min_side)
    except InputError:
        raise
    except Exception as error:
        damaged = f"The {file_format} picture is damaged or cut short. Send the whole file again."
        raise InputError(UNREADABLE_IMAGE, _WAS_TEXT if was_converted_as_text(data) else damaged) from error
    if orientation in _UPRIGHT:
        pixels = np.ascontiguousarray(_UPRIGHT[orientation](pixels))
        if orientation >= _SWAPPED:
            width, height = height, width
    return Picture(pixels, width, height, (time.perf_counter() - started) * 1e3)


def too_large(size: int) -> InputError:
    """Return the refusal of a file of more than `MAX_UPLOAD_BYTES`."""
    return InputError(
        TOO_LARGE, f"The picture has {size:,} bytes; at most {MAX_UPLOAD_BYTES:,} are accepted."
    )


def _not_accepted(data: bytes) -> InputError:
    if not data:
        return InputError(UNREADABLE_IMAGE, f"The picture has 0 bytes. {ACCEPTED}")
    if other := other_format(data):
        return InputError(UNSUPPORTED_TYPE, f"This is {other}. {ACCEPTED}")
    if was_converted_as_text(data):
        return InputError(UNREADABLE_IMAGE, _WAS_TEXT)
    if not data.strip(b"\0"):
        detail = (
            f"All {len(data):,} bytes of the file are zeros: it was never written, or is lost. {ACCEPTED}"
        )
        return InputError(UNREADABLE_IMAGE, detail)
    if front := count_leading_bytes(data):
        detail = f"There are {front:,} bytes in front of the JPEG picture. Send it without them."
        return InputError(UNREADABLE_IMAGE, detail)
    return InputError(UNREADABLE_IMAGE, f"These {len(data):,} bytes are not a picture. {ACCEPTED}")


_Read = tuple["NDArray[np.uint8]", tuple[int, int], int]  # pixels, size as stored, orientation


def _read_jpeg(data: bytes, min_side: int) -> _Read:
    picture = jpeg.parse(data)
    size = picture.width, picture.height
    coefficients = (_MAX_DECODER_BYTES - 3 * len(data)) // _COEFFICIENT_BYTES
    _check_size(size, int(coefficients / picture.samples_per_pixel) if picture.buffered else MAX_PIXELS)
    scale = _scale(*size, min_side)
    coarse = max(power for power in (1, 2, 4, 8) if power <= scale)  # the decoder reduces at no cost
    pixels = picture.pixels(coarse)
    rest = _scale(pixels.shape[1], pixels.shape[0], min_side)
    if rest > 1:
        pixels = np.asarray(Image.fromarray(pixels).reduce(rest))
    return pixels, size, picture.orientation


def _read_png(data: bytes, min_side: int) -> _Read:
    picture = png.parse(data)
    size = picture.width, picture.height
    _check_size(
        size, min((_MAX_DECODER_BYTES - 3 * len(data)) // _PIXEL_BYTES, _MAX_PNG_BITS // picture.pixel_bits)
    )
    image = _load_image(picture.file, PNG)
    # Pillow leaves missing rows black without an error. Two rows, because in an interlaced file either may be last.
    last_rows = np.asarray(image.crop((0, image.height - 2, *image.size))).reshape(2, -1)
    if not last_rows.any(axis=1).all() and not picture.has_all_rows():
        raise DamagedError("rows are missing")
    return _array(image, min_side), size, picture.orientation


def _read_webp(data: bytes, min_side: int) -> _Read:
    if was_converted_as_text(data):  # neither its first bytes nor its decoder show this
        raise DamagedError
    picture = webp.parse(data)
    size = picture.width, picture.height
    # Before it is opened, since that allocates the canvases.
    _check_size(size, (_MAX_WEBP_BYTES - 2 * len(data)) // _WEBP_PIXEL_BYTES)
    with limit_memory(_MAX_WEBP_ALLOCATED_BYTES + _PIXEL_BYTES * picture.width * picture.height):
        # Before the picture itself is decoded, so that only one is in memory.
        if _can_decode(picture.without_last_bytes()):
            raise DamagedError("the decoder does not need all bytes")
        return _array(_load_image(picture.file, "WEBP"), min_side), size, picture.orientation


def _load_image(file: bytes, kind: str) -> Image.Image:
    image: Image.Image = Image.open(io.BytesIO(file), formats=(kind,))
    image.load()
    return image


def _can_decode(webp_file: bytes) -> bool:
    try:
        _load_image(webp_file, "WEBP")
    except (OSError, EOFError, MemoryError):
        return False
    return True


def _array(image: Image.Image, min_side: int) -> NDArray[np.uint8]:
    return np.asarray(_reduced_rgb(image, _scale(*image.size, min_side)))


_READERS: Final = {JPEG: _read_jpeg, PNG: _read_png, WEBP: _read_webp}


def _check_size(size: tuple[int, int], limit: int) -> None:
    """Refuse by the size alone; `limit` is what the file's kind and length allow."""
    width, height = size
    shape = f"The picture is {width}x{height}"
    if min(size) < MIN_SIDE:
        raise InputError(TOO_SMALL, f"{shape}; at least {MIN_SIDE} pixels a side are needed.")
    if width * height > MAX_PIXELS or max(size) > MAX_SIDE:
        raise InputError(TOO_MANY_PIXELS, f"{shape}; {_LIMITS}")
    if width * height > limit:
        detail = f"{shape}; this file may have {limit / 1e6:.1f} megapixels. Scale it down, or send a baseline JPEG."
        raise InputError(TOO_MANY_PIXELS, detail)


def _scale(width: int, height: int, min_side: int) -> int:
    return max(min(width, height) // min_side, math.ceil(math.sqrt(width * height / _MAX_RETURNED_PIXELS)), 1)


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
