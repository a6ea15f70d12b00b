"""The entry point of the training container reads its environment; tests/container runs the container."""

import argparse
import json
from pathlib import Path

import pytest

from functions.shared.release_files import IMAGE_RELEASE
from training.aws import entrypoint
from training.aws.entrypoint import (
    Host,
    container_paths,
    hyperparameters,
    recipe_for_host,
    starting_weights,
    this_host,
)
from training.errors import TrainingError
from training.recipe import PARAMS, read_recipe

STAGES = '[{"size": 96, "freeze_until_block": null, "epochs": 1, "learning_rate": 0.001, "train_samples": 9}]'


def config(ml: Path, **files: object) -> None:
    (ml / "input" / "config").mkdir(parents=True, exist_ok=True)
    for name, result in files.items():
        (ml / "input" / "config" / f"{name}.json").write_text(json.dumps(result))


def options(**given: object) -> argparse.Namespace:
    return argparse.Namespace(
        **{"network": "classifier", "start": "release", "stages": None, "batch": None, "seed": None} | given
    )


def test_by_default_everything_is_under_opt_ml(tmp_path: Path) -> None:
    (tmp_path / "input" / "data" / "serving").mkdir(parents=True)
    at = container_paths({}, tmp_path)
    assert at.pictures == tmp_path / "input" / "data" / "pictures"
    assert at.serving == tmp_path / "input" / "data" / "serving"
    assert at.model == tmp_path / "model"
    assert at.failure == tmp_path / "output" / "failure"


def test_variables_of_script_mode_take_precedence(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    result = {
        "SM_CHANNEL_PICTURES": str(tmp_path / "there"),
        "SM_MODEL_DIR": "/m",
        "SM_OUTPUT_DATA_DIR": "/d",
    }
    at = container_paths(result, tmp_path)
    assert (at.pictures, at.model, at.data) == (tmp_path / "there", Path("/m"), Path("/d"))


def test_without_a_serving_channel_the_code_s_release_is_the_reference(tmp_path: Path) -> None:
    assert container_paths({}, tmp_path).serving == IMAGE_RELEASE


def test_hyperparameters_become_arguments_without_those_of_the_sdk(tmp_path: Path) -> None:
    config(tmp_path, hyperparameters={"seed": "3", "version": "1.1.0", "sagemaker_region": "us-east-1"})
    assert hyperparameters(tmp_path) == ["--seed", "3", "--version", "1.1.0"]
    assert hyperparameters(tmp_path / "nowhere") == []


def test_an_instance_knows_its_rank(tmp_path: Path) -> None:
    assert this_host({}, tmp_path) == Host(0, 1)
    config(tmp_path, resourceconfig={"current_host": "algo-2", "hosts": ["algo-2", "algo-1", "algo-3"]})
    assert this_host({}, tmp_path) == Host(1, 3)
    assert this_host({"SM_CURRENT_HOST_RANK": "2", "SM_HOST_COUNT": "4"}, tmp_path) == Host(2, 4)


def test_without_hyperparameters_the_recipe_is_that_of_params_yaml() -> None:
    assert recipe_for_host(options(), Host(0, 1)) == read_recipe(PARAMS, "classifier", "release")
    assert recipe_for_host(options(start="imagenet"), Host(0, 1)) == read_recipe(
        PARAMS, "classifier", "imagenet"
    )
    assert recipe_for_host(options(network="detector"), Host(0, 1)) == read_recipe(
        PARAMS, "detector", "release"
    )


def channel(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_the_start_imagenet_uses_no_trained_weights(tmp_path: Path) -> None:
    shipped = channel(tmp_path, "classifier.weights.h5", "detector.weights.h5")
    assert starting_weights("classifier", "imagenet", shipped) is None
    assert starting_weights("detector", "imagenet", shipped) is None
    assert starting_weights("classifier", "release", shipped) == shipped / "classifier.weights.h5"
    assert starting_weights("detector", "release", shipped) == shipped / "detector.weights.h5"


@pytest.mark.parametrize("name", ["mobilenet_v2.weights.h5", "best.h5", "backbone.npz"])
def test_a_weights_channel_may_have_a_file_of_any_name(tmp_path: Path, name: str) -> None:
    for start in ("imagenet", "release"):
        assert starting_weights("classifier", start, channel(tmp_path, name)) == tmp_path / name


def test_an_empty_or_ambiguous_weights_channel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"contains neither classifier\.weights\.h5 nor other weights"):
        starting_weights("classifier", "release", channel(tmp_path))
    with pytest.raises(TrainingError, match=r"contains a\.h5, b\.h5; keep only one of them"):
        starting_weights("classifier", "imagenet", channel(tmp_path, "a.h5", "b.h5"))


def test_hyperparameters_override_the_recipe_and_each_instance_has_its_seed() -> None:
    recipes = [recipe_for_host(options(stages=STAGES, seed=7, batch=8), Host(rank, 3)) for rank in range(3)]
    assert [recipe.seed for recipe in recipes] == [7, 8, 9]
    assert {(recipe.batch, recipe.stages[0].size) for recipe in recipes} == {(8, 96)}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"stages": "["}, "--stages is not JSON"),
        ({"stages": '[{"size": 96, "depth": 3}]'}, "unexpected keyword argument 'depth'"),
        ({"stages": STAGES.replace('"epochs": 1', '"epochs": 0')}, "these values cannot be used"),
        ({"stages": "[]"}, "0 stages"),
        ({"batch": 0}, "batch 0"),
    ],
)
def test_invalid_hyperparameters_are_refused(given: dict[str, object], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        recipe_for_host(options(**given), Host(0, 1))


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"version": "1"}, "expected <split>/<label>/*.jpg"),
        ({"version": "1", "stages": "["}, "--stages is not JSON"),
        ({"batch": "many"}, "invalid hyperparameters"),
        ({"colour": "red"}, "invalid hyperparameters"),
    ],
)
def test_the_failure_file_has_the_reason(
    tmp_path: Path, command, monkeypatch: pytest.MonkeyPatch, result: dict[str, str], reason: str
) -> None:
    config(tmp_path, hyperparameters=result)
    (tmp_path / "input" / "data" / "pictures").mkdir(parents=True)
    monkeypatch.setattr(entrypoint, "container_paths", lambda: container_paths({}, tmp_path))
    monkeypatch.setattr(entrypoint, "hyperparameters", lambda: hyperparameters(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert command(entrypoint, "train") == 1
    failure = (tmp_path / "output" / "failure").read_text()
    assert reason in failure
    assert len(failure) <= 1024
