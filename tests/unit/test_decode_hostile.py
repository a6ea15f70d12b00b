"""Files made to keep a processor busy, to fill the memory or the log: each costs seconds and 250 MB at most."""

import resource
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from functions.inference.decode import decode
from functions.inference.memory import limit_memory
from functions.shared.problem import UNREADABLE_IMAGE, InputError
from tests.forged import FULL, GREY, blocks, frame, jpeg_of_scans, scan, segment, tables, zeros
from tests.pictures import chunk, draw_face, encode
from tests.system import ROOT

SECONDS = 4.0  # of a processor; two on an idle machine, as tests/benchmarks/hostile.py measures
JPEG = encode(draw_face())
PNG = encode(draw_face(), "PNG")


def outcome(data: bytes) -> str:
    """The identifier of the refusal, or `scored`; in affordable time, whichever it is."""
    started = time.process_time()
    try:
        decode(data)
        result = "scored"
    except InputError as error:
        result = error.problem.identifier
    assert time.process_time() - started < SECONDS
    return result


def exif_of(tags: int) -> bytes:
    """Return EXIF with a number of tags of an undefined type."""
    entry = struct.pack("<HHII", 0x9000, 99, 1, 0)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", tags) + entry * min(tags, 5400)


@pytest.mark.parametrize(
    "fill", [b"", b"\xff", b"\xff\x01", b"\xff\xd0"], ids=["plain", "fill", "TEM", "RST"]
)
def test_scans_are_limited_whatever_is_between_them(fill: bytes) -> None:
    for scans in (101, 20_000):
        assert outcome(jpeg_of_scans(640, 480, scans, fill=fill)) == "unreadable-image"


def test_the_maximum_number_of_scans_is_affordable() -> None:
    assert outcome(jpeg_of_scans(6700, 4300, 100)) == "scored"
    size = 5000, 4000
    each = zeros(blocks(*size, GREY))  # an end of block for each
    first = scan([1, 2, 3], 0, 0, zeros(blocks(*size, FULL)))
    more = b"".join(scan([1 + number % 3], 1, 63, each) for number in range(99))
    assert outcome(b"\xff\xd8" + frame(0xC2, *size) + tables(0) + first + more + b"\xff\xd9") == "scored"


@pytest.mark.parametrize(
    "flood",
    [
        b"\xff" * 24_000_000,
        b"\xff\xd0" * 12_000_000,
        b"\xff\x01" * 12_000_000,
        segment(0xE1, b"") * 6_000_000,
        segment(0xE2, bytes(65_000)) * 380,
        segment(0xDB, b"\0" + b"\1" * 64) * 350_000,
        segment(0xFE, b"text") * 3_000_000,
    ],
    ids=["fill bytes", "RST", "TEM", "empty APP1", "ICC", "tables", "comments"],
)
def test_a_flood_of_markers_is_affordable(flood: bytes) -> None:
    assert outcome(JPEG[:2] + flood + JPEG[2:]) in {"scored", "unreadable-image"}


def test_entropy_coded_data_of_nothing_but_stuffing_is_affordable() -> None:
    start = JPEG.index(b"\xff\xda") + 14
    for data in (b"\xff\0" * 12_000_000, b"\xff" * 24_000_000, bytes(24_000_000)):
        assert outcome(JPEG[:start] + data + b"\xff\xd9") == "unreadable-image"


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"tEXt", b"sPLT"])
def test_a_flood_of_chunks_is_affordable(name: bytes) -> None:
    bomb = chunk(name, b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(1_000_000)))
    assert outcome(PNG[:33] + bomb * 4000 + PNG[33:]) == "scored"
    assert outcome(PNG[:33] + chunk(name, b"") * 2_000_000 + PNG[33:]) == "unreadable-image"


@pytest.mark.parametrize(
    "bomb",
    [
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"z " * 32_768)),  # no hex digits
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(65_000))[:-4] + b"sum?"),
    ],
    ids=["EXIF", "XMP"],
)
def test_a_flood_of_unusable_metadata_is_affordable(bomb: bytes) -> None:
    """Each inflates to 64 kB: 4.4 MB of them took 35 seconds."""
    assert outcome(PNG[:33] + bomb * 60_000 + PNG[33:]) == "scored"


def test_a_flood_of_empty_pixel_chunks_is_affordable() -> None:
    assert outcome(PNG[:33] + chunk(b"IDAT", b"") * 2_000_000 + PNG[33:]) == "unreadable-image"


def test_a_deep_png_has_a_lower_pixel_limit() -> None:
    def deep(width: int, height: int) -> bytes:
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0))
        row = b"\4" + bytes(range(256)) * (width // 32)
        return PNG[:8] + header + chunk(b"IDAT", zlib.compress(row * height, 1)) + chunk(b"IEND", b"")

    assert outcome(deep(8000, 5000)) == "too-many-pixels"
    assert outcome(deep(4992, 5000)) == "scored"


def test_a_png_that_inflates_to_gigabytes_behind_its_last_row_is_affordable() -> None:
    deflated = zlib.compressobj(9)
    start, again = (
        deflated.compress(bytes(50_000_000)) + deflated.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    assert len(again) < 60_000
    assert outcome(PNG[:8] + header + chunk(b"IDAT", start + again * 400) + PNG[-12:]) == "scored"


def test_a_flood_of_webp_frames_is_affordable() -> None:
    frames = [draw_face(), draw_face().rotate(90)]
    file = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100)
    more = b"ANMF" + struct.pack("<I", 16) + bytes(16)
    flooded = file + more * 900_000
    flooded = flooded[:4] + struct.pack("<I", len(flooded) - 8) + flooded[8:]
    assert outcome(flooded) == "unreadable-image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_metadata_cannot_write_into_the_log(kind: str) -> None:
    """Pillow logs two warnings per tag: 60,000 tags gave 12 MB of log."""
    program = (
        "import sys; from pathlib import Path; from functions.inference.decode import decode;"
        "print(decode(sys.stdin.buffer.read()).width)"
    )
    exif = exif_of(65_535)
    file = (
        JPEG[:2] + segment(0xE1, exif) + JPEG[2:]
        if kind == "JPEG"
        else PNG[:33] + chunk(b"eXIf", exif[6:]) + PNG[33:]
        if kind == "PNG"
        else encode(draw_face(), "WEBP", exif=exif)
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program], input=file, capture_output=True, cwd=ROOT, check=True
    )
    assert (done.stdout, done.stderr) == (b"160\n", b"")


@pytest.mark.parametrize(
    "sampling", [((2, 2), (2, 2), (2, 2)), ((3, 1), (1, 1), (1, 1)), ((4, 4), (1, 1), (1, 1))]
)
def test_a_subsampling_that_no_encoder_writes_is_named(sampling: tuple[tuple[int, int], ...]) -> None:
    file = (
        b"\xff\xd8"
        + frame(0xC0, 64, 64, sampling)
        + tables(0)
        + scan([1, 2, 3], 0, 63, bytes(99))
        + b"\xff\xd9"
    )
    with pytest.raises(InputError, match="unusual chroma subsampling"):
        decode(file)


def test_a_forged_webp_canvas_costs_nothing() -> None:
    file = encode(Image.fromarray(np.zeros((64, 64, 4), np.uint8)), "WEBP", exif=b"II*\0\x08\0\0\0\0\0")
    assert outcome(file[:24] + b"\xff" * 6 + file[30:]) == "too-many-pixels"


def test_hostile_files_are_refused_without_an_internal_error() -> None:
    with pytest.raises(InputError) as caught:
        decode(jpeg_of_scans(640, 480, 500))
    assert caught.value.problem == UNREADABLE_IMAGE
    assert caught.value.detail == "The JPEG picture has more than 100 scans. Save it again."


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what is allocated")
def test_huffman_tables_of_a_webp_cannot_fill_the_memory() -> None:
    """A file of 300 kB allocated 700 MB, and used 364 MiB.

    In a process of its own: memory that other tests have freed would not count as allocated again.
    """
    program = (
        "import resource; from tests.forged import webp_of_groups;"
        "from tests.unit.test_decode_hostile import outcome;"
        "before = resource.getrlimit(resource.RLIMIT_DATA);"
        "print(outcome(webp_of_groups(1_000)), outcome(webp_of_groups(65_536)));"
        "assert resource.getrlimit(resource.RLIMIT_DATA) == before"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.stdout, done.stderr) == ("scored unreadable-image\n", "")


def test_arithmetic_coding_without_data_is_affordable() -> None:
    """The decoder continues without data in every scan."""
    first, more = scan([1, 2, 3], 0, 0, bytes(8)), scan([1], 1, 63, bytes(8))
    head = b"\xff\xd8" + frame(0xCA, 6700, 4300) + segment(0xDB, b"\0" + b"\1" * 64)
    assert outcome(head + first + more * 99 + b"\xff\xd9") in {"scored", "unreadable-image"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what is allocated")
def test_concurrent_decoders_restore_the_memory_limit() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    first, second = limit_memory(500_000_000), limit_memory(500_000_000)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
