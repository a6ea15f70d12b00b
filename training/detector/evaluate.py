"""Evaluate a converted detector: `python -m training.detector.evaluate --data FOLDER --run RUN`.

Runs the serving code on the test scenes, lets a release's classifier confirm and label the faces found, and writes
`metrics.json`. Figures are for faces of at least 24 pixels; smaller ones are ignored, except in the figures by size.
Average precision requires an IoU of 0.5; figures at the served threshold require that the box is on the face
(`ON_FACE_IOU`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image
from tqdm import tqdm

from functions.inference.classify import Classifier
from functions.inference.decode import Picture
from functions.inference.detect import UNSURE_SCORE, Detections, Detector
from functions.inference.fetch import open_release
from functions.inference.prediction import MAX_FACES, PredictOptions
from functions.inference.score import classify_detection, load_models, score
from functions.shared.contract import LABELS
from training.candidate import candidate_release
from training.detector.metrics import (
    ON_FACE_IOU,
    average_precision,
    average_precisions,
    label_confusion,
    match,
    match_scenes,
    recalls_at,
    resamples,
    served_in,
)
from training.errors import reported
from training.files import METRICS
from training.metrics import accuracy, by_label, mask_or_not_accuracy
from training.scenes import UNLABELLED, counted_faces, fingerprint, load_test_scenes, overlaps_any, sides

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from functions.inference.release import Release
    from training.scenes import Scene

LOWEST_SCORE: Final = 0.002  # end of the precision-recall curve
FALSE_PER_PICTURE: Final = 0.1
SIZES: Final = (8, 12, 16, 24, 32, 64, 128, 10_000)  # pixels; limits of the ranges for recall by size
DRAWS: Final = 500  # of a bootstrap over scenes
FACE_FREE: Final = 200  # backgrounds cropped from scenes


@dataclass(frozen=True)
class Answer:
    """The detections in a scene, with the probabilities (faces, 3) of the labels."""

    faces: Detections
    probabilities: NDArray[np.float64]


def finder(release: Release) -> Callable[[NDArray[np.uint8]], Answer]:
    """Return a function that detects all faces in RGB (H, W, 3), down to `LOWEST_SCORE`, and classifies them.

    As in serving, the classifier's evidence is added to detections from `UNSURE_SCORE`; the others keep the
    detector's score. Other views are not tried.
    """
    unsure = min(UNSURE_SCORE, release.min_score)
    detector = Detector(release.detector, LOWEST_SCORE, threads=2)
    classifier = Classifier(release.classifier, 2, release.small_classifier)

    def find_in(pixels: NDArray[np.uint8]) -> Answer:
        faces = detector.detect(pixels)
        classified = [
            classify_detection(pixels, box, score, classifier)
            for box, score in zip(faces.boxes, faces.scores.tolist(), strict=True)
        ]
        confirmed = np.array([score for _, score in classified], np.float32)
        scores = np.where(faces.scores >= unsure, confirmed, faces.scores)
        order = np.argsort(-scores, kind="stable")
        probabilities = np.array([output.probabilities for output, _ in classified]).reshape(-1, len(LABELS))
        return Answer(Detections(faces.boxes[order], scores[order]), probabilities[order])

    return find_in


def detect_in_scenes(release: Release, scenes: Sequence[Scene]) -> list[Answer]:
    """Detect and classify the faces in all scenes; see `finder`."""
    find_in = finder(release)
    return [find_in(scene.pixels) for scene in tqdm(scenes, desc="finding faces", unit="scene")]


def evaluate(answers: Sequence[Answer], scenes: Sequence[Scene], release: Release) -> dict[str, Any]:
    """Return the content of `metrics.json` for scenes.

    Args:
        answers: The detections in each scene, with their labels.
        scenes: The test scenes.
        release: The release that found them.
    """
    detections, min_score = [answer.faces for answer in answers], release.min_score
    must_find = [counted_faces(scene) for scene in scenes]
    return {
        "scenes": len(scenes),
        "faces": int(sum(mask.sum() for mask in must_find)),
        "min_score": min_score,
        "overall": _overall(detections, scenes, min_score),
        "labels": {label: _label(answers, scenes, number, min_score) for number, label in enumerate(LABELS)},
        "sources": {
            source: _figures(_pick(detections, here), _pick(scenes, here), _pick(must_find, here), min_score)
            for source in sorted({scene.source for scene in scenes})
            for here in [[scene.source == source for scene in scenes]]
        },
        "sizes": _sizes(detections, scenes, min_score),
        "face_free": _face_free(scenes, release),
        "end_to_end": _end_to_end(answers, scenes, min_score),
    }


def _pick(values: Sequence[Any], here: Sequence[bool]) -> list[Any]:
    return [value for value, chosen in zip(values, here, strict=True) if chosen]


def above_threshold(faces: Detections, min_score: float) -> Detections:
    """Return the detections above the threshold."""
    kept = faces.scores >= min_score
    return Detections(faces.boxes[kept], faces.scores[kept])


def _figures(
    detections: Sequence[Detections],
    scenes: Sequence[Scene],
    must_find: Sequence[NDArray[np.bool_]],
    min_score: float,
) -> dict[str, float]:
    """Return recall and false detections a scene at the served threshold, for boxes that are on the face."""
    served = [above_threshold(faces, min_score) for faces in detections]
    matches = match(served, [scene.boxes for scene in scenes], must_find, ON_FACE_IOU)
    recall, false = served_in(matches, np.ones((1, len(scenes))))
    return {"n": int(matches.faces.sum()), "recall": float(recall[0]), "false_per_picture": float(false[0])}


def _overall(detections: Sequence[Detections], scenes: Sequence[Scene], min_score: float) -> dict[str, Any]:
    """Return figures with 95% intervals, by a bootstrap over scenes, since faces in one scene are not independent."""
    served = match_scenes([above_threshold(faces, min_score) for faces in detections], scenes, ON_FACE_IOU)
    half_iou, on_face = match_scenes(detections, scenes), match_scenes(detections, scenes, ON_FACE_IOU)
    # Detections are matched within a scene, so a draw of scenes only changes how often each scene counts.
    times = resamples(len(scenes), DRAWS)
    recall, false = served_in(served, times)
    result: dict[str, Any] = {"n": int(half_iou.faces.sum())}
    for name, values in {
        "recall": recall,
        "false_per_picture": false,
        "recall_at_0.1_false": recalls_at(on_face, FALSE_PER_PICTURE, times),
        "recall_at_0.1_false_by_half": recalls_at(half_iou, FALSE_PER_PICTURE, times),
        "ap50": average_precisions(half_iou, times),
    }.items():
        low, high = np.quantile(values[1:], [0.025, 0.975])
        result |= {name: float(values[0]), f"{name}_interval": [float(low), float(high)]}
    return result


def _label(
    answers: Sequence[Answer], scenes: Sequence[Scene], number: int, min_score: float
) -> dict[str, float]:
    """Return how faces with one label are found, and found with that label.

    For average precision, a detection counts for each label with its score times the label's probability; on a face
    of unknown class, it is neither right nor wrong.
    """
    own = [scene.labels == number for scene in scenes]
    own_or_unlabelled = [mask | (scene.labels == UNLABELLED) for scene, mask in zip(scenes, own, strict=True)]
    must_find = [counted_faces(scene) & mask for scene, mask in zip(scenes, own, strict=True)]
    as_such = [
        Detections(
            answer.faces.boxes, (answer.faces.scores * answer.probabilities[:, number]).astype(np.float32)
        )
        for answer in answers
    ]
    matches = match(
        as_such,
        [scene.boxes[mask] for scene, mask in zip(scenes, own_or_unlabelled, strict=True)],
        [counted[mask] for counted, mask in zip(must_find, own_or_unlabelled, strict=True)],
    )
    detected = _figures([answer.faces for answer in answers], scenes, must_find, min_score)
    return {"n": int(matches.faces.sum()), "recall": detected["recall"], "ap50": average_precision(matches)}


def _sizes(detections: Sequence[Detections], scenes: Sequence[Scene], min_score: float) -> dict[str, Any]:
    """Return recall by the shorter side of a face, in pixels of its scene."""
    result = {}
    for low, high in pairwise(SIZES):
        must_find = [scene.must_find & (sides(scene) >= low) & (sides(scene) < high) for scene in scenes]
        figures = _figures(detections, scenes, must_find, min_score)
        name = f"{low}-{high}" if high < SIZES[-1] else f"{low} and more"
        result[name] = {"n": figures["n"], "recall": figures["recall"]}
    return result


def _end_to_end(answers: Sequence[Answer], scenes: Sequence[Scene], min_score: float) -> dict[str, Any]:
    """Return the confusion matrix (actual, predicted) of the faces found, and figures from it."""
    found = [above_threshold(answer.faces, min_score) for answer in answers]
    predicted = [
        answer.probabilities[: len(faces.scores)].argmax(axis=1)
        for answer, faces in zip(answers, found, strict=True)
    ]
    confusion = label_confusion(found, predicted, scenes, ON_FACE_IOU)
    faces = sum(int((counted_faces(scene) & (scene.labels != UNLABELLED)).sum()) for scene in scenes)
    return {
        "n": int(confusion.sum()),
        "accuracy": float(accuracy(confusion)),
        # A face that is missed is labelled wrongly, too.
        "accuracy_of_all": float(np.trace(confusion) / max(faces, 1)),
        "mask_or_not_accuracy": float(mask_or_not_accuracy(confusion)),
        "recall": by_label(confusion)["recall"],
        "confusion": confusion.tolist(),
    }


def _face_free(scenes: Sequence[Scene], release: Release) -> dict[str, Any]:
    """Return false detections on pictures without faces: backgrounds cropped from scenes, and drawn patterns."""
    models, options = load_models(release, threads=2), PredictOptions(max_faces=MAX_FACES)

    def count(pixels: NDArray[np.uint8]) -> int:
        height, width = pixels.shape[:2]
        return len(score(Picture(pixels, width, height, decode_ms=0.0), models, options).faces)

    pictures = {"backgrounds": backgrounds(scenes), "patterns": patterns()}
    return {
        kind: {"n": len(drawn), "false_per_picture": sum(map(count, drawn)) / max(len(drawn), 1)}
        for kind, drawn in pictures.items()
    }


def backgrounds(scenes: Sequence[Scene]) -> list[NDArray[np.uint8]]:
    """Crop parts of scenes, RGB (H, W, 3), of at least half a scene's sides, that overlap no labelled face."""
    rng = np.random.default_rng(0)
    cuts: list[NDArray[np.uint8]] = []
    for _ in range(100 * FACE_FREE):
        if len(cuts) == FACE_FREE:
            break
        scene = scenes[int(rng.integers(len(scenes)))]
        height, width = scene.pixels.shape[:2]
        h, w = (int(v) for v in rng.uniform(0.5, 0.9, 2) * (height, width))
        top, left = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
        if not overlaps_any(scene.boxes, (left, top, left + w, top + h)):
            cuts.append(scene.pixels[top : top + h, left : left + w])
    return cuts


def patterns() -> list[NDArray[np.uint8]]:
    """Draw noise at several scales, gradients, stripes and plain colours, RGB (480, 640, 3)."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:480, 0:640]
    drawn: dict[str, Callable[[], NDArray[Any]]] = {
        "fine noise": lambda: rng.integers(0, 256, (480, 640, 3)),
        "coarse noise": lambda: _enlarged(rng.integers(0, 256, (12, 16, 3))),
        "medium noise": lambda: _enlarged(rng.integers(0, 256, (48, 64, 3))),
        "gradient": lambda: columns[..., np.newaxis] * rng.uniform(0.1, 0.4, 3),
        "stripes": lambda: 127 + 120 * np.sin(rows[..., np.newaxis] * rng.uniform(0.05, 1, 3)),
        "plain": lambda: np.full((480, 640, 3), rng.integers(0, 256, 3)),
    }
    return [make().astype(np.uint8) for make in drawn.values() for _ in range(5)]


def _enlarged(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(Image.fromarray(values.astype(np.uint8)).resize((640, 480), Image.Resampling.BICUBIC))


def evaluate_run(run: Path, data: Path, release: Release) -> Mapping[str, Any]:
    """Evaluate a release with the converted detector of `run`; write and return its `metrics.json`.

    Raises:
        TrainingError: There are no test scenes.
    """
    scenes = load_test_scenes(data)
    result = {
        **evaluate(detect_in_scenes(release, scenes), scenes, release),
        "faces_of_unknown_class": int(
            sum((counted_faces(scene) & (scene.labels == UNLABELLED)).sum() for scene in scenes)
        ),
        "model": {
            "sha256": hashlib.sha256(release.detector.file).hexdigest(),
            "bytes": len(release.detector.file),
        },
        "data": {"fingerprint": fingerprint(scenes)},
    }
    (run / METRICS).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with frames.csv (see scenes.py)")
    parser.add_argument("--run", type=Path, required=True, help="folder of a converted run; results go there")
    parser.add_argument(
        "--release",
        default="",
        help="release whose classifier confirms and labels the faces; default: the one in the image",
    )
    options = parser.parse_args()
    with reported(parser):
        release = candidate_release(open_release(options.release), None, options.run)
        result = evaluate_run(options.run, options.data, release)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
