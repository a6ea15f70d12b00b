"""Convert a trained classifier to TFLite: `python -m training.classifier.convert --data FOLDER --run RUN`.

Writes `int8.tflite`, `float16.tflite` and `float32.tflite` next to the weights, all with the same uint8 input;
`small.tflite` with a smaller input, for small faces; and `conversion.json` with the calibrations and the validation
accuracy of each format, on crops as in serving. int8 ships, unless it loses more than half a point of accuracy
against Keras; then float16 ships.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np
import tensorflow as tf

from functions.inference.classify import Classifier, resize
from functions.inference.fetch import open_release
from functions.inference.release import Network
from functions.inference.score import MARGIN
from training.answers import probabilities
from training.candidate import candidate_release
from training.classifier.evidence import learn_evidence
from training.classifier.model import Calibration, load_trained, serving_model
from training.classifier.train import SMALL_SIZE, one_hot, predict_logits
from training.commands import convert_command
from training.dataset import list_examples, load_examples
from training.disk import replacing
from training.files import CLASSIFIER_WEIGHTS, CONVERSION, STATE
from training.metrics import softmax
from training.quantize import exported, quantized
from training.scenes import load_scenes_if_any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from functions.inference.release import Release
    from training.classifier.model import FaceEvidenceLayer
    from training.dataset import Sample
    from training.scenes import Scene

ALLOWED_LOSS: Final = 0.005  # of validation accuracy, for int8 against Keras
REPRESENTATIVE: Final = 1000  # pictures that determine the quantised ranges


def calibrate(logits: NDArray[np.float32], actual: NDArray[np.float32]) -> Calibration:
    """Fit temperature and biases by maximum likelihood, with Newton's method; both arrays are (N, 3).

    Bias-corrected temperature scaling (Alexandari, Kundaje & Shrikumar 2020): a temperature alone (Guo et al. 2017)
    could not undo that training oversamples the rare class. A prior with the weight of one picture keeps the result
    near the identity, so that it stays finite even if all pictures are classified correctly. The bias of a class
    without pictures stays 0.
    """
    classes = logits.shape[1]
    present = np.flatnonzero(actual.sum(axis=0))
    # The derivatives of the calibrated logits by the parameters: 1 / temperature, and the biases of all classes but
    # one.
    free = np.zeros((len(logits), classes, 1 + len(present[1:])))
    free[:, :, 0] = logits
    for column, number in enumerate(present[1:], start=1):
        free[:, number, column] = 1
    neutral = parameters = np.eye(free.shape[2])[0]
    for _ in range(50):
        probability = softmax(free @ parameters)
        slope = np.einsum("nkp,nk->p", free, probability - actual) + (parameters - neutral)
        spread = (
            np.einsum("nk,kj->nkj", probability, np.eye(classes))
            - probability[:, :, None] * probability[:, None]
        )
        curvature = np.einsum("nkp,nkj,njq->pq", free, spread, free) + np.eye(len(parameters))
        step = np.linalg.solve(curvature, slope)
        length = max(float(np.linalg.norm(step)), 0.5)
        parameters = parameters - step * (0.5 / length)  # at most half a unit: Newton overshoots when far off
    biases = np.zeros(classes)
    biases[present[1:]] = parameters[1:]
    return Calibration(1 / max(float(parameters[0]), 0.05), tuple(biases.tolist()))


def calibrated(logits: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float32]:
    """Return calibrated logits, (N, 3)."""
    return logits / np.float32(calibration.temperature) + np.array(calibration.biases, np.float32)


def convert(served: keras.Model, size: int, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, bytes]:
    """Convert a `serving_model` to TFLite, by format; `pictures`, each (size, size, 3), determine the int8 ranges."""
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    graph = keras.Model(pixels, served(keras.ops.cast(pixels, "float32")))
    with exported(graph) as saved:
        float16 = tf.lite.TFLiteConverter.from_saved_model(saved)
        float16.optimizations = [tf.lite.Optimize.DEFAULT]
        float16.target_spec.supported_types = [tf.float16]
        return {
            "int8": quantized(saved, pictures),
            "float16": float16.convert(),
            "float32": tf.lite.TFLiteConverter.from_saved_model(saved).convert(),
        }


def convert_on(data: Path, run: Path, detector: Path | None) -> dict[str, Any]:
    """Convert the weights in `run` with the training and validation pictures of `data`; see `convert_run`.

    Args:
        data: Folder of pictures.
        run: Folder of a finished run.
        detector: Folder of a detector's converted run; None for the detector of the release in the image.
    """
    dataset = load_examples([e for e in list_examples(data) if e.split != "test" and not e.in_scene])
    serving = candidate_release(open_release(""), None, detector)
    scenes = load_scenes_if_any(data, ("train", "val"))
    return convert_run(run, dataset.split("train"), dataset.split("val"), scenes, serving)


def convert_run(
    folder: Path,
    train_faces: Sequence[Sample],
    val_faces: Sequence[Sample],
    scenes: Sequence[Scene] = (),
    serving: Release | None = None,
) -> dict[str, Any]:
    """Convert the weights in `folder`, write the files there, and return the content of `conversion.json`.

    Args:
        folder: Folder of a finished run.
        train_faces: Training pictures.
        val_faces: Validation pictures.
        scenes: Scenes of both splits, from which the network learns to confirm detections (see evidence.py).
        serving: The release with the detector; default: the one in the image.
    """
    size = json.loads((folder / STATE).read_text(encoding="utf-8"))["recipe"]["stages"][-1]["size"]
    model = load_trained(folder / CLASSIFIER_WEIGHTS)
    serving = serving or open_release("")
    layer = learn_evidence(model, size, scenes, serving)
    if not layer and Classifier(serving.classifier, threads=1).has_face_evidence:
        print(
            "This classifier will not confirm detections, as the serving one does: its pictures have no frames.csv,"
            " or too few scenes in it.",
            file=sys.stderr,
        )
    files, result = _convert_size(model, size, train_faces, val_faces, layer)
    if size > SMALL_SIZE:
        small_files, small = _convert_size(model, SMALL_SIZE, train_faces, val_faces, layer)
        result["small"] = small
        files["small"] = small_files[small["shipped"]]
    for name, file in files.items():
        with replacing(folder / f"{name}.tflite") as fresh:
            fresh.write_bytes(file)
    (folder / CONVERSION).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _convert_size(
    model: keras.Model,
    size: int,
    train_faces: Sequence[Sample],
    val_faces: Sequence[Sample],
    layer: FaceEvidenceLayer | None,
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the TFLite files by format for one input size, and their part of `conversion.json`."""
    actual = one_hot(val_faces)
    logits = predict_logits(model, val_faces, size)
    calibration = calibrate(logits, actual)
    chosen = np.random.default_rng(0).choice(
        len(train_faces), min(REPRESENTATIVE, len(train_faces)), replace=False
    )
    pictures = [resize(train_faces[i].crop(MARGIN), size) for i in chosen]
    accuracy = {"keras": float((calibrated(logits, calibration).argmax(1) == actual.argmax(1)).mean())}
    files = convert(serving_model(model, size, calibration, layer), size, pictures)
    cut = [sample.crop(MARGIN) for sample in val_faces]
    for name, file in files.items():
        predicted = probabilities(Network(file, size), cut, name=name).argmax(1)
        accuracy[name] = float((predicted == actual.argmax(1)).mean())
    return files, {
        "shipped": "int8" if accuracy["int8"] >= accuracy["keras"] - ALLOWED_LOSS else "float16",
        "input_size": size,
        "calibration": asdict(calibration),
        "validation_accuracy": accuracy,
    }


def main() -> None:
    """Run the command."""
    convert_command(
        __doc__,
        convert_on,
        detector="folder of the converted detector that the classifier confirms; default: the image's",
    )


if __name__ == "__main__":
    main()
