"""`decode` reads every accepted kind of picture."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps

from functions.inference.decode import decode
from tests.pictures import chunk, draw_face, encode

FACE = np.asarray(draw_face())


def difference(pixels: np.ndarray, expected: np.ndarray = FACE) -> float:
    assert pixels.shape == expected.shape
    assert pixels.dtype == np.uint8
    return float(np.abs(pixels.astype(int) - expected.astype(int)).mean())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("PNG", {"interlace": 1}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("WEBP", {"quality": 95}),
    ],
)
def test_reads_each_accepted_format(kind: str, options: dict[str, object]) -> None:
    picture = decode(encode(draw_face(), kind, **options))
    assert difference(picture.pixels) < 3
    assert (picture.width, picture.height) == (160, 200)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "JPEG"), ("L", "PNG"), ("L", "WEBP"), ("1", "PNG"), ("LA", "PNG"), ("I;16", "PNG")],
)
def test_grey_becomes_three_equal_channels(mode: str, kind: str) -> None:
    grey = draw_face().convert("L")
    image = (
        Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    )
    pixels = decode(encode(image, kind)).pixels
    expected = np.asarray(image.convert("L") if mode == "1" else grey)
    assert difference(pixels, np.repeat(expected[:, :, None], 3, axis=2)) < 3


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = decode(encode(Image.fromarray(ramp), "PNG")).pixels
    assert np.array_equal(pixels[:, :, 0], ramp >> 8)


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_of_colour_and_alpha_are_scaled(colour_type: int, channels: int) -> None:
    # Pillow writes none of these: an opaque 64x64 of one colour by hand.
    colour = {2: [65535, 32768, 256], 4: [32768, 65535], 6: [65535, 32768, 256, 65535]}[colour_type]
    row = b"\0" + struct.pack(f">{channels}H", *colour) * 64
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, content)
        for name, content in (
            (b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, colour_type, 0, 0, 0)),
            (b"IDAT", zlib.compress(row * 64)),
            (b"IEND", b""),
        )
    )
    expected = [128, 128, 128] if colour_type == 4 else [255, 128, 1]
    assert np.abs(decode(file).pixels.astype(int) - expected).max() <= 1


def test_palette_becomes_colours() -> None:
    assert difference(decode(encode(draw_face().quantize(64), "PNG")).pixels) < 6


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_becomes_white(kind: str) -> None:
    image = draw_face().convert("RGBA")
    image.paste((255, 0, 0, 0), (0, 0, 160, 50))
    pixels = decode(encode(image, kind, **({"lossless": True} if kind == "WEBP" else {}))).pixels
    assert (pixels[:50] == 255).all()
    assert difference(pixels[50:], FACE[50:]) < 1


def test_half_transparent_is_mixed_with_white() -> None:
    pixels = decode(encode(Image.new("RGBA", (40, 40), (0, 0, 0, 128)), "PNG")).pixels
    assert np.unique(pixels).tolist() == [127]


def test_transparent_palette_entry_and_colour_key_become_white() -> None:
    palette = draw_face().quantize(16)
    corner = palette.getpixel((159, 0))
    assert (decode(encode(palette, "PNG", transparency=corner)).pixels[0, 159] == 255).all()
    keyed = Image.new("RGB", (40, 40), (1, 2, 3))
    assert (decode(encode(keyed, "PNG", transparency=(1, 2, 3))).pixels == 255).all()


def test_cmyk_jpeg_keeps_its_colours() -> None:
    pixels = decode(encode(draw_face().convert("CMYK"), quality=95)).pixels
    assert difference(pixels) < 4


def test_ycck_jpeg_keeps_its_colours() -> None:
    # Pillow writes no YCCK. In Adobe's, every channel is stored as a negative: so save the negative's YCbCr and an
    # empty black channel as if they were CMYK, then let the marker tell what they are.
    ycc = np.asarray(ImageOps.invert(draw_face()).convert("YCbCr"))
    planes = np.dstack([ycc, np.full(ycc.shape[:2], 255, np.uint8)])
    file = encode(Image.fromarray(255 - planes, "CMYK"), quality=95)
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
    start = file.index(marker) + len(marker)
    ycck = file[:start] + b"\x02" + file[start + 1 :]
    assert difference(decode(ycck).pixels) < 8


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_gives_its_first_frame(kind: str) -> None:
    frames = [draw_face(), Image.new("RGB", (160, 200), "red")]
    options = {"lossless": True} if kind == "WEBP" else {}
    file = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)
    assert difference(decode(file).pixels) < 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(kind: str, orientation: int) -> None:
    # The inverse of what a viewer does for each orientation.
    lies = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = draw_face().transpose(lies[orientation]) if orientation in lies else draw_face()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(encode(image, kind, exif=exif, quality=95))
    assert difference(picture.pixels) < 4
    assert (picture.width, picture.height) == (160, 200)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(40)])
def test_broken_exif_is_ignored(exif: bytes) -> None:
    assert difference(decode(encode(draw_face(), exif=exif, quality=95)).pixels) < 3


def test_orientation_out_of_range_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert difference(decode(encode(draw_face(), exif=exif, quality=95)).pixels) < 3


def test_large_jpeg_is_reduced_and_reports_its_original_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = draw_face(3024, 4032).transpose(Image.Transpose.ROTATE_90)
    picture = decode(encode(lying, exif=exif))
    assert (picture.width, picture.height) == (3024, 4032)
    assert picture.pixels.shape == (1008, 756, 3)
    expected = np.asarray(draw_face(3024, 4032).resize((756, 1008), Image.Resampling.BOX))
    assert difference(picture.pixels, expected) < 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_large_png_is_reduced_in_bands_without_seams(mode: str) -> None:
    image = draw_face(1700, 2001).convert(mode)
    picture = decode(encode(image, "PNG", compress_level=1))
    assert (picture.width, picture.height) == (1700, 2001)
    assert picture.pixels.shape == (667, 567, 3)
    assert difference(picture.pixels, np.asarray(image.convert("RGB").reduce(3))) < 1


def test_min_side_sets_how_far_a_picture_is_reduced() -> None:
    file = encode(draw_face(1600, 2000))
    assert decode(file, min_side=200).pixels.shape == (250, 200, 3)
    assert decode(file, min_side=801).pixels.shape == (2000, 1600, 3)


def test_a_side_of_32_pixels_is_enough() -> None:
    assert decode(encode(draw_face(32, 32))).pixels.shape == (32, 32, 3)


def test_threads_do_not_affect_each_other() -> None:
    files = [encode(draw_face(100 + 10 * i, 200), kind) for i in range(8) for kind in ("PNG", "JPEG", "WEBP")]
    alone = [decode(file).pixels for file in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, files * 4))
    assert all(np.array_equal(p.pixels, alone[i % len(files)]) for i, p in enumerate(together))
