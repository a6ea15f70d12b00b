"""Which format a file's first bytes announce: one that is scored, or one to name in the refusal."""

from __future__ import annotations

import re
from typing import Final

JPEG, PNG, WEBP = "JPEG", "PNG", "WebP"
_LOOKED_AT: Final = 4096  # bytes

# What cameras and streams put in front of a picture: the header of a part of multipart/x-mixed-replace (MJPEG), line
# ends, zeros.
_IN_FRONT: Final = re.compile(
    rb"[\0\r\n]*(?:--[^\r\n]{1,200}\r?\n)?(?:[A-Za-z-]{1,40}:[^\r\n]{0,200}\r?\n){0,20}[\0\r\n]*"
)

# Most cameras' raw files are TIFF files: DNG has a tag of its own, in others a preview comes before the picture.
_TIFF: Final = rb"(?:II[*+]\0|MM\0[*+])"
_DNG_VERSION: Final = rb"(?:\x12\xc6\x01\0\x04\0\0\0|\xc6\x12\0\x01\0\0\0\x04)"
_PREVIEW: Final = rb"(?:\xfe\0\x04\0\x01\0\0\0\x01\0\0\0|\0\xfe\0\x04\0\0\0\x01\0\0\0\x01)"
_BOX: Final = rb".{4}ftyp.{0,32}?"  # the brands of an ISO base media file
_OTHERS: Final = (  # compiled when they are needed, which is seldom
    ("an AVIF picture", _BOX + rb"avi[fs]"),
    ("a camera raw file (CR3)", _BOX + rb"crx "),
    ("a HEIC picture", _BOX + rb"(?:hei|hev|mif1|msf1)"),
    ("a JPEG 2000 picture", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ("a JPEG XL picture", rb"\xff\x0a|\0\0\0\x0cJXL "),
    ("a video", rb".{4}ftyp|RIFF.{4}AVI |\x1a\x45\xdf\xa3"),
    ("a JPEG XR picture", rb"II\xbc\x01"),
    ("a GIF picture", rb"GIF8[79]a"),
    ("a BMP picture", rb"BM.{4}\0{4}"),
    ("a PNM picture", rb"P[1-6]\s"),
    ("a camera raw file (CR2)", rb"II\*\0.{4}CR"),
    ("a camera raw file (DNG)", _TIFF + rb".*" + _DNG_VERSION),
    ("a camera raw file", _TIFF + rb".*" + _PREVIEW),
    ("a camera raw file", rb"FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|FOVb|II.{4}HEAPCCDR"),
    ("a TIFF picture", _TIFF),
    ("a PDF document", rb"%PDF-"),
    ("a Photoshop document", rb"8BPS"),
    ("an icon", rb"\0\0[\x01\x02]\0"),
    ("a gzip archive", rb"\x1f\x8b"),
    ("a ZIP archive", rb"PK\x03\x04"),
    (
        "a picture in base64, not its bytes",
        rb"(?:data:image/[\w.+-]+;base64,)?\s*(?:/9j/|iVBORw0KGgo|UklGR)[\w+/\s=-]*\Z",
    ),
    ("an SVG picture", rb"(?:\xef\xbb\xbf)?\s*(?i:<svg|<(?:\?xml|!).*<svg)"),
    ("a web page", rb"(?:\xef\xbb\xbf)?\s*(?i:<!doctype html|<html)"),
)


def accepted_format(data: bytes) -> str | None:
    """Return the format, if it is scored."""
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    return WEBP if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def without_front(data: bytes) -> bytes:
    """Drop what stands in front of a picture without being part of it."""
    if accepted_format(data):
        return data
    front = _IN_FRONT.match(data[:_LOOKED_AT])
    rest = data[front.end() :] if front else data
    return rest if accepted_format(rest) else data


def other_format(data: bytes) -> str | None:
    """Return what it is instead, if it can be told."""
    start = data[:_LOOKED_AT]
    return next((name for name, pattern in _OTHERS if re.match(pattern, start, re.DOTALL)), None)
