"""Runs that are killed, run out of disk, or are run twice: the same seed ends with the same metrics.

Nothing here is bit for bit: convolutions sum in the order in which their threads finish. On one machine the figures
of an epoch agree to about six digits; the tests ask for four.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from tests.training.conftest import RECIPE
from training.classifier import train as module
from training.classifier.dataset import DataError, Dataset
from training.classifier.train import STATE, WEIGHTS, Batches, Recipe, Stage, read_recipe, recipe_from, train

PROJECT = Path(__file__).parents[2]
SHORT = Recipe((Stage(96, None, 2, 1e-3),), batch=24)


def history(folder: Path) -> list[dict[str, float]]:
    return json.loads((folder / STATE).read_text())["history"]


def same(one: list[dict[str, float]], other: list[dict[str, float]]) -> bool:
    return len(one) == len(other) and all(
        a == pytest.approx(b, rel=1e-4, abs=1e-4) for a, b in zip(one, other, strict=True)
    )


@pytest.fixture(scope="module")
def uninterrupted(dataset: Dataset, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(dataset, folder, SHORT, weights=backbone)
    return folder


def stopped(
    dataset: Dataset, backbone: Path, folder: Path, target: object, name: str, error: BaseException, call: int
) -> None:
    """A run whose so-manieth call of a function raises instead."""
    real, calls = getattr(target, name), 0

    def stopping(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            raise error
        return real(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(type(error)):  # noqa: PT012
        patch.setattr(target, name, stopping)
        train(dataset, folder, SHORT, weights=backbone)


def test_a_kill_between_checkpoint_and_state_costs_an_epoch_and_changes_nothing(
    uninterrupted: Path, dataset: Dataset, backbone: Path, tmp_path: Path
) -> None:
    stopped(dataset, backbone, tmp_path, module, "_write_state", KeyboardInterrupt(), 2)
    assert len(history(tmp_path)) == 1
    train(dataset, tmp_path, SHORT, weights=backbone)
    assert same(history(tmp_path), history(uninterrupted))


def test_a_disk_that_fills_up_leaves_a_run_to_go_on_with(
    uninterrupted: Path, dataset: Dataset, backbone: Path, tmp_path: Path
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    stopped(dataset, backbone, tmp_path, keras.Model, "save", full, 2)
    train(dataset, tmp_path, SHORT, weights=backbone)
    assert same(history(tmp_path), history(uninterrupted))


def test_a_checkpoint_that_never_arrived_costs_its_stage_and_changes_nothing(
    uninterrupted: Path, dataset: Dataset, backbone: Path, tmp_path: Path
) -> None:
    stopped(dataset, backbone, tmp_path, module, "_write_state", KeyboardInterrupt(), 2)
    for checkpoint in tmp_path.glob("checkpoint-*"):
        checkpoint.unlink()
    train(dataset, tmp_path, SHORT, weights=backbone)
    assert same(history(tmp_path), history(uninterrupted))


def test_a_process_killed_in_the_middle_of_an_epoch_goes_on_by_the_same_command(
    trained: Path, drawn: Path, backbone: Path, tmp_path: Path
) -> None:
    stages = [vars(stage) for stage in RECIPE.stages]
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump({"train": {"seed": 1, "batch": 24, "from_imagenet": stages}}))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "training.classifier.train", "--data", drawn, "--out", out]
    command += ["--params", params, "--weights", backbone]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            list(map(str, command)),
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    with start() as process:
        seen = ""
        while "stage 1, 96 px, epoch 2/2" not in seen or "step" not in seen.rpartition("epoch 2/2")[2]:
            read = process.stdout.read(40)
            assert read, f"training ended by itself: {seen[-2000:]}"
            seen += read
        process.send_signal(signal.SIGKILL)
    assert len(history(out)) == 2
    with start() as process:
        process.communicate()
    assert process.returncode == 0
    assert same(history(out), history(trained))
    assert (out / WEIGHTS).is_file()


def test_two_runs_with_one_seed_end_with_the_same_metrics(
    uninterrupted: Path, dataset: Dataset, backbone: Path, tmp_path: Path
) -> None:
    train(dataset, tmp_path, SHORT, weights=backbone)
    assert same(history(tmp_path), history(uninterrupted))


def test_one_seed_draws_the_same_pictures_in_the_same_order_and_another_seed_others(dataset: Dataset) -> None:
    samples = dataset.split("train", faces=True)

    def drawn(seed: int) -> np.ndarray:
        batches = Batches(samples, 64, 24, [seed, 0, 0])
        return np.concatenate([batches[number][0] for number in range(len(batches))])

    assert np.array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


def test_a_run_with_other_parameters_is_refused_or_replaced(
    uninterrupted: Path, dataset: Dataset, backbone: Path
) -> None:
    other = Recipe((), batch=24, seed=2)
    with pytest.raises(DataError, match="with other stages, batch size or seed; choose another folder"):
        train(dataset, uninterrupted, other, weights=backbone)
    before = history(uninterrupted)
    train(dataset, uninterrupted, SHORT, weights=backbone, replace=True)  # the same run: nothing to replace
    assert history(uninterrupted) == before


def test_replacing_begins_anew(uninterrupted: Path, dataset: Dataset, backbone: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    train(dataset, run, Recipe((), batch=24, seed=2), weights=backbone, replace=True)
    assert not (run / "stage-0.weights.h5").exists()
    assert (run / WEIGHTS).is_file()


def test_the_recipe_comes_from_params_yaml() -> None:
    imagenet, further = (read_recipe(PROJECT / "params.yaml", further=f) for f in (False, True))
    assert imagenet.stages[-1] == further.stages[-1]
    assert [stage.size for stage in imagenet.stages] == [128, 128, 224, 224]
    assert (further.batch, further.seed) == (64, 1)


@pytest.mark.parametrize("text", ["", "train: 3", "train: {seed: 1}", "train: ["])
def test_parameters_that_say_too_little_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(DataError, match=r"params\.yaml: not the parameters of a training"):
        read_recipe(tmp_path / "params.yaml", further=True)


def test_parameters_that_make_no_sense_are_refused() -> None:
    good = {"size": 96, "frozen": None, "epochs": 1, "rate": 1e-3}
    for wrong in ({"size": 8}, {"epochs": 0}, {"rate": -1.0}, {"patience": 0}):
        with pytest.raises(DataError, match="cannot train so"):
            recipe_from([good | wrong], 64, 1)
    with pytest.raises(DataError, match="unexpected keyword"):
        recipe_from([good | {"depth": 1}], 64, 1)
