"""The detector's gate refuses a worse detector than the serving one, and passes an equal one."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from functions.inference.detect import Detections
from training.detector import compare
from training.detector.compare import compare_scenes
from training.detector.evaluate import Answer
from training.gate import decide
from training.scenes import Scene

Finder = Callable[[int], Detections]
FACES, SCENES = 3, 40


def scene(number: int) -> Scene:
    """Three faces side by side; the value of the first pixel is the scene's number."""
    boxes = np.array([[100 * i, 0, 100 * i + 50, 50] for i in range(FACES)], np.float32)
    pixels = np.full((100, 320, 3), number, np.uint8)
    source = ("gate", "ward")[number % 2]
    return Scene(Path(f"{number}"), "test", source, "", pixels, boxes, np.arange(3), np.ones(3, bool))


def found(number: int, share: float, wrong: int = 0) -> Detections:
    """Return a fake detector that finds each face with a probability, and a number of false boxes."""
    rng = np.random.default_rng(number)
    right = scene(number).boxes[rng.random(FACES) < share]
    away = np.array([[60 + 100 * i, 55, 99 + 100 * i, 95] for i in range(wrong)], np.float32).reshape(-1, 4)
    boxes = np.concatenate([right, away])
    return Detections(boxes, np.linspace(0.95, 0.8, len(boxes), dtype=np.float32))


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[[Finder, Finder], dict]:
    """Return the gate's verdict on two fake detectors."""

    def run(candidate: Finder, serving: Finder) -> dict:
        def find(release: SimpleNamespace, scenes: list[Scene]) -> list[Answer]:
            return [Answer(release.finds(int(one.pixels[0, 0, 0])), np.zeros((0, 3))) for one in scenes]

        monkeypatch.setattr(compare, "detect_in_scenes", find)
        scenes = [scene(number) for number in range(SCENES)]
        first, second = (SimpleNamespace(finds=finds, min_score=0.5) for finds in (candidate, serving))
        return decide(compare_scenes(first, second, second, scenes), {})

    return run


def test_the_same_detector_passes(judged: Callable[[Finder, Finder], dict]) -> None:
    result = judged(lambda n: found(n, 0.9), lambda n: found(n, 0.9))
    assert result["passed"]
    assert all(one["candidate"] == one["serving"] for one in result["comparisons"])


def test_a_detector_that_misses_more_is_refused(judged: Callable[[Finder, Finder], dict]) -> None:
    result = judged(lambda n: found(n, 0.6), lambda n: found(n, 0.95))
    assert not result["passed"]
    assert "face: recall" in result["reason"]
    assert "face: ap50" in result["reason"]


def test_a_detector_with_more_false_detections_is_refused(judged: Callable[[Finder, Finder], dict]) -> None:
    result = judged(lambda n: found(n, 0.95, wrong=1), lambda n: found(n, 0.95))
    assert "face: false detections a scene" in result["reason"]
    assert result["resolution"].endswith(f"on {SCENES} scenes")


def test_a_detector_that_misses_one_label_is_refused(judged: Callable[[Finder, Finder], dict]) -> None:
    def blind(number: int) -> Detections:
        every = found(number, 1.0)
        return Detections(every.boxes[:2], every.scores[:2])

    result = judged(blind, lambda n: found(n, 1.0))
    assert "class incorrect: recall" in result["reason"]
    assert "class mask: recall" not in result["reason"]


def test_a_better_detector_passes(judged: Callable[[Finder, Finder], dict]) -> None:
    assert judged(lambda n: found(n, 1.0), lambda n: found(n, 0.7, wrong=1))["passed"]
