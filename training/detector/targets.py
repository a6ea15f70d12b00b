"""The targets of the detector's cells, and the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from keras import ops

from functions.inference.detect import STRIDES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.detector.augment import Faces

RANGES: Final = ((0.0, 56.0), (36.0, 144.0), (96.0, np.inf))  # pixels; root of a face's area, by stride
RADIUS: Final = 1.0  # strides from a face's centre within which cells belong to it
SMALLEST_DISTANCE: Final = 0.05  # strides; bounds the logarithm
POSITIVE, NEGATIVE, IGNORED = 1.0, 0.0, -1.0  # values of a cell's first target


def targets(faces: Faces, size: int) -> NDArray[np.float32]:
    """Return the targets of all cells of a picture of `size` pixels, (cells, 5).

    These are `POSITIVE`, `NEGATIVE` or `IGNORED`, then the logs of the distances to the box's edges in strides, as
    in the model's output. If several faces claim a cell, the smallest wins.
    """
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    scales = np.sqrt(sides.prod(axis=1))
    order = np.argsort(-scales)
    levels = []
    for stride, (low, high) in zip(STRIDES, RANGES, strict=True):
        centres = (np.arange(size // stride, dtype=np.float32) + 0.5) * stride
        level = np.full((len(centres), len(centres), 5), NEGATIVE, np.float32)
        for box in faces.boxes[~faces.must_find]:
            rows, columns = ((centres > box[axis]) & (centres < box[axis + 2]) for axis in (1, 0))
            level[np.ix_(rows, columns)] = IGNORED
        for number in order:
            if faces.must_find[number] and low < scales[number] <= high:
                _claim(level, centres, faces.boxes[number], stride)
        levels.append(level.reshape(-1, 5))
    return np.concatenate(levels)


def _claim(
    level: NDArray[np.float32], centres: NDArray[np.float32], box: NDArray[np.float32], stride: int
) -> None:
    """Set the targets of the cells around a box's centre, at least one however small the box is."""
    rows, columns = (_near(centres, box[axis], box[axis + 2], stride) for axis in (1, 0))
    x, y = np.meshgrid(centres[columns], centres[rows])
    distances = np.stack([x - box[0], y - box[1], box[2] - x, box[3] - y], axis=-1) / stride
    claimed = np.ix_(rows, columns)
    level[claimed] = np.concatenate(
        [np.full((*x.shape, 1), POSITIVE), np.log(distances.clip(SMALLEST_DISTANCE))], axis=-1
    )


def _near(centres: NDArray[np.float32], low: float, high: float, stride: int) -> NDArray[np.intp]:
    off = np.abs(centres - (low + high) / 2)
    inside = (centres > low) & (centres < high)
    return np.flatnonzero((inside & (off <= RADIUS * stride)) | (off <= stride / 2))


def loss(actual: Any, predicted: Any) -> Any:
    """Return the quality focal loss of scores (Li et al. 2020) plus the GIoU loss of boxes (Rezatofighi et al. 2019).

    Args:
        actual: `targets` of a batch, (N, cells, 5).
        predicted: The model's output, (N, cells, 5).
    """
    is_face = ops.cast(ops.equal(actual[..., 0], POSITIVE), predicted.dtype)
    counts = ops.cast(ops.not_equal(actual[..., 0], IGNORED), predicted.dtype)
    faces = ops.maximum(ops.sum(is_face), 1.0)
    iou, giou = _overlaps(ops.exp(actual[..., 1:]), ops.exp(ops.clip(predicted[..., 1:], -4.0, 4.0)))
    quality = ops.stop_gradient(iou) * is_face
    logit = predicted[..., 0]
    entropy = ops.maximum(logit, 0.0) - logit * quality + ops.log1p(ops.exp(-ops.abs(logit)))
    scores = entropy * ops.square(quality - ops.sigmoid(logit)) * counts
    return (ops.sum(scores) + 2.0 * ops.sum((1.0 - giou) * is_face)) / faces


def _overlaps(a: Any, b: Any) -> tuple[Any, Any]:
    """Return IoU and generalised IoU of boxes given as distances from a common point, (…, 4)."""
    area_a = (a[..., 0] + a[..., 2]) * (a[..., 1] + a[..., 3])
    area_b = (b[..., 0] + b[..., 2]) * (b[..., 1] + b[..., 3])
    low, high = ops.minimum(a, b), ops.maximum(a, b)
    shared = (low[..., 0] + low[..., 2]) * (low[..., 1] + low[..., 3])
    hull = (high[..., 0] + high[..., 2]) * (high[..., 1] + high[..., 3])
    union = area_a + area_b - shared
    iou = shared / union
    return iou, iou - (hull - union) / hull
