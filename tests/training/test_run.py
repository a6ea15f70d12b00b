"""Runs that are killed, run out of disk, or are run twice: the same seed ends with the same figures.

A network of three layers learns here: what is tested is the run, not what is learned. Nothing is bit for bit, since
sums are taken in the order in which threads finish; the tests ask for four digits.
"""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from training import run as module
from training.commands import train_command
from training.disk import locked
from training.errors import TrainingError
from training.files import LOCK, STATE
from training.recipe import Recipe, Stage, plain
from training.run import Batches, State, TrainingSetup, train_stages, warmup_then_cosine

RECIPE = Recipe((Stage(32, 2, 3e-2, 32, None), Stage(32, 3, 1e-2, 32, None)), batch=16, seed=1)
WEIGHTS = "small.weights.h5"


def build() -> keras.Model:
    pixels = keras.Input((8,))
    value = keras.layers.BatchNormalization()(keras.layers.Dense(8, "relu")(pixels))
    return keras.Model(pixels, keras.layers.Dense(1)(keras.layers.Dropout(0.5)(value)))


def compile_model(model: keras.Model, _: Stage, schedule: object) -> None:
    model.compile(keras.optimizers.AdamW(schedule), "mse", run_eagerly=True)


def draw(_: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    values = rng.random((16, 8), np.float32)
    return values, values.sum(axis=1, keepdims=True)


def validate(model: keras.Model, _: Stage) -> dict[str, float]:
    values, actual = draw(0, np.random.default_rng(99))
    return {"val_loss": float(np.mean((model(values).numpy() - actual) ** 2))}


SMALL = TrainingSetup(
    WEIGHTS,
    compile_model,
    lambda stage, seed: Batches(draw, stage.train_samples // 16, seed),
    validate,
    lambda row: -row["val_loss"],
)


def go(folder: Path, recipe: Recipe = RECIPE, network: TrainingSetup = SMALL, **named: object) -> keras.Model:
    state = State("small", "data", "weights", plain(recipe))
    options = {"replace": False, "after_epoch": lambda _: None} | named
    return train_stages(network, build, folder, state, recipe, **options)


def history(folder: Path) -> list[dict[str, float]]:
    return json.loads((folder / STATE).read_text())["history"]


def same(one: list[dict[str, float]], other: list[dict[str, float]]) -> bool:
    return len(one) == len(other) and all(
        a | {"ended": 0} == pytest.approx(b | {"ended": 0}, rel=1e-4, abs=1e-4)
        for a, b in zip(one, other, strict=True)
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    go(folder)
    return folder


def stopped(folder: Path, target: object, name: str, error: BaseException, call: int) -> None:
    """Return a run in which the nth call of a function raises an error."""
    real, calls = getattr(target, name), 0

    def stopping(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            raise error
        return real(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(type(error)):  # noqa: PT012
        patch.setattr(target, name, stopping)
        go(folder)


def test_every_epoch_is_in_the_history(uninterrupted: Path) -> None:
    epochs = [(row["stage"], row["epoch"]) for row in history(uninterrupted)]
    assert epochs == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert {"loss", "val_loss"} <= history(uninterrupted)[0].keys()


def test_a_finished_run_leaves_its_state_and_weights_without_optimizer(uninterrupted: Path) -> None:
    assert {path.name for path in uninterrupted.iterdir()} == {STATE, WEIGHTS}
    fresh = build()
    fresh.load_weights(uninterrupted / WEIGHTS)
    assert validate(fresh, RECIPE.stages[0])["val_loss"] == pytest.approx(
        min(row["val_loss"] for row in history(uninterrupted)[2:])
    )


def test_repeating_a_finished_run_changes_nothing(uninterrupted: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in uninterrupted.iterdir()}
    model = go(uninterrupted)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in uninterrupted.iterdir()} == before
    assert validate(model, RECIPE.stages[0])["val_loss"] == pytest.approx(
        min(row["val_loss"] for row in history(uninterrupted)[2:])
    )


@pytest.mark.parametrize("call", [1, 2, 3, 5])
def test_a_kill_between_checkpoint_and_state_repeats_an_epoch_with_the_same_result(
    uninterrupted: Path, tmp_path: Path, call: int
) -> None:
    stopped(tmp_path, module, "_write_state", KeyboardInterrupt(), call)
    assert call == 1 or len(history(tmp_path)) == call - 1
    go(tmp_path)
    assert same(history(tmp_path), history(uninterrupted))


@pytest.mark.parametrize("call", [1, 3, 5, 6])
def test_a_run_can_be_resumed_after_the_disk_was_full(uninterrupted: Path, tmp_path: Path, call: int) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    stopped(tmp_path, keras.Model, "save_weights", full, call)
    go(tmp_path)
    assert same(history(tmp_path), history(uninterrupted))
    assert (tmp_path / WEIGHTS).is_file()


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [Path.unlink, cut_in_half])
@pytest.mark.parametrize("epochs", [1, 2, 3, 4])
def test_a_lost_or_incomplete_checkpoint_counts_as_missing(
    uninterrupted: Path, tmp_path: Path, spoil: Callable[[Path], None], epochs: int
) -> None:
    stopped(tmp_path, module, "_write_state", KeyboardInterrupt(), epochs + 1)
    last = history(tmp_path)[-1]
    spoil(tmp_path / f"checkpoint-{last['stage']}-{last['epoch']}.weights.h5")
    go(tmp_path)
    assert same(history(tmp_path), history(uninterrupted))


def test_incomplete_weights_are_written_again(uninterrupted: Path, tmp_path: Path) -> None:
    # The trained weights, after five epochs.
    stopped(tmp_path, keras.Model, "save_weights", KeyboardInterrupt(), 6)
    (tmp_path / WEIGHTS).write_bytes(b"half")
    model = go(tmp_path)
    for one, other in zip(model.get_weights(), go(uninterrupted).get_weights(), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_two_runs_with_the_same_seed_end_with_the_same_figures(uninterrupted: Path, tmp_path: Path) -> None:
    go(tmp_path)
    assert same(history(tmp_path), history(uninterrupted))


def test_another_seed_draws_other_pictures(uninterrupted: Path, tmp_path: Path) -> None:
    go(tmp_path, replace(RECIPE, seed=2))
    assert not same(history(tmp_path), history(uninterrupted))


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, seed=2),
        replace(RECIPE, batch=8),
        replace(RECIPE, stages=RECIPE.stages[:1]),
        replace(RECIPE, stages=(replace(RECIPE.stages[0], learning_rate=1e-3), RECIPE.stages[1])),
    ],
)
def test_a_run_with_other_parameters_is_refused(uninterrupted: Path, other: Recipe) -> None:
    before = (uninterrupted / STATE).read_bytes()
    with pytest.raises(TrainingError, match="with other stages, batch size or seed; choose another folder"):
        go(uninterrupted, other)
    assert (uninterrupted / STATE).read_bytes() == before


def test_the_option_to_replace_affects_only_a_different_run(uninterrupted: Path, tmp_path: Path) -> None:
    go(tmp_path, replace(RECIPE, seed=2))
    (tmp_path / "report").mkdir()
    with locked(tmp_path / LOCK):
        go(tmp_path, replace=True)
        with pytest.raises(TrainingError, match="another command is writing there"), locked(tmp_path / LOCK):
            pass
    assert not (tmp_path / "report").exists()
    assert same(history(tmp_path), history(uninterrupted))
    written = (tmp_path / WEIGHTS).stat().st_mtime_ns
    go(tmp_path, replace=True)
    assert (tmp_path / WEIGHTS).stat().st_mtime_ns == written


def test_a_run_is_not_replaced_where_its_pictures_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(tmp_path / "pictures"), "--out", str(tmp_path), "--replace"]
    monkeypatch.setattr("sys.argv", ["train", *arguments])
    with pytest.raises(SystemExit):
        train_command("", "classifier", lambda *_, **__: pytest.fail("it would delete the pictures"))
    assert "choose another folder to write" in capsys.readouterr().err


def test_an_invalid_state_is_reported(tmp_path: Path) -> None:
    (tmp_path / STATE).write_text('{"step": 3}')
    with pytest.raises(TrainingError, match="is not the state of a run"):
        go(tmp_path)


def test_a_stage_stops_early_and_its_best_epoch_counts(tmp_path: Path) -> None:
    losses = iter([0.5, 0.4, 0.6, 0.7, 0.8])
    kept = []

    def scored(model: keras.Model, _: Stage) -> dict[str, float]:
        kept.append(model.get_weights())
        return {"val_loss": next(losses)}

    once = replace(RECIPE, stages=(replace(RECIPE.stages[0], epochs=5, patience=2),))
    model = go(tmp_path, once, replace(SMALL, validate=scored))
    assert [row["val_loss"] for row in history(tmp_path)] == [0.5, 0.4, 0.6, 0.7]
    for one, other in zip(model.get_weights(), kept[1], strict=True):
        assert np.array_equal(one, other)


def test_without_stages_the_result_is_the_starting_weights(tmp_path: Path) -> None:
    go(tmp_path, replace(RECIPE, stages=()))
    assert (tmp_path / WEIGHTS).is_file()


@pytest.mark.parametrize("steps", [7, 100, 5_000])
def test_the_learning_rate_rises_to_its_peak_and_ends_at_zero(steps: int) -> None:
    schedule = warmup_then_cosine(1e-2, steps)
    rates = np.array([float(schedule(step)) for step in range(0, steps + 1, max(steps // 100, 1))])
    assert rates.max() == pytest.approx(1e-2, rel=0.3)
    assert float(schedule(min(300, steps // 4))) == pytest.approx(1e-2, rel=1e-4)
    assert float(schedule(steps)) == pytest.approx(0, abs=1e-8)
    assert float(schedule(steps - 1)) < 0.06 * 1e-2 * max(1, 100 / steps)
