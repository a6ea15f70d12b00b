"""Find doubtful labels: `python -m training.classifier.suspects --data FOLDER --out FOLDER`.

Each half of the pictures is scored by a model trained briefly on the other half. If that gives the label a low
probability, the picture is either difficult or labelled wrongly. Look at `suspects.jpg`, and move or remove the wrong
ones; `suspects.csv` lists the files.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw

from functions.inference.classify import resize
from functions.shared.contract import LABELS
from training.classifier.train import predict_logits, train
from training.dataset import Dataset, list_examples, load_examples
from training.errors import reported
from training.metrics import softmax
from training.recipe import Recipe, Stage
from training.tables import write_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.dataset import Sample

RECIPE: Final = Recipe(
    (Stage(112, epochs=3, learning_rate=8e-4, train_samples=12_000, freeze_until_block=5),), 64, 1
)
DOUBT: Final = 0.15  # probability of the label below which a picture is a suspect
TILE, COLUMNS = 96, 14


@dataclass(frozen=True)
class Suspect:
    """A sample with the probability of its label, and the label that the model predicted."""

    sample: Sample
    probability: float
    predicted: str


def find_suspects(
    dataset: Dataset, out: Path, *, backbone: Path | None = None, recipe: Recipe = RECIPE
) -> list[Suspect]:
    """Find the suspects among the portraits of all splits, most doubtful first; the two runs are kept in `out`."""
    suspects = []
    for half in (0, 1):
        samples = [
            replace(s, example=replace(s.example, split="val" if int(s.sha256, 16) % 2 == half else "train"))
            for s in dataset.samples
            if not s.example.in_scene
        ]
        divided = replace(dataset, samples=tuple(samples))
        model = train(divided, out / f"half-{half}", recipe, backbone=backbone)
        half_samples = divided.split("val")
        logits = predict_logits(model, half_samples, recipe.stages[-1].size)
        for sample, row in zip(half_samples, softmax(logits), strict=True):
            probability = float(row[LABELS.index(sample.example.label)])
            if probability < DOUBT:
                suspects.append(Suspect(sample, probability, LABELS[row.argmax()]))
    return sorted(suspects, key=lambda suspect: suspect.probability)


def contact_sheet(suspects: Sequence[Suspect]) -> Image.Image:
    """Draw the suspects side by side, numbered as in the table, with actual and predicted label."""
    sheet = Image.new("RGB", (TILE * COLUMNS, (TILE + 12) * -(-len(suspects) // COLUMNS)))
    pen = ImageDraw.Draw(sheet)
    for number, suspect in enumerate(suspects):
        x, y = number % COLUMNS * TILE, number // COLUMNS * (TILE + 12)
        sheet.paste(Image.fromarray(resize(suspect.sample.pixels, TILE)), (x, y))
        pen.text((x + 1, y + TILE), f"{number} {suspect.sample.example.label[:4]} > {suspect.predicted[:4]}")
    return sheet


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--backbone", type=Path)
    options = parser.parse_args()
    with reported(parser):
        dataset = load_examples(list_examples(options.data))
        suspects = find_suspects(dataset, options.out, backbone=options.backbone)
        rows = []
        for number, suspect in enumerate(suspects):
            sample, example, predicted = suspect.sample, suspect.sample.example, suspect.predicted
            probability = f"{suspect.probability:.4f}"
            rows.append((number, sample.sha256, example.path, example.label, probability, predicted))
        columns = ("number", "sha256", "file", "label", "chance", "guess")
        write_table(options.out / "suspects.csv", columns, rows)
        contact_sheet(suspects).save(options.out / "suspects.jpg")
    print(f"{len(suspects)} suspects in {options.out}")


if __name__ == "__main__":
    main()
