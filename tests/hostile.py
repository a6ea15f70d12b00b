"""Files that are costly to decode or break the decoder, among good ones."""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from tests.forged import jpeg_of_scans, segment
from tests.pictures import chunk, draw_face, encode

FAULTY = Path(__file__).parent / "faulty"  # on Python's path, it makes the last two files of HOSTILE work
_FACE = encode(draw_face())
_PNG = encode(draw_face(), "PNG")
HOSTILE = {
    "endless scans": jpeg_of_scans(640, 480, 20_000),
    "endless scans behind fill bytes": jpeg_of_scans(640, 480, 20_000, fill=b"\xff\xff"),
    "markers without a length": _FACE[:2] + b"\xff\xd0\xff\x01" * 1_000_000 + _FACE[2:],
    "empty segments": _FACE[:2] + segment(0xE1, b"") * 1_000_000 + _FACE[2:],
    "a flood of iCCP": _PNG[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(99))) * 150_000 + _PNG[33:],
    "40 gigapixels": _PNG[:16] + struct.pack(">II", 200_000, 200_000) + _PNG[24:],
    "a decoder that hangs": b"endless",
    "a decoder that crashes": b"crash",
}


def mixed_uploads(good: int, hostile: Iterable[str] = HOSTILE) -> dict[str, bytes]:
    """Return `good` good files and the named hostile ones by key, in mixed order."""
    files = {f"good/{number}.jpg": _FACE for number in range(good)}
    files |= {f"bad/{name}.jpg": HOSTILE[name] for name in hostile}
    return {key: files[key] for key in sorted(files, key=lambda key: zlib.crc32(key.encode()))}
