"""Parses PNG (W3C, third edition): checks the chunks that the pixels need, and drops the others."""

from __future__ import annotations

import binascii
import math
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.inference.formats import DamagedError
from functions.inference.formats.exif import orientation
from functions.shared.problem import UNREADABLE_IMAGE, UNSUPPORTED_TYPE, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_ANCILLARY: Final = 0x20  # bit of the first letter of a chunk's name
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PALETTE: Final = 3  # the colour type whose pixels are indices
_WHOLE: Final = ((0, 0, 1, 1),)  # first column and row of a pass, and the steps to the next
ADAM7: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip
_PIECE: Final = 16_384  # compressed bytes inflated at a time, into at most 17 MB
_MAX_CHUNKS: Final = 100_000  # enough for a chunk per row of pixels
_MAX_METADATA: Final = 65_536  # bytes of EXIF or XMP that are read


@dataclass(frozen=True)
class Png:
    """A PNG picture, its metadata removed.

    Attributes:
        file: A PNG file of one IDAT chunk.
        compressed: The contents of that chunk.
        width: In pixels, as stored.
        height: In pixels, as stored.
        pixel_bits: Bits of a pixel.
        interlaced: Whether its pixels come in seven passes.
        orientation: By EXIF or XMP.
    """

    file: bytes
    compressed: memoryview
    width: int
    height: int
    pixel_bits: int
    interlaced: bool
    orientation: int

    def has_all_rows(self) -> bool:
        """Whether there are as many pixels as the header says. This inflates them, which takes time."""
        expected = 0
        for column, row, across, down in ADAM7 if self.interlaced else _WHOLE:
            columns, rows = math.ceil((self.width - column) / across), math.ceil((self.height - row) / down)
            expected += rows * (1 + math.ceil(columns * self.pixel_bits / 8))  # a row begins with its filter
        inflater = zlib.decompressobj()
        for start in range(0, len(self.compressed), _PIECE):
            expected -= len(inflater.decompress(self.compressed[start : start + _PIECE]))
            if expected <= 0:  # the rest may inflate to gigabytes
                return True
        return False


def parse(data: bytes) -> Png:
    """Read the chunks of a file that begins with a PNG picture; data after IEND are ignored.

    Only the checksums of chunks that the pixels need are compared, as in browsers.

    Raises:
        DamagedError: A chunk that the pixels need is missing or damaged.
        InputError: It has too many chunks, or is in a form that is not scored.
    """
    critical: dict[bytes, bytes] = {}
    pixels: list[bytes] = []
    exif = xmp = None
    position = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        length, name = (
            struct.unpack_from(">I4s", data, position) if position + 8 <= len(data) else (0, b"IEND")
        )
        start, end = position + 8, position + 8 + length
        position = end + 4
        if name == b"IEND":
            break
        if end > len(data):
            raise DamagedError(f"{name!r} is cut short")
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT"):
            body = data[start:end]
            _check_sum(name, body, data[end:position])
            if name == b"IDAT":
                pixels.append(body)
            else:
                critical.setdefault(name, body)
        elif name == b"eXIf":
            exif = exif or data[start : min(end, start + _MAX_METADATA)]
        elif name in (b"iTXt", b"zTXt", b"tEXt"):
            text = data[start : min(end, start + _MAX_METADATA)]
            # Only the first of each is inflated, even if it is unusable: there may be thousands.
            xmp = _xmp(text) if xmp is None else xmp
            exif = _raw_profile(name, text) if exif is None else exif
        elif name == b"CgBI":
            detail = "This is a PNG picture in the form of iOS apps (CgBI). Save it as a plain PNG or JPEG picture."
            raise InputError(UNSUPPORTED_TYPE, detail)
        elif not pixels and not name[0] & _ANCILLARY:  # an unknown critical chunk
            raise DamagedError(f"a critical chunk {name!r}")
    else:
        raise InputError(
            UNREADABLE_IMAGE, f"The PNG picture has more than {_MAX_CHUNKS:,} chunks. Save it again."
        )
    return _png(critical, pixels, orientation(exif, xmp))


def _png(critical: Mapping[bytes, bytes], pixels: Sequence[bytes], turned: int) -> Png:
    """Return a picture of the chunks that the pixels need, by name, the IDAT contents and the orientation."""
    header = critical.get(b"IHDR", b"")
    if len(header) != 13 or not pixels or header[9] not in _CHANNELS:
        raise DamagedError("no header or no pixels")
    if header[9] == _PALETTE and (not critical.get(b"PLTE") or len(critical[b"PLTE"]) % 3):
        raise DamagedError("no palette")
    width, height = struct.unpack_from(">II", header)
    end = _chunk(b"IEND", b"")
    idat = _chunk(b"IDAT", b"".join(pixels))
    file = b"".join([SIGNATURE, *(_chunk(name, body) for name, body in critical.items()), idat, end])
    return Png(
        file,
        memoryview(file)[8 - len(idat) - len(end) : -4 - len(end)],
        width,
        height,
        header[8] * _CHANNELS[header[9]],
        bool(header[12]),
        turned,
    )


def _check_sum(name: bytes, body: bytes, checksum: bytes) -> None:
    """Compare a chunk's checksum, as far as the file has it."""
    expected = struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))
    if not expected.startswith(checksum):
        raise DamagedError(f"the checksum of {name!r} is wrong")


def _chunk(name: bytes, body: bytes) -> bytes:
    return b"".join(
        [struct.pack(">I", len(body)), name, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))]
    )


def _xmp(text: bytes) -> bytes | None:
    """Return the XMP in an iTXt chunk: keyword, 0, compressed, method, language, 0, translated keyword, 0, text.

    None if the chunk has another keyword, and empty if its XMP is unusable.
    """
    if not text.startswith(b"XML:com.adobe.xmp\0"):
        return None
    compressed, rest = text[18:19], text[20:].split(b"\0", 2)
    content = rest[2] if len(rest) == 3 else b""
    return _inflate(content) if compressed == b"\1" else content


def _raw_profile(chunk: bytes, text: bytes) -> bytes | None:
    """Return EXIF in ImageMagick's format: keyword, 0, then name, length and hex digits, deflated in zTXt.

    None if the chunk has another keyword, and empty if its EXIF is unusable.
    """
    keyword, _, content = text.partition(b"\0")
    if keyword not in (b"Raw profile type exif", b"Raw profile type APP1"):
        return None
    words = (_inflate(content[1:]) if chunk == b"zTXt" else content).split()
    digits = b"".join(words[2:])
    try:
        return binascii.unhexlify(digits[: len(digits) // 2 * 2])
    except ValueError:
        return b""


def _inflate(data: bytes) -> bytes:
    """Inflate up to `_MAX_METADATA` bytes; return nothing for an invalid zlib stream."""
    try:
        return zlib.decompressobj().decompress(data, _MAX_METADATA)
    except zlib.error:
        return b""
