"""Compares the faces that releases find in scenes, with non-inferiority tests.

Overall figures are average precision, and recall and false detections at each release's threshold; the recall of each
label and source follows. See `training.gate` for the conditions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.shared.contract import LABELS
from training.detector.evaluate import above_threshold, detect_in_scenes
from training.detector.metrics import (
    ON_FACE_IOU,
    Matches,
    average_precisions,
    match,
    match_scenes,
    resamples,
    served_in,
)
from training.gate import ALPHA, MAX_LOSS, MIN_PICTURES, Comparison, against_floor, compare_figure
from training.scenes import Scene, counted_faces

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
    must_find = [counted_faces(scene) for scene in scenes]
    times = resamples(len(scenes), PRECISION_DRAWS)
    first, second = (
        average_precisions(match_scenes(detections, scenes), times) for detections, _ in (candidate, serving)
    )
    n = int(sum(mask.sum() for mask in must_find))
    return [
        _compare("face: ap50", n, first, second, scenes, margin=MAX_LOSS),
        *_compare_served("face", candidate, serving, scenes, must_find),
    ]


def _compare(
    figure: str, n: int, candidate: Floats, serving: Floats, scenes: Sequence[Scene], **options: Any
) -> Comparison:
    """Compare a figure, of which each array has the value in the scenes and then in each draw, (1 + draws,)."""
    values, differences = (float(candidate[0]), float(serving[0])), candidate[1:] - serving[1:]
    return compare_figure(figure, n, values, differences, scenes=len(scenes), **options)


def _compare_served(
    name: str,
    candidate: tuple[Sequence[Detections], float],
    serving: tuple[Sequence[Detections], float],
    scenes: Sequence[Scene],
    must_find: Sequence[NDArray[np.bool_]],
    alpha: float | None = None,
) -> list[Comparison]:
    """Compare recall, and for the whole test set (without `alpha`) also false detections."""
    boxes = [scene.boxes for scene in scenes]
    both = [
        match([above_threshold(faces, score) for faces in detections], boxes, must_find, ON_FACE_IOU)
        for detections, score in (candidate, serving)
    ]
    times = resamples(len(scenes), DRAWS)
    (recall, false), (other_recall, other_false) = (served_in(matches, times) for matches in both)
    n = int(both[0].faces.sum())
    if alpha:
        return [_compare(f"{name}: recall", n, recall, other_recall, scenes, alpha=alpha)]
    recall[1:] += _pseudo_counts(both[0], both[1], n)
    figure, options = f"{name}: false detections a scene", {"margin": FALSE_MARGIN, "less_is_better": True}
    return [
        _compare(f"{name}: recall", n, recall, other_recall, scenes, margin=MAX_LOSS),
        _compare(figure, n, false, other_false, scenes, **options),
    ]


def _pseudo_counts(candidate: Matches, serving: Matches, faces: int) -> Floats:
    """Return the effect on recall of half a face that only one finds; `training.classifier.compare` says why."""
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
        return [answer.faces for answer in detect_in_scenes(release, scenes)], release.min_score

    ours, theirs = detect(candidate), detect(serving)
    groups = {f"class {label}": [s.labels == number for s in scenes] for number, label in enumerate(LABELS)}
    for source in sorted({scene.source for scene in scenes}):
        groups[f"source {source or '-'}"] = [np.full(len(s.labels), s.source == source) for s in scenes]
    must_find = {
        name: [counted_faces(scene) & own for scene, own in zip(scenes, members, strict=True)]
        for name, members in groups.items()
    }
    tests = max(sum(sum(int(m.sum()) for m in masks) >= MIN_PICTURES for masks in must_find.values()), 1)
    result = compare_overall(ours, theirs, scenes)
    for name, masks in must_find.items():
        result += _compare_served(name, ours, theirs, scenes, masks, ALPHA / tests)
    if floor != serving:
        result += against_floor(compare_overall(ours, detect(floor), scenes))
    return result
