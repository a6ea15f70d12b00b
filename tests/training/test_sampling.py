"""The sampling of pictures in an epoch."""

from pathlib import Path

import numpy as np
import pytest

from training.classifier.train import SHARES, batches, one_hot, sampling_weights, validation_figures
from training.dataset import Dataset, Example, Sample
from training.recipe import Recipe, Stage


def samples(counts: dict[tuple[str, str], int]) -> list[Sample]:
    pixels = np.zeros((40, 40, 3), np.uint8)
    return [
        Sample(Example(Path("x.jpg"), "train", label, source), "", pixels, None)
        for (label, source), count in counts.items()
        for _ in range(count)
    ]


def share(
    chosen: list[Sample], label: str, source: str | None = None, weights: dict[str, float] | None = None
) -> float:
    picked = [s.example.label == label and source in {None, s.example.source} for s in chosen]
    return float(sampling_weights(chosen, weights or {})[picked].sum())


def test_classes_get_their_shares_even_if_rare() -> None:
    unequal = samples({("mask", "a"): 900, ("no_mask", "a"): 90, ("incorrect", "a"): 5})
    assert {label: share(unequal, label) for label in SHARES} == pytest.approx(SHARES)


def test_a_source_is_weighted_by_the_root_of_its_size() -> None:
    chosen = samples({("mask", "large"): 400, ("mask", "small"): 4, ("no_mask", "large"): 10})
    ratio = share(chosen, "mask", "large") / share(chosen, "mask", "small")
    assert ratio == pytest.approx(10)


def test_bare_faces_of_a_source_are_drawn_as_often_as_the_recipe_says() -> None:
    chosen = samples({(label, source): 9 for label in ("mask", "no_mask") for source in ("hands", "a")})
    assert share(chosen, "no_mask", "hands", {"hands": 3.0}) == pytest.approx(
        3 * share(chosen, "no_mask", "a", {"hands": 3.0})
    )
    assert share(chosen, "mask", "hands", {"hands": 3.0}) == pytest.approx(share(chosen, "mask", "a"))


def test_probabilities_sum_to_one_without_a_class() -> None:
    assert sampling_weights(samples({("mask", "a"): 3, ("no_mask", "b"): 7}), {}).sum() == pytest.approx(1)


def test_one_hot_is_in_the_order_of_the_labels() -> None:
    rows = one_hot(samples({("incorrect", "a"): 1, ("mask", "a"): 1, ("no_mask", "a"): 1}))
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_a_seed_draws_the_same_epoch(dataset: Dataset) -> None:
    learned, stage = dataset.split("train", scenes=True), Stage(96, 1, 1e-3, 60, None)
    first, again, other = (
        batches(learned, one_hot(learned), stage, Recipe((stage,), 16, 1), [1, 0, seed]) for seed in (0, 0, 1)
    )
    assert np.array_equal(first[1][0], again[1][0])
    assert np.array_equal(first[1][1], again[1][1])
    assert not np.array_equal(first[1][0], other[1][0])
    assert first[0][0].shape == (16, 96, 96, 3)


def test_validation_scores_by_hand() -> None:
    judged = samples({("mask", "a"): 2, ("no_mask", "a"): 2})
    logits = np.log(
        np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]], np.float32)
    )
    scores = validation_figures(logits, judged)
    assert scores["val_accuracy"] == 0.5
    assert scores["val_mask_or_not"] == 0.75
    assert scores["val_macro_f1"] == pytest.approx((2 / 3 + 0.5) / 2)
    assert scores["val_loss"] == pytest.approx(-np.log([0.8, 0.2, 0.8, 0.2]).mean(), rel=1e-5)
