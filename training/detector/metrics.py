"""Metrics of a detector: matching, recall at a rate of false detections, average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.inference.detect import Detections, iou
from functions.shared.contract import LABELS
from training.scenes import MIN_FACE, UNLABELLED, counted_faces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.scenes import Scene

    Floats = NDArray[np.float64]

ON_FACE_IOU: Final = 0.4  # IoU from which a box is on the face; the data sets' own boxes differ by as much
MIN_IOU: Final = 0.5  # IoU from which a box has found a face, as in benchmarks
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
    detections: Detections, boxes: NDArray[np.float32], must_find: NDArray[np.bool_], min_iou: float = MIN_IOU
) -> NDArray[np.intp]:
    """Assign a face, or `NONE`, to each detection, best detections first; a face is found only once.

    An ignored face, which need not be found, is assigned only to detections that fit no other face, and to any number
    of them; they fit by the share of their own area inside it, as for COCO's crowds.
    """
    faces = np.full(len(detections.scores), NONE)
    if not len(boxes) or not len(faces):
        return faces
    fit = np.where(must_find, iou(detections.boxes, boxes), _share_within(detections.boxes, boxes))
    free = np.ones(len(boxes), bool)
    for number in np.argsort(-detections.scores, kind="stable"):
        fits = (fit[number] >= min_iou) & free
        fits = fits & must_find if (fits & must_find).any() else fits & ~must_find
        if fits.any():
            faces[number] = np.where(fits, fit[number], -1).argmax()
            free[faces[number]] = not must_find[faces[number]]
    return faces


def _share_within(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the share of each box of (n, 4) that lies inside each box of (m, 4): (n, m)."""
    low, high = np.maximum(a[:, np.newaxis, :2], b[:, :2]), np.minimum(a[:, np.newaxis, 2:], b[:, 2:])
    areas = (a[:, 2:] - a[:, :2]).prod(axis=1)
    return np.asarray((high - low).clip(0).prod(axis=-1) / areas[:, np.newaxis].clip(1e-6), np.float32)


def match(
    detections: Sequence[Detections],
    boxes: Sequence[NDArray[np.float32]],
    must_find: Sequence[NDArray[np.bool_]],
    min_iou: float = MIN_IOU,
) -> Matches:
    """Match detections with faces, picture by picture; other detections under `MIN_FACE` are ignored, not false.

    Args:
        detections: Those in each picture.
        boxes: The boxes of the faces in each picture, (faces, 4).
        must_find: Which of them must be found, (faces,); the others are ignored.
        min_iou: IoU from which a box has found a face.
    """
    scores, right = [np.zeros(0, np.float32)], [np.zeros(0, bool)]
    pictures = [np.zeros(0, np.intp)]
    for number, (faces, labelled, counted) in enumerate(zip(detections, boxes, must_find, strict=True)):
        assigned = assign(faces, labelled, counted, min_iou)
        hit = assigned != NONE
        correct = hit & np.append(counted, False)[assigned]
        counts = correct | (~hit & ((faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1) >= MIN_FACE))
        scores.append(faces.scores[counts])
        right.append(correct[counts])
        pictures.append(np.full(counts.sum(), number))
    counted_in = np.array([counted.sum() for counted in must_find], np.int64)
    return Matches(np.concatenate(scores), np.concatenate(right), np.concatenate(pictures), counted_in)


def label_confusion(
    detections: Sequence[Detections],
    predicted: Sequence[Sequence[int] | NDArray[np.intp]],
    scenes: Sequence[Scene],
    min_iou: float = MIN_IOU,
) -> NDArray[np.int64]:
    """Return how often the counted faces of each class were found and got each label, (actual, predicted).

    Args:
        detections: Those in each scene.
        predicted: The class number that each got.
        scenes: The scenes.
        min_iou: IoU from which a box has found a face.
    """
    confusion = np.zeros((len(LABELS), len(LABELS)), np.int64)
    for faces, classes, scene in zip(detections, predicted, scenes, strict=True):
        counted = counted_faces(scene) & (scene.labels != UNLABELLED)
        assigned = assign(faces, scene.boxes, counted_faces(scene), min_iou)
        for face, number in zip(assigned, classes, strict=True):
            if face != NONE and counted[face]:
                confusion[scene.labels[face], number] += 1
    return confusion


def match_scenes(
    detections: Sequence[Detections], scenes: Sequence[Scene], min_iou: float = MIN_IOU
) -> Matches:
    """Match detections with the faces of scenes that count in figures; see `match`."""
    return match(detections, [s.boxes for s in scenes], [counted_faces(s) for s in scenes], min_iou)


def resamples(pictures: int, draws: int) -> Floats:
    """Return how often each picture counts: once each, then as in each draw of a bootstrap, (1 + draws, pictures)."""
    drawn = np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), draws)
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
