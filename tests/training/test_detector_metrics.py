"""Matching of faces, recall at a rate of false detections, average precision."""

from pathlib import Path

import numpy as np
import pytest

from functions.inference.detect import Detections
from training.detector.metrics import (
    NONE,
    Matches,
    assign,
    average_precision,
    average_precisions,
    label_confusion,
    match,
    recall_at,
    recalls_at,
    resamples,
    served_in,
)
from training.scenes import UNLABELLED, Scene

FACE = (0.0, 0.0, 10.0, 10.0)
NEAR = (0.0, 0.0, 10.0, 8.0)  # 0.8 of it
HALF = (0.0, 0.0, 10.0, 4.0)  # 0.4 of it
AWAY = (50.0, 50.0, 60.0, 60.0)


def found(*boxes: tuple[float, ...], scores: tuple[float, ...] | None = None) -> Detections:
    result = np.array(scores or np.linspace(0.9, 0.5, len(boxes)), np.float32)
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), result)


def boxes(*some: tuple[float, ...]) -> np.ndarray:
    return np.array(some, np.float32).reshape(-1, 4)


def in_one_of(pictures: int, scores: np.ndarray, right: np.ndarray, faces: int) -> Matches:
    """Put all detections and faces into the first of several pictures."""
    there = np.zeros(pictures, int)
    there[0] = faces
    return Matches(scores, right, np.zeros(len(scores), int), there)


def test_a_box_with_half_an_overlap_finds_the_face() -> None:
    assert assign(found(NEAR, AWAY), boxes(FACE), np.array([True])).tolist() == [0, NONE]
    assert assign(found(HALF), boxes(FACE), np.array([True])).tolist() == [NONE]


def test_a_face_is_found_once_by_the_detection_with_the_highest_score() -> None:
    result = assign(found(NEAR, FACE, scores=(0.5, 0.9)), boxes(FACE), np.array([True]))
    assert result.tolist() == [NONE, 0]


def test_an_ignored_face_matches_any_number_of_detections_that_fit_no_other() -> None:
    result = assign(found(FACE, NEAR, FACE), boxes(FACE, NEAR), np.array([True, False]))
    assert result.tolist() == [0, 1, 1]


def test_nothing_to_find_and_nothing_found() -> None:
    none = np.zeros(0, bool)
    assert assign(found(), boxes(FACE), np.array([True])).tolist() == []
    assert assign(found(FACE), boxes(), none).tolist() == [NONE]
    assert average_precision(match([found()], [boxes()], [none])) == 0
    assert recall_at(match([found()], [boxes()], [none]), 0.1)[0] == 0


def test_small_and_ignored_faces_do_not_count() -> None:
    tiny = (80.0, 80.0, 83.0, 83.0)
    result = match([found(FACE, AWAY, tiny)], [boxes(FACE, AWAY)], [np.array([True, False])])
    assert result.right.tolist() == [True]
    assert result.faces.tolist() == [1]


def test_recall_is_taken_at_the_rate_of_false_detections() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32)
    result = in_one_of(10, scores, np.array([True, True, False, True, False]), faces=4)
    assert recall_at(result, 0.05) == pytest.approx((0.5, 0.8))
    assert recall_at(result, 0.1) == pytest.approx((0.75, 0.6))
    assert recall_at(result, 1) == pytest.approx((0.75, 0.5))


def test_average_precision_is_the_area_under_the_curve() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    result = in_one_of(1, scores, np.array([True, False, True, True]), faces=4)
    # Precision 1 at recall 1/4; then 3/4, made monotonous, at 2/4 and 3/4; the fourth face is never found.
    assert average_precision(result) == pytest.approx(0.25 * (1 + 0.75 + 0.75))
    assert average_precision(in_one_of(1, scores, np.ones(4, bool), 4)) == 1


def test_order_of_the_detections_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores, right = rng.random(40).astype(np.float32), rng.random(40) < 0.6
    order = rng.permutation(40)
    one, other = in_one_of(9, scores, right, 50), in_one_of(9, scores[order], right[order], 50)
    assert average_precision(one) == pytest.approx(average_precision(other))
    assert recall_at(one, 0.3) == recall_at(other, 0.3)


def test_detections_in_an_ignored_region_do_not_count() -> None:
    """This holds for any size and number of detections; a face next to the region must still be found."""
    boxes = np.array([[0, 0, 100, 100], [200, 0, 240, 40]], np.float32)
    must_find = np.array([False, True])
    inside = Detections(
        np.array([[10, 10, 40, 40], [50, 50, 90, 90], [200, 0, 240, 40], [300, 0, 340, 40]], np.float32),
        np.array([0.9, 0.8, 0.7, 0.6], np.float32),
    )
    result = match([inside], [boxes], [must_find])
    assert (result.right.tolist(), result.faces.tolist()) == ([True, False], [1])


def test_the_weighted_bootstrap_equals_matching_the_drawn_scenes_again() -> None:
    rng = np.random.default_rng(0)
    scenes = []
    for _ in range(12):
        faces = np.array([[60 * i, 0, 60 * i + 40, 40] for i in range(3)], np.float32)
        shown = np.concatenate(
            [faces[rng.random(3) < 0.7], rng.uniform(200, 300, (2, 2)).repeat(2, 1)[:, [0, 2, 0, 2]]]
        )
        shown = shown.reshape(-1, 4).astype(np.float32)
        shown[:, 2:] = np.maximum(shown[:, 2:], shown[:, :2] + 30)
        scenes.append((Detections(shown, rng.random(len(shown)).astype(np.float32)), faces, np.ones(3, bool)))
    every = match(*zip(*scenes, strict=True))
    times = resamples(12, 6)
    for draw, counts in enumerate(times):
        drawn = match(
            *zip(*[s for s, n in zip(scenes, counts, strict=True) for _ in range(int(n))], strict=True)
        )
        assert average_precisions(every, times)[draw] == pytest.approx(average_precision(drawn))
        assert recalls_at(every, 0.3, times)[draw] == pytest.approx(recall_at(drawn, 0.3)[0])
        recall, false = served_in(drawn, np.ones((1, 12)))
        assert [of[draw] for of in served_in(every, times)] == pytest.approx([recall[0], false[0]])


def test_only_found_faces_of_a_known_class_are_counted_by_label() -> None:
    """One gets another label, one's class is unknown, one is ignored, one is missed, and a detection is on none."""
    faces = np.array([[100 * i, 0, 100 * i + 40, 40] for i in range(5)], np.float32)
    labels, must_find = np.array([0, UNLABELLED, 1, 2, 0]), np.array([True, True, False, True, True])
    picture = np.zeros((40, 500, 3), np.uint8)
    scene = Scene(Path("a"), "test", "", "", picture, faces, labels, must_find)
    shown = found(*faces[[0, 1, 2, 4]], (60.0, 0.0, 90.0, 40.0))
    result = label_confusion([shown], [[1, 0, 1, 0, 0]], [scene])
    assert result.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
