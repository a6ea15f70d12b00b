"""Candidate releases, and their answers on the served path (decode → detect → crop → classify)."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from tqdm import tqdm

from functions.inference.decode import decode
from functions.inference.fetch import open_release
from functions.inference.prediction import PredictOptions
from functions.inference.release import Network
from functions.inference.score import load_models, score
from functions.shared.contract import LABELS
from training.errors import TrainingError
from training.files import CONVERSION, DETECTOR, SMALL
from training.metrics import figures, precision_at, precision_recall_f1

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from functions.inference.decode import Picture
    from functions.inference.release import Release
    from functions.inference.score import Models
    from training.classifier.dataset import Sample

STACK: Final = "stack:"

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


def serving_uri(stack: str) -> str:
    """Return the URI of the release that a stack serves; empty for the one in its image.

    Raises:
        TrainingError: The stack does not exist, or AWS cannot be reached.
    """
    import boto3  # noqa: PLC0415 -- needed only with a stack
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        (described,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise TrainingError(f"what the stack {stack} serves cannot be found out: {error}") from error
    parameters = described.get("Parameters", [])
    values = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in parameters}
    return str(values.get("ModelUri", ""))


def open_serving(address: str) -> Release:
    """Open the release to compare with.

    Args:
        address: A folder, s3://…, `stack:NAME` for what that stack serves now, or "" for the one in the image.

    Raises:
        ReleaseError: The release is invalid.
        TrainingError: See `serving_uri`.
    """
    return open_release(serving_uri(address.removeprefix(STACK)) if address.startswith(STACK) else address)


def _conversion(run: Path) -> dict[str, Any]:
    """Return the content of a run's `conversion.json`.

    Raises:
        TrainingError: The run is not converted.
    """
    try:
        return dict(json.loads((run / CONVERSION).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise TrainingError(f"{run} has no {CONVERSION}: convert the run first") from error


def shipped(run: Path) -> Network:
    """Return the network that `training.classifier.convert` chose to ship."""
    conversion = _conversion(run)
    return Network((run / f"{conversion['shipped']}.tflite").read_bytes(), conversion["input_size"])


def _small(run: Path) -> Network | None:
    """Return the network for small faces, or None if conversion wrote none."""
    conversion = _conversion(run)
    if "small" not in conversion:
        return None
    return Network((run / SMALL).read_bytes(), conversion["small"]["input_size"])


def candidate_release(serving: Release, run: Path | None, detector: Path | None) -> Release:
    """Return the serving release with the networks of runs in place of its own.

    Args:
        serving: The serving release.
        run: Folder of a classifier's converted run.
        detector: Folder of a detector's converted run.

    Raises:
        TrainingError: A run is not converted.
    """
    release = serving
    if run:
        release = replace(serving, classifier=shipped(run), small_classifier=_small(run))
    if detector:
        conversion = _conversion(detector)
        network = Network((detector / DETECTOR).read_bytes(), conversion["input_size"])
        release = replace(release, detector=network, min_score=conversion["min_score"])
    return release


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
        chances = result.classification.probabilities
        return bool(result.faces), [chances[label] for label in LABELS]

    answers = in_threads(lambda: load_models(release, threads=1), score_portrait, len(samples), name)
    face_found, probabilities = [face for face, _ in answers], [row for _, row in answers]
    return Answers(np.array(face_found, bool), np.reshape(probabilities, (-1, len(LABELS))))


def in_threads(
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
        precision, recall, f1 = precision_recall_f1(np.array(result["confusion"]))
        return {
            **result,
            "face_found": float(answers.face_found[chosen].mean()),
            "precision": dict(zip(LABELS, precision.tolist(), strict=True)),
            "recall": dict(zip(LABELS, recall.tolist(), strict=True)),
            "f1": dict(zip(LABELS, f1.tolist(), strict=True)),
        }

    return {
        "overall": {
            **figures_of(np.ones(len(actual), bool)),
            "precision_at": dict(zip(LABELS, precision_at(actual, answers.probabilities), strict=True)),
        },
        **by_part(figures_of, sources, slices),
    }


def by_part(
    figures_of: Callable[[NDArray[np.bool_]], dict[str, Any]],
    sources: NDArray[np.str_],
    slices: Mapping[str, Mapping[str, NDArray[np.bool_]]],
) -> dict[str, dict[str, Any]]:
    """Return `figures_of` each mask (N,): by source, and by group and slice, without empty slices."""
    return {
        "sources": {str(name): figures_of(sources == name) for name in np.unique(sources)},
        "slices": {
            group: {name: figures_of(chosen) for name, chosen in members.items() if chosen.any()}
            for group, members in slices.items()
        },
    }
