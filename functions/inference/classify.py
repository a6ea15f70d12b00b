"""Classifies pictures with the classifier of a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from functions.inference.interpreter import Runner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from functions.inference.release import Network

MIRROR_THRESHOLD: Final = 0.95  # below this confidence, the mirror image is classified too


@dataclass(frozen=True)
class ClassifierOutput:
    """The output of the classifier for one picture.

    Attributes:
        probabilities: By label, in the order of `LABELS`; calibrated, summing to 1.
        projection: A projection of the last features, float32 (16,), for drift detection.
        face_evidence: The weight of evidence that the picture shows a face (Good 1950), which is added to the
            log-odds of a detection. 0 if the network has no such output.
    """

    probabilities: tuple[float, float, float]
    projection: NDArray[np.float32]
    face_evidence: float = 0.0


def resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize RGB (H, W, 3) to (size, size, 3), regardless of the aspect ratio; training uses it too."""
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(image)


class Classifier:
    """The classifier of a release. Not thread-safe."""

    def __init__(self, network: Network, threads: int, small: Network | None = None) -> None:
        self._runner = Runner(network, threads)
        self._small_runner = Runner(small, threads) if small else None

    @property
    def has_face_evidence(self) -> bool:
        """Whether the network has an output for `face_evidence`; those of older releases do not."""
        return self._runner.output_count == 3

    def classify(self, pixels: NDArray[np.uint8]) -> ClassifierOutput:
        """Classify an RGB picture, uint8 (H, W, 3) of any size.

        A picture that fits into the input of the small network is classified by it. If the confidence is below
        `MIRROR_THRESHOLD`, the probabilities are the mean of those of the picture and its mirror image.
        """
        runner = self._runner
        if self._small_runner and max(pixels.shape[:2]) <= self._small_runner.size:
            runner = self._small_runner
        square = resize(pixels, runner.size)
        *evidence, probabilities, projection = runner.run(square)
        if probabilities.max() < MIRROR_THRESHOLD:
            *_, mirrored, _ = runner.run(square[:, ::-1])
            probabilities = (probabilities + mirrored) / 2
        mask, no_mask, incorrect = probabilities.tolist()
        return ClassifierOutput(
            (mask, no_mask, incorrect), projection, float(evidence[0][0]) if evidence else 0.0
        )
