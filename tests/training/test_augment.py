"""Random views of a face."""

import numpy as np
import pytest

from tests.training.drawn import draw
from training.classifier.augment import augment

PIXELS = np.asarray(draw("mask", 0))
SCENE = np.asarray(draw("mask", 0, 140, 150))
FACE = (40.0, 30.0, 100.0, 110.0)


@pytest.mark.parametrize("size", [96, 128])
@pytest.mark.parametrize(("pixels", "face"), [(PIXELS, None), (SCENE, FACE)])
def test_every_view_is_a_square_of_bytes(
    pixels: np.ndarray, face: tuple[float, ...] | None, size: int
) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        view = augment(pixels, face, size, rng)
        assert view.shape == (size, size, 3)
        assert view.dtype == np.uint8


def test_the_same_seed_draws_the_same_view() -> None:
    views = [augment(SCENE, FACE, 96, np.random.default_rng([1, 2])) for _ in range(2)]
    assert np.array_equal(*views)


def test_views_differ() -> None:
    rng = np.random.default_rng(0)
    views = {augment(PIXELS, None, 96, rng).tobytes() for _ in range(30)}
    assert len(views) == 30


def test_the_original_is_unchanged() -> None:
    before = PIXELS.copy()
    rng = np.random.default_rng(0)
    for _ in range(40):
        augment(PIXELS, None, 96, rng)
    assert np.array_equal(PIXELS, before)


@pytest.mark.parametrize("shape", [(32, 200, 3), (200, 32, 3), (21, 21, 3)])
def test_narrow_and_small_pictures_are_accepted(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    for _ in range(40):
        assert augment(pixels, None, 96, rng).shape == (96, 96, 3)


def test_a_face_at_the_edge_of_its_scene_is_accepted() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        assert augment(SCENE, (0.0, 0.0, 40.0, 150.0), 96, rng).shape == (96, 96, 3)


def test_a_view_still_shows_the_face() -> None:
    """On average over many views, a bright face on black remains brighter than its surroundings."""
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[30:70, 30:70] = 220
    rng = np.random.default_rng(0)
    mean = np.mean([augment(pixels, (30.0, 30.0, 70.0, 70.0), 96, rng) for _ in range(200)], axis=0)
    assert mean[36:60, 36:60].mean() > mean[:8].mean() + 40


def test_one_view_in_ten_is_rotated() -> None:
    """Some views of a picture that is bright at the top are brightest at the left, the right or the bottom."""
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:40] = 220
    rng = np.random.default_rng(0)
    brightest = [_brightest_side(augment(pixels, None, 96, rng)) for _ in range(400)]
    turned = [side for side in brightest if side != "top"]
    assert {"left", "right", "bottom"} <= set(turned)
    assert 0.05 < len(turned) / len(brightest) < 0.2


def _brightest_side(view: np.ndarray) -> str:
    sides = {"top": view[:20], "bottom": view[-20:], "left": view[:, :20], "right": view[:, -20:]}
    return max(sides, key=lambda side: sides[side].mean())
