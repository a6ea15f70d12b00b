"""Whatever the bytes, decode gives a picture or refuses; nothing else escapes, and nothing swells.

2,100 files by default; MASKWATCH_FUZZ_FILES=100000 is the long run.
"""

import os
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from functions.inference.decode import MAX_PIXELS, MIN_SIDE, decode
from functions.shared.problem import InputError
from tests.forged import jpeg_of_scans
from tests.pictures import chunk, draw_face, encode

FACE = draw_face(64, 80)
EXIF = Image.Exif()
EXIF[0x0112] = 6
FILES = {
    "jpeg": encode(FACE),
    "jpeg with exif": encode(FACE, exif=EXIF),
    "progressive jpeg": encode(FACE, progressive=True),
    "jpeg of many scans": jpeg_of_scans(64, 80, 30),
    "cmyk jpeg": encode(FACE.convert("CMYK")),
    "png": encode(FACE, "PNG"),
    "png with exif": encode(FACE, "PNG", exif=EXIF, interlace=1),
    "palette png": encode(FACE.quantize(16), "PNG", transparency=3),
    "16-bit png": encode(Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)), "PNG"),
    "animated png": encode(FACE, "PNG", save_all=True, append_images=[FACE.rotate(180)]),
    "webp": encode(FACE, "WEBP"),
    "lossless webp": encode(FACE.convert("RGBA"), "WEBP", lossless=True, exif=EXIF),
    "animated webp": encode(FACE, "WEBP", save_all=True, append_images=[FACE.rotate(180)]),
}
MAGICS = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x10\0\0\0WEBPVP8 ",
    b"RIFF\x10\0\0\0WEBPVP8X",
    b"\0\0\0\x18ftyp",
]

pytestmark = pytest.mark.filterwarnings("error")  # a hostile file must not write into the log
thoroughly = settings(max_examples=int(os.environ.get("MASKWATCH_FUZZ_FILES", "2100")) // 7, deadline=None)


@pytest.fixture(scope="module", autouse=True)
def _never_more_than_200_mebibytes() -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the peak until now
    before = kibibytes("VmRSS")
    yield
    assert kibibytes("VmHWM") - before < 200 * 1024


def kibibytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def assert_decoded_or_refused(data: bytes) -> None:
    picture = None
    with suppress(InputError):
        picture = decode(data)
    if picture is None:
        return
    assert min(picture.width, picture.height) >= MIN_SIDE
    assert picture.width * picture.height <= MAX_PIXELS
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 3
    assert picture.pixels.shape[2] == 3
    assert picture.pixels.nbytes <= 15_000_000


@thoroughly
@given(magic=st.sampled_from([b"", *MAGICS]), rest=st.binary(max_size=400))
def test_random_bytes_are_decoded_or_refused(magic: bytes, rest: bytes) -> None:
    assert_decoded_or_refused(magic + rest)


@thoroughly
@given(file=st.sampled_from(sorted(FILES)), kept=st.floats(0, 1))
def test_truncated_files_are_decoded_or_refused(file: str, kept: float) -> None:
    data = FILES[file]
    assert_decoded_or_refused(data[: int(len(data) * kept)])


@thoroughly
@given(
    file=st.sampled_from(sorted(FILES)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=20),
)
def test_files_with_flipped_bits_are_decoded_or_refused(file: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(FILES[file])
    for place, bit in flips:
        data[int(place * len(data))] ^= 1 << bit
    assert_decoded_or_refused(bytes(data))


@thoroughly
@given(
    file=st.sampled_from(sorted(FILES)), place=st.integers(0, 600), junk=st.binary(min_size=1, max_size=40)
)
def test_files_with_inserted_or_overwritten_bytes_are_decoded_or_refused(
    file: str, place: int, junk: bytes
) -> None:
    data = FILES[file]
    assert_decoded_or_refused(data[:place] + junk + data[place:])
    assert_decoded_or_refused(data[:place] + junk + data[place + len(junk) :])


@thoroughly
@given(
    size=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    depth=st.sampled_from([1, 2, 4, 8, 16]),
    colour=st.sampled_from([0, 2, 3, 4, 6]),
    interlace=st.integers(0, 1),
)
def test_a_png_that_claims_any_size_is_decoded_or_refused(
    size: tuple[int, int], depth: int, colour: int, interlace: int
) -> None:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlace)
    pixels = chunk(b"IDAT", zlib.compress(bytes(2000)))
    assert_decoded_or_refused(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))


@thoroughly
@given(width=st.integers(0, 65535), height=st.integers(0, 65535), marker=st.sampled_from([0xC0, 0xC1, 0xC2]))
def test_a_jpeg_that_claims_any_size_is_decoded_or_refused(width: int, height: int, marker: int) -> None:
    data = FILES["jpeg"]
    start = data.index(b"\xff\xc0")
    claim = bytes([0xFF, marker]) + data[start + 2 : start + 5] + struct.pack(">HH", height, width)
    assert_decoded_or_refused(data[:start] + claim + data[start + 9 :])


@thoroughly
@given(width=st.integers(1, 2**24), height=st.integers(1, 2**24), flags=st.integers(0, 255))
def test_a_webp_that_claims_any_canvas_is_decoded_or_refused(width: int, height: int, flags: int) -> None:
    data = FILES["lossless webp"]
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    assert_decoded_or_refused(data[:20] + bytes([flags]) + data[21:24] + size + data[30:])
