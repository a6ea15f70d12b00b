"""Fine-tune the classifier: `python -m training.classifier.train --data FOLDER --out RUN` (again to resume).

Stages, batch size and seed come from `params.yaml`. The same recipe on the same pictures draws the same batches in
the same order, however often the run is killed in between.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np
import yaml

from functions.inference.classify import resize
from functions.shared.contract import LABELS
from training.classifier.augment import augment
from training.classifier.dataset import (
    DataError,
    Dataset,
    Sample,
    find,
    load,
    require_every_label,
    summary,
)
from training.classifier.model import build, freeze_until, load_trained
from training.disk import full_disk_told, replacing
from training.metrics import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SHARES: Final = {"mask": 0.45, "no_mask": 0.38, "incorrect": 0.17}  # of a training epoch
EPOCH_SAMPLES: Final = 12_000
WEIGHTS: Final = "classifier.weights.h5"
STATE: Final = "state.json"
PARAMS: Final = Path(__file__).parents[2] / "params.yaml"


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one resolution.

    Attributes:
        size: Side of the pictures, in pixels.
        frozen: Inverted-residual blocks up to this one stay as they are; None trains the head alone.
        epochs: At most.
        rate: Peak learning rate; it rises over the first 200 steps and falls to nothing along a cosine.
        patience: Epochs without a better validation score before the stage ends.
    """

    size: int
    frozen: int | None
    epochs: int
    rate: float
    patience: int = 4


@dataclass(frozen=True)
class Recipe:
    """What a run is trained with.

    Attributes:
        stages: What to do, in order.
        batch: Pictures a step.
        seed: Of everything that is drawn.
    """

    stages: tuple[Stage, ...]
    batch: int = 64
    seed: int = 1


@dataclass
class State:
    """How far training is; written after every epoch, so that a killed run goes on from there."""

    fingerprint: str
    starting_weights: str
    recipe: dict[str, Any] = field(default_factory=dict)
    stage: int = 0
    epoch: int = 0
    best: float = -1.0
    stale: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch of augmented pictures, drawn anew for each epoch from its own seed."""

    def __init__(self, samples: Sequence[Sample], size: int, batch: int, seed: Sequence[int]) -> None:
        super().__init__(workers=2, max_queue_size=8)
        self._samples, self._size, self._batch, self._seed = samples, size, batch, list(seed)
        count = min(EPOCH_SAMPLES, max(batch, len(samples)))
        self._drawn = np.random.default_rng(self._seed).choice(
            len(samples), count, p=sampling_weights(samples)
        )

    def __len__(self) -> int:
        return len(self._drawn) // self._batch

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        rng = np.random.default_rng([*self._seed, index])
        chosen = [self._samples[i] for i in self._drawn[index * self._batch : (index + 1) * self._batch]]
        return np.stack([augment(s.pixels, s.face, self._size, rng) for s in chosen]), one_hot(chosen)


def sampling_weights(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Chance of each sample to be drawn: classes get their `SHARES`, within one a source counts by its root.

    So neither the rare class drowns nor the largest source decides what a mask looks like.
    """
    groups = [(s.example.label, s.example.source, s.face is None) for s in samples]
    sizes = Counter(groups)
    weights = np.array([sizes[group] ** -0.5 for group in groups])
    labels = np.array([s.example.label for s in samples])
    for label in set(labels):
        weights[labels == label] *= SHARES[label] / weights[labels == label].sum()
    return np.asarray(weights / weights.sum())


def one_hot(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Labels as (N, 3)."""
    rows = [LABELS.index(s.example.label) for s in samples]
    return np.eye(len(LABELS), dtype=np.float32)[rows]


def predict_logits(model: keras.Model, samples: Sequence[Sample], size: int) -> NDArray[np.float32]:
    """Logits (N, 3) of the pictures as serving sees them: whole, stretched to the square."""
    batches = range(0, len(samples), 64)
    parts = [
        model.predict_on_batch(np.stack([resize(s.pixels, size) for s in samples[i : i + 64]]))
        for i in batches
    ]
    return np.concatenate(parts)


def validation_scores(logits: NDArray[np.float32], samples: Sequence[Sample]) -> dict[str, float]:
    """Macro-F1 of the classes, mask-or-not accuracy, and the loss."""
    chances = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    chances /= chances.sum(axis=1, keepdims=True)
    truth = one_hot(samples).argmax(axis=1)
    told = figures(truth, chances)
    return {
        "val_macro_f1": told["macro_f1"],
        "val_accuracy": told["accuracy"],
        "val_mask_or_not": told["mask_or_not_accuracy"],
        "val_loss": float(-np.log(chances[np.arange(len(truth)), truth].clip(1e-12)).mean()),
    }


def train(
    dataset: Dataset,
    out: Path,
    recipe: Recipe,
    *,
    weights: Path | None = None,
    classifier: Path | None = None,
    replace: bool = False,
    after_epoch: Callable[[Path], object] = lambda _: None,
) -> keras.Model:
    """Train through all stages and return the best model of the last; resumes from what `out` holds.

    Args:
        dataset: Pictures with the splits train and val.
        out: Folder for checkpoints, `state.json` (with the history) and the final `classifier.weights.h5`.
        recipe: Stages, batch size and seed.
        weights: Starting weights of the backbone; None fetches Keras' own.
        classifier: Weights of a whole classifier to go on from, instead.
        replace: Begin anew where `out` holds another run than this, rather than refuse.
        after_epoch: Called with `out` whenever an epoch's figures and checkpoint are there.

    Raises:
        DataError: There is nothing to learn from or to judge by, or `out` holds a run on other pictures, from
            other starting weights or with another recipe.
        OSError: The disk is full; what `out` held before is as it was, and can be resumed.
    """
    keras.utils.set_random_seed(recipe.seed)
    learned, judged = dataset.split("train", faces=True), dataset.split("val")
    if not learned or not judged:
        raise DataError(
            f"{len(learned)} pictures to train with and {len(judged)} to validate: both are needed"
        )
    out.mkdir(parents=True, exist_ok=True)
    new = State(dataset.fingerprint, _checksum(classifier or weights), _plain(recipe))
    state = _read_state(out, new, replace=replace)
    model = load_trained(classifier) if classifier else build(weights)
    for number in range(len(recipe.stages)):
        best = out / f"stage-{number}.weights.h5"
        if number < state.stage:
            model.load_weights(best)
            continue
        model = _run_stage(model, recipe, number, state, best, learned, judged, after_epoch)
        model.load_weights(best)
        state.stage, state.epoch, state.best, state.stale = number + 1, 0, -1.0, 0
        _write_state(out, state)
        _forget_checkpoints(out)
    # A copy without the optimizer, which would treble the file.
    trained = keras.Model.from_config(model.get_config())
    trained.set_weights(model.get_weights())
    with replacing(out / WEIGHTS) as fresh:
        trained.save_weights(fresh)
    return trained


def _run_stage(
    model: keras.Model,
    recipe: Recipe,
    number: int,
    state: State,
    best: Path,
    learned: Sequence[Sample],
    judged: Sequence[Sample],
    after_epoch: Callable[[Path], object],
) -> keras.Model:
    out, stage, seed = best.parent, recipe.stages[number], (recipe.seed, number)
    if state.epoch and not _checkpoint(out, state).is_file():
        # A spot instance was lost while the checkpoint was on its way to S3: the same stage once more.
        state.history = [row for row in state.history if row["stage"] != number]
        state.epoch, state.best, state.stale = 0, -1.0, 0
    if state.epoch:
        model = keras.saving.load_model(_checkpoint(out, state))
    else:
        freeze_until(model, stage.frozen)
        steps = len(Batches(learned, stage.size, recipe.batch, [*seed, 0])) * stage.epochs
        schedule = keras.optimizers.schedules.CosineDecay(
            stage.rate / 10, steps, warmup_target=stage.rate, warmup_steps=min(200, steps // 4)
        )
        model.compile(
            keras.optimizers.AdamW(schedule, weight_decay=1e-4, global_clipnorm=1.0),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05),
            metrics=["accuracy"],
        )
    while state.epoch < stage.epochs and state.stale < stage.patience:
        print(f"stage {seed[1]}, {stage.size} px, epoch {state.epoch + 1}/{stage.epochs}", flush=True)
        # Everything drawn in an epoch follows from its own seed, so that a resumed run is the very same.
        model.get_layer("dropout").seed_generator.state.assign([seed[0], 1000 * seed[1] + state.epoch])
        fitted = model.fit(Batches(learned, stage.size, recipe.batch, [*seed, state.epoch]), shuffle=False)
        scores = validation_scores(predict_logits(model, judged, stage.size), judged)
        row = {
            "stage": seed[1],
            "epoch": state.epoch,
            **{k: v[-1] for k, v in fitted.history.items()},
            **scores,
        }
        print(json.dumps(row), flush=True)
        state.history.append(row)
        state.epoch += 1
        state.stale += 1
        if scores["val_macro_f1"] > state.best:
            state.best, state.stale = scores["val_macro_f1"], 0
            with replacing(best) as fresh:
                model.save_weights(fresh)
        # Under a name of its own: the state says which checkpoint it goes with, wherever a kill falls.
        model.save(_checkpoint(out, state))
        _write_state(out, state)
        _forget_checkpoints(out, but=_checkpoint(out, state))
        after_epoch(out)
    return model


def _checkpoint(out: Path, state: State) -> Path:
    return out / f"checkpoint-{state.stage}-{state.epoch}.keras"


def _forget_checkpoints(out: Path, but: Path | None = None) -> None:
    for path in out.glob("checkpoint-*.keras"):
        if path != but:
            path.unlink()


def _read_state(out: Path, new: State, *, replace: bool) -> State:
    path = out / STATE
    if not path.is_file():
        return new
    state = State(**json.loads(path.read_text()))
    for key, what in {
        "fingerprint": "on other pictures",
        "starting_weights": "from other weights",
        "recipe": "with other stages, batch size or seed",
    }.items():
        if getattr(state, key) != getattr(new, key):
            if replace:
                shutil.rmtree(out)
                out.mkdir()
                return new
            raise DataError(f"{out} holds a run {what}; choose another folder, or remove this one")
    return state


def _plain(recipe: Recipe) -> dict[str, Any]:
    """As it comes back from JSON."""
    return dict(json.loads(json.dumps(asdict(recipe))))


def _checksum(weights: Path | None) -> str:
    return hashlib.sha256(weights.read_bytes()).hexdigest() if weights else "keras.applications imagenet"


def _write_state(out: Path, state: State) -> None:
    """Replace the state in one step, so that a kill leaves the old one or the new one."""
    with replacing(out / STATE) as fresh:
        fresh.write_text(json.dumps(asdict(state), indent=1))


def read_recipe(path: Path, *, further: bool) -> Recipe:
    """The recipe in a `params.yaml`: the stages that start at ImageNet's weights, or at a trained classifier's.

    Raises:
        DataError: The file does not say what is needed, or says something else besides.
    """
    try:
        told = yaml.safe_load(path.read_text())["train"]
        return recipe_from(
            told["from_classifier" if further else "from_imagenet"], told["batch"], told["seed"]
        )
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not the parameters of a training: {error!r}") from error


def recipe_from(stages: Sequence[dict[str, Any]], batch: int, seed: int) -> Recipe:
    """A recipe from what JSON or YAML can say.

    Raises:
        DataError: A stage has an unknown key or lacks one, or a number is not one to train with.
    """
    try:
        recipe = Recipe(tuple(Stage(**stage) for stage in stages), batch, seed)
    except TypeError as error:
        raise DataError(f"stages {stages}: {error}") from error
    for stage in recipe.stages:
        if not (32 <= stage.size <= 1024 and stage.epochs > 0 and stage.rate > 0 and stage.patience > 0):
            raise DataError(f"cannot train so: {stage}")
    if not recipe.stages or batch < 1 or seed < 0:
        raise DataError(f"cannot train so: {len(stages)} stages, batch {batch}, seed {seed}")
    return recipe


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of pictures (see training/classifier/dataset.py)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; resumed if it holds one")
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--weights", type=Path, help="MobileNetV2 weights to start from; default: Keras' download"
    )
    start.add_argument("--classifier", type=Path, help="weights of a trained classifier to fine-tune further")
    parser.add_argument(
        "--replace", action="store_true", help="begin anew where --out holds another run than this"
    )
    parser.add_argument("--params", type=Path, default=PARAMS, help="default: the project's params.yaml")
    options = parser.parse_args()
    from training.tracking import track  # noqa: PLC0415 -- MLflow, which nothing else here needs

    try:
        with full_disk_told():
            recipe = read_recipe(options.params, further=options.classifier is not None)
            dataset = load(find(options.data))
            print(summary(dataset))
            require_every_label(dataset)
            train(
                dataset,
                options.out,
                recipe,
                weights=options.weights,
                classifier=options.classifier,
                replace=options.replace,
                after_epoch=track,
            )
    except DataError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
