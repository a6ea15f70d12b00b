"""TFLite files: inputs and outputs, agreement with Keras, and the choice of the file to ship."""

import json
from pathlib import Path

import numpy as np
import pytest

from functions.inference.classify import MIRROR_THRESHOLD, Classifier, resize
from functions.inference.interpreter import Interpreter
from functions.inference.release import Network
from training.classifier import convert
from training.classifier.convert import calibrate
from training.classifier.model import Calibration, load_trained, serving_model
from training.dataset import Dataset
from training.files import CLASSIFIER_WEIGHTS as WEIGHTS
from training.files import CONVERSION, DETECTOR, STATE

FORMATS = ["int8", "float16", "float32"]


def result(run: Path) -> dict[str, object]:
    return json.loads((run / CONVERSION).read_text())


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_uint8_inputs_and_float_outputs(run: Path, name: str) -> None:
    interpreter = Interpreter(model_content=(run / f"{name}.tflite").read_bytes())
    (given,) = interpreter.get_input_details()
    assert given["shape"].tolist() == [1, 96, 96, 3]
    assert given["dtype"] == np.uint8
    outputs = {tuple(o["shape"].tolist()): o["dtype"] for o in interpreter.get_output_details()}
    assert outputs == {(1, 3): np.float32, (1, 16): np.float32}


@pytest.mark.parametrize(("name", "tolerance"), [("int8", 0.08), ("float16", 0.01), ("float32", 1e-4)])
def test_every_format_agrees_with_keras(run: Path, dataset: Dataset, name: str, tolerance: float) -> None:
    classifier = Classifier(Network((run / f"{name}.tflite").read_bytes(), 96), threads=1)
    pictures = [s.pixels for s in dataset.split("test")]
    served = serving_model(load_trained(run / WEIGHTS), 96, Calibration(**result(run)["calibration"]))
    squares = np.stack([resize(p, 96) for p in pictures]).astype(np.float32)
    (plain, projected), (mirrored, _) = (
        [o.numpy() for o in served(s)] for s in (squares, squares[:, :, ::-1])
    )
    unsure = plain.max(axis=1, keepdims=True) < MIRROR_THRESHOLD
    expected = np.where(unsure, (plain + mirrored) / 2, plain)
    got = [classifier.classify(pixels) for pixels in pictures]
    assert np.abs(np.array([c.probabilities for c in got]) - expected).max() < tolerance
    distance = np.linalg.norm(np.array([c.projection for c in got]) - projected, axis=1)
    assert (distance / np.linalg.norm(projected, axis=1)).max() < 5 * tolerance


def test_smaller_formats_are_smaller(run: Path) -> None:
    sizes = [(run / f"{name}.tflite").stat().st_size for name in FORMATS]
    assert sizes == sorted(sizes)
    assert sizes[0] < 3_000_000


@pytest.mark.parametrize(("lost", "shipped"), [(0.005, "int8"), (0.006, "float16")])
def test_int8_ships_unless_it_loses_half_a_point(
    run: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: float, shipped: str
) -> None:
    """Two hundred validation pictures that Keras gets right, and an int8 file that misses some of them."""
    for name in (WEIGHTS, STATE):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    val_faces = [s for s in dataset.split("val") if s.example.label == "mask"][:1] * 1000
    right = np.tile(np.array([9, 0, 0], np.float32), (1000, 1))
    wrong = right.copy()
    wrong[: round(lost * 1000)] = (0, 9, 0)
    monkeypatch.setattr(convert, "predict_logits", lambda *_: right)
    monkeypatch.setattr(convert, "convert", lambda *_: {"int8": b"i", "float16": b"h", "float32": b"f"})
    monkeypatch.setattr(
        convert, "probabilities", lambda network, *_, **__: wrong if network.file == b"i" else right
    )
    assert convert.convert_run(tmp_path, dataset.split("train"), val_faces)["shipped"] == shipped


def test_calibration_finds_the_temperature_and_the_biases() -> None:
    rng = np.random.default_rng(0)
    true_logits = rng.normal(0, 2, (20_000, 3))
    chances = np.exp(true_logits) / np.exp(true_logits).sum(axis=1, keepdims=True)
    drawn = (chances.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    biases = np.array([0.0, 0.4, -1.2])
    logits = ((true_logits - biases) * 1.8).astype(np.float32)
    found = calibrate(logits, np.eye(3, dtype=np.float32)[drawn])
    assert found.temperature == pytest.approx(1.8, rel=0.05)
    assert found.biases == pytest.approx(biases, abs=0.08)


@pytest.mark.parametrize("scale", [-3, 0, 50])
def test_calibration_on_a_few_pictures_stays_finite(scale: float) -> None:
    actual = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    found = calibrate(scale * actual, actual)
    assert 0 < found.temperature <= 20
    assert np.abs(found.biases).max() < 5


def test_the_bias_of_a_label_without_pictures_is_unchanged() -> None:
    actual = np.eye(3, dtype=np.float32)[np.resize([0, 1], 200)]
    logits = (3 * actual + np.random.default_rng(0).normal(0, 1, (200, 3))).astype(np.float32)
    assert calibrate(logits, actual).biases[2] == 0
    assert calibrate(logits[:, [2, 0, 1]], actual[:, [2, 0, 1]]).biases[:2] == (0, 0)


def test_the_file_is_chosen_by_the_calibrated_answers_of_keras(
    run: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calibration corrects the bias of these logits; TFLite, which includes it, must not look better than Keras."""
    for name in (WEIGHTS, STATE):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    val_faces = [s for s in dataset.split("val") if s.example.label != "incorrect"] * 40
    actual = np.array([s.example.label == "no_mask" for s in val_faces])
    logits = np.stack(
        [np.full(len(val_faces), 2.0), 1.0 + 2.0 * actual - 1.5, np.full(len(val_faces), -9.0)], axis=1
    )
    monkeypatch.setattr(convert, "predict_logits", lambda *_: logits.astype(np.float32))
    monkeypatch.setattr(convert, "convert", lambda *_: {"int8": b"i", "float16": b"h", "float32": b"f"})
    monkeypatch.setattr(convert, "probabilities", lambda *_, **__: np.eye(3)[actual.astype(int)])
    accuracy = convert.convert_run(tmp_path, dataset.split("train"), val_faces)["validation_accuracy"]
    assert accuracy["keras"] == 1


def test_the_classifier_learns_to_confirm_the_given_detector(
    drawn: Path, tmp_path: Path, command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(convert, "convert_run", lambda *given: given[-1].detector.size)
    arguments = ["--data", drawn, "--run", "run", "--detector", tmp_path]
    assert command(convert, *arguments)
    assert f"{tmp_path} has no conversion.json: convert the run first" in capsys.readouterr().err

    (tmp_path / DETECTOR).write_bytes(b"a network")
    (tmp_path / CONVERSION).write_text('{"input_size": 96, "min_score": 0.5}')
    assert command(convert, *arguments) == 0
    assert capsys.readouterr().out == "96\n"
