"""Composed training pictures have correct boxes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.detector.augment import SMALLEST, Faces, Material, compose
from training.scenes import Scene

BLUE = (0, 0, 255)
SIZE = 256


def scene(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (240, 320)) -> Scene:
    """A plain scene with a blue rectangle in place of each face."""
    pixels = np.full((*shape, 3), (120, 60, 10), np.uint8)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = BLUE
    labels, must_find = np.zeros(len(boxes), int), np.ones(len(boxes), bool)
    nowhere = np.zeros((0, 4), np.float32)
    return Scene(
        Path("s.jpg"), "train", "s", "0", pixels, np.array(boxes, np.float32), labels, must_find, nowhere
    )


SCENES = [scene((40, 50, 100, 130), (200, 60, 240, 110)), scene((10, 10, 60, 80), shape=(400, 200))]
CHANCES = np.array([0.5, 1.0])


def drawn(
    seed: int, cut_faces: tuple[np.ndarray, ...] = (), portraits: tuple[Scene, ...] = ()
) -> tuple[np.ndarray, Faces]:
    material = Material(SCENES, CHANCES, portraits, cut_faces)
    return compose(material, SIZE, 0.0, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def pictures() -> list[tuple[np.ndarray, Faces]]:
    """The pictures of 200 seeds."""
    return [drawn(seed) for seed in range(200)]


def bluish(pixels: np.ndarray) -> np.ndarray:
    red, blue = pixels[..., 0].astype(int), pixels[..., 2].astype(int)
    return blue > red + 20


def test_a_picture_is_square_and_contains_its_boxes(pictures: list[tuple[np.ndarray, Faces]]) -> None:
    for pixels, faces in pictures:
        assert (pixels.shape, pixels.dtype) == ((SIZE, SIZE, 3), np.uint8)
        assert faces.boxes.shape == (len(faces.must_find), 4)
        assert (faces.boxes >= -0.01).all()
        assert (faces.boxes <= SIZE + 0.01).all()
        sides = faces.boxes[faces.must_find][:, 2:] - faces.boxes[faces.must_find][:, :2]
        assert (sides >= SMALLEST).all()


def test_boxes_contain_the_faces(pictures: list[tuple[np.ndarray, Faces]]) -> None:
    shares = []
    for pixels, faces in pictures:
        for left, top, right, bottom in faces.boxes[faces.must_find].round().astype(int):
            shares.append(bluish(pixels[top:bottom, left:right]).mean())
    assert len(shares) > 150
    assert np.median(shares) > 0.9  # strong changes of colour hide the odd one


def test_every_face_has_a_box(pictures: list[tuple[np.ndarray, Faces]]) -> None:
    outside = []
    for pixels, faces in pictures:
        rest = bluish(pixels)
        for left, top, right, bottom in faces.boxes:
            rest[max(int(top) - 4, 0) : int(bottom) + 5, max(int(left) - 4, 0) : int(right) + 5] = False
        outside.append(rest.mean())
    assert np.median(outside) < 0.01


def test_faces_have_every_size(pictures: list[tuple[np.ndarray, Faces]]) -> None:
    heights = np.concatenate([faces.boxes[:, 3] - faces.boxes[:, 1] for _, faces in pictures])
    assert np.percentile(heights, 10) < 30
    assert np.percentile(heights, 90) > 90


def test_pasted_faces_have_boxes_and_cover_no_other_face(pictures: list[tuple[np.ndarray, Faces]]) -> None:
    face = np.full((50, 40, 3), BLUE, np.uint8)
    more = sum(len(drawn(seed, (face,))[1].boxes) for seed in range(100))
    assert more > sum(len(faces.boxes) for _, faces in pictures[:100]) + 20


def test_portraits_fill_the_picture_with_one_face() -> None:
    portrait = scene((4, 6, 116, 150), shape=(160, 120))
    sizes, shares = [], []
    for seed in range(200):
        pixels, faces = drawn(seed, (), (portrait,))
        for left, top, right, bottom in faces.boxes[faces.must_find].round().astype(int):
            sizes.append(bottom - top)
            shares.append(bluish(pixels[top:bottom, left:right]).mean())
    assert max(sizes) > 0.8 * SIZE
    assert np.median(shares) > 0.9


def test_places_that_look_like_faces_are_included_without_a_box() -> None:
    plain = scene((10, 10, 40, 50), shape=(600, 800))
    lookalike = replace(plain, not_faces=np.array([[700, 500, 740, 550]], np.float32))
    lookalike.pixels[500:550, 700:740] = (20, 250, 20)

    def shown(where: Scene) -> float:
        material = Material([where], np.array([1.0]), (), ())
        pictures = [compose(material, SIZE, 0.0, np.random.default_rng(seed)) for seed in range(120)]
        green = [(p[..., 1].astype(int) > p[..., 0].astype(int) + 60).mean() for p, _ in pictures]
        return float(np.mean(np.array(green) > 0.002))

    assert shown(lookalike) > shown(replace(lookalike, not_faces=plain.not_faces)) + 0.05


def test_some_pictures_have_no_face_at_all(pictures: list[tuple[np.ndarray, Faces]]) -> None:
    empty = [pixels for pixels, faces in pictures if not len(faces.boxes)]
    assert 0 < len(empty) < 0.4 * len(pictures)
    assert np.median([bluish(pixels).mean() for pixels in empty]) < 0.01


def test_the_same_seed_gives_the_same_picture() -> None:
    (first, faces), (second, same) = drawn(3), drawn(3)
    assert np.array_equal(first, second)
    assert np.array_equal(faces.boxes, same.boxes)
    assert not np.array_equal(first, drawn(4)[0])


@pytest.mark.parametrize("seed", range(3))
def test_a_scene_with_probability_0_is_not_drawn(seed: int) -> None:
    only = np.array([1.0, 1.0])
    first = compose(Material(SCENES, only, (), ()), SIZE, 0.0, np.random.default_rng(seed))
    others = Material([SCENES[0], scene((0, 0, 9, 9))], only, (), ())
    other = compose(others, SIZE, 0.0, np.random.default_rng(seed))
    assert np.array_equal(first[0], other[0])


@pytest.mark.parametrize("seed", range(8))
def test_a_plain_scene_is_as_in_serving_or_mirrored(seed: int) -> None:
    only = np.array([1.0, 1.0])
    pixels, faces = compose(Material(SCENES, only, (), ()), SIZE, 1.0, np.random.default_rng(seed))
    upright = SCENES[0].boxes * SIZE / 320
    mirrored = upright.copy()
    mirrored[:, [0, 2]] = SIZE - upright[:, [2, 0]]
    assert any(np.allclose(faces.boxes, boxes, atol=0.01) for boxes in (upright, mirrored))
    assert pixels.shape == (SIZE, SIZE, 3)
