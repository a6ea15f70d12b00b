"""Leave one source out: `python -m training.classifier.leave_one_out --data FOLDER --out FOLDER` (again to resume).

For each source, a short training run without it, calibrated like a release, is evaluated on all its portraits. This
estimates the accuracy on pictures from elsewhere, which a split within sources cannot. With `--folds`, each run
leaves out several sources: there are fewer runs, with less data, so the figures are rather too low. Runs start from
ImageNet, since every trained network has seen all sources. The recipe is `leave_one_out` in params.yaml.
`leave-one-out.json` has the figures of each source and their mean, which the report of a run shows if the file is in
its folder.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.classifier.convert import calibrate, calibrated
from training.classifier.train import one_hot, predict_logits, train
from training.dataset import Dataset, actual_classes, list_examples, load_examples
from training.errors import TrainingError, reported
from training.files import LEAVE_ONE_OUT
from training.metrics import figures, softmax
from training.recipe import PARAMS, read_recipe

if TYPE_CHECKING:
    from training.recipe import Recipe

MIN_PORTRAITS: Final = 25  # portraits of a source to leave out


def leave_one_out(
    dataset: Dataset, out: Path, recipe: Recipe, backbone: Path | None = None, folds: int | None = None
) -> dict[str, Any]:
    """Train without each source, or each fold of sources, in turn, and evaluate on it.

    Args:
        dataset: Pictures of several sources.
        out: Folder for a run per source or fold, and for `leave-one-out.json`.
        recipe: A short recipe.
        backbone: Starting weights; None to download those of Keras.
        folds: Number of runs, at least 2; None for one per source.

    Returns:
        The content of the file: `trainings`, figures by source, and their mean accuracy and macro-F1.

    Raises:
        TrainingError: Fewer than two sources have enough portraits.
    """
    portraits = dataset.portraits
    counts = Counter(sample.example.source for sample in portraits)
    sources = [name for name, count in counts.most_common() if name and count >= MIN_PORTRAITS]
    if len(sources) < 2:
        raise TrainingError(
            f"two sources with {MIN_PORTRAITS} portraits each are needed, named in the column source of crops.csv; "
            f"there are: {', '.join(sources) or 'none'}"
        )
    by_source: dict[str, Any] = {}
    trainings = min(folds or len(sources), len(sources))
    for number in range(trainings):
        fold = sources[number::trainings]
        others = replace(dataset, samples=tuple(s for s in dataset.samples if s.example.source not in fold))
        model = train(others, out / "+".join(fold), recipe, backbone=backbone)
        size, val_samples = recipe.stages[-1].size, others.split("val")
        calibration = calibrate(predict_logits(model, val_samples, size), one_hot(val_samples))
        for source in fold:
            left_out = [s for s in portraits if s.example.source == source]
            logits = calibrated(predict_logits(model, left_out, size), calibration)
            by_source[source] = figures(actual_classes(left_out), softmax(logits))
            print(json.dumps({"source": source, **by_source[source]}), flush=True)
    mean = {
        key: float(np.mean([by_source[source][key] for source in by_source]))
        for key in ("accuracy", "mask_or_not_accuracy", "macro_f1")
    }
    result = {"trainings": trainings, "sources": by_source, "mean": mean}
    (out / LEAVE_ONE_OUT).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures (see dataset.py)")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the runs, which are resumed if they exist"
    )
    parser.add_argument("--backbone", type=Path, help="MobileNetV2 weights; default: Keras' download")
    parser.add_argument("--folds", type=int, help="number of runs, at least 2; default: one per source")
    parser.add_argument("--params", type=Path, default=PARAMS, help="default: the project's params.yaml")
    options = parser.parse_args()
    if options.folds is not None and options.folds < 2:
        parser.error("--folds: at least 2, or nothing would be left to train with")
    with reported(parser):
        recipe = read_recipe(options.params, "leave_one_out", "imagenet")
        dataset = load_examples(list_examples(options.data))
        result = leave_one_out(dataset, options.out, recipe, options.backbone, options.folds)
    print(json.dumps(result["mean"]))


if __name__ == "__main__":
    main()
