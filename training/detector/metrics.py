"""How well faces are found: matching, recall at a rate of false alarms, average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.inference.detect import Detections, overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ON_FACE: Final = 0.4  # from which on it is on the face: the sets' own boxes of one face differ by as much
FOUND: Final = 0.5  # intersection over union from which on a box has found a face, as benchmarks have it
NONE: Final = -1


@dataclass(frozen=True)
class Matches:
    """Every detection that counts, over all pictures, and how many faces there were to find.

    Attributes:
        scores: (detections,).
        right: Whether it found a face, (detections,).
        faces: To be found.
        pictures: Looked at.
    """

    scores: NDArray[np.float32]
    right: NDArray[np.bool_]
    faces: int
    pictures: int


def assign(
    found: Detections, boxes: NDArray[np.float32], sought: NDArray[np.bool_], least: float = FOUND
) -> NDArray[np.intp]:
    """The face that each detection found, best detection first, or `NONE`; a face is found once.

    A face that is not sought is taken only by a detection that fits no face that is (as COCO does it).
    """
    faces = np.full(len(found.scores), NONE)
    if not len(boxes) or not len(faces):
        return faces
    fit = overlap(found.boxes, boxes)
    free = np.ones(len(boxes), bool)
    for number in np.argsort(-found.scores, kind="stable"):
        fits = (fit[number] >= least) & free
        fits = fits & sought if (fits & sought).any() else fits & ~sought
        if fits.any():
            faces[number] = np.where(fits, fit[number], -1).argmax()
            free[faces[number]] = not sought[faces[number]]
    return faces


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
    for faces, there, wanted in zip(found, boxes, sought, strict=True):
        taken = assign(faces, there, wanted, least)
        hit = taken != NONE
        correct = hit & np.append(wanted, False)[taken]
        counts = correct | (~hit & ((faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1) >= min_side))
        scores.append(faces.scores[counts])
        right.append(correct[counts])
    wanted_faces = int(sum(wanted.sum() for wanted in sought))
    return Matches(np.concatenate(scores), np.concatenate(right), wanted_faces, len(found))


def recall_at(matches: Matches, false_per_picture: float) -> tuple[float, float]:
    """Highest recall with at most so many false detections a picture, and the score threshold that gives it."""
    order = np.argsort(-matches.scores, kind="stable")
    right = matches.right[order]
    allowed = np.cumsum(~right) <= false_per_picture * matches.pictures
    count = int(allowed.sum())  # false ones only ever add up, so these come first
    if not count or not matches.faces:
        return 0.0, 1.0
    return float(right[:count].sum() / matches.faces), float(matches.scores[order][count - 1])


def average_precision(matches: Matches) -> float:
    """Area under the precision-recall curve, precision made monotonous (PASCAL VOC 2010 on)."""
    order = np.argsort(-matches.scores, kind="stable")
    right = np.cumsum(matches.right[order])
    precision = right / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float((precision * matches.right[order]).sum() / max(matches.faces, 1))
