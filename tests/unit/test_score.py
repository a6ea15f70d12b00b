"""From a picture's bytes to a prediction."""

import uuid

import numpy as np
import pytest

from functions.inference.classify import Classification
from functions.inference.release import LABELS, Release
from functions.inference.score import appearance, score
from tests.pictures import draw_face, encode

RELEASE = Release("7", b"", 224, {})
FACE = encode(draw_face())


class Always:
    """A classifier of one opinion."""

    def __init__(self, *probabilities: float) -> None:
        self.opinion = Classification(probabilities, np.arange(16, dtype=np.float32) / 3)

    def classify(self, pictures: list[np.ndarray]) -> list[Classification]:
        return [self.opinion for _ in pictures]


@pytest.mark.parametrize(
    ("probabilities", "label"),
    [((0.7, 0.2, 0.1), "mask"), ((0.2, 0.7, 0.1), "no_mask"), ((0.2, 0.1, 0.7), "incorrect")],
)
def test_the_most_probable_label_wins(probabilities: tuple[float, ...], label: str) -> None:
    prediction = score(FACE, Always(*probabilities), RELEASE, 0)
    assert prediction.label == label
    assert prediction.confidence == 0.7
    assert prediction.probabilities == dict(zip(LABELS, probabilities, strict=True))


def test_under_min_confidence_it_is_uncertain_and_says_how_much() -> None:
    prediction = score(FACE, Always(0.7, 0.2, 0.1), RELEASE, 0.71)
    assert prediction.label == "uncertain"
    assert prediction.confidence == 0.7


def test_at_min_confidence_it_is_certain_enough() -> None:
    assert score(FACE, Always(0.7, 0.2, 0.1), RELEASE, 0.7).label == "mask"


def test_what_is_rounded_decides() -> None:
    # An answer of 0.9 that calls itself under 0.9 would be a puzzle.
    prediction = score(FACE, Always(0.89996, 0.05002, 0.05002), RELEASE, 0.9)
    assert (prediction.label, prediction.confidence) == ("mask", 0.9)


@pytest.mark.parametrize("seed", range(50))
def test_rounded_probabilities_are_one_together(seed: int) -> None:
    exact = np.random.default_rng(seed).dirichlet([0.3, 0.3, 0.3])
    told = score(FACE, Always(*exact), RELEASE, 0).probabilities
    assert sum(round(p * 10_000) for p in told.values()) == 10_000
    assert all(abs(told[label] - p) <= 0.00011 for label, p in zip(LABELS, exact, strict=True))
    assert all(p == round(p, 4) for p in told.values())


def test_a_prediction_says_of_which_picture_and_model_it_is() -> None:
    prediction = score(FACE, Always(0.7, 0.2, 0.1), RELEASE, 0)
    assert (prediction.width, prediction.height) == (160, 200)
    assert prediction.model_version == "7"
    assert len(prediction.projection) == 16
    assert uuid.UUID(prediction.id)
    assert prediction.id != score(FACE, Always(0.7, 0.2, 0.1), RELEASE, 0).id


def test_appearance_tells_pictures_apart() -> None:
    white, black = np.full((224, 224, 3), 255, np.uint8), np.zeros((224, 224, 3), np.uint8)
    assert appearance(white) == {"brightness": 1.0, "contrast": 0.0, "sharpness": 0.0, "saturation": 0.0}
    assert appearance(black)["brightness"] == 0
    red = black.copy()
    red[:, :, 0] = 255
    assert appearance(red)["saturation"] == 1
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    smooth = np.repeat(np.repeat(noise[::16, ::16], 16, axis=0), 16, axis=1)
    assert appearance(noise)["sharpness"] > 2 * appearance(smooth)["sharpness"]
