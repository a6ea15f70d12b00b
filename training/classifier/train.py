"""Train the classifier: `python -m training.classifier.train --data FOLDER --out RUN` (again to resume)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

from functions.inference.classify import resize
from functions.inference.fetch import open_release
from functions.inference.score import MARGIN
from functions.shared.contract import LABELS
from training.answers import probabilities
from training.classifier.augment import augment
from training.classifier.model import BACKBONE, build, load_trained
from training.commands import train_command
from training.dataset import actual_classes, list_examples, load_examples, require_labels, summary
from training.errors import TrainingError
from training.files import CLASSIFIER_WEIGHTS
from training.metrics import figures, softmax
from training.recipe import plain
from training.run import Batches, State, TrainingSetup, checksum, freeze_until, train_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from functions.inference.release import Network
    from training.dataset import Dataset, Sample
    from training.recipe import Recipe, Stage

TEACHER_SHARE: Final = 0.2  # of a target, in fine-tuning
TEACHER_SHARE_WITHOUT_A_LABEL: Final = 0.5  # if a label has no pictures
SHARES: Final = {"mask": 0.42, "no_mask": 0.38, "incorrect": 0.2}  # of a training epoch
SMALL_SIZE: Final = 128  # pixels; input size for small faces in serving, and of every third batch
CLEAR: Final = 48  # pixels; smaller faces are sampled less, since their noses have only a pixel or two


def batches(
    samples: Sequence[Sample], targets: NDArray[np.float32], stage: Stage, recipe: Recipe, seed: Sequence[int]
) -> Batches:
    """Return an epoch of augmented pictures, uint8 (batch, size, size, 3), with targets (batch, 3)."""
    batch = recipe.batch
    count = min(stage.train_samples, max(batch, len(samples)))
    weights = sampling_weights(samples, recipe.bare_face_weights)
    drawn = np.random.default_rng(list(seed)).choice(len(samples), count, p=weights)

    def draw(index: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        chosen = drawn[index * batch : (index + 1) * batch]
        size = stage.size if index % 3 else min(stage.size, SMALL_SIZE)
        views = [augment(samples[i].pixels, samples[i].face, size, rng) for i in chosen]
        return np.stack(views), targets[chosen]

    return Batches(draw, count // batch, seed)


def sampling_weights(
    samples: Sequence[Sample], bare_face_weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return the probability of drawing each sample, (N,).

    Classes get their `SHARES`; within a class, a source's weight is the square root of its size. So the rare class is
    not drowned, and the largest source does not dominate.
    """
    groups = [(s.example.label, s.example.source, s.example.in_scene) for s in samples]
    sizes = Counter(groups)
    weights = np.array([sizes[group] ** -0.5 for group in groups])
    for number, sample in enumerate(samples):
        if sample.example.label == "no_mask":
            weights[number] *= bare_face_weights.get(sample.example.source, 1.0)
        left, top, right, bottom = sample.box
        weights[number] *= min(right - left, bottom - top, CLEAR) / CLEAR
    labels = np.array([s.example.label for s in samples])
    for label in set(labels):
        weights[labels == label] *= SHARES[label] / weights[labels == label].sum()
    return np.asarray(weights / weights.sum())


def one_hot(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the labels of samples as one-hot rows (N, 3)."""
    return np.eye(len(LABELS), dtype=np.float32)[actual_classes(samples)]


def distilled(samples: Sequence[Sample], teacher: Network) -> NDArray[np.float32]:
    """Return the targets of fine-tuning, (N, 3): labels mixed with the teacher's probabilities.

    They preserve knowledge that the pictures lack (Li & Hoiem 2016, "Learning without Forgetting"): of other people
    and places, and of a label without pictures.
    """
    answers = probabilities(teacher, [sample.crop(MARGIN) for sample in samples], name="teacher")
    complete = len({sample.example.label for sample in samples}) == len(LABELS)
    share = TEACHER_SHARE if complete else TEACHER_SHARE_WITHOUT_A_LABEL
    return np.asarray((1 - share) * one_hot(samples) + share * answers, np.float32)


def predict_logits(model: keras.Model, samples: Sequence[Sample], size: int) -> NDArray[np.float32]:
    """Return the logits (N, 3) of faces, cropped as in serving and resized to the square."""
    starts = range(0, len(samples), 64)
    parts = [
        model.predict_on_batch(np.stack([resize(s.crop(MARGIN), size) for s in samples[i : i + 64]]))
        for i in starts
    ]
    return np.concatenate(parts)


def validation_figures(logits: NDArray[np.float32], samples: Sequence[Sample]) -> dict[str, float]:
    """Return macro-F1, accuracy, mask-or-not accuracy and loss for logits (N, 3)."""
    output = softmax(logits)
    actual = actual_classes(samples)
    result = figures(actual, output)
    return {
        "val_macro_f1": result["macro_f1"],
        "val_accuracy": result["accuracy"],
        "val_mask_or_not": result["mask_or_not_accuracy"],
        "val_loss": float(-np.log(output[np.arange(len(actual)), actual].clip(1e-12)).mean()),
    }


def train(
    dataset: Dataset,
    out: Path,
    recipe: Recipe,
    *,
    backbone: Path | None = None,
    start: Path | None = None,
    teacher: Network | None = None,
    replace: bool = False,
    after_epoch: Callable[[Path], object] = lambda _: None,
) -> keras.Model:
    """Train all stages, and return the best model of the last; an interrupted run is resumed.

    Args:
        dataset: Pictures with the splits train and val.
        out: Folder of the run.
        recipe: The recipe.
        backbone: Starting weights of the backbone; None to download those of Keras.
        start: Weights of a trained classifier to fine-tune, instead.
        teacher: Network whose probabilities are mixed into the targets; see `distilled`.
        replace: Replace another run in `out`, rather than refuse.
        after_epoch: Called with `out` after every epoch.

    Raises:
        TrainingError: There are no pictures to train with or to validate; or see `train_stages`.
    """
    train_faces, val_faces = dataset.split("train", scenes=True), dataset.split("val")
    if not train_faces or not val_faces:
        raise TrainingError(
            f"{len(train_faces)} pictures to train with and {len(val_faces)} to validate: both are needed"
        )

    targets = distilled(train_faces, teacher) if teacher else one_hot(train_faces)

    def compile_model(model: keras.Model, stage: Stage, schedule: Any) -> None:
        freeze_until(model.get_layer(BACKBONE), stage.freeze_until_block)
        model.compile(
            keras.optimizers.AdamW(
                schedule, weight_decay=1e-4, global_clipnorm=1.0, use_ema=True, ema_momentum=0.99
            ),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05),
            metrics=["accuracy"],
        )

    def validate(model: keras.Model, stage: Stage) -> dict[str, float]:
        full = validation_figures(predict_logits(model, val_faces, stage.size), val_faces)
        small = validation_figures(predict_logits(model, val_faces, SMALL_SIZE), val_faces)
        return full | {f"{name}_{SMALL_SIZE}": value for name, value in small.items()}

    setup = TrainingSetup(
        weights=CLASSIFIER_WEIGHTS,
        compile=compile_model,
        batches=lambda stage, seed: batches(train_faces, targets, stage, recipe, seed),
        validate=validate,
        rank=lambda row: float(row["val_macro_f1"]),
    )
    return train_stages(
        setup,
        lambda: load_trained(start) if start else build(backbone),
        out,
        State("classifier", dataset.fingerprint, checksum(start or backbone), plain(recipe)),
        recipe,
        replace=replace,
        after_epoch=after_epoch,
    )


def train_on(data: Path, out: Path, recipe: Recipe, *, start: Path | None, **options: Any) -> None:
    """Train on a folder of pictures; in fine-tuning, the release in the image is the teacher. See `train`."""
    dataset = load_examples(list_examples(data))
    print(summary(dataset))
    require_labels(dataset)
    teacher = open_release("").classifier if start else None
    train(dataset, out, recipe, start=start, teacher=teacher, **options)


def main() -> None:
    """Run the command."""
    train_command(__doc__, "classifier", train_on)


if __name__ == "__main__":
    main()
