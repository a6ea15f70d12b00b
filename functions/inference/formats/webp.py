"""Parses WebP (RFC 9649): keeps the chunks of the first frame, and drops the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.inference.formats import DamagedError
from functions.inference.formats.exif import orientation
from functions.shared.problem import UNREADABLE_IMAGE, InputError

_KEPT: Final = frozenset({b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"})
_FRAMES: Final = frozenset({b"ANMF", b"VP8 ", b"VP8L"})
_FIRST_CHUNK: Final = 12  # bytes before the first chunk
_MAX_CHUNKS: Final = 10_000
_BITSTREAMS: Final = (b"VP8 ", b"VP8L")
_ANMF_HEADER: Final = 16  # bytes before the chunks in an ANMF chunk
_LAST: Final = 16  # bytes; encoders pad a frame with fewer
_TINY: Final = 4 * _LAST  # bytes; a smaller frame may consist of its header only
_MAX_METADATA: Final = 65_536  # bytes of EXIF or XMP that are read


@dataclass(frozen=True)
class WebP:
    """A WebP picture, its metadata and all frames but the first removed.

    Attributes:
        file: A WebP file.
        width: In pixels, as stored.
        height: In pixels, as stored.
        orientation: By EXIF or XMP.
        frame: The offset of the frame's chunk in the file; it is the last chunk.
    """

    file: bytes
    width: int
    height: int
    orientation: int
    frame: int

    def without_last_bytes(self) -> bytes:
        """Return the file without the last bytes of the frame; empty for a tiny frame.

        The decoder needs every byte of a sound frame. It also decodes a damaged frame, but rarely needs all of its
        bytes for that.
        """
        if len(self.file) - self.frame < _TINY:
            return b""
        body = self.file[8 : self.frame] + _cut(self.file[self.frame :])
        return b"RIFF" + len(body).to_bytes(4, "little") + body


def parse(data: bytes) -> WebP:
    """Read the chunks of a file that begins with a WebP picture; data after it are ignored.

    A frame has no checksum. This checks that the frame is complete, see also `WebP.without_last_bytes`. A wrong
    length in the file's header does not matter.

    Raises:
        DamagedError: The file is truncated, or its chunks are invalid.
        InputError: The file has too many chunks.
    """
    riff_end = _riff_end(data)
    kept: list[bytes] = []
    names: set[bytes] = set()
    exif = xmp = None
    position = _FIRST_CHUNK
    for _ in range(_MAX_CHUNKS):
        name = data[position : position + 4]
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        end = position + 8 + length
        if end > riff_end:  # the file ends here, or within this chunk
            break
        if name in _KEPT and not names & _FRAMES:
            kept.append(data[position:end] + b"\0" * (length % 2))
            names.add(name)
        elif name == b"EXIF":
            exif = exif or data[position + 8 : min(end, position + 8 + _MAX_METADATA)]
        elif name == b"XMP ":
            xmp = xmp or data[position + 8 : min(end, position + 8 + _MAX_METADATA)]
        position = end + length % 2
    else:
        raise InputError(
            UNREADABLE_IMAGE, f"The WebP picture has more than {_MAX_CHUNKS:,} chunks. Save it again."
        )
    if not names & _FRAMES:
        raise DamagedError("no whole frame")
    width, height = _size(kept[0])
    body = b"WEBP" + b"".join(kept)
    file = b"RIFF" + len(body).to_bytes(4, "little") + body
    return WebP(file, width, height, orientation(exif, xmp), len(file) - len(kept[-1]))


def _riff_end(data: bytes) -> int:
    """Return the end of the file by its header, or its length if the header is wrong, as some writers leave it."""
    end = 8 + int.from_bytes(data[4:8], "little")
    return end if _FIRST_CHUNK < end <= len(data) else len(data)


def _cut(chunk: bytes) -> bytes:
    """Return the chunk of a frame without the frame's last bytes."""
    name, body = chunk[:4], chunk[8 : 8 + int.from_bytes(chunk[4:8], "little")]
    if name == b"ANMF":
        start = _ANMF_HEADER
        while start < len(body) and body[start : start + 4] not in _BITSTREAMS:
            length = int.from_bytes(body[start + 4 : start + 8], "little")
            start += 8 + length + length % 2
        body = body[:start] + _cut(body[start:])
    else:
        body = body[:-_LAST]
    return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


def _size(chunk: bytes) -> tuple[int, int]:
    """Return the width and height in the first chunk; a forged chunk gives wrong ones.

    Raises:
        DamagedError: The chunk has no size.
    """
    kind, body = chunk[:4], chunk[8:]
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body.startswith(b"\x2f"):
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    raise DamagedError("no size")
