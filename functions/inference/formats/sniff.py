"""Detects a file's format from its first bytes, to decode it or to name it in a refusal."""

from __future__ import annotations

import re
from typing import Final

JPEG, PNG, WEBP = "JPEG", "PNG", "WebP"
_LOOKED_AT: Final = 4096  # bytes
_SEARCHED: Final = 65_536  # bytes; the three first bytes of a JPEG rarely occur in so few by chance

# Data that cameras, streams and scripts put in front of a picture: the header of an HTTP response or of a part of
# multipart/x-mixed-replace (MJPEG), blanks, line ends, zeros, the byte order mark of UTF-8.
_IN_FRONT: Final = re.compile(
    rb"(?:\xef\xbb\xbf|[\0\s])*(?:(?:--|HTTP/)[^\r\n]{1,200}\r?\n)?"
    rb"(?:[A-Za-z-]{1,40}:[^\r\n]{0,200}\r?\n){0,20}[\0\s]*"
)

# Most raw files are TIFF files: DNG has its own tag, and in others a preview comes before the picture.
_TIFF: Final = rb"(?:II[*+]\0|MM\0[*+])"
_DNG_VERSION: Final = rb"(?:\x12\xc6\x01\0\x04\0\0\0|\xc6\x12\0\x01\0\0\0\x04)"
_PREVIEW: Final = rb"(?:\xfe\0\x04\0\x01\0\0\0\x01\0\0\0|\0\xfe\0\x04\0\0\0\x01\0\0\0\x01)"
_BOX: Final = rb".{4}ftyp.{0,32}?"  # the brands of an ISO base media file
_OTHERS: Final = (  # compiled when needed, which is rare
    ("an AVIF picture", _BOX + rb"avi[fs]"),
    ("a camera raw file (CR3)", _BOX + rb"crx "),
    ("a HEIC picture", _BOX + rb"(?:hei|hev|mif1|msf1)"),
    ("a JPEG 2000 picture", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ("a JPEG XL picture", rb"\xff\x0a|\0\0\0\x0cJXL "),
    ("a GIF picture", rb"GIF8[79]a"),  # before MPEG-TS, whose packets begin with G, too
    ("a video", rb".{4}(?:ftyp|moov|mdat|wide)"),
    ("a video", rb"RIFF.{4}AVI |\x1a\x45\xdf\xa3|FLV\x01|\x30\x26\xb2\x75|\0\0\x01\xba|\x47.{187}\x47"),
    ("a video", rb"\0\0\0?\x01[\x09\x27\x40\x42\x46\x67]"),  # H.264, H.265
    ("a JPEG XR picture", rb"II\xbc\x01"),
    ("a BMP picture", rb"BM.{4}\0{4}"),
    ("a PNM picture", rb"P[1-7]\s"),
    ("a camera raw file (CR2)", rb"II\*\0.{4}CR"),
    ("a camera raw file (DNG)", _TIFF + rb".*" + _DNG_VERSION),
    ("a camera raw file", _TIFF + rb".*" + _PREVIEW),
    ("a camera raw file", rb"FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|FOVb|II.{4}HEAPCCDR"),
    ("a TIFF picture", _TIFF),
    ("a DICOM picture", rb".{128}DICM"),
    ("a MNG animation", rb"[\x8a\x8b][JM]NG\r\n\x1a\n"),
    ("an OpenEXR picture", rb"\x76\x2f\x31\x01"),
    ("a Radiance picture", rb"#\?R"),
    ("a QOI picture", rb"qoif"),
    ("a DDS picture", rb"DDS "),
    ("a PCX picture", rb"\x0a[\0-\x05]\x01[\x01\x02\x04\x08]"),
    ("a Windows metafile", rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF"),
    ("a PDF document", rb"%PDF-"),
    ("a PostScript document", rb"%!PS|\xc5\xd0\xd3\xc6"),
    ("a Photoshop document", rb"8BPS"),
    ("a GIMP document", rb"gimp xcf"),
    ("a Microsoft Office document", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("an icon", rb"\0\0[\x01\x02]\0[^\0]|icns"),
    ("a TGA picture", rb"\0\0[\x02\x03\x0a\x0b]\0{5}"),
    ("a gzip archive", rb"\x1f\x8b"),
    ("a ZIP archive", rb"PK\x03\x04"),
    ("an archive", rb"Rar!\x1a\x07|7z\xbc\xaf|\x28\xb5\x2f\xfd|\xfd7zXZ|BZh[1-9]|.{257}ustar"),
    ("what macOS notes about a file (._name), not the file", rb"\0\x05\x16[\0\x07]"),
    ("a pointer of Git LFS, not the file", rb"version https://git-lfs"),
    (
        "a picture in base64, not its bytes",
        rb"\s*(?:data:image/[^,]{1,99};base64,)?\s*(?:/9j/|iVBORw0KGgo|UklGR|R0lGOD|AAAA.GZ0eXB)[\w+/\s=-]*\Z",
    ),
    (
        "a picture in hexadecimal digits, not its bytes",
        rb"\s*(?:0x)?(?i:ffd8ff|89504e47|52494646)[0-9A-Fa-f\s]*\Z",
    ),
    ("a picture as Python prints it, not its bytes", rb"b(?:'|\")(?:\\xff\\xd8|\\x89PNG|RIFF)"),
    ("an SVG picture", rb"(?:\xef\xbb\xbf)?\s*(?i:<svg|<(?:\?xml|!).*<svg)"),
    ("a web page", rb"(?:\xef\xbb\xbf)?\s*(?i:<!doctype html|<html)"),
    ("an XML document", rb"(?:\xef\xbb\xbf)?\s*<\?xml"),
    ("a JSON document", rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]])"),
)
# The first bytes of pictures that were converted to ASCII or seven bits, or to other line ends; or all bytes, without
# those that `curl -d @face.jpg` leaves out.
_AS_TEXT: Final = re.compile(
    rb"\?{4}..(?:JFIF|Exif)\0|\x7fX\x7f[\x60-\x6f]|[?\t]PNG\r?\n|\x89PNG(?!\r\n\x1a\n)"
    rb"|(?:\xff\xd8\xff|RIFF)[^\0\r\n]{500,}+\Z"
)
_LINE_ENDS: Final = 4  # all of them are CR LF by chance in one of four billion files
_CONTROLS: Final = re.compile(rb"[\0-\x08\x0e-\x1f]")  # do not occur in text


def accepted_format(data: bytes) -> str | None:
    """Return the format if it is accepted."""
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    return WEBP if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def strip_leading_bytes(data: bytes) -> bytes:
    """Remove the data in front of a picture that do not belong to it."""
    if accepted_format(data):
        return data
    front = _IN_FRONT.match(data[:_LOOKED_AT])
    rest = data[front.end() :] if front else data
    return rest if accepted_format(rest) else data


def count_leading_bytes(data: bytes) -> int:
    """Return the number of bytes before a JPEG picture; 0 if there is none."""
    return max(data.find(b"\xff\xd8\xff", 0, _SEARCHED), 0)


def other_format(data: bytes) -> str | None:
    """Return the name of another format, if it is recognised."""
    start = data[:_LOOKED_AT]
    return next((name for name, pattern in _OTHERS if re.match(pattern, start, re.DOTALL)), None)


def was_converted_as_text(data: bytes) -> bool:
    """Return whether this is a binary file that was converted as if it were text."""
    line_ends = data.count(b"\n")
    if _AS_TEXT.match(data) or (line_ends >= _LINE_ENDS and data.count(b"\r\n") == line_ends):
        return True
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return not text.isascii() and bool(_CONTROLS.search(data))
