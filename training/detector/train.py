"""Train the face detector: `python -m training.detector.train --data FOLDER --out RUN` (again to resume)."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

from functions.inference.decode import decode
from functions.inference.detect import Detections, letterbox, read_cells
from functions.shared.problem import InputError
from training.classifier.dataset import DataError
from training.detector.augment import CutFace, compose
from training.detector.evaluate import LOWEST_SCORE
from training.detector.metrics import average_precision, match, recall_at
from training.detector.model import build, load_trained
from training.detector.scenes import MIN_FACE, Scene, fingerprint, load_scenes, to_find
from training.detector.targets import loss, targets
from training.disk import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

WEIGHTS: Final = "detector.weights.h5"
STATE: Final = "detector.json"
SIZE: Final = 448  # pixels of the side that serves
TIGHT: Final = ("elaysason", "jangra12k", "jolignier", "andrewmvd")  # sources whose crops are all face
PASTED_FACES: Final = 4_000


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one resolution.

    Attributes:
        size: Side of the pictures, in pixels.
        epochs: How many.
        rate: Peak learning rate; it rises over the first 300 steps and falls to nothing along a cosine.
        pictures: An epoch.
        plain: Share of them that are scenes as serving sees them.
    """

    size: int
    epochs: int
    rate: float
    pictures: int = 4_800
    plain: float = 0.0


# Low resolution first. Some plain scenes at last, not most: with two thirds of them validation became worse.
STAGES: Final = (
    Stage(size=320, epochs=7, rate=2e-3),
    Stage(size=384, epochs=12, rate=1.5e-3),
    Stage(size=384, epochs=5, rate=8e-4, plain=0.2),
)
FINE_TUNING: Final = (Stage(size=384, epochs=12, rate=1e-3, plain=0.15),)


@dataclass
class State:
    """How far training is; written after every epoch, so that a killed run goes on from there."""

    fingerprint: str
    starting_weights: str
    stage: int = 0
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch of training pictures, drawn anew for each epoch from its own seed."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        cut_faces: Sequence[CutFace],
        stage: Stage,
        batch: int,
        seed: Sequence[int],
    ) -> None:
        super().__init__(workers=2, max_queue_size=6)
        self._scenes, self._cut_faces = scenes, cut_faces
        self._stage, self._batch, self._seed = stage, batch, list(seed)
        self._chances = np.cumsum(chances(scenes))

    def __len__(self) -> int:
        return self._stage.pictures // self._batch

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        rng = np.random.default_rng([*self._seed, index])
        size, plain = self._stage.size, self._stage.plain
        drawn = [
            compose(self._scenes, self._chances, self._cut_faces, size, plain, rng)
            for _ in range(self._batch)
        ]
        return np.stack([pixels for pixels, _ in drawn]), np.stack(
            [targets(faces, size) for _, faces in drawn]
        )


def chances(scenes: Sequence[Scene]) -> NDArray[np.float64]:
    """Chance of each scene to be drawn: a source counts by the root of its scenes, lest one decide what a box is."""
    sizes = Counter(scene.source for scene in scenes)
    weights = np.array([sizes[scene.source] ** -0.5 for scene in scenes])
    return np.asarray(weights / weights.sum())


def load_cut_faces(folder: Path, count: int = PASTED_FACES) -> list[CutFace]:
    """Crops of the training split that are all face, from the sources known to be so; none where there are none."""
    files = [file for source in TIGHT for file in sorted((folder / "crops" / "train").glob(f"*/*{source}*"))]
    drawn = np.random.default_rng(0).permutation(len(files))[:count]
    faces = []
    for number in drawn:
        with contextlib.suppress(InputError):  # too small to be worth pasting
            faces.append(CutFace(decode(files[number].read_bytes()).pixels))
    return faces


def predict(
    model: Callable[[NDArray[np.uint8]], Any], scenes: Sequence[Scene], size: int, min_score: float
) -> list[Detections]:
    """Faces in each scene, in its pixels, as serving finds them."""
    found = []
    for scene in scenes:
        square, scale = letterbox(scene.pixels, size)
        cells = np.asarray(model(square[np.newaxis]), np.float32)[0]
        faces = read_cells(cells, size, min_score)
        found.append(Detections(faces.boxes / np.float32(scale), faces.scores))
    return found


def validation_scores(found: Sequence[Detections], scenes: Sequence[Scene]) -> dict[str, float]:
    """Recall at 0.1 false detections a scene, and average precision, of faces of at least `MIN_FACE` pixels."""
    matches = match(found, [s.boxes for s in scenes], [to_find(s) for s in scenes], MIN_FACE)
    recall, threshold = recall_at(matches, 0.1)
    return {"val_recall": recall, "val_threshold": threshold, "val_ap50": average_precision(matches)}


def train(
    data: Path,
    out: Path,
    *,
    weights: Path | None = None,
    start: Path | None = None,
    stages: Sequence[Stage] = STAGES,
    batch: int = 16,
    seed: int = 1,
) -> keras.Model:
    """Train through all stages and return the model; resumes from what `out` holds.

    Args:
        data: Folder with `frames.csv` and the scenes that it lists, and maybe `crops/`, to paste faces from.
        out: Folder for checkpoints, `detector.json` (with the history) and the final `detector.weights.h5`.
        weights: Starting weights of the backbone (`.npz`); None fetches Keras' own.
        start: Weights of a trained detector to go on from instead.
        stages: What to do, in order.
        batch: Pictures a step.
        seed: Of everything that is drawn.

    Raises:
        DataError: There is nothing to learn from or to judge by, or `out` holds a run on other scenes or other
            starting weights.
    """
    keras.utils.set_random_seed(seed)
    scenes = load_scenes(data, ("train", "val"))
    learned = [scene for scene in scenes if scene.split == "train"]
    judged = [scene for scene in scenes if scene.split == "val"]
    if not learned or not judged:
        raise DataError(f"{len(learned)} scenes to train with and {len(judged)} to validate: both are needed")
    cut_faces = load_cut_faces(data)
    out.mkdir(parents=True, exist_ok=True)
    begun = start or weights
    begins = hashlib.sha256(begun.read_bytes()).hexdigest() if begun else "keras.applications imagenet"
    state = _read_state(out, State(fingerprint(scenes), begins))
    model = load_trained(start) if start else build(weights)
    for number, stage in enumerate(stages):
        if number < state.stage:
            continue
        steps = stage.pictures // batch * stage.epochs
        schedule = keras.optimizers.schedules.CosineDecay(
            stage.rate / 20, steps, warmup_target=stage.rate, warmup_steps=min(300, steps // 4)
        )
        if number and not state.epoch:
            model.load_weights(_checkpoint(out, state))
        model.compile(keras.optimizers.AdamW(schedule, weight_decay=5e-4, global_clipnorm=10.0), loss)
        if state.epoch:
            model.optimizer.build(model.trainable_variables)  # or its state would not be loaded
            model.load_weights(_checkpoint(out, state))
        while state.epoch < stage.epochs:
            print(f"stage {number}, {stage.size} px, epoch {state.epoch + 1}/{stage.epochs}", flush=True)
            drawn = Batches(learned, cut_faces, stage, batch, [seed, number, state.epoch])
            fitted = model.fit(drawn, shuffle=False, verbose=2)
            scores = validation_scores(predict(model.predict_on_batch, judged, SIZE, LOWEST_SCORE), judged)
            row = {"stage": number, "epoch": state.epoch, "loss": fitted.history["loss"][-1], **scores}
            print(json.dumps(row), flush=True)
            state.history.append(row)
            state.epoch += 1
            _save(model, out, state)
        state.stage, state.epoch = number + 1, 0
        _save(model, out, state)
    trained = _without_optimizer(model)
    with replacing(out / WEIGHTS) as fresh:
        trained.save_weights(fresh)
    return trained


def _without_optimizer(model: keras.Model) -> keras.Model:
    """A copy; an optimizer would treble the file."""
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def _checkpoint(out: Path, state: State) -> Path:
    return out / f"detector-{state.stage}-{state.epoch}.weights.h5"


def _save(model: keras.Model, out: Path, state: State) -> None:
    """Write a checkpoint, then the state that names it, so that a kill leaves the old pair or the new one."""
    with replacing(_checkpoint(out, state)) as fresh:
        model.save_weights(fresh)
    with replacing(out / STATE) as fresh:
        fresh.write_text(json.dumps(asdict(state), indent=1))
    for path in out.glob("detector-*-*.weights.h5"):
        if path != _checkpoint(out, state):
            path.unlink()


def _read_state(out: Path, new: State) -> State:
    path = out / STATE
    if not path.is_file():
        return new
    state = State(**json.loads(path.read_text()))
    if (state.fingerprint, state.starting_weights) != (new.fingerprint, new.starting_weights):
        raise DataError(f"{out} holds a run on other scenes or other weights; choose another folder")
    return state


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with frames.csv (see scenes.py)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; resumed if it holds one")
    parser.add_argument("--weights", type=Path, help=".npz to start from; default: Keras' download")
    parser.add_argument("--start", type=Path, help="detector.weights.h5 to fine-tune instead")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        stages = FINE_TUNING if options.start else STAGES
        train(
            options.data,
            options.out,
            weights=options.weights,
            start=options.start,
            stages=stages,
            seed=options.seed,
        )
    except DataError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
