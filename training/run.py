"""Training runs of either network, which can be interrupted at any time and resumed.

A run's folder has `state.json` (recipe, data set, the figures of every epoch), the checkpoints that are still needed,
and finally the trained weights. The epochs in the state determine where training continues, and an epoch's number
seeds everything random in it. So a killed run repeats at most one epoch, and ends with the same figures.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import h5py
import keras
import numpy as np

from training.disk import replacing
from training.errors import TrainingError
from training.files import LOCK, STATE, file_sha256
from training.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from training.recipe import Recipe, Stage

WARMUP_STEPS: Final = 300
IMAGENET: Final = "keras.applications imagenet"


@dataclass
class State:
    """The identity and the progress of a run.

    Attributes:
        network: `classifier` or `detector`.
        fingerprint: Fingerprint of the data set.
        starting_weights: SHA-256 of the file with the starting weights, or `IMAGENET`.
        recipe: The recipe as JSON types.
        started: Start time, in seconds since 1970.
        history: The figures of each epoch, with its `stage` and `epoch`, counted from 0, and the time it `ended`.
    """

    network: str
    fingerprint: str
    starting_weights: str
    recipe: dict[str, Any]
    started: float = field(default_factory=time.time)
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class TrainingSetup:
    """The parts of training that differ between the networks.

    Attributes:
        weights: Name of the file for the trained weights.
        compile: Freezes layers and compiles a model for a stage, given the learning rate schedule.
        batches: Returns an epoch's Keras data set, given the stage and the seed.
        validate: Returns a model's validation figures, given the stage.
        rank: Returns the rank of an epoch, given its figures; the highest epoch of a stage is kept.
    """

    weights: str
    compile: Callable[[keras.Model, Stage, Any], None]
    batches: Callable[[Stage, Sequence[int]], keras.utils.PyDataset]
    validate: Callable[[keras.Model, Stage], Mapping[str, float]]
    rank: Callable[[Mapping[str, Any]], float]


class _Position(NamedTuple):
    """The numbers of the next stage and epoch."""

    stage: int
    epoch: int


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """An epoch of `steps` batches; each has its own seed, so that threads do not change the result."""

    def __init__(
        self, draw: Callable[[int, np.random.Generator], tuple[Any, Any]], steps: int, seed: Sequence[int]
    ) -> None:
        super().__init__(workers=2, max_queue_size=8)
        self._draw, self._steps, self._seed = draw, steps, list(seed)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._draw(index, np.random.default_rng([*self._seed, index]))


def train_stages(
    setup: TrainingSetup,
    build: Callable[[], keras.Model],
    out: Path,
    initial: State,
    recipe: Recipe,
    *,
    replace: bool,
    after_epoch: Callable[[Path], object],
) -> keras.Model:
    """Train all stages, each from the best epoch of the previous one; return the best model of the last.

    Args:
        setup: The network's parts of training.
        build: Builds the model with its starting weights.
        out: Folder of the run. An interrupted run is resumed, a finished one is left unchanged.
        initial: The state of a new run.
        recipe: The recipe.
        replace: Replace another run in `out`, rather than refuse.
        after_epoch: Called with `out` once an epoch's figures and checkpoint are written.

    Raises:
        TrainingError: `out` contains a run with other pictures, starting weights or recipe.
        OSError: The disk is full; the run can be resumed.
    """
    keep_freed_memory()
    out.mkdir(parents=True, exist_ok=True)
    state = _read_state(out, initial, replace=replace)
    keras.utils.set_random_seed(recipe.seed)
    model = build()
    finished = out / setup.weights
    if _position(setup, state.history, recipe.stages).stage == len(recipe.stages) and _readable(finished):
        print(f"{out} contains this run, finished", flush=True)
        model.load_weights(finished)
        return model
    while state.history and not all(_readable(path) for path in _needed(setup, out, state.history)):
        state.history.pop()  # its checkpoint is missing, for example because a spot instance ended during the upload
    for number in range(_position(setup, state.history, recipe.stages).stage, len(recipe.stages)):
        _run_stage(setup, model, out, state, recipe, number, after_epoch)
    if state.history:
        model.load_weights(_best(setup, out, state.history))
    # Without the optimizer, which triples the file size.
    trained = keras.Model.from_config(model.get_config())
    trained.set_weights(model.get_weights())
    with replacing(finished) as fresh:
        trained.save_weights(fresh)
    _delete_checkpoints(out, [])
    return trained


def _run_stage(
    setup: TrainingSetup,
    model: keras.Model,
    out: Path,
    state: State,
    recipe: Recipe,
    number: int,
    after_epoch: Callable[[Path], object],
) -> None:
    """Train the rest of a stage, from its last epoch or else from the best one of the stage before."""
    stage = recipe.stages[number]
    epoch = _position(setup, state.history, recipe.stages).epoch
    if state.history and not epoch:
        model.load_weights(_best(setup, out, state.history))
    steps = len(setup.batches(stage, [recipe.seed, number, 0]))
    setup.compile(model, stage, warmup_then_cosine(stage.learning_rate, steps * stage.epochs))
    if epoch:
        model.optimizer.build(model.trainable_variables)  # otherwise its state would not be loaded
        model.load_weights(_checkpoint(out, state.history[-1]))
    while (position := _position(setup, state.history, recipe.stages)).stage == number:
        _seed_dropout(model, recipe.seed, number, position.epoch)
        fitted = model.fit(
            setup.batches(stage, [recipe.seed, number, position.epoch]),
            shuffle=False,
            verbose=1 if sys.stdout.isatty() else 0,
        ).history
        row = position._asdict() | {key: values[-1] for key, values in fitted.items()}
        row |= setup.validate(model, stage)
        row["ended"] = time.time()
        print(json.dumps(row), flush=True)
        with replacing(_checkpoint(out, row)) as fresh:
            model.save_weights(fresh)
        state.history.append(row)
        _write_state(out, state)
        recent = [state.history[:-1], state.history]
        _delete_checkpoints(out, [path for rows in recent for path in _needed(setup, out, rows)])
        after_epoch(out)


def warmup_then_cosine(learning_rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a schedule with a linear warm-up over at most 300 steps, then a cosine decay to 0 at `steps`."""
    warmup = min(WARMUP_STEPS, steps // 4)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / 10, max(steps - warmup, 1), warmup_target=learning_rate, warmup_steps=warmup
    )


def freeze_until(model: keras.Model, block: int | None) -> None:
    """Freeze a MobileNetV2's layers up to inverted-residual block `block`, or all for None; unfreeze the others."""
    trainable = block == 0
    for layer in model.layers:
        layer.trainable = trainable
        trainable = trainable or layer.name == f"block_{block}_project_BN"


def checksum(weights: Path | None) -> str:
    """Return the identity of starting weights: a file's SHA-256, or `IMAGENET` for those of Keras."""
    return file_sha256(weights) if weights else IMAGENET


def _position(
    setup: TrainingSetup, history: Sequence[Mapping[str, Any]], stages: Sequence[Stage]
) -> _Position:
    if not history:
        return _Position(0, 0)
    number = int(history[-1]["stage"])
    rows = [row for row in history if row["stage"] == number]
    stale = len(rows) - 1 - _best_index(setup, rows)
    over = len(rows) >= stages[number].epochs or stale >= stages[number].patience
    return _Position(number + 1, 0) if over else _Position(number, len(rows))


def _best_index(setup: TrainingSetup, rows: Sequence[Mapping[str, Any]]) -> int:
    return max(range(len(rows)), key=lambda index: (setup.rank(rows[index]), -index))


def _best(setup: TrainingSetup, out: Path, history: Sequence[Mapping[str, Any]]) -> Path:
    """Return the checkpoint of the best epoch of the last stage."""
    rows = [row for row in history if row["stage"] == history[-1]["stage"]]
    return _checkpoint(out, rows[_best_index(setup, rows)])


def _needed(setup: TrainingSetup, out: Path, history: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Return the checkpoints from which a run with this history continues."""
    return [_checkpoint(out, history[-1]), _best(setup, out, history)] if history else []


def _checkpoint(out: Path, row: Mapping[str, Any]) -> Path:
    return out / f"checkpoint-{row['stage']}-{row['epoch']}.weights.h5"


def _delete_checkpoints(out: Path, keep: Sequence[Path]) -> None:
    for path in out.glob("*checkpoint-*.weights.h5"):
        if path not in keep:
            path.unlink()


def _readable(path: Path) -> bool:
    """Return whether an HDF5 file exists and is complete according to its header."""
    try:
        with h5py.File(path):
            return True
    except OSError:
        return False


def _seed_dropout(model: keras.Model, *seed: int) -> None:
    """Seed the dropout layers for an epoch, so that a resumed run gives the same result."""
    for layer in model.layers:
        if hasattr(layer, "seed_generator"):
            number = int(np.random.default_rng(seed).integers(2**31))
            layer.seed_generator.state.assign([number, 0])


def _read_state(out: Path, initial: State, *, replace: bool) -> State:
    path = out / STATE
    if not path.is_file():
        return initial
    try:
        state = State(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{path} is not the state of a run; remove {out} or choose another") from error
    for key, what in {
        "network": "of another network",
        "fingerprint": "on other pictures",
        "starting_weights": "from other weights",
        "recipe": "with other stages, batch size or seed",
    }.items():
        if getattr(state, key) != getattr(initial, key):
            if replace:
                for old in out.iterdir():
                    if old.is_dir():
                        shutil.rmtree(old)
                    elif old.name != LOCK:
                        old.unlink()
                return initial
            raise TrainingError(f"{out} contains a run {what}; choose another folder, or remove this one")
    return state


def _write_state(out: Path, state: State) -> None:
    """Replace the state atomically."""
    with replacing(out / STATE) as fresh:
        fresh.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
