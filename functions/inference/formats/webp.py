"""WebP (RFC 9649): the chunks of its first frame, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.inference.formats import DamagedError
from functions.inference.formats.exif import orientation
from functions.shared.problem import UNREADABLE_IMAGE, InputError

_KEPT: Final = frozenset({b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"})
_FRAMES: Final = frozenset({b"ANMF", b"VP8 ", b"VP8L"})
_FIRST_CHUNK: Final = 12  # bytes come before it
_MAX_CHUNKS: Final = 10_000
# A blank lossy frame has a run of one zero byte for every 10,000 pixels, other frames have shorter ones.
_SOUND_ZEROS: Final = 200
_PIXELS_TO_A_ZERO: Final = 5000
_MAX_METADATA: Final = 65_536  # bytes of EXIF or XMP that are looked at


@dataclass(frozen=True)
class WebP:
    """A WebP picture, its metadata and all frames but the first removed.

    Attributes:
        file: A WebP file.
        width: In pixels, as stored.
        height: In pixels, as stored.
        orientation: By EXIF or XMP.
    """

    file: bytes
    width: int
    height: int
    orientation: int


def parse(data: bytes) -> WebP:
    """Read the chunks of a file that begins with a WebP picture; what comes behind it is not looked at.

    A frame has no checksum, and the lossy decoder makes pixels of anything. What can be checked is that all its bytes
    came, and that no packet or sector of them is zeros. What the file says of its own length does not matter.

    Raises:
        DamagedError: It is cut short, or its chunks make no sense.
        InputError: It has too many chunks.
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
    zeros = min(_SOUND_ZEROS + width * height // _PIXELS_TO_A_ZERO, len(kept[-1]))
    if bytes(zeros) in kept[-1]:
        raise DamagedError("zeros in place of data")
    body = b"WEBP" + b"".join(kept)
    return WebP(b"RIFF" + len(body).to_bytes(4, "little") + body, width, height, orientation(exif, xmp))


def _riff_end(data: bytes) -> int:
    """Where the file ends: as it says, unless its end is cut off, or whoever wrote it did not go back to say."""
    end = 8 + int.from_bytes(data[4:8], "little")
    return end if _FIRST_CHUNK < end <= len(data) else len(data)


def _size(chunk: bytes) -> tuple[int, int]:
    """Width and height that the first chunk tells; nonsense where it is forged."""
    kind, body = chunk[:4], chunk[8:]
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body.startswith(b"\x2f"):
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    raise DamagedError("no size")
