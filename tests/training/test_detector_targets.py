"""The targets of the detector's cells, and the loss."""

import numpy as np
import pytest

from functions.inference.detect import read_cells
from training.detector.augment import Faces
from training.detector.targets import IGNORED, NEGATIVE, POSITIVE, loss, targets

SIZE = 192


def faces(*boxes: tuple[float, ...], must_find: bool = True) -> Faces:
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), must_find))


def as_logits(wanted: np.ndarray) -> np.ndarray:
    """Return the outputs of a perfect detector."""
    result = wanted.copy()
    result[:, 0] = np.where(wanted[:, 0] == POSITIVE, 12, -12)
    return result


@pytest.mark.parametrize(
    "box", [(30.0, 40.0, 42.0, 55.0), (10.0, 20.0, 70.0, 100.0), (5.0, 8.0, 180.0, 190.0)]
)
def test_targets_decode_to_the_same_box(box: tuple[float, ...]) -> None:
    found = read_cells(as_logits(targets(faces(box), SIZE)), SIZE, 0.5)
    assert found.boxes.tolist() == [pytest.approx(box, abs=1e-3)]


def test_targets_of_adjacent_faces_decode_to_all_of_them() -> None:
    boxes = [(8.0 + 40 * i, 10.0 + 50 * j, 36.0 + 40 * i, 45.0 + 50 * j) for i in range(4) for j in range(3)]
    found = read_cells(as_logits(targets(faces(*boxes), SIZE)), SIZE, 0.5)
    assert sorted(map(tuple, found.boxes.round(2).tolist())) == sorted(boxes)


def test_a_face_smaller_than_a_cell_has_a_cell() -> None:
    wanted = targets(faces((33.0, 33.0, 38.0, 38.0)), SIZE)
    assert (wanted[:, 0] == POSITIVE).sum() >= 1


def test_of_two_faces_in_one_cell_the_smaller_is_the_target() -> None:
    small, large = (80.0, 80.0, 120.0, 120.0), (60.0, 60.0, 140.0, 140.0)
    found = read_cells(as_logits(targets(faces(large, small), SIZE)), SIZE, 0.5)
    assert list(small) in found.boxes.round(2).tolist()


def test_an_ignored_face_does_not_count_in_the_loss() -> None:
    wanted = targets(faces((50.0, 50.0, 90.0, 90.0), must_find=False), SIZE)
    assert set(np.unique(wanted[:, 0])) == {IGNORED, NEGATIVE}
    result = as_logits(wanted)
    result[wanted[:, 0] == IGNORED, 0] = 12
    assert float(loss(wanted[np.newaxis], result[np.newaxis])) == pytest.approx(0, abs=1e-3)


def test_perfect_outputs_have_no_loss() -> None:
    wanted = targets(faces((30.0, 40.0, 60.0, 80.0)), SIZE)[np.newaxis]
    assert float(loss(wanted, as_logits(wanted[0])[np.newaxis])) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("mistake", ["missed", "invented", "elsewhere"])
def test_every_mistake_increases_the_loss(mistake: str) -> None:
    wanted = targets(faces((30.0, 40.0, 60.0, 80.0)), SIZE)
    result = as_logits(wanted)
    if mistake == "missed":
        result[:, 0] = -12
    elif mistake == "invented":
        result[5, 0] = 12
    else:
        result[:, 1] += 0.5
    assert float(loss(wanted[np.newaxis], result[np.newaxis])) > 0.05


def test_a_picture_without_faces_has_a_finite_loss() -> None:
    wanted = targets(faces(), SIZE)[np.newaxis]
    result = as_logits(wanted[0])[np.newaxis]
    assert float(loss(wanted, result)) == pytest.approx(0, abs=1e-3)
