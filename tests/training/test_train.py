"""Training of the classifier: its outputs, and the runs that it refuses to resume."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import RECIPE
from training.classifier.model import load_trained
from training.classifier.train import predict_logits, train
from training.dataset import Dataset, list_examples, load_examples
from training.errors import TrainingError
from training.files import CLASSIFIER_WEIGHTS as WEIGHTS
from training.files import STATE
from training.recipe import Recipe


def history(folder: Path) -> list[dict[str, float]]:
    return json.loads((folder / STATE).read_text())["history"]


def logits(folder: Path, dataset: Dataset) -> np.ndarray:
    return predict_logits(load_trained(folder / WEIGHTS), dataset.split("val"), 96)


def test_every_epoch_is_in_the_history(trained: Path) -> None:
    assert [(row["stage"], row["epoch"]) for row in history(trained)] == [(0, 0), (1, 0), (1, 1)]
    assert {"loss", "accuracy", "val_macro_f1", "val_accuracy", "val_mask_or_not", "val_loss"} <= set(
        history(trained)[0]
    )


def test_a_finished_run_is_not_trained_again(trained: Path, dataset: Dataset, backbone: Path) -> None:
    before = (trained / STATE).read_bytes()
    train(dataset, trained, RECIPE, backbone=backbone)
    assert (trained / STATE).read_bytes() == before


def test_a_run_on_other_pictures_is_not_continued(trained: Path, dataset: Dataset, backbone: Path) -> None:
    fewer = replace(dataset, samples=dataset.samples[1:])
    with pytest.raises(TrainingError, match="other pictures"):
        train(fewer, trained, RECIPE, backbone=backbone)


def test_a_run_from_other_weights_is_not_continued(trained: Path, dataset: Dataset) -> None:
    with pytest.raises(TrainingError, match="other weights"):
        train(dataset, trained, RECIPE, start=trained / WEIGHTS)


def test_training_can_start_from_a_trained_classifier(trained: Path, drawn: Path, tmp_path: Path) -> None:
    """Without an epoch, the result is the starting weights."""
    data = load_examples(list_examples(drawn))
    model = train(data, tmp_path, Recipe((), 24, 1), start=trained / WEIGHTS)
    assert np.allclose(predict_logits(model, data.split("val"), 96), logits(trained, data), atol=1e-5)


def test_pictures_of_a_single_split_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    lone = replace(dataset, samples=tuple(dataset.split("val")))
    with pytest.raises(TrainingError, match=r"0 pictures to train with and \d+ to validate"):
        train(lone, tmp_path / "run", Recipe((), 24, 1))
    assert not (tmp_path / "run").exists()
