"""The detector's pre- and postprocessing: letterbox, decoding of cells, non-maximum suppression."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.inference import detect
from functions.inference.detect import NMS_IOU, STRIDES, iou, letterbox, non_maximum_suppression, read_cells
from functions.inference.prediction import MAX_FACES
from functions.inference.release import Network

SIZE = 64
CELLS = sum((SIZE // stride) ** 2 for stride in STRIDES)
NOTHING = np.tile(np.array([-9.0, 0, 0, 0, 0], np.float32), (CELLS, 1))


def cell(stride: int, row: int, column: int) -> int:
    before = sum((SIZE // s) ** 2 for s in STRIDES if s < stride)
    return before + row * (SIZE // stride) + column


def logit(score: float) -> float:
    return math.log(score / (1 - score))


def test_a_picture_is_fitted_into_the_top_left_and_the_rest_is_grey() -> None:
    square, scale = letterbox(np.full((100, 200, 3), 250, np.uint8), 64)
    assert scale == 64 / 200
    assert square.shape == (64, 64, 3)
    assert (square[:32] == 250).all()
    assert (square[32:] == 128).all()


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (32, 32), (448, 448), (449, 447)])
def test_a_picture_of_any_shape_is_fitted(shape: tuple[int, int]) -> None:
    square, scale = letterbox(np.zeros((*shape, 3), np.uint8), 448)
    assert square.shape == (448, 448, 3)
    assert max(shape) * scale == 448


def test_a_cell_gives_a_box_in_strides_from_its_centre() -> None:
    cells = NOTHING.copy()
    cells[cell(16, 1, 2)] = [logit(0.8), *np.log([1.0, 0.5, 0.75, 1.25])]
    found = read_cells(cells, SIZE, 0.5)
    assert found.boxes.tolist() == [pytest.approx([40 - 16, 24 - 8, 40 + 12, 24 + 20], abs=1e-3)]
    assert found.scores.tolist() == [pytest.approx(0.8, abs=1e-4)]


@pytest.mark.parametrize("stride", STRIDES)
def test_every_level_is_read(stride: int) -> None:
    cells = NOTHING.copy()
    cells[cell(stride, 0, 1)] = [3, 0, 0, 0, 0]
    box = [0.5 * stride, -0.5 * stride, 2.5 * stride, 1.5 * stride]
    assert read_cells(cells, SIZE, 0.5).boxes.tolist() == [pytest.approx(box, abs=1e-3)]


@pytest.mark.parametrize(("shape", "inside"), [((64, 64), 2), ((32, 64), 1), ((64, 32), 1)])
def test_faces_in_the_padding_are_ignored(
    shape: tuple[int, int], inside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = NOTHING.copy()
    cells[cell(8, 1, 1)] = [2, 0, 0, 0, 0]
    cells[cell(8, 6, 6) if shape == (64, 64) else cell(8, 6, 1) if shape[0] < 64 else cell(8, 1, 6)] = [
        3,
        0,
        0,
        0,
        0,
    ]
    monkeypatch.setattr(detect, "Runner", lambda *_: SimpleNamespace(run=lambda _: [cells]))
    found = detect.Detector(Network(b"", SIZE), 0.5, threads=1).detect(np.zeros((*shape, 3), np.uint8))
    assert len(found.scores) == len(found.boxes) == inside
    assert ((found.boxes[:, 2:] - found.boxes[:, :2]) > 0).all()


def test_if_no_face_is_found_the_picture_is_searched_at_half_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def run(square: np.ndarray) -> list[np.ndarray]:
        seen.append(square)
        cells = NOTHING.copy()
        if len(seen) == 2:
            cells[cell(16, 0, 0)] = [3, -0.7, -0.7, 0, 0]
        return [cells]

    monkeypatch.setattr(detect, "Runner", lambda *_: SimpleNamespace(run=run))
    found = detect.Detector(Network(b"", SIZE), 0.5, threads=1).detect(np.zeros((SIZE, SIZE, 3), np.uint8))
    assert [(one == 0).all(axis=-1).sum() for one in seen] == [SIZE**2, (SIZE // 2) ** 2]
    assert found.boxes.tolist() == [pytest.approx([0.1, 0.1, 48, 48], abs=0.1)]


def test_unsure_detections_are_returned_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = NOTHING.copy()
    cells[cell(16, 0, 0)] = [0.5, -0.7, -0.7, 0, 0]  # a probability of 0.62
    cells[cell(16, 3, 3)] = [-0.5, -0.7, -0.7, 0, 0]  # 0.38
    seen = []
    monkeypatch.setattr(detect, "Runner", lambda *_: SimpleNamespace(run=lambda _: seen.append(1) or [cells]))
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)

    def found(min_score: float, **unsure: float) -> tuple[int, int]:
        """Return how many are found, and in how many looks."""
        seen.clear()
        count = len(detect.Detector(Network(b"", SIZE), min_score, 1, **unsure).detect(pixels).scores)
        return count, len(seen)

    assert found(0.5) == (1, 1)
    assert found(0.5, unsure_score=0.35) == (2, 1)
    assert found(0.5, unsure_score=0.4) == (1, 1)
    assert found(0.7, unsure_score=0.35) == (2, 2)  # an unsure one is no reason not to look again
    assert found(0.7) == (0, 2)


@pytest.mark.parametrize(
    ("score", "evidence"), [(0.5, 0.0), (0.2, 1.0), (0.9, -2.0), (1.0, -1.0), (0.0, 1.0)]
)
def test_evidence_multiplies_the_odds(score: float, evidence: float) -> None:
    result = detect.add_evidence(score, evidence)
    assert 0 <= result <= 1
    if 0 < score < 1:
        assert result / (1 - result) == pytest.approx(score / (1 - score) * np.exp(evidence))


def test_boxes_below_the_threshold_are_left_out() -> None:
    cells = NOTHING.copy()
    cells[0, 0], cells[7, 0] = logit(0.49), logit(0.51)
    assert len(read_cells(cells, SIZE, 0.5).scores) == 1
    assert len(read_cells(cells, SIZE, 0.52).scores) == 0


def test_of_two_overlapping_boxes_the_one_with_the_higher_score_is_kept() -> None:
    cells = NOTHING.copy()
    cells[cell(8, 3, 3)] = [1, 0.9, 0.9, 0.9, 0.9]
    cells[cell(8, 3, 4)] = [2, 0.9, 0.9, 0.9, 0.9]
    (score,) = read_cells(cells, SIZE, 0.5).scores
    assert score == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-4)


def test_faces_are_ordered_by_score() -> None:
    cells = NOTHING.copy()
    for number, row in enumerate((0, 3, 6)):
        cells[cell(8, row, row), 0] = [1, 3, 2][number]
    scores = read_cells(cells, SIZE, 0.5).scores
    assert list(scores) == sorted(scores, reverse=True)
    assert len(scores) == 3


def test_the_number_of_detections_is_limited() -> None:
    cells = np.tile(np.array([5, -2, -2, -2, -2], np.float32), (3 * 448**2 // 64, 1))[: 56**2 + 28**2 + 14**2]
    assert len(read_cells(cells, 448, 0.5).scores) <= MAX_FACES


def test_each_face_of_a_crowd_is_found_though_it_has_several_cells() -> None:
    cells = np.full((56**2 + 28**2 + 14**2, 5), -9, np.float32)
    grid = cells[: 56**2].reshape(56, 56, 5)
    for row in range(0, 56, 4):  # 196 faces of 16 pixels, each with four cells; the upper rows are clearer
        for column in range(0, 56, 4):
            for down in (0, 1):
                for right in (0, 1):
                    sides = np.array([0.5 + right, 0.5 + down, 1.5 - right, 1.5 - down])
                    grid[row + down, column + right] = [5 - row / 16, *np.log(sides)]
    assert len(read_cells(cells, 448, 0.5).scores) == 14**2


def boxes(seed: int, count: int) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, 50, (count, 2))
    return np.concatenate(
        [corners, corners + np.random.default_rng(seed + 1).uniform(5, 40, (count, 2))], axis=1
    )


@given(st.integers(0, 1000), st.integers(0, 40))
def test_suppression_equals_a_reference_implementation(seed: int, count: int) -> None:
    drawn = boxes(seed, count)
    kept: list[int] = []
    for number in range(count):
        rivals = iou(drawn[number : number + 1], drawn[kept])
        if not (rivals > NMS_IOU).any():
            kept.append(number)
    assert non_maximum_suppression(drawn).tolist() == kept


def test_overlap_is_intersection_over_union() -> None:
    square, half, apart = [0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30]
    assert iou(np.array([square, half], float), np.array([square, apart], float)).tolist() == [
        [1, 0],
        [0.5, 0],
    ]
