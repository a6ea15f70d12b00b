"""Picture to faces: the detector of a model release in a LiteRT interpreter."""

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
    from numpy.typing import NDArray

    from functions.inference.release import Network

STRIDES: Final = (8, 16, 32)  # pixels between the cells of the detector's three levels
SAME_FACE: Final = 0.45  # intersection over union above which two boxes are about one face
CLOSE_UP: Final = 0.5  # of its size, at which a picture without a face is looked at once more
_PADDING: Final = 128


@dataclass(frozen=True)
class Detections:
    """Faces found, the most certain first.

    Attributes:
        boxes: Left, top, right, bottom in pixels, float32 (faces, 4).
        scores: 0 to 1, float32 (faces,).
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


def letterbox(pixels: NDArray[np.uint8], size: int, share: float = 1.0) -> tuple[NDArray[np.uint8], float]:
    """Fit RGB (H, W, 3) into the top left of a grey square (size, size, 3), of which it takes this share of a side.

    Returns:
        The square, and the scale of the fit.
    """
    height, width = pixels.shape[:2]
    scale = share * size / max(height, width)
    fitted = max(round(width * scale), 1), max(round(height * scale), 1)
    image = Image.fromarray(pixels).resize(fitted, Image.Resampling.BILINEAR, reducing_gap=2.0)
    square = np.full((size, size, 3), _PADDING, np.uint8)
    square[: fitted[1], : fitted[0]] = np.asarray(image)
    return square, scale


def centres(size: int, stride: int) -> NDArray[np.float32]:
    """Pixels (cells, 2) of the centres of a square picture's cells, row by row, x before y."""
    steps = (np.arange(size // stride, dtype=np.float32) + 0.5) * stride
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def read_cells(cells: NDArray[np.float32], size: int, min_score: float) -> Detections:
    """What the detector says of each cell to faces.

    Args:
        cells: Its output for a picture of `size` pixels, (cells, 5): the logit of being a face, the logs of the
            distances from the cell's centre to the box's left, top, right and bottom, in strides.
        size: Side of the square picture.
        min_score: Faces that are less certain are left out.
    """
    logit = math.log(min_score / (1 - min_score))
    likely = np.flatnonzero(cells[:, 0] >= logit)
    likely = likely[np.argsort(-cells[likely, 0], kind="stable")[:MAX_FACES]]
    points, strides = _grid(size)
    distances = np.exp(cells[likely, 1:]) * strides[likely]
    boxes = np.concatenate([points[likely] - distances[:, :2], points[likely] + distances[:, 2:]], axis=1)
    kept = without_overlaps(boxes)
    scores = 1 / (1 + np.exp(-cells[likely[kept], 0]))
    return Detections(boxes[kept], scores.astype(np.float32))


@cache
def _grid(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    points = [centres(size, stride) for stride in STRIDES]
    strides = [np.full((len(p), 1), s, np.float32) for p, s in zip(points, STRIDES, strict=True)]
    return np.concatenate(points), np.concatenate(strides)


def without_overlaps(boxes: NDArray[np.float32], limit: float = SAME_FACE) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the boxes, given best first, that no better one covers."""
    overlaps = overlap(boxes, boxes) > limit
    kept = np.ones(len(boxes), bool)
    for number in range(len(boxes)):
        if kept[number]:
            kept[number + 1 :] &= ~overlaps[number, number + 1 :]
    return np.flatnonzero(kept)


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every box of (n, 4) with every box of (m, 4): (n, m)."""
    low = np.maximum(a[:, np.newaxis, :2], b[:, :2])
    high = np.minimum(a[:, np.newaxis, 2:], b[:, 2:])
    shared = (high - low).clip(0).prod(axis=-1)
    areas_a, areas_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    return np.asarray(shared / (areas_a[:, np.newaxis] + areas_b - shared), np.float32)


class Detector:
    """The detector of a release, loaded once. Not for two threads at once."""

    def __init__(self, network: Network, min_score: float, threads: int) -> None:
        self._size, self._min_score = network.size, min_score
        self._runner = Runner(network, threads)

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Find the faces in RGB (H, W, 3); their boxes are in its pixels and within it.

        Where there is none, the picture is looked at once more at half its size: a face may fill it. What has its
        centre in the padding that makes the picture square is no face.
        """
        found = self._look(pixels, 1.0)
        return found if len(found.scores) else self._look(pixels, CLOSE_UP)

    def _look(self, pixels: NDArray[np.uint8], share: float) -> Detections:
        square, scale = letterbox(pixels, self._size, share)
        found = read_cells(self._runner.run(square)[0], self._size, self._min_score)
        height, width = pixels.shape[:2]
        boxes = found.boxes / scale
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = ((middles >= 0) & (middles <= (width, height))).all(axis=1)
        boxes = boxes[inside].clip(0, (width, height, width, height))
        return Detections(boxes.astype(np.float32), found.scores[inside])
