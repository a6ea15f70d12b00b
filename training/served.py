"""Evaluate a release on the served path: `python -m training.served --data FOLDER --release RELEASE --out RUN`.

Every portrait and scene is scored from its bytes, with the default options. For portraits, it gives the share in
which a face is found, and figures of the labels, of that face or else of the whole picture. For scenes, it gives
recall at the served threshold at an IoU of 0.5, for faces of at least 24 pixels, and figures of their labels. If the
folder names the groups of people (see fairness.py), it gives misses and false alarms by group. With `--aizoo`, it
compares other detectors on the same scenes (see peers.py). The results go to `--out`/served.json, for the report.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tqdm import tqdm

from functions.inference.decode import decode
from functions.inference.fetch import open_release
from functions.inference.prediction import MAX_FACES, PredictOptions
from functions.inference.score import load_models, score
from functions.shared.contract import LABELS
from training import fairness
from training.answers import answer, detections, served_figures
from training.dataset import actual_classes, list_examples, load_examples
from training.detector.evaluate import finder
from training.detector.metrics import label_confusion, match_scenes
from training.errors import reported
from training.files import SERVED
from training.metrics import by_label
from training.scenes import load_scenes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions.inference.score import Models
    from training.answers import Answers
    from training.dataset import Sample
    from training.scenes import Scene

TURNED: Final = 300  # portraits for the figures on rotated pictures


def portrait_figures(
    samples: Sequence[Sample], answers: Answers, hands: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the figures overall and by source, and the number of bare faces of the sources `hands` called `mask`."""
    actual = actual_classes(samples)
    sources = np.array([sample.example.source for sample in samples])
    result = served_figures(answers, actual, sources, {})
    hidden = np.isin(sources, hands) & (actual == LABELS.index("no_mask"))
    called_mask = answers.probabilities[hidden].argmax(axis=1) == LABELS.index("mask")
    return {
        **result["overall"],
        "hands": {"n": int(hidden.sum()), "called_mask": int(called_mask.sum())},
        "sources": result["sources"],
    }


def scene_figures(scenes: Sequence[Scene], models: Models) -> dict[str, Any]:
    """Return recall and false detections a scene at the served threshold, and the labels of the faces found."""
    faces = [
        score(decode(scene.path.read_bytes()), models, PredictOptions(max_faces=MAX_FACES)).faces
        for scene in tqdm(scenes, desc="scoring", unit=" scenes")
    ]
    found = [detections(some) for some in faces]
    predicted = [[LABELS.index(face.classification.label) for face in some] for some in faces]
    matches, confusion = match_scenes(found, scenes), label_confusion(found, predicted, scenes)
    return {
        "scenes": len(scenes),
        "faces": int(matches.faces.sum()),
        "recall": float(matches.right.sum() / max(matches.faces.sum(), 1)),
        "false_per_picture": float((~matches.right).sum() / max(len(scenes), 1)),
        "confusion": confusion.tolist(),
        **{f"label_{name}": values for name, values in by_label(confusion).items()},
    }


def evaluate_served(
    data: Path, release: str, split: str, hands: Sequence[str], aizoo: Path | None
) -> dict[str, Any]:
    """Return the content of `served.json` for a release.

    Args:
        data: Folder of pictures with `frames.csv`.
        release: A folder or s3://…; empty for the one in the image.
        split: Split of the pictures.
        hands: Sources of bare faces behind hands, cups and tissues.
        aizoo: AIZOO's TFLite file, to compare with other detectors.

    Raises:
        TrainingError: The folder cannot be used.
    """
    opened = open_release(release)
    models = load_models(opened, threads=1)
    examples = [example for example in list_examples(data) if example.split == split and not example.in_scene]
    samples = load_examples(examples).portraits
    to_turn = samples[:: max(len(samples) // TURNED, 1)]
    scenes = load_scenes(data, (split,))
    result: dict[str, Any] = {
        "version": opened.version,
        "split": split,
        "portraits": portrait_figures(samples, answer(opened, samples, "portraits"), hands),
        "turned": {
            f"{90 * quarters}°": portrait_figures(
                to_turn, answer(opened, to_turn, f"turned by {90 * quarters}°", quarters)
            )
            for quarters in (1, 2, 3)
        },
        "scenes": scene_figures(scenes, models),
        "fairness": {},
        "peers": {},
    }
    if (data / "fairface.csv").is_file():
        result["fairness"]["portraits"] = fairness.portraits(data, models)
    if (data / "groups.csv").is_file() and split == "test":
        result["fairness"]["scenes"] = fairness.scenes(data, models)
    if aizoo:
        from training import peers  # noqa: PLC0415 -- needs an extra

        find_in = finder(opened)
        finders = {
            "MaskWatch": lambda pixels: find_in(pixels).faces,
            "CenterFace": peers.centerface(),
            "AIZOO": peers.aizoo(aizoo),
        }
        result["peers"] = peers.compare(finders, scenes)
    return result


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with frames.csv (see tables.py)")
    parser.add_argument("--out", type=Path, required=True, help="folder for served.json")
    parser.add_argument("--release", default="", help="a folder or s3://…; default: the one in the image")
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument(
        "--hands", nargs="*", default=(), help="sources of bare faces behind hands, cups and tissues"
    )
    parser.add_argument(
        "--aizoo", type=Path, help="face_mask_detection.tflite, to compare with other detectors"
    )
    options = parser.parse_args()
    with reported(parser):
        options.out.mkdir(parents=True, exist_ok=True)
        result = evaluate_served(options.data, options.release, options.split, options.hands, options.aizoo)
        (options.out / SERVED).write_text(
            json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
