"""Data around the pixels are ignored: end markers, metadata, bytes in front and behind."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from functions.inference.decode import decode
from functions.shared.problem import InputError
from tests.forged import FULL, QUARTER, grey_jpeg, segment
from tests.pictures import chunk, draw_face, encode

JPEG = encode(draw_face(), quality=90)
PROGRESSIVE = encode(draw_face(), quality=90, progressive=True)
PNG = encode(draw_face(), "PNG")
WEBP = encode(draw_face(), "WEBP", quality=90)
FILES = {"JPEG": JPEG, "progressive JPEG": PROGRESSIVE, "PNG": PNG, "WebP": WEBP}
MJPEG_PART = b"--boundary\r\nContent-Type: image/jpeg\r\nContent-Length: 19665\r\n\r\n"


def same(data: bytes, as_in: bytes) -> bool:
    """Return whether both decode to the same pixels."""
    return np.array_equal(decode(data).pixels, decode(as_in).pixels)


def with_chunks(*chunks: bytes) -> bytes:
    """The PNG with more chunks behind its header."""
    return PNG[:33] + b"".join(chunks) + PNG[33:]


@pytest.mark.parametrize("file", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize(
    "end", [b"", b"\0\0", bytes(1000), bytes(3) + b"\xff\xd9", b"\xff" * 9 + b"\xd9", b"\xff" * 9]
)
def test_a_jpeg_needs_no_end_marker(file: bytes, end: bytes) -> None:
    assert same(file[:-2] + end, file)


@given(kind=st.sampled_from(sorted(FILES)), behind=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_bytes_behind_the_picture_are_ignored(kind: str, behind: bytes) -> None:
    assert same(FILES[kind] + behind, FILES[kind])


@pytest.mark.parametrize("kind", FILES)
def test_a_burst_behind_the_picture_is_ignored(kind: str) -> None:
    assert same(FILES[kind] + PROGRESSIVE * 120, FILES[kind])


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "front",
    [b"\n", b"\r\n\r\n", bytes(4), MJPEG_PART, b"\r\n" + MJPEG_PART, b"\xef\xbb\xbf", b"\t \n\xef\xbb\xbf",
     b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nX-Frame: 7\r\n\r\n"],
)  # fmt: skip
def test_bytes_in_front_of_the_picture_are_skipped(kind: str, front: bytes) -> None:
    assert same(front + FILES[kind], FILES[kind])


@given(fill=st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_fill_bytes_may_stand_before_any_marker(fill: int) -> None:
    filled = JPEG
    for code in (0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9):
        filled = filled.replace(bytes([0xFF, code]), b"\xff" * fill + bytes([0xFF, code]))
    assert same(filled, JPEG)


def test_fill_bytes_do_not_make_a_baseline_jpeg_a_progressive_one() -> None:
    filled = grey_jpeg(6400, 4800, sampling=FULL).replace(b"\xff\xda", b"\xff" * 5 + b"\xda")
    assert decode(filled).width == 6400


@pytest.mark.parametrize("megabytes", [1, 5])
def test_megabytes_of_metadata_are_skipped(megabytes: int) -> None:
    profile = b"ICC_PROFILE\0\1\1" + bytes(65_000)
    assert same(JPEG[:2] + segment(0xE2, profile) * (16 * megabytes) + JPEG[2:], JPEG)
    noise = np.random.default_rng(0).bytes(megabytes * 1_000_000)
    for name in (b"iCCP", b"zTXt", b"tEXt", b"prVt"):
        assert same(with_chunks(chunk(name, b"name\0\0" + zlib.compress(noise))), PNG)
    webp = encode(draw_face(), "WEBP", quality=90, icc_profile=noise)
    assert same(webp, WEBP)


def test_a_wrong_checksum_of_an_ancillary_chunk_does_not_matter() -> None:
    wrong = chunk(b"tEXt", b"Comment\0hello")[:-4] + b"\0\0\0\0"
    assert same(with_chunks(wrong), PNG)


@pytest.mark.parametrize("missing", [1, 4, 12, 16])
def test_a_png_whose_end_is_missing_has_all_its_pixels(missing: int) -> None:
    assert same(PNG[:-missing], PNG)


def test_a_png_of_many_small_chunks_of_pixels_is_read() -> None:
    start = PNG.index(b"IDAT")
    (length,) = struct.unpack(">I", PNG[start - 4 : start])
    data = PNG[start + 4 : start + 4 + length]
    pieces = b"".join(chunk(b"IDAT", data[place : place + 7]) for place in range(0, length, 7))
    assert same(PNG[: start - 4] + pieces + PNG[start + 8 + length :], PNG)


@pytest.mark.parametrize(
    "sampling",
    [((1, 1),), FULL, QUARTER, ((2, 1), (1, 1), (1, 1)), ((1, 2), (1, 1), (1, 1)),
     ((4, 1), (1, 1), (1, 1)), ((2, 2),), ((2, 1),) * 3, ((1, 2), (1, 2), (1, 2)), ((2, 2), (2, 1), (2, 1)),
     ((1, 1),) * 4, ((2, 2), (1, 1), (1, 1), (2, 2))],
)  # fmt: skip
def test_every_usual_subsampling_is_read(sampling: tuple[tuple[int, int], ...]) -> None:
    assert decode(grey_jpeg(100, 60, sampling=sampling)).pixels.shape == (60, 100, 3)


def test_unused_fields_of_a_sequential_scan_are_ignored() -> None:
    start = JPEG.index(b"\xff\xda") + 4 + 1 + 6
    assert same(JPEG[:start] + b"\0\0\0" + JPEG[start + 3 :], JPEG)


def test_a_jpeg_without_huffman_tables_gets_the_standard_ones() -> None:
    stripped, rest = b"", JPEG
    while rest:
        start = rest.find(b"\xff\xc4")
        if start < 0:
            stripped, rest = stripped + rest, b""
        else:
            (length,) = struct.unpack(">H", rest[start + 2 : start + 4])
            stripped, rest = stripped + rest[:start], rest[start + 2 + length :]
    assert same(stripped, JPEG)


def end_of_segment(file: bytes, marker: int) -> int:
    start = file.index(bytes([0xFF, marker])) + 2
    return start + int.from_bytes(file[start : start + 2], "big")


@given(junk=st.binary(max_size=60).map(lambda junk: junk.replace(b"\xff", b"\xff\0")), comment=st.booleans())
@settings(max_examples=60, deadline=None)
def test_junk_behind_metadata_of_a_wrong_length_is_skipped(junk: bytes, comment: bool) -> None:  # noqa: FBT001
    place = end_of_segment(JPEG, 0xE0)
    note = segment(0xFE, b"camera") if comment else b""
    assert same(JPEG[:place] + note + junk + JPEG[place:], JPEG)


@pytest.mark.parametrize("marker", [0xDB, 0xC4, 0xC0])
def test_junk_behind_tables_is_damage(marker: int) -> None:
    place = end_of_segment(JPEG, marker)
    with pytest.raises(InputError, match="damaged"):
        decode(JPEG[:place] + b"junk" + JPEG[place:])


def test_a_repeated_start_marker_is_ignored() -> None:
    assert same(b"\xff\xd8" * 3 + JPEG[2:], JPEG)


@pytest.mark.parametrize("behind", [JPEG, b"\xff\xe1\xff\xff", b"\xff\xc0", b"\xff\xd8"])
def test_bytes_behind_a_baseline_jpeg_without_an_end_marker_are_ignored(behind: bytes) -> None:
    assert same(JPEG[:-2] + behind, JPEG)


@pytest.mark.parametrize("kind", ["WebP", "lossless WebP", "animated WebP"])
@pytest.mark.parametrize("length", [0, 4, 2**32 - 2, None])
def test_the_length_in_a_webp_header_is_ignored(kind: str, length: int | None) -> None:
    options = {"lossless": True} if kind.startswith("lossless") else {"quality": 90}
    if kind.startswith("animated"):
        options |= {"save_all": True, "append_images": [draw_face().rotate(90)]}
    file = encode(draw_face(), "WEBP", exif=b"II*\0\x08\0\0\0\0\0", **options)
    claimed = len(file) if length is None else length  # some count the first eight bytes
    assert same(file[:4] + struct.pack("<I", claimed) + file[8:], file)
    assert same(file[:-4], file)


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def exif_of(order: str, kind: int) -> bytes:
    """Return EXIF with an orientation of this number type."""
    value = {1: b"\6\0\0\0", 3: struct.pack(f"{order}HH", 6, 0), 4: struct.pack(f"{order}I", 6)}[kind]
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, 1)
    return start + struct.pack(f"{order}HHI", 0x0112, kind, 1) + value + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
def test_orientation_may_be_a_number_of_any_type(order: str, kind: int) -> None:
    exif = segment(0xE1, b"Exif\0\0" + exif_of(order, kind))
    assert decode(JPEG[:2] + exif + JPEG[2:]).width == 200


@pytest.mark.parametrize(
    "text",
    [b"tiff:Orientation='6'", b'tiff:Orientation = "6"', b"<tiff:Orientation>6</tiff:Orientation>",
     b"<tiff:Orientation>\n 6 </tiff:Orientation>"],
)  # fmt: skip
def test_xmp_is_read_in_every_serialization(text: bytes) -> None:
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta " + text)
    assert decode(JPEG[:2] + xmp + JPEG[2:]).width == 200


def test_orientation_is_read_in_every_format() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes().removeprefix(b"Exif\0\0")
    profile = b"\nexif\n%8d\n%s\n" % (len(raw), raw.hex().encode())
    files = [
        JPEG[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP) + JPEG[2:],
        with_chunks(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        with_chunks(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))),
        with_chunks(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))),
        with_chunks(chunk(b"tEXt", b"Raw profile type exif\0" + profile)),
        with_chunks(chunk(b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(profile))),
        encode(draw_face(), "WEBP", quality=90, xmp=XMP),
        *(encode(draw_face(), kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP")),
    ]
    for file in files:
        picture = decode(file)
        assert (picture.width, picture.height) == (200, 160)
        assert picture.pixels.shape == (160, 200, 3)


def test_a_multi_picture_file_of_a_phone_gives_its_first_picture() -> None:
    file = io.BytesIO()
    draw_face().save(file, "MPO", save_all=True, append_images=[draw_face(80, 100)] * 3, quality=90)
    assert same(file.getvalue(), JPEG)


def test_cmyk_without_the_adobe_marker_is_read_the_same() -> None:
    file = encode(draw_face().convert("CMYK"), quality=90)
    start = file.index(b"\xff\xee")
    (length,) = struct.unpack(">H", file[start + 2 : start + 4])
    assert same(file[:start] + file[start + 2 + length :], file)
