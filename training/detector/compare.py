"""Compares the faces that releases find in scenes, with non-inferiority tests.

Overall figures are average precision, and recall and false detections at each release's threshold; the recall of each
label and source follows. See `training.gate` for the conditions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from functions.shared.contract import LABELS
from training.detector.evaluate import certain, find
from training.detector.metrics import (
    ON_FACE,
    Matches,
    average_precisions,
    match,
    match_scenes,
    resamples,
    served_in,
)
from training.detector.scenes import Scene, to_find
from training.gate import ALPHA, FEWEST, MAX_LOSS, Comparison, against_floor, comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from functions.inference.detect import Detections
    from functions.inference.release import Release

    Floats = NDArray[np.float64]

DRAWS: Final = 2_000
PRECISION_DRAWS: Final = 500
FALSE_MARGIN: Final = 0.05  # largest increase in false detections a scene


def compare_overall(
    candidate: tuple[Sequence[Detections], float],
    serving: tuple[Sequence[Detections], float],
    scenes: Sequence[Scene],
) -> list[Comparison]:
    """Compare average precision, recall and false detections, with non-inferiority tests.

    Args:
        candidate: The run's detections in each scene, and its threshold.
        serving: The serving release's detections and threshold.
        scenes: The test scenes.
    """
    sought = [to_find(scene) for scene in scenes]
    times = resamples(len(scenes), PRECISION_DRAWS)
    first, second = (
        average_precisions(match_scenes(detections, scenes), times) for detections, _ in (candidate, serving)
    )
    n = int(sum(mask.sum() for mask in sought))
    return [
        comparison(
            "face: ap50",
            n,
            (float(first[0]), float(second[0])),
            first[1:] - second[1:],
            margin=MAX_LOSS,
            scenes=len(scenes),
        ),
        *_compare_served("face", candidate, serving, scenes, sought),
    ]


def _compare_served(
    name: str,
    candidate: tuple[Sequence[Detections], float],
    serving: tuple[Sequence[Detections], float],
    scenes: Sequence[Scene],
    sought: Sequence[NDArray[np.bool_]],
    alpha: float | None = None,
) -> list[Comparison]:
    """Compare recall, and for the whole test set (without `alpha`) also false detections."""
    boxes = [scene.boxes for scene in scenes]
    both = [
        match([certain(faces, score) for faces in detections], boxes, sought, ON_FACE)
        for detections, score in (candidate, serving)
    ]
    times = resamples(len(scenes), DRAWS)
    (recall, false), (other_recall, other_false) = (served_in(matches, times) for matches in both)
    n = int(both[0].faces.sum())
    recalls = (float(recall[0]), float(other_recall[0]))
    differences = recall[1:] - other_recall[1:]
    if alpha:
        return [comparison(f"{name}: recall", n, recalls, differences, alpha=alpha, scenes=len(scenes))]
    doubted = differences + _doubt(both[0], both[1], n)
    return [
        comparison(f"{name}: recall", n, recalls, doubted, margin=MAX_LOSS, scenes=len(scenes)),
        comparison(
            f"{name}: false detections a scene",
            n,
            (float(false[0]), float(other_false[0])),
            false[1:] - other_false[1:],
            margin=FALSE_MARGIN,
            less_is_better=True,
            scenes=len(scenes),
        ),
    ]


def _doubt(candidate: Matches, serving: Matches, faces: int) -> Floats:
    """Return the effect on recall of half a face that only one finds; `training.classifier.gate` says why."""
    if np.array_equal(candidate.scores, serving.scores):
        return np.zeros(DRAWS)
    drawn = np.random.default_rng(1).poisson(0.5, (DRAWS, 2))
    return np.asarray((drawn[:, 0] - drawn[:, 1]) / max(faces, 1), float)


def compare_scenes(
    candidate: Release, serving: Release, floor: Release, scenes: Sequence[Scene]
) -> list[Comparison]:
    """Compare all figures of two releases, and the overall figures with the floor.

    Args:
        candidate: The candidate.
        serving: The serving release.
        floor: The release in the image, than which no candidate may be worse.
        scenes: The test scenes.
    """

    def detect(release: Release) -> tuple[list[Detections], float]:
        return [answer.faces for answer in find(release, scenes)], release.min_score

    ours, theirs = detect(candidate), detect(serving)
    groups = {f"class {label}": [s.labels == number for s in scenes] for number, label in enumerate(LABELS)}
    for source in sorted({scene.source for scene in scenes}):
        groups[f"source {source or '-'}"] = [np.full(len(s.labels), s.source == source) for s in scenes]
    sought = {
        name: [to_find(scene) & own for scene, own in zip(scenes, members, strict=True)]
        for name, members in groups.items()
    }
    tests = max(sum(sum(int(mask.sum()) for mask in masks) >= FEWEST for masks in sought.values()), 1)
    result = compare_overall(ours, theirs, scenes)
    for name, masks in sought.items():
        result += _compare_served(name, ours, theirs, scenes, masks, ALPHA / tests)
    if floor != serving:
        result += against_floor(compare_overall(ours, detect(floor), scenes))
    return result
