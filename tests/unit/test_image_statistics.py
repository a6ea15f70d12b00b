"""Each image statistic measures one property, and every picture has all of them."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from functions.drift.features import APPEARANCE
from functions.inference.decode import decode
from functions.inference.image_statistics import image_statistics
from tests.pictures import encode


def scene(seed: int = 0, width: int = 320, height: int = 240) -> Image.Image:
    """Smooth shapes with some noise, as from a camera."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 216, (height // 40, width // 40, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return Image.fromarray((pixels + rng.normal(0, 4, pixels.shape)).clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, quality: int) -> np.ndarray:
    return decode(encode(image, quality=quality)).pixels


def of(image: Image.Image) -> dict[str, float]:
    return image_statistics(np.asarray(image))


def test_the_statistics_are_those_that_drift_compares() -> None:
    assert tuple(of(scene())) == APPEARANCE


def test_plain_white_has_only_brightness() -> None:
    white = dict.fromkeys(APPEARANCE, 0.0) | {"brightness": 1.0}
    assert image_statistics(np.full((64, 64, 3), 255, np.uint8)) == white
    assert image_statistics(np.zeros((64, 64, 3), np.uint8))["brightness"] == 0


def test_red_is_saturated_and_grey_is_not() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    assert image_statistics(red)["saturation"] == 1
    assert image_statistics(np.full((64, 64, 3), 128, np.uint8))["saturation"] == 0


def test_a_dark_picture_is_less_bright_and_less_contrasted() -> None:
    clear, dark = of(scene()), of(scene().point(lambda value: value * 0.6))
    assert dark["brightness"] == pytest.approx(0.6 * clear["brightness"], rel=0.02)
    assert dark["contrast"] == pytest.approx(0.6 * clear["contrast"], rel=0.05)
    assert dark["saturation"] == pytest.approx(clear["saturation"], rel=0.1)


def test_blur_reduces_sharpness_and_noise() -> None:
    clear, blurred = of(scene()), of(scene().filter(ImageFilter.GaussianBlur(2)))
    assert blurred["sharpness"] < clear["sharpness"] / 2
    assert blurred["noise"] < clear["noise"] / 2


def test_grain_is_noise_and_an_edge_is_not() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    edge = grey.copy()
    edge[:, 100:] = 30
    edge[100:] //= 2
    grain = np.random.default_rng(0).normal(128, 8, grey.shape).clip(0, 255).astype(np.uint8)
    assert image_statistics(edge)["noise"] < 0.001
    assert image_statistics(grain)["noise"] > 0.02


@pytest.mark.parametrize("shift", [(0, 0), (3, 5)])
def test_a_low_quality_jpeg_is_blocky_at_any_offset(shift: tuple[int, int]) -> None:
    down, right = shift
    good, bad = (saved(scene(), quality)[down:, right:] for quality in (95, 15))
    assert image_statistics(good)["blockiness"] < 0.15
    assert image_statistics(bad)["blockiness"] > 0.4


@pytest.mark.parametrize("size", [(32, 32), (32, 65_535), (65_535, 32), (2000, 2000), (33, 257)])
def test_every_decoded_size_has_statistics(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert all(0 <= value <= 2.5 for value in image_statistics(noise).values())
