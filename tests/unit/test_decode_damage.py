"""Noticeable damage is refused, even if the decoder would return a picture."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from functions.inference.decode import decode
from functions.inference.formats import png
from functions.shared.problem import UNREADABLE_IMAGE, InputError
from tests.forged import frame, scan, segment
from tests.pictures import chunk, draw_face, encode

PACKET = 1460  # bytes that a lost network packet takes along
HARDLY_SEEN = 4  # of 255: what the last refinement of a progressive JPEG adds


def grainy(width: int = 320) -> Image.Image:
    """A picture as a camera makes it: of noise enough that no packet of the file is without a meaning."""
    pixels = np.asarray(draw_face(width, 400)) + np.random.default_rng(0).normal(0, 12, (400, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


FILES = {
    "baseline JPEG": encode(grainy(), quality=85),
    "JPEG with restart markers": encode(grainy(), quality=85, restart_marker_rows=1),
    "progressive JPEG": encode(grainy(), quality=85, progressive=True),
    "grey JPEG": encode(grainy().convert("L"), quality=85),
    "CMYK JPEG": encode(grainy().convert("CMYK"), quality=85),
    "PNG": encode(grainy(), "PNG"),
    "lossy WebP": encode(grainy(), "WEBP", quality=85),
    "lossless WebP": encode(grainy(), "WEBP", lossless=True),
}


def refused_as_damaged(data: bytes) -> bool:
    try:
        decode(data)
    except InputError as error:
        return error.problem == UNREADABLE_IMAGE and "damaged or cut short. Send the whole" in error.detail
    return False


def is_scored(data: bytes) -> bool:
    try:
        return bool(decode(data))
    except InputError:
        return False


def places(data: bytes) -> list[int]:
    """Return the offsets at which a packet contains only pixels."""
    return np.linspace(len(data) // 5, len(data) - 2 * PACKET, 12).astype(int).tolist()


def looks_damaged(data: bytes, original: bytes) -> bool:
    """Return whether a visibly changed picture is decoded."""
    if refused_as_damaged(data):
        return False
    difference = decode(data).pixels.astype(int) - decode(original).pixels
    return bool(np.abs(difference).mean() > HARDLY_SEEN)


@pytest.mark.parametrize("kind", FILES)
def test_a_lost_packet_is_noticed(kind: str) -> None:
    data = FILES[kind]
    damaged = [data[:place] + data[place + PACKET :] for place in places(data)]
    assert not any(looks_damaged(file, data) for file in damaged)


@pytest.mark.parametrize("kind", FILES)
def test_a_packet_of_zeros_is_noticed(kind: str) -> None:
    data = FILES[kind]
    damaged = [data[:place] + bytes(PACKET) + data[place + PACKET :] for place in places(data)]
    assert not any(looks_damaged(file, data) for file in damaged)


@given(kind=st.sampled_from(sorted(FILES)), kept=st.floats(0.05, 0.97))
@settings(max_examples=100, deadline=None)
def test_a_file_that_is_cut_short_is_noticed_wherever_it_is_cut(kind: str, kept: float) -> None:
    assert refused_as_damaged(FILES[kind][: int(kept * len(FILES[kind]))])


@given(kept=st.floats(0.1, 0.97), end=st.sampled_from([b"\xff\xd9", bytes(500), bytes(3) + b"\xff\xd9"]))
@settings(max_examples=60, deadline=None)
def test_an_end_marker_does_not_hide_missing_pixels(kept: float, end: bytes) -> None:
    for kind in ("baseline JPEG", "JPEG with restart markers", "progressive JPEG"):
        assert refused_as_damaged(FILES[kind][: int(kept * len(FILES[kind]))] + end)


@pytest.mark.parametrize("kind", ["lossy WebP", "lossless WebP"])
def test_a_webp_whose_start_is_lost_is_damaged_rather_than_small(kind: str) -> None:
    data = FILES[kind]
    assert refused_as_damaged(data[:20] + bytes(10) + data[30:])
    animation = encode(grainy(), "WEBP", save_all=True, append_images=[draw_face(320, 400)])
    assert refused_as_damaged(animation.replace(b"VP8X", b"VP9X"))


@given(place=st.floats(0.0, 1.0, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_every_flipped_bit_in_the_pixels_of_a_png_is_noticed(place: float, bit: int) -> None:
    data = bytearray(FILES["PNG"])
    start = data.index(b"IDAT")
    data[start + int(place * (data.index(b"IEND") - 4 - start))] ^= 1 << bit
    assert refused_as_damaged(bytes(data))


@pytest.mark.parametrize("kind", ["baseline JPEG", "progressive JPEG", "grey JPEG", "CMYK JPEG"])
def test_a_damaged_table_is_reported_as_damage(kind: str) -> None:
    data = FILES[kind]
    for table in (b"\xff\xdb", b"\xff\xc4"):
        start = data.index(table) + 4
        damaged = (data[:place] + b"\x99" + data[place + 1 :] for place in range(start, start + 18))
        reasons = [refused_as_damaged(file) for file in damaged if not is_scored(file)]
        assert reasons
        assert all(reasons)


def png_of(rows: list[bytes], height: int, colour: int, interlaced: int = 0) -> bytes:
    """A PNG, 96 pixels wide, of these rows, each behind the filter 0, whose header promises so many."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 96, height, 8, colour, 0, 0, interlaced))
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("height", [64, 65])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("dark", [False, True])
def test_a_png_that_ends_before_its_last_row_is_noticed(height: int, interlaced: bool, dark: bool) -> None:  # noqa: FBT001
    """The pixels are a valid stream with correct checksums."""
    pixels = np.random.default_rng(0).integers(1, 255, (height, 96), np.uint8)
    pixels[-2:] *= not dark
    passes = png.ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = [row[x::dx].tobytes() for x, y, dx, dy in passes for row in pixels[y::dy]]
    assert (decode(png_of(rows, height, 0, interlaced)).pixels[..., 0] == pixels).all()
    for missing in (1, 2, height // 2):
        assert refused_as_damaged(png_of(rows[:-missing], height, 0, interlaced))


def test_a_png_of_indices_without_a_palette_is_noticed() -> None:
    assert refused_as_damaged(png_of([bytes(range(96))] * 64, 64, 3))


INDEXED = encode(grainy().quantize(64), "PNG")


@given(place=st.integers(0, 3), bit=st.integers(0, 7))
@settings(deadline=None)
def test_a_lost_palette_is_noticed(place: int, bit: int) -> None:
    """A chunk with a damaged name is skipped, and the pixels would be decoded as grey."""
    data = bytearray(INDEXED)
    data[data.index(b"PLTE") + place] ^= 1 << bit
    assert refused_as_damaged(bytes(data))


ANIMATED_WEBP = encode(grainy(), "WEBP", quality=85, save_all=True, append_images=[draw_face(320, 400)])


@given(place=st.floats(0.01, 0.98), spoil=st.sampled_from([b"\0" * 64, b"\x5a" * 16, b"\xff", b"\0"]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_lossy_webp_with_changed_bytes_is_noticed(place: float, spoil: bytes) -> None:
    for data in (FILES["lossy WebP"], ANIMATED_WEBP):
        start = data.index(b"VP8 ")
        length = int.from_bytes(data[start + 4 : start + 8], "little")
        at = start + 8 + int(place * length)
        assert not looks_damaged(data[:at] + spoil + data[at + len(spoil) :], data)


def test_long_zeros_in_a_lossless_webp_may_be_its_pixels() -> None:
    half_black = np.zeros((600, 300, 3), np.uint8)
    half_black[:300] = np.asarray(draw_face(300, 600))[:300]
    data = encode(Image.fromarray(half_black), "WEBP", lossless=True, method=0, quality=0)
    assert bytes(2000) in data
    assert (decode(data).pixels == half_black).all()


@pytest.mark.parametrize("size", [(640, 480), (4000, 3000)])
@pytest.mark.parametrize("colour", ["white", "black"])
def test_a_blank_lossy_webp_is_not_damaged(size: tuple[int, int], colour: str) -> None:
    assert not refused_as_damaged(encode(Image.new("RGB", size, colour), "WEBP", method=0))


def arithmetic(data: bytes) -> bytes:
    """A grey JPEG that is coded arithmetically."""
    header = frame(0xC9, 64, 64, ((1, 1),)) + segment(0xDB, b"\0" + b"\1" * 64)
    return b"\xff\xd8" + header + scan([1], 0, 63, data) + b"\xff\xd9"


def test_truncated_arithmetic_coding_is_noticed() -> None:
    """Any bytes are valid arithmetic coding; the data end where further bytes are extraneous."""
    tried = short = 0
    for seed in range(20):
        data = np.random.default_rng(seed).integers(0, 255, 4000, np.uint8).tobytes()
        sound = [n for n in range(1, 400) if not refused_as_damaged(arithmetic(data[:n]))]
        if sound and max(sound) > 40:  # else a code that makes no sense came first
            tried += max(sound)
            short += sum(n < max(sound) - 10 for n in sound)
    assert tried > 400
    assert short < 0.05 * tried


@given(place=st.floats(0.05, 0.9), length=st.sampled_from([64, 200, 512, 4096]))
@settings(max_examples=60, deadline=None)
def test_a_sector_of_zeros_in_a_baseline_jpeg_is_noticed(place: float, length: int) -> None:
    for kind in ("baseline JPEG", "JPEG with restart markers", "grey JPEG", "CMYK JPEG"):
        data = FILES[kind]
        start = data.index(b"\xff\xda")
        at = start + 20 + int(place * (len(data) - start - 20))
        assert refused_as_damaged(data[:at] + bytes(length) + data[at + length :] + b"\xff\xd9")


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_zeros_that_encode_one_colour_are_not_damage(mode: str, optimize: bool) -> None:  # noqa: FBT001
    flat = Image.new(mode, (2000, 1500), 200 if mode == "L" else tuple([200] * len(mode)))
    for image in (flat, Image.new(mode, flat.size)):
        for subsampling in (0, 2):
            assert not refused_as_damaged(encode(image, optimize=optimize, subsampling=subsampling))
