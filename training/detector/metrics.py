"""Metrics of a detector: matching, recall at a rate of false detections, average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.inference.detect import Detections, iou
from training.detector.scenes import MIN_FACE, to_find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.detector.scenes import Scene

    Floats = NDArray[np.float64]

ON_FACE: Final = 0.4  # IoU from which a box is on the face; the data sets' own boxes differ by as much
FOUND: Final = 0.5  # IoU from which a box has found a face, as in benchmarks
NONE: Final = -1


@dataclass(frozen=True)
class Matches:
    """The detections in all pictures, without the ignored ones, and the number of faces to find.

    Attributes:
        scores: Score of each detection, (detections,).
        right: Whether it found a face, (detections,).
        picture: Index of its picture, (detections,).
        faces: Number of faces to find in each picture, (pictures,).
    """

    scores: NDArray[np.float32]
    right: NDArray[np.bool_]
    picture: NDArray[np.intp]
    faces: NDArray[np.int64]


def assign(
    detections: Detections, boxes: NDArray[np.float32], sought: NDArray[np.bool_], least: float = FOUND
) -> NDArray[np.intp]:
    """Assign a face, or `NONE`, to each detection, best detections first; a face is found only once.

    An ignored face (not `sought`) is assigned only to detections that fit no other face, and to any number of them;
    they fit by the share of their own area inside it, as for COCO's crowds.
    """
    faces = np.full(len(detections.scores), NONE)
    if not len(boxes) or not len(faces):
        return faces
    fit = np.where(sought, iou(detections.boxes, boxes), _share_within(detections.boxes, boxes))
    free = np.ones(len(boxes), bool)
    for number in np.argsort(-detections.scores, kind="stable"):
        fits = (fit[number] >= least) & free
        fits = fits & sought if (fits & sought).any() else fits & ~sought
        if fits.any():
            faces[number] = np.where(fits, fit[number], -1).argmax()
            free[faces[number]] = not sought[faces[number]]
    return faces


def _share_within(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the share of each box of (n, 4) that lies inside each box of (m, 4): (n, m)."""
    low, high = np.maximum(a[:, np.newaxis, :2], b[:, :2]), np.minimum(a[:, np.newaxis, 2:], b[:, 2:])
    areas = (a[:, 2:] - a[:, :2]).prod(axis=1)
    return np.asarray((high - low).clip(0).prod(axis=-1) / areas[:, np.newaxis].clip(1e-6), np.float32)


def match(
    detections: Sequence[Detections],
    boxes: Sequence[NDArray[np.float32]],
    sought: Sequence[NDArray[np.bool_]],
    least: float = FOUND,
) -> Matches:
    """Match detections with faces, picture by picture; other detections under `MIN_FACE` are ignored, not false.

    Args:
        detections: Those in each picture.
        boxes: The boxes of the faces in each picture, (faces, 4).
        sought: Which of them must be found, (faces,); the others are ignored.
        least: IoU from which a box has found a face.
    """
    scores, right = [np.zeros(0, np.float32)], [np.zeros(0, bool)]
    pictures = [np.zeros(0, np.intp)]
    for number, (faces, there, wanted) in enumerate(zip(detections, boxes, sought, strict=True)):
        taken = assign(faces, there, wanted, least)
        hit = taken != NONE
        correct = hit & np.append(wanted, False)[taken]
        counts = correct | (~hit & ((faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1) >= MIN_FACE))
        scores.append(faces.scores[counts])
        right.append(correct[counts])
        pictures.append(np.full(counts.sum(), number))
    counts_to_find = np.array([wanted.sum() for wanted in sought], np.int64)
    return Matches(np.concatenate(scores), np.concatenate(right), np.concatenate(pictures), counts_to_find)


def match_scenes(detections: Sequence[Detections], scenes: Sequence[Scene], least: float = FOUND) -> Matches:
    """Match detections with the faces of scenes that count in figures; see `match`."""
    return match(detections, [scene.boxes for scene in scenes], [to_find(scene) for scene in scenes], least)


def resamples(pictures: int, draws: int) -> Floats:
    """Return how often each picture counts: once each, then as in each draw of a bootstrap, (1 + draws, pictures)."""
    chances = np.full(pictures, 1 / pictures)
    drawn = np.random.default_rng(0).multinomial(pictures, chances, draws)
    return np.concatenate([np.ones((1, pictures)), drawn])


def served_in(matches: Matches, times: Floats) -> tuple[Floats, Floats]:
    """Return recall and false detections a picture, with weighted pictures.

    Args:
        matches: The matches of the detections above the threshold.
        times: How often each picture counts, (draws, pictures).

    Returns:
        Recall and false detections a picture, both (draws,).
    """
    sums = [
        np.bincount(matches.picture[mask], minlength=len(matches.faces))
        for mask in (matches.right, ~matches.right)
    ]
    right, wrong = (times @ counts for counts in sums)
    return right / (times @ matches.faces).clip(1e-9), wrong / times.sum(axis=1).clip(1e-9)


def recall_at(matches: Matches, false_per_picture: float) -> tuple[float, float]:
    """Return the highest recall with at most `false_per_picture` false detections a picture, and its threshold."""
    order = np.argsort(-matches.scores, kind="stable")
    right = matches.right[order]
    allowed = np.cumsum(~right) <= false_per_picture * len(matches.faces)
    count = int(allowed.sum())  # the allowed ones come first, since false ones only accumulate
    if not count or not matches.faces.sum():
        return 0.0, 1.0
    return float(right[:count].sum() / matches.faces.sum()), float(matches.scores[order][count - 1])


def recalls_at(matches: Matches, false_per_picture: float, times: Floats) -> Floats:
    """Return the recall of `recall_at` with weighted pictures: `times` (draws, pictures) → (draws,)."""
    order = np.argsort(-matches.scores, kind="stable")
    right, picture = matches.right[order], matches.picture[order]
    result = np.empty(len(times))
    for draw, counts in enumerate(times):
        weights = counts[picture]
        allowed = np.cumsum(~right * weights) <= false_per_picture * counts.sum()
        result[draw] = (right * weights)[allowed].sum() / max(counts @ matches.faces, 1)
    return result


def average_precision(matches: Matches) -> float:
    """Return the area under the precision-recall curve, with precision made monotonic (PASCAL VOC since 2010)."""
    return float(average_precisions(matches, np.ones((1, len(matches.faces))))[0])


def average_precisions(matches: Matches, times: Floats) -> Floats:
    """Return the average precision with weighted pictures: `times` (draws, pictures) → (draws,)."""
    order = np.argsort(-matches.scores, kind="stable")
    right, picture = matches.right[order], matches.picture[order]
    result = np.empty(len(times))
    for draw, counts in enumerate(times):
        weights = counts[picture]
        precision = np.cumsum(right * weights) / np.cumsum(weights).clip(1e-9)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        result[draw] = (precision * right * weights).sum() / max(counts @ matches.faces, 1)
    return result
