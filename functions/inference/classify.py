"""Pictures to probabilities: the classifier of a model release in a LiteRT interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from functions.inference.interpreter import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from functions.inference.release import Network


@dataclass(frozen=True)
class Classification:
    """What the classifier says about one picture.

    Attributes:
        probabilities: Of the labels, in their order; calibrated, summing to 1.
        projection: The last features in 16 numbers, float32 (16,), for drift detection.
    """

    probabilities: tuple[float, float, float]
    projection: NDArray[np.float32]


def resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Squeeze RGB (H, W, 3) to (size, size, 3), the aspect ratio not kept; training resizes with it too."""
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(image)


class Classifier:
    """The classifier of a release, loaded once. Not for two threads at once."""

    def __init__(self, network: Network, threads: int) -> None:
        self._size = network.size
        self._runner = Runner(network, threads)

    def classify(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Classification]:
        """Classify RGB pictures, each uint8 (H, W, 3) of any size, in their order."""
        return [self._classify(pixels) for pixels in pictures]

    def _classify(self, pixels: NDArray[np.uint8]) -> Classification:
        probabilities, projection = self._runner.run(resize(pixels, self._size))
        mask, no_mask, incorrect = probabilities.tolist()
        return Classification((mask, no_mask, incorrect), projection)
