"""Image statistics, on which drift is measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLED_SIDE: Final = 224  # of a square with the number of pixels that are read of the whole picture
MIDDLE: Final = 256  # side of the centre crop, of which every pixel is read
EDGE: Final = 16  # of 255; a larger step is an edge, not noise
BLOCK: Final = 8  # side of a JPEG block, in pixels
_FLAT: Final = 0.05  # of 255; steps below it are too small to compare


def image_statistics(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return six statistics of RGB (H, W, 3), each side at least 32, by name; on their scale, white is 1.

    Four are computed from every n-th pixel of the whole picture: brightness and contrast are the mean and the
    standard deviation of the grey values, sharpness is the standard deviation of their Laplacian, and saturation is
    the mean saturation. Two are computed from the centre crop: noise is the mean absolute mixed second difference,
    clipped at `EDGE` to exclude edges, and blockiness shows how visible JPEG's blocks are.
    """
    height, width = pixels.shape[:2]
    step = max(math.ceil(math.sqrt(height * width) / SAMPLED_SIDE), 1)
    red, green, blue = np.ascontiguousarray(pixels[::step, ::step].transpose(2, 0, 1))
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    grey = np.float32(0.299 / 255) * red + np.float32(0.587 / 255) * green + np.float32(0.114 / 255) * blue
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    top, left = max((height - MIDDLE) // 2, 0), max((width - MIDDLE) // 2, 0)
    middle = pixels[top : top + MIDDLE, left : left + MIDDLE, 1].astype(np.int16)
    across, down = np.diff(middle, axis=1), np.diff(middle, axis=0)
    measured = {
        "brightness": grey.mean(),
        "contrast": grey.std(),
        "sharpness": laplacian.std(),
        "saturation": ((highest - lowest) / np.maximum(highest, 1).astype(np.float32)).mean(),
        "noise": np.minimum(np.abs(np.diff(across, axis=0)), EDGE).mean() / 255,
        "blockiness": (_blockiness(np.abs(across).mean(axis=0)) + _blockiness(np.abs(down).mean(axis=1))) / 2,
    }
    return {name: round(float(value), 4) for name, value in measured.items()}


def _blockiness(steps: NDArray[np.float64]) -> float:
    """Return how much larger steps of grey values are at the edges of JPEG blocks than within them, 0 to 1.

    `steps` (n,) are the mean heights of the steps from each column (or row) of pixels to the next.
    """
    # Wherever the first block begins.
    by_phase = steps[: len(steps) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=0)
    ascending = sorted(by_phase.tolist())
    return float(1 - (ascending[BLOCK // 2] + _FLAT) / (ascending[-1] + _FLAT))
