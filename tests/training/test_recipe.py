"""Recipes in params.yaml and hyperparameters are validated."""

from pathlib import Path

import pytest

from training.errors import TrainingError
from training.recipe import PARAMS, read_recipe, recipe_from

GOOD = {"size": 96, "epochs": 1, "learning_rate": 1e-3, "train_samples": 100, "freeze_until_block": None}


@pytest.mark.parametrize("network", ["classifier", "detector"])
@pytest.mark.parametrize("start", ["imagenet", "release"])
def test_params_yaml_has_a_recipe_for_each_network_and_start(network: str, start: str) -> None:
    recipe = read_recipe(PARAMS, network, start)
    assert recipe.stages
    assert recipe.batch > 0


@pytest.mark.parametrize("weights", ["[1]", "{gate: many}", "{gate: 0}", "{gate: .nan}"])
def test_weights_of_bare_faces_are_numbers_above_0(tmp_path: Path, weights: str) -> None:
    text = PARAMS.read_text().splitlines()
    changed = [f"  bare_face_weights: {weights}" if "bare_face_weights" in line else line for line in text]
    (tmp_path / "params.yaml").write_text("\n".join(changed))
    with pytest.raises(TrainingError, match=r"params\.yaml"):
        read_recipe(tmp_path / "params.yaml", "classifier", "release")


@pytest.mark.parametrize("text", ["", "classifier: 3", "classifier: {seed: 1}", "classifier: ["])
def test_incomplete_parameters_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(TrainingError, match=r"params\.yaml: invalid training parameters"):
        read_recipe(tmp_path / "params.yaml", "classifier", "release")


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 8},
        {"size": 100},
        {"epochs": 0},
        {"learning_rate": -1.0},
        {"patience": 0},
        {"train_samples": 0},
        {"train_samples": 63},
        {"freeze_until_block": 17},
    ],
)
def test_invalid_numbers_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(TrainingError, match="these values cannot be used"):
        recipe_from([GOOD | wrong], 64, 1)


@pytest.mark.parametrize("wrong", [{"learning_rate": "4e-4"}, {"epochs": 2.5}, {"plain": float("nan")}])
def test_what_is_no_number_or_a_fraction_is_named(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(TrainingError, match=f"{name} is .*; it must be"):
        recipe_from([GOOD | wrong], 64, 1)
    with pytest.raises(TrainingError, match=r"batch is 64\.5; it must be a whole number"):
        recipe_from([GOOD], 64.5, 1)


def test_a_misspelt_parameter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS.read_text().replace("bare_face_weights", "bare_faces"))
    with pytest.raises(TrainingError, match="unknown parameters: bare_faces"):
        read_recipe(tmp_path / "params.yaml", "classifier", "release")


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(TrainingError, match="unexpected keyword"):
        recipe_from([GOOD | {"depth": 1}], 64, 1)


@pytest.mark.parametrize(("stages", "batch", "seed"), [([], 64, 1), ([GOOD], 0, 1), ([GOOD], 64, -1)])
def test_a_recipe_needs_stages_a_batch_and_a_seed(stages: list[dict], batch: int, seed: int) -> None:
    with pytest.raises(TrainingError, match="these values cannot be used"):
        recipe_from(stages, batch, seed)
