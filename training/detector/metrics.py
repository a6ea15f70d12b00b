"""How well faces are found: matching, recall at a rate of false alarms, average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.inference.detect import Detections, overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ON_FACE: Final = 0.4  # from which on it is on the face: the sets' own boxes of one face differ by as much
FOUND: Final = 0.5  # intersection over union from which on a box has found a face, as benchmarks have it
NONE: Final = -1


@dataclass(frozen=True)
class Matches:
    """Every detection that counts, over all pictures, and how many faces there were to find.

    Attributes:
        scores: (detections,).
        right: Whether it found a face, (detections,).
        picture: The number of the picture it was made in, (detections,).
        faces: To be found in each picture, (pictures,).
    """

    scores: NDArray[np.float32]
    right: NDArray[np.bool_]
    picture: NDArray[np.intp]
    faces: NDArray[np.int64]


def assign(
    found: Detections, boxes: NDArray[np.float32], sought: NDArray[np.bool_], least: float = FOUND
) -> NDArray[np.intp]:
    """The face that each detection found, best detection first, or `NONE`; a face is found once.

    A face that is not sought is taken only by a detection that fits no face that is. It takes any number of them, and
    each fits by the share of its own area that lies within, as COCO has it for crowds.
    """
    faces = np.full(len(found.scores), NONE)
    if not len(boxes) or not len(faces):
        return faces
    fit = np.where(sought, overlap(found.boxes, boxes), _share_within(found.boxes, boxes))
    free = np.ones(len(boxes), bool)
    for number in np.argsort(-found.scores, kind="stable"):
        fits = (fit[number] >= least) & free
        fits = fits & sought if (fits & sought).any() else fits & ~sought
        if fits.any():
            faces[number] = np.where(fits, fit[number], -1).argmax()
            free[faces[number]] = not sought[faces[number]]
    return faces


def _share_within(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share of each box of (n, 4) that lies within each box of (m, 4): (n, m)."""
    low, high = np.maximum(a[:, np.newaxis, :2], b[:, :2]), np.minimum(a[:, np.newaxis, 2:], b[:, 2:])
    areas = (a[:, 2:] - a[:, :2]).prod(axis=1)
    return np.asarray((high - low).clip(0).prod(axis=-1) / areas[:, np.newaxis].clip(1e-6), np.float32)


def match(
    found: Sequence[Detections],
    boxes: Sequence[NDArray[np.float32]],
    sought: Sequence[NDArray[np.bool_]],
    min_side: float,
    least: float = FOUND,
) -> Matches:
    """Match detections with faces, picture by picture.

    Args:
        found: Of each picture.
        boxes: Of the faces in each picture, (faces, 4).
        sought: Which of them must be found, (faces,); finding another is neither right nor wrong.
        min_side: Pixels; nor is a detection with a shorter side wrong.
        least: Intersection over union from which on a box has found a face.
    """
    scores, right = [np.zeros(0, np.float32)], [np.zeros(0, bool)]
    pictures = [np.zeros(0, np.intp)]
    for number, (faces, there, wanted) in enumerate(zip(found, boxes, sought, strict=True)):
        taken = assign(faces, there, wanted, least)
        hit = taken != NONE
        correct = hit & np.append(wanted, False)[taken]
        counts = correct | (~hit & ((faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1) >= min_side))
        scores.append(faces.scores[counts])
        right.append(correct[counts])
        pictures.append(np.full(counts.sum(), number))
    wanted_faces = np.array([wanted.sum() for wanted in sought], np.int64)
    return Matches(np.concatenate(scores), np.concatenate(right), np.concatenate(pictures), wanted_faces)


def resamples(pictures: int, draws: int) -> Floats:
    """How often a bootstrap draws each picture, (draws, pictures)."""
    chances = np.full(pictures, 1 / pictures)
    return np.random.default_rng(0).multinomial(pictures, chances, draws).astype(float)


def served_in(matches: Matches, times: Floats) -> tuple[Floats, Floats]:
    """Recall and false detections a picture where each picture counts so many times.

    Args:
        matches: Of the detections that serving would tell.
        times: (draws, pictures).

    Returns:
        Both (draws,).
    """
    sums = [
        np.bincount(matches.picture[of], minlength=len(matches.faces))
        for of in (matches.right, ~matches.right)
    ]
    right, wrong = (times @ of for of in sums)
    return right / (times @ matches.faces).clip(1e-9), wrong / times.sum(axis=1).clip(1e-9)


def recall_at(matches: Matches, false_per_picture: float) -> tuple[float, float]:
    """Highest recall with at most so many false detections a picture, and the score threshold that gives it."""
    order = np.argsort(-matches.scores, kind="stable")
    right = matches.right[order]
    allowed = np.cumsum(~right) <= false_per_picture * len(matches.faces)
    count = int(allowed.sum())  # false ones only ever add up, so these come first
    if not count or not matches.faces.sum():
        return 0.0, 1.0
    return float(right[:count].sum() / matches.faces.sum()), float(matches.scores[order][count - 1])


def recalls_at(matches: Matches, false_per_picture: float, times: Floats) -> Floats:
    """The recall of `recall_at` where each picture counts so many times: (draws, pictures) → (draws,)."""
    order = np.argsort(-matches.scores, kind="stable")
    right, picture = matches.right[order], matches.picture[order]
    result = np.empty(len(times))
    for draw, counts in enumerate(times):
        weights = counts[picture]
        allowed = np.cumsum(~right * weights) <= false_per_picture * counts.sum()
        result[draw] = (right * weights)[allowed].sum() / max(counts @ matches.faces, 1)
    return result


def average_precision(matches: Matches) -> float:
    """Area under the precision-recall curve, precision made monotonous (PASCAL VOC 2010 on)."""
    return float(average_precisions(matches, np.ones((1, len(matches.faces))))[0])


def average_precisions(matches: Matches, times: Floats) -> Floats:
    """The same where each picture counts so many times: (draws, pictures) → (draws,)."""
    order = np.argsort(-matches.scores, kind="stable")
    right, picture = matches.right[order], matches.picture[order]
    result = np.empty(len(times))
    for draw, counts in enumerate(times):
        weights = counts[picture]
        precision = np.cumsum(right * weights) / np.cumsum(weights).clip(1e-9)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        result[draw] = (precision * right * weights).sum() / max(counts @ matches.faces, 1)
    return result
