"""Each source is evaluated with a model that was trained without it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.classifier import leave_one_out as module
from training.classifier.dataset import Dataset
from training.classifier.leave_one_out import leave_one_out
from training.errors import TrainingError
from training.files import LEAVE_ONE_OUT
from training.recipe import PARAMS, Recipe, Stage, read_recipe

RECIPE = Recipe((Stage(96, 1, 1e-3, 60, None),), 24, 1)


def test_a_source_is_evaluated_with_a_model_trained_without_it(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = {}

    def trained(others: Dataset, out: Path, _: Recipe, *, backbone: Path | None) -> str:
        assert backbone is None
        learned[out.name] = {s.example.source for s in others.samples}
        return out.name

    def judged(model: str, left_out: list, _: int) -> np.ndarray:
        """A fake model that is right for one source and wrong for the other."""
        assert {s.example.source for s in left_out} == {model}
        return np.tile([9.0, 0, 0], (len(left_out), 1))

    monkeypatch.setattr(module, "train", trained)
    monkeypatch.setattr(module, "predict_logits", judged)
    result = leave_one_out(dataset, tmp_path, RECIPE)
    assert learned["gate"].isdisjoint({"gate"})
    assert learned["ward"].isdisjoint({"ward"})
    assert set(result["sources"]) == {"gate", "ward"}
    assert result["trainings"] == 2
    assert result["mean"]["accuracy"] == pytest.approx(1 / 3, abs=0.05)
    assert json.loads((tmp_path / LEAVE_ONE_OUT).read_text()) == result


def test_a_fold_of_sources_is_left_out_together(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "b", "c"]
    samples = tuple(
        replace(s, example=replace(s.example, source=name))
        for name in names
        for s in dataset.portraits
        if s.example.source == "gate"
    )
    learned = {}

    def trained(others: Dataset, out: Path, _: Recipe, *, backbone: Path | None) -> str:
        assert backbone is None
        learned[out.name] = {s.example.source for s in others.samples}
        return out.name

    monkeypatch.setattr(module, "train", trained)
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
