"""`decode` refuses unusable files with a message that names the reason."""

import base64
import gzip
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from functions.inference.decode import decode
from functions.shared.problem import (
    TOO_LARGE,
    TOO_MANY_PIXELS,
    TOO_SMALL,
    UNREADABLE_IMAGE,
    UNSUPPORTED_TYPE,
    InputError,
    Problem,
)
from tests.forged import frame
from tests.pictures import chunk, draw_face, encode


def refusal(data: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        decode(data)
    return caught.value


def png_header(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of 8-bit RGB whose header claims a size that its data do not have."""
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(40_000)))
    return b"\x89PNG\r\n\x1a\n" + ihdr + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def tiff(order: str, *entries: tuple[int, int, int]) -> bytes:
    """A TIFF file of tags, each with its type and a number."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    return (
        start
        + struct.pack(f"{order}IH", 8, len(entries))
        + b"".join(
            struct.pack(f"{order}HHIHH", tag, kind, 4 if tag == 0xC612 else 1, value, 0)
            if order == "<" or kind == 3
            else struct.pack(f"{order}HHII", tag, kind, 1, value)
            for tag, kind, value in entries
        )
    )


def jpeg_header(width: int, height: int) -> bytes:
    file = encode(draw_face())
    start = file.index(b"\xff\xc0") + 5
    return file[:start] + struct.pack(">HH", height, width) + file[start + 4 :]


def webp_header(width: int, height: int) -> bytes:
    file = encode(draw_face().convert("RGBA"), "WEBP", exif=b"II*\0\x08\0\0\0\0\0")
    assert file[12:16] == b"VP8X"
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return file[:24] + size + file[30:]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "an AVIF picture"),
        (b"\0\0\0\x20ftypisom\0\0\0\0isomiso2", "a video"),
        (encode(draw_face().quantize(16), "GIF"), "a GIF picture"),
        (encode(draw_face(), "TIFF"), "a TIFF picture"),
        (encode(draw_face(), "BMP"), "a BMP picture"),
        (encode(draw_face(), "PDF"), "a PDF document"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG picture"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="9"/>', "an SVG picture"),
        (b"\xff\x0a" + bytes(64), "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "a JPEG 2000 picture"),
        (b"\xff\x4f\xff\x51\0\x2f", "a JPEG 2000 picture"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera raw file (CR3)"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera raw file (CR2)"),
        (tiff("<", (254, 4, 1), (0xC612, 1, 0x0401)), "a camera raw file (DNG)"),
        (tiff(">", (254, 4, 1), (271, 2, 18)), "a camera raw file"),
        (tiff("<", (254, 4, 0), (256, 3, 640)), "a TIFF picture"),
        (b"FUJIFILMCCD-RAW 0201", "a camera raw file"),
        (gzip.compress(encode(draw_face())), "a gzip archive"),
        (base64.b64encode(encode(draw_face())), "a picture in base64, not its bytes"),
        (base64.encodebytes(encode(draw_face(), "PNG")), "a picture in base64, not its bytes"),
        (
            b"data:image/webp;base64," + base64.b64encode(encode(draw_face(), "WEBP")),
            "a picture in base64, not its bytes",
        ),
        (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "a web page"),
        (base64.b64encode(encode(draw_face().quantize(16), "GIF")), "a picture in base64, not its bytes"),
        (base64.b64encode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "a picture in base64, not its bytes"),
        (encode(draw_face(), "TGA"), "a TGA picture"),
        (encode(draw_face(), "TGA", compression="tga_rle"), "a TGA picture"),
        (encode(draw_face().resize((64, 64)), "ICO"), "an icon"),
        (b"\0\0\2\0\1\0\x20\x20", "an icon"),
        (b"P7\nWIDTH 320\nHEIGHT 240\n", "a PNM picture"),
        (b"\0\0\0\x08wide\0\1\0\0mdat", "a video"),
        (b"RIFF\0\1\0\0AVI LIST", "a video"),
        (b"\0\0\0\1\x67\x42\0\x1e", "a video"),
        ((b"\x47" + bytes(187)) * 3, "a video"),
        (b"GIF89a" + bytes(182) + b"G", "a GIF picture"),
        (b"FLV\1\5\0\0\0\t", "a video"),
        (bytes(128) + b"DICM\2\0\0\0", "a DICOM picture"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X        ", "what macOS notes about a file (._name), not the file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "a pointer of Git LFS, not the file"),
        (b'{"message": "Forbidden"}', "a JSON document"),
        (b'[{"file": 1}]', "a JSON document"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript document"),
        (b"Rar!\x1a\7\1\0", "an archive"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF".hex().encode(), "a picture in hexadecimal digits, not its bytes"),
        (repr(encode(draw_face())).encode(), "a picture as Python prints it, not its bytes"),
        (repr(encode(draw_face(), "PNG")).encode(), "a picture as Python prints it, not its bytes"),
    ],
)
def test_other_formats_are_named(data: bytes, name: str) -> None:
    rejected = refusal(data)
    assert rejected.problem == UNSUPPORTED_TYPE
    assert rejected.detail == f"This is {name}. Send a JPEG, PNG or WebP picture."


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello, this is no picture",
        b"\xff\xd8",
        bytes(1000),
        b"\n--part\r\nContent-Type: image/jpeg\r\n\r\n",
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_what_is_not_a_picture_is_unreadable(data: bytes) -> None:
    rejected = refusal(data)
    assert rejected.problem == UNREADABLE_IMAGE
    assert "Send a JPEG, PNG or WebP picture." in rejected.detail


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.decode("utf-8", "replace").encode(),
        lambda file: file.decode("latin-1").encode(),
        lambda file: file.decode("cp1252", "replace").encode(),
    ],
    ids=["replaced", "latin-1", "cp1252"],
)
def test_a_file_that_was_converted_as_text_is_named(kind: str, spoil) -> None:
    for size in ((64, 80), (160, 200), (333, 417)):
        rejected = refusal(spoil(encode(draw_face(*size), kind)))
        assert rejected.problem == UNREADABLE_IMAGE
        assert "read as text" in rejected.detail
        assert "binary mode" in rejected.detail


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("JPEG", lambda file: file.decode("ascii", "replace").encode("ascii", "replace")),
        ("PNG", lambda file: file.decode("ascii", "replace").encode("ascii", "replace")),
        ("JPEG", lambda file: bytes(byte & 0x7F for byte in file)),
        ("PNG", lambda file: bytes(byte & 0x7F for byte in file)),
        ("PNG", lambda file: file.replace(b"\r\n", b"\n")),
        ("PNG", lambda file: file.replace(b"\n", b"\r\n")),
        ("PNG", lambda file: file.replace(b"\r", b"\n")),
    ],
)
def test_a_file_with_converted_characters_or_line_ends_is_named(kind: str, spoil) -> None:
    assert "read as text" in refusal(spoil(encode(draw_face(), kind))).detail


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_file_without_its_zeros_and_line_ends_is_named(kind: str) -> None:
    """As `curl -d @face.jpg` sends it."""
    assert "read as text" in refusal(encode(draw_face(), kind).translate(None, b"\0\r\n")).detail


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_line_ends_of_windows_are_noticed_in_every_format(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (160, 200, 3), np.uint8)
    rejected = refusal(encode(Image.fromarray(noise), kind).replace(b"\n", b"\r\n"))
    assert "read as text" in rejected.detail


@pytest.mark.parametrize("front", [b"\0\0\x4c\xd0", b"\xff", b"junk\0" * 900, bytes(5000)])
def test_bytes_in_front_of_a_jpeg_are_reported(front: bytes) -> None:
    """For example, the length field of a camera's protocol."""
    rejected = refusal(front + encode(draw_face()))
    assert rejected.problem == UNREADABLE_IMAGE
    assert f"There are {len(front):,} bytes in front of the JPEG picture." in rejected.detail


def test_a_file_of_zeros_is_named() -> None:
    assert "All 4,096 bytes of the file are zeros" in refusal(bytes(4096)).detail


def test_a_png_of_an_ios_app_is_named() -> None:
    file = encode(draw_face(), "PNG")
    rejected = refusal(file[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + file[8:])
    assert rejected.problem == UNSUPPORTED_TYPE
    assert "iOS" in rejected.detail


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
def test_truncated_files_are_unreadable(kind: str, kept: float) -> None:
    file = encode(draw_face(), kind)
    rejected = refusal(file[: max(int(len(file) * kept), 12)])
    assert rejected.problem in {UNREADABLE_IMAGE, TOO_SMALL}
    if rejected.problem == UNREADABLE_IMAGE:
        assert "cut short" in rejected.detail


@pytest.mark.parametrize("make", [png_header, jpeg_header, webp_header])
@pytest.mark.parametrize(
    ("width", "height", "problem"),
    [
        (8000, 6250, TOO_MANY_PIXELS),
        (16383, 16383, TOO_MANY_PIXELS),
        (31, 400, TOO_SMALL),
        (400, 31, TOO_SMALL),
    ],
)
def test_the_size_in_the_header_is_checked_first(make, width: int, height: int, problem: Problem) -> None:
    rejected = refusal(make(width, height))
    assert rejected.problem == problem
    assert f"{width}x{height}" in rejected.detail or "40 megapixels" in rejected.detail


@pytest.mark.parametrize(("width", "height"), [(2**31 - 1, 2**31 - 1), (1_000_000, 32), (65_536, 100)])
def test_absurd_sizes_are_too_many_pixels(width: int, height: int) -> None:
    assert refusal(png_header(width, height)).problem == TOO_MANY_PIXELS


def test_a_file_with_too_many_bytes_is_not_decoded() -> None:
    rejected = refusal(b"\xff\xd8\xff" + bytes(24_999_998))
    assert rejected.problem == TOO_LARGE
    assert rejected.detail == "The picture has 25,000,001 bytes; at most 25,000,000 are accepted."


def test_a_png_without_all_its_pixels_is_unreadable() -> None:
    assert refusal(png_header(1000, 1000)).problem == UNREADABLE_IMAGE


def test_a_progressive_jpeg_has_a_lower_pixel_limit() -> None:
    rejected = refusal(encode(Image.new("RGB", (6400, 5200)), progressive=True, subsampling=0))
    assert rejected.problem == TOO_MANY_PIXELS
    assert "baseline JPEG" in rejected.detail


@pytest.mark.filterwarnings("error")
def test_a_bomb_warning_turned_error_is_too_many_pixels() -> None:
    assert refusal(png_header(10_000, 10_000)).problem == TOO_MANY_PIXELS


@pytest.mark.parametrize(
    ("marker", "bits", "kind"),
    [
        (0xC1, 12, "a JPEG picture of 12 bits a sample"),
        (0xC3, 8, "a lossless JPEG picture"),
        (0xCB, 8, "a lossless JPEG picture"),
        (0xC5, 8, "a hierarchical JPEG picture"),
        (0xF7, 8, "a JPEG-LS picture"),
    ],
)
def test_a_jpeg_of_another_kind_is_named_and_not_called_damaged(marker: int, bits: int, kind: str) -> None:
    rejected = refusal(b"\xff\xd8" + frame(marker, 64, 64, bits=bits) + b"\xff\xd9")
    assert rejected.problem == UNSUPPORTED_TYPE
    assert rejected.detail == f"This is {kind}. Save it as a baseline JPEG of 8 bits a sample."


def test_a_jpeg_with_its_height_at_its_end_is_named() -> None:
    rejected = refusal(jpeg_header(160, 0))
    assert rejected.problem == UNSUPPORTED_TYPE
    assert "its height only at its end" in rejected.detail
