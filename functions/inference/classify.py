"""Pictures to probabilities: the classifier of a model release in a LiteRT interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from functions.inference.interpreter import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from functions.inference.release import Network

MIRROR_BELOW: Final = 0.95  # a picture that is classified less surely is looked at mirrored as well


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

    def __init__(self, network: Network, threads: int, small: Network | None = None) -> None:
        self._size, self._runner = network.size, Runner(network, threads)
        self._small = (small.size, Runner(small, threads)) if small else None

    def classify(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Classification]:
        """Classify RGB pictures, each uint8 (H, W, 3) of any size, in their order.

        What fits into the input of the small network goes through that. Where a network is not sure, the mean of the
        picture and its mirror image counts.
        """
        return [self._classify(pixels) for pixels in pictures]

    def _classify(self, pixels: NDArray[np.uint8]) -> Classification:
        size, runner = self._size, self._runner
        if self._small and max(pixels.shape) <= self._small[0]:
            size, runner = self._small
        square = resize(pixels, size)
        probabilities, projection = runner.run(square)
        if probabilities.max() < MIRROR_BELOW:
            probabilities = (probabilities + runner.run(square[:, ::-1])[0]) / 2
        mask, no_mask, incorrect = probabilities.tolist()
        return Classification((mask, no_mask, incorrect), projection)
