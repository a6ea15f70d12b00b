"""Which way up a picture is, by its metadata, of which one tag is read and nothing else."""

from __future__ import annotations

import re
import struct
from typing import Final

UPRIGHT: Final = 1
_ORIENTATION: Final = 0x0112
_MAX_ENTRIES: Final = 200  # TIFF 6.0 sorts them by tag, and few tags come before the orientation
_IN_XMP: Final = re.compile(rb"""tiff:Orientation\s{0,9}(?:=\s{0,9}["']|>)\s{0,9}([1-8])""")
_KINDS: Final = {1: "B", 3: "H", 4: "I"}  # of a whole number: BYTE, SHORT as it should be, and LONG


def orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """Return the EXIF orientation, 1 to 8; where EXIF says nothing, XMP's; 1 where neither makes sense."""
    if exif and (value := _in_exif(exif.removeprefix(b"Exif\0\0"))) in range(1, 9):
        return value
    found = _IN_XMP.search(xmp) if xmp else None
    return int(found[1]) if found else UPRIGHT


def _in_exif(tiff: bytes) -> int:
    """The orientation in the first directory of a TIFF file (TIFF 6.0, section 2); 0 where there is none."""
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for number in range(min(count, _MAX_ENTRIES)):
            entry = directory + 2 + 12 * number
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == _ORIENTATION and kind in _KINDS:
                return int(struct.unpack_from(f"{order}{_KINDS[kind]}", tiff, entry + 8)[0])
    except struct.error:  # a picture with broken metadata is still a picture
        pass
    return 0
