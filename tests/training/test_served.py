"""Figures of the served path."""

import json
from pathlib import Path

import numpy as np
import pytest

from training import served
from training.answers import Answers
from training.dataset import Example, Sample
from training.files import SERVED
from training.served import portrait_figures

MASK, BARE, WRONG = np.eye(3)


@pytest.fixture(scope="module")
def result(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["served", "--data", str(drawn), "--out", str(out)])
        served.main()
    return json.loads((out / SERVED).read_text())


def test_every_portrait_and_scene_of_the_test_split_is_scored(result: dict) -> None:
    assert result["split"] == "test"
    assert result["portraits"]["n"] == 18
    assert {name: one["n"] for name, one in result["portraits"]["sources"].items()} == {"gate": 9, "ward": 9}
    assert (result["scenes"]["scenes"], result["scenes"]["faces"]) == (1, 3)
    assert 0 <= result["portraits"]["face_found"] <= 1


def test_rotated_portraits_have_figures_by_angle(result: dict) -> None:
    assert list(result["turned"]) == ["90°", "180°", "270°"]
    assert all(one["n"] == 18 for one in result["turned"].values())


def test_figures_without_data_are_left_out(result: dict) -> None:
    assert result["fairness"] == {}
    assert result["peers"] == {}


def test_figures_of_portraits(tmp_path: Path) -> None:
    labels = {"mask": "a", "no_mask": "hands", "incorrect": "a"}
    samples = [
        Sample(Example(tmp_path, "test", label, source), "", np.zeros((8, 8, 3), np.uint8), None)
        for label, source in [*labels.items(), ("no_mask", "hands")]
    ]
    answers = Answers(np.array([1, 1, 1, 0], bool), np.array([MASK, MASK, WRONG, BARE]))
    figures = portrait_figures(samples, answers, ["hands"])
    assert figures["face_found"] == 0.75
    assert figures["mask_or_not_accuracy"] == 0.75
    assert figures["recall"] == {"mask": 1.0, "no_mask": 0.5, "incorrect": 1.0}
    assert figures["precision"] == {"mask": 0.5, "no_mask": 1.0, "incorrect": 1.0}
    assert figures["hands"] == {"n": 2, "called_mask": 1}
    assert figures["sources"]["a"]["accuracy"] == 1.0
