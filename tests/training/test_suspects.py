"""Finding labels that are probably wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from functions.shared.contract import LABELS
from training.classifier import suspects
from training.classifier.suspects import Suspect, contact_sheet, find_suspects
from training.dataset import Dataset
from training.recipe import Recipe, Stage


def test_a_wrong_label_is_found_by_the_model_of_the_other_half(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fake training: the model knows the true labels, and must not predict pictures it was trained on."""
    crops = [s for s in dataset.samples if not s.example.in_scene]
    actual = {s.sha256: s.example.label for s in crops}
    wrong = crops[0]
    relabelled = replace(wrong, example=replace(wrong.example, label="no_mask"))
    judged: list[str] = []

    def train(divided: Dataset, *_: object, **__: object) -> set[str]:
        return {s.sha256 for s in divided.split("train")}

    def predict_logits(seen: set[str], samples: list, _: int) -> np.ndarray:
        judged.extend(s.sha256 for s in samples)
        assert not seen & {s.sha256 for s in samples}
        return np.array([5 * np.eye(3)[LABELS.index(actual[s.sha256])] for s in samples])

    monkeypatch.setattr(suspects, "train", train)
    monkeypatch.setattr(suspects, "predict_logits", predict_logits)
    found = find_suspects(
        replace(dataset, samples=(relabelled, *crops[1:])),
        tmp_path,
        recipe=Recipe((Stage(96, 1, 1e-3, 60, None),), 24, 1),
    )
    assert [(s.sample.sha256, s.predicted) for s in found] == [(wrong.sha256, actual[wrong.sha256])]
    assert found[0].probability < 0.05
    assert sorted(judged) == sorted(s.sha256 for s in crops)


def test_the_sheet_shows_each_suspect(dataset: Dataset) -> None:
    found = [Suspect(sample, 0.01, "mask") for sample in dataset.split("train")[:20]]
    assert contact_sheet(found).size == (14 * 96, 2 * 108)
