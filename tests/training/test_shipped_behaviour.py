"""Behavioural tests of the shipped classifier: invariances, expected changes, and minimum recall."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from functions.inference.classify import Classifier
from functions.inference.decode import decode
from functions.inference.release import load_release
from functions.shared.contract import LABELS
from functions.shared.release_files import IMAGE_RELEASE
from tests.pictures import encode

Change = Callable[[Image.Image], Image.Image]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(load_release(IMAGE_RELEASE).classifier, threads=1)


@pytest.fixture(scope="module")
def pictures(data: Path) -> dict[str, list[Image.Image]]:
    """Every tenth test picture of sufficient size, by label."""
    chosen: dict[str, list[Image.Image]] = {}
    for label in LABELS:
        files = sorted((data / "crops" / "test" / label).iterdir())
        opened = [Image.open(file) for file in files[:: 10 if label != "incorrect" else 2]]
        chosen[label] = [image.convert("RGB") for image in opened if min(image.size) >= 96]
    return chosen


def result(classifier: Classifier, images: list[Image.Image]) -> np.ndarray:
    return np.array([classifier.classify(np.asarray(image)).probabilities for image in images])


@pytest.fixture(scope="module")
def before(classifier: Classifier, pictures: dict[str, list[Image.Image]]) -> dict[str, np.ndarray]:
    """The results of the unchanged pictures, by label."""
    return {label: result(classifier, images) for label, images in pictures.items()}


def saved(image: Image.Image, quality: int) -> Image.Image:
    return Image.fromarray(decode(encode(image, quality=quality)).pixels)


SAME: dict[str, Change] = {
    "mirrored": ImageOps.mirror,
    "a fifth brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "a fifth darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "paler": lambda image: ImageEnhance.Color(image).enhance(0.6),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "tilted": lambda image: image.rotate(7, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128)),
    "stretched": lambda image: image.resize((image.width, image.height * 6 // 5)),
    "half the size": lambda image: image.reduce(2),
    "saved again": lambda image: saved(image, 60),
    "tighter": lambda image: ImageOps.crop(image, min(image.size) // 20),
}


@pytest.mark.parametrize("name", SAME)
def test_the_answer_does_not_change_when_the_picture_is(
    classifier: Classifier, pictures: dict[str, list[Image.Image]], before: dict[str, np.ndarray], name: str
) -> None:
    images = [image for label in LABELS for image in pictures[label]]
    unchanged = np.concatenate([before[label] for label in LABELS])
    after = result(classifier, [SAME[name](image) for image in images])
    assert (unchanged.argmax(axis=1) == after.argmax(axis=1)).mean() >= 0.95
    assert np.abs(unchanged - after).mean() <= 0.04


def test_a_mask_drawn_on_a_bare_face_is_noticed(
    classifier: Classifier, pictures: dict[str, list[Image.Image]], before: dict[str, np.ndarray]
) -> None:
    def masked(image: Image.Image) -> Image.Image:
        image = image.copy()
        width, height = image.size
        corners = [(0.2, 0.52), (0.5, 0.46), (0.8, 0.52), (0.76, 0.82), (0.5, 0.93), (0.24, 0.82)]
        ImageDraw.Draw(image).polygon([(x * width, y * height) for x, y in corners], (150, 190, 215))
        return image

    after = result(classifier, [masked(image) for image in pictures["no_mask"]])
    assert after[:, 0].mean() > before["no_mask"][:, 0].mean() + 0.2


def test_hiding_the_mask_reduces_the_confidence(
    classifier: Classifier, pictures: dict[str, list[Image.Image]], before: dict[str, np.ndarray]
) -> None:
    def hidden(image: Image.Image) -> Image.Image:
        return image.crop((0, 0, image.width, image.height * 2 // 5))

    after = result(classifier, [hidden(image) for image in pictures["mask"]])
    assert after[:, 0].mean() < before["mask"][:, 0].mean() - 0.2


@pytest.mark.parametrize("label", ["mask", "no_mask"])
def test_large_faces_are_rarely_missed(before: dict[str, np.ndarray], label: str) -> None:
    guess = before[label].argmax(axis=1)
    assert (guess == LABELS.index(label)).mean() >= 0.95


def test_probabilities_sum_to_one(classifier: Classifier) -> None:
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (60, 50, 3), dtype=np.uint8)) for _ in range(5)]
    assert result(classifier, images).sum(axis=1) == pytest.approx(1, abs=1e-3)
