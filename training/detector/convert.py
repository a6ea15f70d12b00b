"""Convert a trained detector to TFLite: `python -m training.detector.convert --data FOLDER --run RUN`.

Writes `detector.tflite` (int8), `detector-float32.tflite` and `conversion.json` next to the weights, the latter with
the calibration, the score threshold, and the figures of both files on the validation scenes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tensorflow as tf

from functions.inference.detect import Detector, letterbox
from functions.inference.release import Network
from training.commands import convert_command
from training.detector.evaluate import LOWEST_SCORE
from training.detector.metrics import ON_FACE_IOU, match_scenes
from training.detector.model import load_trained, serving_model
from training.detector.train import SIZE, predict, validation_figures
from training.disk import replacing
from training.files import CONVERSION, DETECTOR, DETECTOR_WEIGHTS
from training.quantize import exported, quantized
from training.scenes import Scene, load_scenes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from functions.inference.detect import Detections

REPRESENTATIVE: Final = 300  # scenes that determine the quantised ranges


def platt(scores: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit slope and offset of the logit so that scores are probabilities (Platt 1999), with Newton's method.

    Args:
        scores: Scores between 0 and 1, (N,).
        right: Whether each detection is right, (N,). One right and one wrong are added, to keep the result finite.
    """
    logits = np.log(scores / (1 - scores)).astype(np.float64)
    design = np.stack([np.append(logits, [0, 0]), np.ones(len(logits) + 2)], axis=1)
    actual = np.append(right, [0.0, 1.0])
    parameters = np.array([1.0, 0.0])
    for _ in range(50):
        probability = 1 / (1 + np.exp(-design @ parameters))
        slope = design.T @ (actual - probability)
        curvature = (design * (probability * (1 - probability))[:, np.newaxis]).T @ design
        step = np.linalg.solve(curvature + 1e-6 * np.eye(2), slope)
        parameters = parameters + step / max(float(np.linalg.norm(step)), 1.0)
    return float(parameters[0]), float(parameters[1])


def detect_faces(file: bytes, size: int, scenes: Sequence[Scene], min_score: float) -> list[Detections]:
    """Return the detections of a TFLite file in each scene, with the serving code."""
    detector = Detector(Network(file, size), min_score, threads=2)
    return [detector.detect(scene.pixels) for scene in scenes]


def convert_run(folder: Path, scenes: Sequence[Scene], size: int) -> dict[str, Any]:
    """Convert the weights in `folder`, write the files there, and return the content of `conversion.json`."""
    model = load_trained(folder / DETECTOR_WEIGHTS)
    val_scenes = [scene for scene in scenes if scene.split == "val"]
    train_scenes = [scene for scene in scenes if scene.split == "train"]
    detections = predict(model.predict_on_batch, val_scenes, size, LOWEST_SCORE)
    matches = match_scenes(detections, val_scenes, ON_FACE_IOU)
    slope, offset = platt(matches.scores, matches.right)
    graph = serving_model(model, size, slope, offset)
    chosen = np.random.default_rng(0).choice(
        len(train_scenes), min(REPRESENTATIVE, len(train_scenes)), replace=False
    )
    with exported(graph) as saved:
        files = {
            DETECTOR: quantized(saved, [letterbox(train_scenes[i].pixels, size)[0] for i in chosen]),
            "detector-float32.tflite": tf.lite.TFLiteConverter.from_saved_model(saved).convert(),
        }
    validation = {"keras": validation_figures(detections, val_scenes)}
    for name, file in files.items():
        with replacing(folder / name) as fresh:
            fresh.write_bytes(file)
        validation[name] = validation_figures(detect_faces(file, size, val_scenes, LOWEST_SCORE), val_scenes)
    conversion = {
        "input_size": size,
        "calibration": {"slope": slope, "offset": offset},
        "min_score": min(max(round(validation[DETECTOR]["val_threshold"], 4), 0.01), 0.99),
        "validation": validation,
    }
    (folder / CONVERSION).write_text(json.dumps(conversion, indent=1) + "\n", encoding="utf-8")
    return conversion


def convert_on(data: Path, run: Path) -> dict[str, Any]:
    """Convert the weights in `run` with the training and validation scenes of `data`; see `convert_run`."""
    return convert_run(run, load_scenes(data, ("train", "val")), SIZE)


def main() -> None:
    """Run the command."""
    convert_command(__doc__, convert_on)


if __name__ == "__main__":
    main()
