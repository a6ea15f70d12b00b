"""Reads the orientation of a picture from its metadata, and nothing else."""

from __future__ import annotations

import re
import struct
from typing import Final

UPRIGHT: Final = 1
_ORIENTATION: Final = 0x0112
_MAX_ENTRIES: Final = 200  # TIFF 6.0 sorts them by tag, and few tags come before the orientation
_XMP_ORIENTATION: Final = re.compile(rb"""tiff:Orientation\s{0,9}(?:=\s{0,9}["']|>)\s{0,9}([1-8])""")
_INTEGER_FORMATS: Final = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT (the standard for this tag) and LONG


def orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """Return the orientation, 1 to 8, of EXIF, or else of XMP; 1 if neither has a valid one."""
    if exif and (value := _read_exif(exif.removeprefix(b"Exif\0\0"))) in range(1, 9):
        return value
    match = _XMP_ORIENTATION.search(xmp) if xmp else None
    return int(match[1]) if match else UPRIGHT


def _read_exif(tiff: bytes) -> int:
    """Return the orientation in the first directory of a TIFF file (TIFF 6.0, section 2); 0 if there is none."""
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for number in range(min(count, _MAX_ENTRIES)):
            entry = directory + 2 + 12 * number
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == _ORIENTATION and kind in _INTEGER_FORMATS:
                return int(struct.unpack_from(f"{order}{_INTEGER_FORMATS[kind]}", tiff, entry + 8)[0])
    except struct.error:  # a picture with broken metadata is still a picture
        pass
    return 0
