"""Train the face detector: `python -m training.detector.train --data FOLDER --out RUN` (again to resume)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

from functions.inference.detect import Detections, letterbox, read_cells
from functions.shared.contract import LABELS
from training.commands import train_command
from training.dataset import list_examples, list_examples_in_scenes, load_examples
from training.detector.augment import Material, compose
from training.detector.evaluate import FALSE_PER_PICTURE, LOWEST_SCORE
from training.detector.metrics import average_precision, match_scenes, recall_at
from training.detector.model import build, load_trained
from training.detector.targets import loss, targets
from training.errors import TrainingError
from training.files import DETECTOR_WEIGHTS
from training.recipe import plain
from training.run import Batches, State, TrainingSetup, checksum, freeze_until, train_stages
from training.scenes import Scene, fingerprint, load_scenes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.recipe import Recipe, Stage

SIZE: Final = 448  # pixels; input size in serving
PASTED_FACES: Final = 4_000
SMALLEST_PASTED: Final = 40  # pixels of a face's shorter side
RIM: Final = 0.06  # margin around a face to paste, relative to its sides


def batches(material: Material, stage: Stage, batch: int, seed: Sequence[int]) -> Batches:
    """Return an epoch of composed pictures, uint8 (batch, size, size, 3), with targets, float32 (batch, cells, 5)."""

    def draw(_: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        drawn = [compose(material, stage.size, stage.plain, rng) for _ in range(batch)]
        pictures = np.stack([pixels for pixels, _ in drawn])
        return pictures, np.stack([targets(faces, stage.size) for _, faces in drawn])

    return Batches(draw, max(stage.train_samples // batch, 1), seed)


def sampling_weights(scenes: Sequence[Scene]) -> NDArray[np.float64]:
    """Return the probability of drawing each scene, (N,).

    A source's weight is the square root of its size, so that none dominates. Scenes with at least three faces, and
    those with places that look like faces, have 1.5 times the weight.
    """
    sizes = Counter(scene.source for scene in scenes)
    weights = np.array(
        [
            sizes[scene.source] ** -0.5
            * (1.5 if len(scene.boxes) > 2 else 1)
            * (1.5 if len(scene.not_faces) else 1)
            for scene in scenes
        ]
    )
    return np.asarray(weights / weights.sum())


def load_portraits(folder: Path) -> list[Scene]:
    """Load the portraits of the training split with a box, as scenes of one face."""
    known = list_examples(folder) if (folder / "crops.csv").is_file() else []
    examples = [
        example for example in known if example.split == "train" and example.face and not example.in_scene
    ]
    return [
        Scene(
            path=sample.example.path,
            split=sample.example.split,
            source=sample.example.source,
            sha256=sample.sha256,
            pixels=sample.pixels,
            boxes=np.array([sample.face], np.float32),
            labels=np.array([LABELS.index(sample.example.label)]),
            must_find=np.array([True]),
        )
        for sample in load_examples(examples).samples
    ]


def load_cut_faces(folder: Path) -> list[NDArray[np.uint8]]:
    """Load faces of the training split, from portraits with a box and from scenes, with a narrow rim."""
    known = list_examples(folder) if (folder / "crops.csv").is_file() else list_examples_in_scenes(folder)
    examples = [example for example in known if example.split == "train" and example.face]
    drawn = np.random.default_rng(0).permutation(len(examples))[:PASTED_FACES]
    samples = load_examples([examples[number] for number in drawn]).samples
    faces = [sample.crop(RIM) for sample in samples]
    return [pixels.copy() for pixels in faces if min(pixels.shape[:2]) >= SMALLEST_PASTED]


def predict(
    model: Callable[[NDArray[np.uint8]], Any], scenes: Sequence[Scene], size: int, min_score: float
) -> list[Detections]:
    """Return the faces in each scene, in its pixels, as serving finds them."""
    detections = []
    for scene in scenes:
        square, scale = letterbox(scene.pixels, size)
        cells = np.asarray(model(square[np.newaxis]), np.float32)[0]
        faces = read_cells(cells, size, min_score)
        detections.append(Detections(faces.boxes / np.float32(scale), faces.scores))
    return detections


def validation_figures(detections: Sequence[Detections], scenes: Sequence[Scene]) -> dict[str, float]:
    """Return recall at 0.1 false detections a scene, its threshold, and average precision, for faces that count."""
    matches = match_scenes(detections, scenes)
    recall, threshold = recall_at(matches, FALSE_PER_PICTURE)
    return {"val_recall": recall, "val_threshold": threshold, "val_ap50": average_precision(matches)}


def train(
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    backbone: Path | None = None,
    start: Path | None = None,
    replace: bool = False,
    after_epoch: Callable[[Path], object] = lambda _: None,
) -> keras.Model:
    """Train all stages, and return the model of the last epoch; an interrupted run is resumed.

    Args:
        data: Folder with `frames.csv` and its scenes, and optionally `crops/`, from which faces are pasted.
        out: Folder of the run.
        recipe: The recipe.
        backbone: Starting weights of the backbone (`.npz`); None to download those of Keras.
        start: Weights of a trained detector to fine-tune, instead.
        replace: Replace another run in `out`, rather than refuse.
        after_epoch: Called with `out` after every epoch.

    Raises:
        TrainingError: There are no scenes to train with or to validate; or see `train_stages`.
    """
    scenes = load_scenes(data, ("train", "val"))
    train_scenes = [scene for scene in scenes if scene.split == "train"]
    val_scenes = [scene for scene in scenes if scene.split == "val"]
    if not train_scenes or not val_scenes:
        raise TrainingError(
            f"{len(train_scenes)} scenes to train with and {len(val_scenes)} to validate: both are needed"
        )
    material = Material(
        scenes=train_scenes,
        cumulated=np.cumsum(sampling_weights(train_scenes)),
        portraits=load_portraits(data),
        cut_faces=load_cut_faces(data),
    )

    def compile_model(model: keras.Model, stage: Stage, schedule: Any) -> None:
        freeze_until(model, stage.freeze_until_block)
        model.compile(
            keras.optimizers.AdamW(
                schedule, weight_decay=5e-4, global_clipnorm=10.0, use_ema=True, ema_momentum=0.995
            ),
            loss,
        )

    setup = TrainingSetup(
        weights=DETECTOR_WEIGHTS,
        compile=compile_model,
        batches=lambda stage, seed: batches(material, stage, recipe.batch, seed),
        validate=lambda model, _: validation_figures(
            predict(model.predict_on_batch, val_scenes, SIZE, LOWEST_SCORE), val_scenes
        ),
        # The last epoch, at the lowest learning rate, since differences in validation are only noise.
        rank=lambda row: float(row["epoch"]),
    )
    return train_stages(
        setup,
        lambda: load_trained(start) if start else build(backbone),
        out,
        State("detector", fingerprint(scenes), checksum(start or backbone), plain(recipe)),
        recipe,
        replace=replace,
        after_epoch=after_epoch,
    )


def main() -> None:
    """Run the command."""
    train_command(__doc__, "detector", train)


if __name__ == "__main__":
    main()
