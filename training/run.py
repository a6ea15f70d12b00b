"""A training run of either network: stages, a folder that survives being killed, and what it goes on with.

A run's folder holds `state.json` (recipe, data set, the figures of every epoch), a checkpoint for each epoch that may
still be needed, and in the end the trained weights. Where training is follows from the epochs in the state, and all
that is drawn in an epoch from its number; so a run that was killed redoes at most the epoch it was in, and ends with
the same figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import h5py
import keras
import numpy as np

from training.disk import full_disk_told, replacing
from training.errors import TrainingError
from training.files import STATE, file_sha256
from training.recipe import PARAMS, read_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from training.recipe import Recipe, Stage

WARMUP_STEPS: Final = 300
IMAGENET: Final = "keras.applications imagenet"


@dataclass
class State:
    """What a run is, and how far it is.

    Attributes:
        network: `classifier` or `detector`.
        fingerprint: Of the data set.
        starting_weights: See `checksum`.
        recipe: See `plain`.
        started: When, in seconds since 1970.
        history: The figures of each epoch, with its `stage` and `epoch`, counted from 0, and when it `ended`.
    """

    network: str
    fingerprint: str
    starting_weights: str
    recipe: dict[str, Any]
    started: float = field(default_factory=time.time)
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """What is particular to how a network is trained.

    Attributes:
        weights: What the file with the trained weights is called.
        compile: Freezes and compiles a model for a stage, given a learning rate schedule.
        batches: The pictures of an epoch, given its stage and seed; a Keras data set.
        validate: A model's validation figures, given its stage.
        score: What makes an epoch of a stage better than another, from its figures.
    """

    weights: str
    compile: Callable[[keras.Model, Stage, Any], None]
    batches: Callable[[Stage, Sequence[int]], keras.utils.PyDataset]
    validate: Callable[[keras.Model, Stage], Mapping[str, float]]
    score: Callable[[Mapping[str, Any]], float]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """An epoch of `steps` batches, each drawn from its own seed, however many threads draw them."""

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
    network: Trained,
    build: Callable[[], keras.Model],
    out: Path,
    begun: State,
    recipe: Recipe,
    *,
    replace: bool = False,
    after_epoch: Callable[[Path], object] = lambda _: None,
) -> keras.Model:
    """Train through all stages, each from the best epoch of the one before; return the best model of the last.

    Args:
        network: Which.
        build: Makes the model with its starting weights.
        out: Folder of the run; goes on with what is there, and leaves a finished run as it is.
        begun: What a new run is.
        recipe: What to train with.
        replace: Begin anew where `out` holds another run, rather than refuse.
        after_epoch: Called with `out` whenever an epoch's figures and checkpoint are there.

    Raises:
        TrainingError: `out` holds a run on other pictures, from other weights or with another recipe.
        OSError: The disk is full; what `out` held before is as it was, and can be resumed.
    """
    out.mkdir(parents=True, exist_ok=True)
    state = _read_state(out, begun, replace=replace)
    keras.utils.set_random_seed(recipe.seed)
    model = build()
    finished = out / network.weights
    if _position(network, state.history, recipe.stages)[0] == len(recipe.stages) and _readable(finished):
        print(f"{out} holds this run, finished", flush=True)
        model.load_weights(finished)
        return model
    while state.history and not all(_readable(path) for path in _needed(network, out, state.history)):
        state.history.pop()  # its checkpoint was lost, or was on its way to S3 when the machine was taken away
    for number, stage in enumerate(recipe.stages):
        if _position(network, state.history, recipe.stages)[0] > number:
            continue
        _run_stage(network, model, out, state, recipe, stage, number, after_epoch)
    if state.history:
        model.load_weights(_best(network, out, state.history))
    trained = keras.Model.from_config(model.get_config())  # without the optimizer, which trebles the file
    trained.set_weights(model.get_weights())
    with replacing(finished) as fresh:
        trained.save_weights(fresh)
    _forget_checkpoints(out, [])
    return trained


def _run_stage(
    network: Trained,
    model: keras.Model,
    out: Path,
    state: State,
    recipe: Recipe,
    stage: Stage,
    number: int,
    after_epoch: Callable[[Path], object],
) -> None:
    epoch = _position(network, state.history, recipe.stages)[1]
    if state.history and not epoch:
        model.load_weights(_best(network, out, state.history))
    steps = len(network.batches(stage, [recipe.seed, number, 0]))
    network.compile(model, stage, warmup_then_cosine(stage.learning_rate, steps * stage.epochs))
    if epoch:
        model.optimizer.build(model.trainable_variables)  # or its state would not be loaded
        model.load_weights(_checkpoint(out, state.history[-1]))
    while _position(network, state.history, recipe.stages)[0] == number:
        epoch = _position(network, state.history, recipe.stages)[1]
        _seed_dropout(model, recipe.seed, number, epoch)
        fitted = model.fit(
            network.batches(stage, [recipe.seed, number, epoch]),
            shuffle=False,
            verbose=1 if sys.stdout.isatty() else 0,
        ).history
        row = {"stage": number, "epoch": epoch, **{key: values[-1] for key, values in fitted.items()}}
        row |= network.validate(model, stage)
        row["ended"] = time.time()
        print(json.dumps(row), flush=True)
        with replacing(_checkpoint(out, row)) as fresh:
            model.save_weights(fresh)
        state.history.append(row)
        _write_state(out, state)
        recent = [state.history[:-1], state.history]
        _forget_checkpoints(out, [path for rows in recent for path in _needed(network, out, rows)])
        after_epoch(out)


def warmup_then_cosine(learning_rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A rate that rises to `learning_rate` over at most 300 steps and falls along half a cosine to 0 at `steps`."""
    warmup = min(WARMUP_STEPS, steps // 4)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / 10, max(steps - warmup, 1), warmup_target=learning_rate, warmup_steps=warmup
    )


def freeze_until(model: keras.Model, block: int | None) -> None:
    """Freeze a MobileNetV2's layers up to inverted-residual block `block`, all of them for None; others train."""
    trainable = block == 0
    for layer in model.layers:
        layer.trainable = trainable
        trainable = trainable or layer.name == f"block_{block}_project_BN"


def checksum(weights: Path | None) -> str:
    """What says from which weights a run began: a file's SHA-256, or that Keras' own were fetched."""
    return file_sha256(weights) if weights else IMAGENET


def _position(
    network: Trained, history: Sequence[Mapping[str, Any]], stages: Sequence[Stage]
) -> tuple[int, int]:
    """The stage and the epoch that come next."""
    if not history:
        return 0, 0
    number = int(history[-1]["stage"])
    rows = [row for row in history if row["stage"] == number]
    stale = len(rows) - 1 - _best_index(network, rows)
    over = len(rows) >= stages[number].epochs or stale >= stages[number].patience
    return (number + 1, 0) if over else (number, len(rows))


def _best_index(network: Trained, rows: Sequence[Mapping[str, Any]]) -> int:
    return max(range(len(rows)), key=lambda index: (network.score(rows[index]), -index))


def _best(network: Trained, out: Path, history: Sequence[Mapping[str, Any]]) -> Path:
    """The checkpoint of the best epoch of the last stage."""
    rows = [row for row in history if row["stage"] == history[-1]["stage"]]
    return _checkpoint(out, rows[_best_index(network, rows)])


def _needed(network: Trained, out: Path, history: Sequence[Mapping[str, Any]]) -> list[Path]:
    """The checkpoints that a run with this history goes on with."""
    return [_checkpoint(out, history[-1]), _best(network, out, history)] if history else []


def _checkpoint(out: Path, row: Mapping[str, Any]) -> Path:
    return out / f"checkpoint-{row['stage']}-{row['epoch']}.weights.h5"


def _forget_checkpoints(out: Path, but: Sequence[Path]) -> None:
    for path in out.glob("*checkpoint-*.weights.h5"):
        if path not in but:
            path.unlink()


def _readable(path: Path) -> bool:
    """Whether an HDF5 file is there and whole: it says itself where it ends."""
    try:
        with h5py.File(path):
            return True
    except OSError:
        return False


def _seed_dropout(model: keras.Model, *seed: int) -> None:
    """Let dropout be drawn from an epoch's own seed, so that a resumed run is the very same."""
    for layer in model.layers:
        if hasattr(layer, "seed_generator"):
            number = int(np.random.default_rng(seed).integers(2**31))
            layer.seed_generator.state.assign([number, 0])


def _read_state(out: Path, begun: State, *, replace: bool) -> State:
    path = out / STATE
    if not path.is_file():
        return begun
    try:
        state = State(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{path} is not the state of a run; remove {out} or choose another") from error
    for key, what in {
        "network": "of another network",
        "fingerprint": "on other pictures",
        "starting_weights": "from other weights",
        "recipe": "with other stages, batch size or seed",
    }.items():
        if getattr(state, key) != getattr(begun, key):
            if replace:
                shutil.rmtree(out)
                out.mkdir()
                return begun
            raise TrainingError(f"{out} holds a run {what}; choose another folder, or remove this one")
    return state


def _write_state(out: Path, state: State) -> None:
    """Replace the state in one step, so that a kill leaves the old one or the new one."""
    with replacing(out / STATE) as fresh:
        fresh.write_text(json.dumps(asdict(state), indent=1))


def train_command(description: str, network: str, train: Callable[..., object]) -> None:
    """Train from the command line.

    Args:
        description: Of the command.
        network: `classifier` or `detector`; its recipe is read from the parameters.
        train: Called with the data folder, the run's folder and the recipe, and by name `backbone`, `start`,
            `replace` and `after_epoch`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures (see tables.py)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; resumed if it holds one")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--backbone", type=Path, help="MobileNetV2 weights; default: Keras' download")
    begin.add_argument("--start", type=Path, help=f"weights of a trained {network} to fine-tune instead")
    parser.add_argument(
        "--replace", action="store_true", help="begin anew where --out holds another run than this"
    )
    parser.add_argument("--params", type=Path, default=PARAMS, help="default: the project's params.yaml")
    options = parser.parse_args()
    from training.tracking import track_if_possible  # noqa: PLC0415 -- MLflow, which nothing else here needs

    try:
        with full_disk_told():
            train(
                options.data,
                options.out,
                read_recipe(options.params, network, "release" if options.start else "imagenet"),
                backbone=options.backbone,
                start=options.start,
                replace=options.replace,
                after_epoch=track_if_possible,
            )
    except TrainingError as error:
        parser.error(str(error))


def convert_command(description: str, convert: Callable[[Path, Path], object]) -> None:
    """Convert a run from the command line.

    Args:
        description: Of the command.
        convert: Called with the data folder and the run's folder; what it returns is printed as JSON.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures (see tables.py)")
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished training run")
    options = parser.parse_args()
    try:
        with full_disk_told():
            print(json.dumps(convert(options.data, options.run), indent=1))
    except TrainingError as error:
        parser.error(str(error))
