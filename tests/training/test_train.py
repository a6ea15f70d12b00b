"""Training: what it leaves, and that a killed run goes on as if nothing had happened."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import RECIPE
from training.classifier import train as module
from training.classifier.dataset import DataError, Dataset, find, load
from training.classifier.model import load_trained
from training.classifier.train import STATE, WEIGHTS, Recipe, Stage, predict_logits, train


def history(folder: Path) -> list[dict[str, float]]:
    return json.loads((folder / STATE).read_text())["history"]


def logits(folder: Path, dataset: Dataset) -> np.ndarray:
    return predict_logits(load_trained(folder / WEIGHTS), dataset.split("val"), 96)


def test_every_epoch_is_in_the_history(trained: Path) -> None:
    assert [(row["stage"], row["epoch"]) for row in history(trained)] == [(0, 0), (1, 0), (1, 1)]
    assert {"loss", "accuracy", "val_macro_f1", "val_accuracy", "val_mask_or_not", "val_loss"} <= set(
        history(trained)[0]
    )


def test_no_checkpoint_is_left_and_the_weights_carry_no_optimizer(trained: Path) -> None:
    assert not list(trained.glob("checkpoint*"))
    assert (trained / WEIGHTS).stat().st_size < 11_000_000


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    trained: Path, dataset: Dataset, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0
    write_state = module._write_state  # noqa: SLF001 -- where a kill can be placed exactly

    def killing(*arguments: object) -> None:
        nonlocal writes
        write_state(*arguments)
        writes += 1
        if writes == 3:  # in the middle of the second stage
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write_state", killing)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, tmp_path, RECIPE, weights=backbone)
    assert len(history(tmp_path)) == 2
    monkeypatch.setattr(module, "_write_state", write_state)
    train(dataset, tmp_path, RECIPE, weights=backbone)
    for resumed, uninterrupted in zip(history(tmp_path), history(trained), strict=True):
        assert resumed == pytest.approx(uninterrupted, rel=1e-4, abs=1e-4)
    assert np.allclose(logits(tmp_path, dataset), logits(trained, dataset), atol=1e-3)


def test_a_finished_run_trains_no_more(trained: Path, dataset: Dataset, backbone: Path) -> None:
    before = (trained / STATE).read_bytes()
    train(dataset, trained, RECIPE, weights=backbone)
    assert (trained / STATE).read_bytes() == before


def test_a_run_on_other_pictures_is_not_continued(trained: Path, dataset: Dataset, backbone: Path) -> None:
    fewer = replace(dataset, samples=dataset.samples[1:])
    with pytest.raises(DataError, match="other pictures"):
        train(fewer, trained, RECIPE, weights=backbone)


def test_a_run_from_other_weights_is_not_continued(trained: Path, dataset: Dataset) -> None:
    with pytest.raises(DataError, match="other weights"):
        train(dataset, trained, RECIPE, classifier=trained / WEIGHTS)


def test_training_goes_on_from_a_trained_classifier(trained: Path, drawn: Path, tmp_path: Path) -> None:
    """No epoch at all: the result is what it started from."""
    data = load(find(drawn))
    model = train(data, tmp_path, Recipe(()), classifier=trained / WEIGHTS)
    assert np.allclose(predict_logits(model, data.split("val"), 96), logits(trained, data), atol=1e-5)


def test_it_stops_when_it_gets_no_better(
    dataset: Dataset, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.6, 0.4, 0.3, 0.2])
    monkeypatch.setattr(module, "validation_scores", lambda *_: {"val_macro_f1": next(scores)})
    train(dataset, tmp_path, Recipe((Stage(96, None, 5, 1e-3, patience=2),), batch=24), weights=backbone)
    assert [row["val_macro_f1"] for row in history(tmp_path)] == [0.5, 0.6, 0.4, 0.3]


def test_pictures_of_one_split_alone_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    lone = replace(dataset, samples=tuple(dataset.split("val")))
    with pytest.raises(DataError, match=r"0 pictures to train with and \d+ to validate"):
        train(lone, tmp_path / "run", Recipe(()))
    assert not (tmp_path / "run").exists()
