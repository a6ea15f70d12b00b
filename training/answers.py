"""Answers for many pictures, on all cores: of a release on the served path, or of its classifier alone."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from tqdm import tqdm

from functions.inference.classify import Classifier
from functions.inference.decode import decode
from functions.inference.detect import Detections
from functions.inference.prediction import PredictOptions
from functions.inference.score import load_models, score
from functions.shared.contract import LABELS
from training.metrics import by_label, by_part, figures, precision_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from functions.inference.decode import Picture
    from functions.inference.prediction import Face
    from functions.inference.release import Network, Release
    from functions.inference.score import Models
    from training.dataset import Sample

    Pixels = NDArray[np.uint8]
    Change = Callable[[Pixels, np.random.Generator], Pixels]

Output = TypeVar("Output")


@dataclass(frozen=True)
class Answers:
    """Answers of the served path for N portraits.

    Attributes:
        face_found: Whether a face was found, rather than the whole picture classified, (N,).
        probabilities: Probabilities of the labels, (N, 3).
    """

    face_found: NDArray[np.bool_]
    probabilities: NDArray[np.float64]


def probabilities(
    network: Network, pictures: Sequence[Pixels], change: Change | None = None, name: str = "test"
) -> NDArray[np.float64]:
    """Return the classifier's probabilities (N, 3) for RGB pictures (H, W, 3), each optionally changed first."""

    def classify(classifier: Classifier, number: int) -> tuple[float, float, float]:
        pixels = pictures[number]
        if change:
            pixels = change(pixels, np.random.default_rng(number))
        return classifier.classify(pixels).probabilities

    output = map_in_threads(lambda: Classifier(network, threads=1), classify, len(pictures), name)
    return np.reshape(output, (-1, len(LABELS)))


def answer(release: Release, samples: Sequence[Sample], name: str, quarters: int = 0) -> Answers:
    """Score the files of portraits with a release, on the served path.

    Args:
        release: The release.
        samples: Portraits whose files can be decoded.
        name: Name of the progress bar.
        quarters: Quarter turns by which each picture is rotated first.
    """

    def score_portrait(models: Models, number: int) -> tuple[bool, list[float]]:
        picture = _turned(decode(samples[number].example.path.read_bytes()), quarters)
        result = score(picture, models, PredictOptions())
        return bool(result.faces), [result.classification.probabilities[label] for label in LABELS]

    answers = map_in_threads(lambda: load_models(release, threads=1), score_portrait, len(samples), name)
    face_found, probabilities = [face for face, _ in answers], [row for _, row in answers]
    return Answers(np.array(face_found, bool), np.reshape(probabilities, (-1, len(LABELS))))


def map_in_threads(
    load: Callable[[], Any], each: Callable[[Any, int], Output], count: int, name: str
) -> list[Output]:
    """Return `each(model, number)` of the numbers below `count`, computed on all cores with a progress bar.

    Each thread loads a model of its own, since an interpreter runs one picture at a time.
    """
    own = threading.local()

    def run(number: int) -> Output:
        if not hasattr(own, "model"):
            own.model = load()
        return each(own.model, number)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(tqdm(pool.map(run, range(count)), desc=name, total=count, unit="picture"))


def _turned(picture: Picture, quarters: int) -> Picture:
    size = (picture.width, picture.height)
    width, height = size[::-1] if quarters % 2 else size
    pixels = np.ascontiguousarray(np.rot90(picture.pixels, quarters))
    return replace(picture, pixels=pixels, width=width, height=height)


def served_figures(
    answers: Answers,
    actual: NDArray[np.int64],
    sources: NDArray[np.str_],
    slices: Mapping[str, Mapping[str, NDArray[np.bool_]]],
) -> dict[str, Any]:
    """Return the figures of the served path: overall, by source and by slice.

    Args:
        answers: Answers for N portraits.
        actual: Class numbers (N,).
        sources: Source of each portrait, (N,).
        slices: Masks (N,) by group and slice.
    """

    def figures_of(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        result = figures(actual[chosen], answers.probabilities[chosen])
        face_found = float(answers.face_found[chosen].mean())
        return {**result, "face_found": face_found, **by_label(np.array(result["confusion"]))}

    return {
        "overall": {
            **figures_of(np.ones(len(actual), bool)),
            "precision_at": dict(zip(LABELS, precision_at(actual, answers.probabilities), strict=True)),
        },
        **by_part(figures_of, sources, slices),
    }


def detections(faces: Sequence[Face]) -> Detections:
    """Return the faces of a prediction as detections, in pixels of the picture."""
    boxes = [(f.box.left, f.box.top, f.box.left + f.box.width, f.box.top + f.box.height) for f in faces]
    scores = [face.detection_confidence for face in faces]
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32))
