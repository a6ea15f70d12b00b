"""Other detectors, evaluated like the project's own."""

from pathlib import Path

import numpy as np
import pytest

from functions.inference.detect import Detections
from training.scenes import Scene

peers = pytest.importorskip("training.peers", reason="needs the extra `peers`")


def test_the_number_of_aizoo_s_anchors_equals_its_network_s_outputs() -> None:
    centres, sides = peers.aizoo_anchors()
    assert centres.shape == sides.shape == (5972, 2)
    assert centres[:5].tolist() == [pytest.approx([0.5 / 33] * 2)] * 4 + [pytest.approx([1.5 / 33, 0.5 / 33])]
    assert sides[1].tolist() == pytest.approx([0.056, 0.056])
    assert sides[2, 0] < sides[2, 1]


def test_boxes_are_shifted_relative_to_their_sides() -> None:
    found = Detections(np.array([[10, 20, 30, 60]], np.float32), np.array([0.5], np.float32))
    assert peers.shifted(found, (0.1, 0.25, -0.1, 0)).boxes.tolist() == [[12, 30, 28, 60]]


def test_detectors_are_compared_on_the_same_scenes() -> None:
    boxes = np.array([[0, 0, 40, 40], [60, 60, 100, 100]], np.float32)
    pixels = np.zeros((128, 128, 3), np.uint8)
    nowhere = np.zeros((0, 4), np.float32)
    scene = Scene(Path("s.jpg"), "test", "s", "0", pixels, boxes, np.zeros(2, int), np.ones(2, bool), nowhere)

    def finds(count: int) -> Detections:
        return Detections(boxes[:count], np.linspace(0.9, 0.5, count, dtype=np.float32))

    result = peers.compare({"all": lambda _: finds(2), "half": lambda _: finds(1)}, [scene] * 10)
    assert result["all"] == {"faces": 20, "recall_at_0.1_false": 1.0, "ap50": 1.0}
    assert result["half"] == {"faces": 20, "recall_at_0.1_false": 0.5, "ap50": 0.5}


def test_centerface_finds_nothing_in_an_empty_picture() -> None:
    assert len(peers.centerface()(np.full((64, 96, 3), 90, np.uint8)).scores) == 0
