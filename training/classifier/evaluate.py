"""Evaluate a run on the test pictures: `python -m training.classifier.evaluate --data FOLDER --run RUN`.

Pictures go through the decoder and the classifier of serving. Writes to the run's folder: `metrics.json`;
`scores.json`, its main figures, by which runs are compared; `predictions.csv` with the probabilities of each picture;
and `mistakes.png`, a sheet of the most confident mistakes, which shows people and must therefore stay there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from functions.inference.classify import resize
from functions.inference.fetch import open_release
from functions.inference.image_statistics import image_statistics
from functions.shared.contract import LABELS
from training.answers import answer, probabilities, served_figures
from training.candidate import candidate_release
from training.colours import compressed
from training.dataset import actual_classes, load_test
from training.errors import TrainingError, reported
from training.files import MAIN_FIGURES, METRICS, MISTAKES, PREDICTIONS
from training.metrics import (
    area_under_roc,
    average_precision,
    bootstrap_interval,
    by_label,
    by_part,
    calibration_error_by_chance,
    figures,
)
from training.tables import write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from functions.inference.release import Network, Release
    from training.answers import Change, Pixels
    from training.dataset import Dataset, Sample

MARGINS: Final = (-0.05, 0.1, 0.3, 0.5, 0.7)  # margins around a face, relative to its sides
_SHEET = (8, 4, 150)  # columns, rows, pixels per picture


def _blurred(radius: float) -> Change:
    return lambda pixels, _: np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _noisy(deviation: float) -> Change:
    return lambda pixels, rng: (pixels + rng.normal(0, deviation, pixels.shape)).clip(0, 255).astype(np.uint8)


def _compressed(quality: int) -> Change:
    return lambda pixels, _: np.asarray(compressed(Image.fromarray(pixels), quality))


def _darkened(share: float) -> Change:
    return lambda pixels, _: (pixels * share).astype(np.uint8)


def _shrunk(side: int) -> Change:
    return lambda pixels, _: resize(pixels, side)


def _turned(quarters: int) -> Change:
    return lambda pixels, _: np.ascontiguousarray(np.rot90(pixels, quarters))


# Applied to the classifier's input of 224 pixels a side, so that a level has the same effect on every picture.
CORRUPTIONS: Final[Mapping[str, Mapping[str, Change]]] = {
    "blur": {f"{radius} px": _blurred(radius) for radius in (2, 4, 8)},
    "noise": {f"±{deviation}": _noisy(deviation) for deviation in (10, 25, 50)},
    "JPEG": {f"quality {quality}": _compressed(quality) for quality in (30, 15, 5)},
    "darkness": {f"to {share:.0%}": _darkened(share) for share in (0.5, 0.25, 0.1)},
    "low resolution": {f"{side} px": _shrunk(side) for side in (64, 40, 24)},
}
# Pictures of a rotated camera whose EXIF orientation was lost.
TURNS: Final[Mapping[str, Change]] = {
    "quarter left": _turned(1),
    "quarter right": _turned(3),
    "upside down": _turned(2),
}


def slices(samples: Sequence[Sample]) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Return masks (N,) of the samples in each slice of each group; the gate compares releases by slice, too."""
    looks = [image_statistics(resize(s.pixels, 224)) for s in samples]
    brightness, sharpness = (np.array([look[key] for look in looks]) for key in ("brightness", "sharpness"))
    sides = np.array([s.pixels.shape[:2] for s in samples])
    longest, aspect = sides.max(axis=1), sides[:, 1] / sides[:, 0]
    return {
        "longest side": {
            "under 48 px": longest < 48,
            "48 to 95 px": (longest >= 48) & (longest < 96),
            "96 to 159 px": (longest >= 96) & (longest < 160),
            "160 px and more": longest >= 160,
        },
        "aspect ratio": {
            "tall (under 0.8)": aspect < 0.8,
            "about square": (aspect >= 0.8) & (aspect <= 1.25),
            "wide (over 1.25)": aspect > 1.25,
        },
        "brightness": {
            "dark (under 0.3)": brightness < 0.3,
            "in between": (brightness >= 0.3) & (brightness <= 0.65),
            "bright (over 0.65)": brightness > 0.65,
        },
        "sharpness": {"blurred (under 0.01)": sharpness < 0.01, "sharper": sharpness >= 0.01},
    }


def evaluate(release: Release, dataset: Dataset) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Evaluate a release's classifier, alone and on the served path.

    Args:
        release: The release.
        dataset: Its split `test` is used, both portraits and faces in scenes.

    Returns:
        The content of `metrics.json`, and the classifier's probabilities (N, 3) for the portraits, in order.

    Raises:
        TrainingError: There are no test pictures.
    """
    samples = dataset.split("test")
    if not samples:
        raise TrainingError("there are no pictures in the split test")
    network = release.classifier
    actual, pictures = actual_classes(samples), [s.pixels for s in samples]
    output = probabilities(network, pictures)
    sources = np.array([s.example.source or "-" for s in samples])
    sliced = slices(samples)
    parts = by_part(lambda chosen: figures(actual[chosen], output[chosen]), sources, sliced)
    parts["slices"]["turned"] = dict(_by_change(network, actual, pictures, TURNS))
    parts["slices"]["margin around the face"] = {
        name: figures(classes, probabilities(network, faces, name=f"margin {name}"))
        for name, classes, faces in faces_with_margins(dataset)
    }
    squares = [resize(p, network.size) for p in pictures]
    return {
        "overall": _overall(actual, output),
        "served": served_figures(answer(release, samples, "served path"), actual, sources, sliced),
        **parts,
        "corruptions": {
            kind: dict(_by_change(network, actual, squares, levels)) for kind, levels in CORRUPTIONS.items()
        },
        "model": {
            "version": release.version,
            "sha256": hashlib.sha256(network.file).hexdigest(),
            "bytes": len(network.file),
        },
        "data": {"fingerprint": dataset.fingerprint, "unreadable": len(dataset.unreadable)},
    }, output


def _overall(actual: NDArray[np.int64], output: NDArray[np.float64]) -> dict[str, Any]:
    overall = figures(actual, output)
    figures_by_label = by_label(np.array(overall["confusion"]))
    classes = {
        label: {
            "n": int((actual == number).sum()),
            **{name: values[label] for name, values in figures_by_label.items()},
            "area_under_roc": area_under_roc(actual == number, output[:, number]),
            "average_precision": average_precision(actual == number, output[:, number]),
        }
        for number, label in enumerate(LABELS)
    }

    def interval(key: str) -> tuple[float, float]:
        return bootstrap_interval(
            lambda drawn: float(figures(actual[drawn], output[drawn])[key]), len(actual)
        )

    # Not of the calibration error: chance biases it upwards, and a bootstrap would add that bias again.
    intervals = {key: interval(key) for key in ("accuracy", "mask_or_not_accuracy", "macro_f1")}
    by_chance = calibration_error_by_chance(output.max(axis=1))
    return overall | {"classes": classes, "intervals_95": intervals, "calibration_error_by_chance": by_chance}


def _by_change(
    network: Network, actual: NDArray[np.int64], pictures: Sequence[Pixels], changes: Mapping[str, Change]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, change in changes.items():
        yield name, figures(actual, probabilities(network, pictures, change, name))


def faces_with_margins(dataset: Dataset) -> Iterator[tuple[str, NDArray[np.int64], list[Pixels]]]:
    """Yield, for each margin, its name, and the classes (N,) and crops of the faces in test scenes, if any."""
    faces = [s for s in dataset.split("test", scenes=True) if s.example.in_scene]
    for margin in MARGINS if faces else ():
        yield f"{margin:.0%}", actual_classes(faces), [face.crop(margin) for face in faces]


def write_predictions(
    path: Path, samples: Sequence[Sample], output: NDArray[np.float64], folder: Path
) -> None:
    """Write a row per picture: file (relative to `folder`), source, label, answer, and the probabilities."""
    columns = ("file", "source", "label", "answer", *(f"p_{label}" for label in LABELS))
    examples = (sample.example for sample in samples)
    rows = (
        (e.path.relative_to(folder), e.source, e.label, LABELS[p.argmax()], *map("{:.6f}".format, p))
        for e, p in zip(examples, output, strict=True)
    )
    write_table(path, columns, rows)


def mistakes_sheet(samples: Sequence[Sample], output: NDArray[np.float64]) -> Image.Image:
    """Draw the most confident mistakes, worst first, each with actual > predicted, confidence and source below it."""
    columns, rows, side = _SHEET
    predicted, confidence = output.argmax(axis=1), output.max(axis=1)
    wrong = np.flatnonzero(actual_classes(samples) != predicted)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][: columns * rows]
    sheet = Image.new("RGB", (columns * side, rows * (side + 30)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, number in enumerate(worst.tolist()):
        example = samples[number].example
        left, top = place % columns * side, place // columns * (side + 30)
        picture = ImageOps.contain(Image.fromarray(samples[number].pixels), (side - 4, side - 4))
        sheet.paste(picture, (left + 2, top + 2))
        caption = f"{example.label} > {LABELS[predicted[number]]}\n{confidence[number]:.3f} {example.source}"
        draw.text((left + 3, top + side - 1), caption, "black")
    return sheet


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures (see dataset.py)")
    parser.add_argument("--run", type=Path, required=True, help="folder of a converted run; results go there")
    parser.add_argument("--detector", type=Path, help="folder of a detector's run, released together")
    parser.add_argument("--release", default="", help="evaluate this release instead of the run")
    options = parser.parse_args()
    with reported(parser):
        if options.release:
            release = open_release(options.release)
        else:
            release = replace(
                candidate_release(open_release(""), options.run, options.detector), version="unreleased"
            )
        metrics = evaluate_run(options.run, options.data, release)
    print(json.dumps(metrics["overall"], indent=1))


def evaluate_run(run: Path, data: Path, release: Release) -> dict[str, Any]:
    """Evaluate a release on the test pictures of `data`, write the files to `run`, and return `metrics.json`.

    Raises:
        TrainingError: There are no test pictures.
    """
    dataset = load_test(data)
    metrics, output = evaluate(release, dataset)
    samples = dataset.split("test")
    write_predictions(run / PREDICTIONS, samples, output, data)
    mistakes_sheet(samples, output).save(run / MISTAKES)
    (run / METRICS).write_text(json.dumps(metrics, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (run / MAIN_FIGURES).write_text(json.dumps(main_figures(metrics), indent=1) + "\n", encoding="utf-8")
    return metrics


def main_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the main figures of `metrics.json`, by which runs are compared."""
    overall = metrics["overall"]
    output = {k: overall[k] for k in ("accuracy", "mask_or_not_accuracy", "macro_f1", "calibration_error")}
    served = metrics["served"]["overall"]
    output |= {f"served_{k}": served[k] for k in ("accuracy", "macro_f1", "face_found")}
    output |= {f"{label}_f1": of_class["f1"] for label, of_class in overall["classes"].items()}
    return output | {"bytes": metrics["model"]["bytes"]}


if __name__ == "__main__":
    main()
