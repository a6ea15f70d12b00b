"""Corrected shares estimate the true shares, with correct intervals."""

import numpy as np
import pytest

from functions.portal.correction import correct

CONFUSION = [[1515, 11, 19], [12, 1144, 18], [13, 4, 78]]
RATES = np.array(CONFUSION) / np.sum(CONFUSION, axis=1, keepdims=True)


def test_the_correction_removes_the_mistakes() -> None:
    actual = np.array([0.9, 0.08, 0.02])
    predicted = (10_000_000 * actual @ RATES).round().astype(int).tolist()
    found = correct([(predicted, 1e9, CONFUSION)])
    assert [one.value for one in found] == pytest.approx(actual, abs=1e-4)
    assert all(one.low <= one.value <= one.high for one in found)


def test_without_mistakes_nothing_changes() -> None:
    found = correct([([60, 30, 10], 100, [[100, 0, 0], [0, 100, 0], [0, 0, 100]])])
    assert [one.value for one in found] == pytest.approx([0.6, 0.3, 0.1])
    assert (found[0].low, found[0].high) == pytest.approx((0.504, 0.696), abs=0.001)


def test_corrected_shares_are_between_0_and_1() -> None:
    found = correct([([100, 0, 0], 100, CONFUSION)])
    assert sum(one.value for one in found) == pytest.approx(1)
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in found)


def test_one_minute_of_masks_does_not_prove_that_everybody_wears_one() -> None:
    mask, no_mask, incorrect = correct([([39, 0, 0], 1, CONFUSION)])
    assert mask.low < 0.5
    assert no_mask.high > 0.3
    assert incorrect.high > 0.3


@pytest.mark.parametrize("faces", [20, 100])
def test_the_interval_contains_the_true_share_of_a_rare_label(faces) -> None:
    rng, actual, held = np.random.default_rng(0), np.array([0.97, 0.02, 0.01]), np.zeros(3)
    for _ in range(600):
        found = correct([(rng.multinomial(faces, actual @ RATES).tolist(), faces, CONFUSION)])
        held += [one.low <= share <= one.high for one, share in zip(found, actual, strict=True)]
    assert (held / 600 >= 0.93).all()


def test_frames_of_the_same_minutes_widen_the_interval() -> None:
    (frames, *_), (people, *_) = (correct([([800, 150, 50], n, CONFUSION)]) for n in (1_000, 100))
    assert people.high - people.low > 2 * (frames.high - frames.low)
    assert people.value == frames.value


def test_each_release_is_corrected_with_its_own_confusion_matrix() -> None:
    perfect = [[100, 0, 0], [0, 100, 0], [0, 0, 100]]
    predicted = (np.array([900_000, 80_000, 20_000]) @ RATES).round().astype(int).tolist()
    found = correct([(predicted, 1e6, CONFUSION), ([900_000, 80_000, 20_000], 1e6, perfect)])
    assert [one.value for one in found] == pytest.approx([0.9, 0.08, 0.02], abs=1e-3)


@pytest.mark.parametrize("confusion", [[[10, 10, 0], [10, 10, 0], [0, 0, 20]], [[0, 0, 0]] * 3])
def test_a_release_that_guesses_gives_no_correction(confusion) -> None:
    assert correct([([60, 30, 10], 100, confusion)]) is None


def test_without_faces_there_is_no_correction() -> None:
    assert correct([]) is None
    assert correct([([0, 0, 0], 0, CONFUSION)]) is None


def test_the_interval_contains_the_true_share() -> None:
    rng, actual, held = np.random.default_rng(0), np.array([0.85, 0.1, 0.05]), np.zeros(3)
    sizes = np.sum(CONFUSION, axis=1)
    for _ in range(600):
        measured = [rng.multinomial(size, row).tolist() for size, row in zip(sizes, RATES, strict=True)]
        predicted = rng.multinomial(400, actual @ RATES).tolist()
        found = correct([(predicted, 400, measured)])
        held += [one.low <= share <= one.high for one, share in zip(found, actual, strict=True)]
    assert (held / 600 >= 0.93).all()
