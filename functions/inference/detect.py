"""Detects faces with the detector of a release."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from functions.inference.interpreter import Runner
from functions.inference.prediction import MAX_FACES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from functions.inference.release import Network

STRIDES: Final = (8, 16, 32)  # pixels between the cells of the detector's three levels
NMS_IOU: Final = 0.45  # intersection over union (IoU) above which two boxes are the same face
SEARCH_SCALES: Final = (1.0, 0.5)  # of the input's size; the smaller one is for a face that fills the picture
# Detections from this score up to the threshold of a face are kept, because the classifier may confirm them.
UNSURE_SCORE: Final = 0.35
_PADDING: Final = 128
_MAX_CELLS: Final = 1_000  # compared with each other; a face has three to seven likely cells


@dataclass(frozen=True)
class Detections:
    """The faces found, in descending order of scores.

    Attributes:
        boxes: Left, top, right, bottom in pixels, float32 (faces, 4).
        scores: 0 to 1, float32 (faces,).
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


def letterbox(pixels: NDArray[np.uint8], size: int, share: float = 1.0) -> tuple[NDArray[np.uint8], float]:
    """Fit RGB (H, W, 3) into the top left corner of a grey square (size, size, 3), up to a share of its side.

    Returns:
        The square, and the scale factor.
    """
    height, width = pixels.shape[:2]
    scale = share * size / max(height, width)
    fitted = max(round(width * scale), 1), max(round(height * scale), 1)
    image = Image.fromarray(pixels).resize(fitted, Image.Resampling.BILINEAR, reducing_gap=2.0)
    square = np.full((size, size, 3), _PADDING, np.uint8)
    square[: fitted[1], : fitted[0]] = np.asarray(image)
    return square, scale


def cell_centres(size: int, stride: int) -> NDArray[np.float32]:
    """Return the centres (cells, 2) of a square picture's cells in pixels, row by row, x before y."""
    steps = (np.arange(size // stride, dtype=np.float32) + 0.5) * stride
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def read_cells(cells: NDArray[np.float32], size: int, min_score: float) -> Detections:
    """Convert the detector's output to faces.

    Args:
        cells: The output, (cells, 5): the logit of the score, and the logarithms of the distances from the cell's
            centre to the box's left, top, right and bottom, in strides.
        size: Side of the square picture, in pixels.
        min_score: Faces with a lower score are left out.
    """
    logit = math.log(min_score / (1 - min_score))
    likely = np.flatnonzero(cells[:, 0] >= logit)
    likely = likely[np.argsort(-cells[likely, 0], kind="stable")[:_MAX_CELLS]]
    points, strides = _grid(size)
    distances = np.exp(cells[likely, 1:]) * strides[likely]
    boxes = np.concatenate([points[likely] - distances[:, :2], points[likely] + distances[:, 2:]], axis=1)
    kept = non_maximum_suppression(boxes)[:MAX_FACES]
    scores = 1 / (1 + np.exp(-cells[likely[kept], 0]))
    return Detections(boxes[kept], scores.astype(np.float32))


@cache
def _grid(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    points = [cell_centres(size, stride) for stride in STRIDES]
    strides = [np.full((len(p), 1), s, np.float32) for p, s in zip(points, STRIDES, strict=True)]
    return np.concatenate(points), np.concatenate(strides)


def non_maximum_suppression(boxes: NDArray[np.float32], limit: float = NMS_IOU) -> NDArray[np.intp]:
    """Return the indexes of the boxes (best first) that no better box overlaps by more than `limit`."""
    overlaps = iou(boxes, boxes) > limit
    kept = np.ones(len(boxes), bool)
    for number in range(len(boxes)):
        if kept[number]:
            kept[number + 1 :] &= ~overlaps[number, number + 1 :]
    return np.flatnonzero(kept)


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the intersection over union (n, m) of every box of (n, 4) with every box of (m, 4)."""
    low = np.maximum(a[:, np.newaxis, :2], b[:, :2])
    high = np.minimum(a[:, np.newaxis, 2:], b[:, 2:])
    shared = (high - low).clip(0).prod(axis=-1)
    areas_a, areas_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    return np.asarray(shared / (areas_a[:, np.newaxis] + areas_b - shared), np.float32)


def add_evidence(score: float, evidence: float) -> float:
    """Return the score of a detection with the classifier's evidence added to its log-odds."""
    if not evidence:
        return score
    log_odds = math.log(max(score, 1e-9) / max(1 - score, 1e-9)) + evidence
    return 1 / (1 + math.exp(-log_odds))


class Detector:
    """The detector of a release. Not thread-safe."""

    def __init__(self, network: Network, min_score: float, threads: int, unsure_score: float = 1.0) -> None:
        """Load the network.

        From `min_score` on, a detection is taken for a face; from the lower `unsure_score` on, it is returned too.
        """
        self._size, self.min_score = network.size, min_score
        self._unsure_score = min(unsure_score, min_score)
        self._runner = Runner(network, threads)

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Return the first of the `searches` that finds a face, or else the first of them."""
        searches = self.searches(pixels)
        first = next(searches)
        return first if self.has_face(first) else next(filter(self.has_face, searches), first)

    def has_face(self, detections: Detections) -> bool:
        """Return whether there is a face, rather than only unsure detections."""
        return bool(detections.scores.max(initial=0) >= self.min_score)

    def searches(self, pixels: NDArray[np.uint8]) -> Iterator[Detections]:
        """Find the faces, and unsure detections, in RGB (H, W, 3), at each of the `SEARCH_SCALES`, when asked for it.

        The boxes are in pixels of the picture and within it. Boxes with their centre in the padding are left out.
        """
        height, width = pixels.shape[:2]
        for share in SEARCH_SCALES:
            square, scale = letterbox(pixels, self._size, share)
            detections = read_cells(self._runner.run(square)[0], self._size, self._unsure_score)
            boxes = detections.boxes / scale
            middles = (boxes[:, :2] + boxes[:, 2:]) / 2
            inside = ((middles >= 0) & (middles <= (width, height))).all(axis=1)
            boxes = boxes[inside].clip(0, (width, height, width, height))
            yield Detections(boxes.astype(np.float32), detections.scores[inside])
