"""Each source is evaluated with a model that was trained without it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.classifier import leave_one_out as module
from training.classifier.leave_one_out import leave_one_out
from training.classifier.model import Calibration
from training.dataset import Dataset
from training.errors import TrainingError
from training.files import LEAVE_ONE_OUT
from training.recipe import PARAMS, Recipe, Stage, read_recipe

RECIPE = Recipe((Stage(96, 1, 1e-3, 60, None),), 24, 1)


@pytest.fixture
def learned(monkeypatch):
    """The sources that each fake training saw, by the name of what it left out."""
    sources = {}

    def trained(others: Dataset, out: Path, _: Recipe, *, backbone: Path | None) -> str:
        assert backbone is None
        sources[out.name] = {s.example.source for s in others.samples}
        return out.name

    monkeypatch.setattr(module, "train", trained)
    return sources


def test_a_source_is_evaluated_with_a_model_trained_without_it(
    dataset: Dataset, learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []

    def logits(model: str, samples: list, _: int) -> np.ndarray:
        """A fake model that answers `mask` to every picture."""
        judged.append((model, {s.example.source for s in samples}, {s.example.split for s in samples}))
        return np.tile(np.float32([9, 0, 0]), (len(samples), 1))

    monkeypatch.setattr(module, "predict_logits", logits)
    monkeypatch.setattr(module, "calibrate", lambda *_: Calibration(9.0, (0.0, 0.0, 0.0)))
    result = leave_one_out(dataset, tmp_path, RECIPE)
    assert learned["gate"].isdisjoint({"gate"})
    assert learned["ward"].isdisjoint({"ward"})
    assert set(result["sources"]) == {"gate", "ward"}
    for model, other in (("gate", "ward"), ("ward", "gate")):
        assert (model, {other}, {"val"}) in judged  # for the calibration
        assert (model, {model}, {"train", "val", "test"}) in judged
    confident = 1 / (1 + 2 * np.exp(-9 / 9))
    assert result["sources"]["gate"]["calibration_error"] == pytest.approx(confident - 1 / 3, abs=0.05)
    assert result["trainings"] == 2
    assert result["mean"]["accuracy"] == pytest.approx(1 / 3, abs=0.05)
    assert json.loads((tmp_path / LEAVE_ONE_OUT).read_text()) == result


def test_a_fold_of_sources_is_left_out_together(
    dataset: Dataset, learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "b", "c"]
    samples = tuple(
        replace(s, example=replace(s.example, source=name))
        for name in names
        for s in dataset.portraits
        if s.example.source == "gate"
    )
    monkeypatch.setattr(
        module, "predict_logits", lambda _model, left_out, _size: np.eye(3)[[0] * len(left_out)]
    )
    result = leave_one_out(replace(dataset, samples=samples), tmp_path, RECIPE, folds=2)
    assert learned == {"a+c": {"b"}, "b": {"a", "c"}}
    assert set(result["sources"]) == set(names)


def test_one_source_is_too_few(dataset: Dataset, tmp_path: Path) -> None:
    gate = [s for s in dataset.samples if s.example.source == "gate"]
    with pytest.raises(TrainingError, match="two sources with 25 portraits each are needed"):
        leave_one_out(replace(dataset, samples=tuple(gate)), tmp_path, RECIPE)


def test_params_yaml_has_its_recipe() -> None:
    assert read_recipe(PARAMS, "leave_one_out", "imagenet").stages
