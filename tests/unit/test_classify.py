"""The classifier of the shipped release."""

import numpy as np
import pytest

from functions.inference.classify import Classifier, resize
from functions.inference.fetch import BAKED
from functions.inference.release import Release, load_release
from tests.pictures import draw_face

FACE = np.asarray(draw_face())


@pytest.fixture(scope="module")
def release() -> Release:
    return load_release(BAKED)


@pytest.fixture(scope="module")
def classifier(release: Release) -> Classifier:
    return Classifier(release.classifier, threads=1)


def test_probabilities_are_one_together(classifier: Classifier) -> None:
    (result,) = classifier.classify([FACE])
    assert all(0 <= p <= 1 for p in result.probabilities)
    assert sum(result.probabilities) == pytest.approx(1, abs=0.005)


def test_the_projection_is_sixteen_numbers(classifier: Classifier) -> None:
    (result,) = classifier.classify([FACE])
    assert result.projection.shape == (16,)
    assert result.projection.dtype == np.float32
    assert np.isfinite(result.projection).all()


def test_a_batch_is_answered_as_its_pictures_alone_and_in_order(classifier: Classifier) -> None:
    pictures = [FACE, FACE[::-1], np.zeros((50, 40, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)]
    alone = [classifier.classify([picture])[0] for picture in pictures]
    for one, other in zip(classifier.classify(pictures), alone, strict=True):
        assert one.probabilities == other.probabilities
        assert np.array_equal(one.projection, other.projection)


def test_no_pictures_are_no_answers(classifier: Classifier) -> None:
    assert classifier.classify([]) == []


def test_answers_outlive_the_next_question(classifier: Classifier) -> None:
    (first,) = classifier.classify([FACE])
    before = first.projection.copy()
    classifier.classify([255 - FACE])
    assert np.array_equal(first.projection, before)


def test_threads_do_not_change_the_answer(release: Release, classifier: Classifier) -> None:
    (one,) = classifier.classify([FACE])
    (four,) = Classifier(release.classifier, threads=4).classify([FACE])
    assert four.probabilities == pytest.approx(one.probabilities, abs=1e-3)


def test_resize_squeezes_to_a_square() -> None:
    squeezed = resize(FACE, 224)
    assert squeezed.shape == (224, 224, 3)
    assert squeezed.dtype == np.uint8
    assert np.array_equal(resize(squeezed, 224), squeezed)


def test_resize_averages_rather_than_skips() -> None:
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resize(stripes, 224).astype(int)[4:-4, 4:-4] - 127.5).max() < 3
