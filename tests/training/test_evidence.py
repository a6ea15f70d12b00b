"""The classifier learns to tell faces from what the detector mistakes for them."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from functions.inference.classify import Classifier
from functions.inference.detect import Detector, add_evidence
from functions.inference.fetch import open_release
from functions.inference.release import Network, Release
from functions.inference.score import crop_with_margin
from tests.training.drawn import scene_of_two_faces
from training.classifier import evidence
from training.classifier.convert import convert
from training.classifier.evidence import fit_evidence, learn_evidence
from training.classifier.model import Calibration, FaceEvidenceLayer, load_trained, serving_model
from training.detector.evaluate import LOWEST_SCORE, finder
from training.files import CLASSIFIER_WEIGHTS


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_evidence_adds_what_the_detector_does_not_know() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (20_000, 5))
    log_odds = rng.normal(0, 1, 20_000)
    telling = 1.5 * (features[:, 0] - 3) / 2 - 0.7
    is_face = rng.random(20_000) < sigmoid(log_odds + telling)
    found = fit_evidence(features, log_odds, is_face)
    assert found.weights == pytest.approx([0.75, 0, 0, 0, 0], abs=0.12)  # pulled towards 0
    chance = sigmoid(log_odds + features @ found.weights + found.bias)
    assert chance.mean() == pytest.approx(is_face.mean(), abs=0.01)
    likely = chance > 0.9
    assert is_face[likely].mean() == pytest.approx(chance[likely].mean(), abs=0.03)


@pytest.fixture(scope="module")
def serving() -> Release:
    return replace(open_release(""), min_score=0.1)  # so that the drawn faces are found


def test_detections_like_false_ones_are_refused(
    trained: Path, serving: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MIN_SCENES", 8)
    monkeypatch.setattr(evidence, "RIDGE", 0.01)  # a penalty for thousands of detections would leave nothing
    model = load_trained(trained / CLASSIFIER_WEIGHTS)
    scenes = [scene_of_two_faces(number, "val" if number % 3 == 0 else "train") for number in range(24)]
    found = [Detector(serving.detector, 0.1, 1).detect(scene.pixels) for scene in scenes]
    assert sum(len(one.scores) for one in found) > 24  # the green one too
    learned = learn_evidence(model, 96, scenes, serving)
    assert learned
    served = serving_model(model, 96, Calibration(1.0, (0.0, 0.0, 0.0)), learned)
    scores = {"face": [], "no face": []}
    for scene, faces in zip(scenes, found, strict=True):
        for box, score in zip(faces.boxes, faces.scores, strict=True):
            crop = Image.fromarray(crop_with_margin(scene.pixels, box)).resize((96, 96))
            value = float(served(np.asarray(crop)[np.newaxis])[2][0, 0])
            scores["face" if box[0] < 240 else "no face"].append(add_evidence(float(score), value))
    assert np.mean(np.array(scores["face"]) > serving.min_score) > 0.6
    assert np.mean(np.array(scores["no face"]) > serving.min_score) < 0.1


@pytest.mark.parametrize("splits", [["train"] * 30, ["val"] * 30, ["train"] * 30 + ["val"] * 5, []])
def test_without_enough_scenes_of_both_splits_there_is_no_evidence(
    trained: Path, serving: Release, splits: list[str]
) -> None:
    model = load_trained(trained / CLASSIFIER_WEIGHTS)
    assert learn_evidence(model, 96, [scene_of_two_faces(0, split) for split in splits], serving) is None


def test_the_third_output_is_linear_in_the_features(trained: Path) -> None:
    model = load_trained(trained / CLASSIFIER_WEIGHTS)
    count = model.get_layer("logits").get_weights()[0].shape[0]
    weights = np.random.default_rng(1).normal(size=count)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.float32)
    served = serving_model(model, 96, Calibration(1.0, (0.0, 0.0, 0.0)), FaceEvidenceLayer(weights, 0.5))
    features = keras.Model(served.input, served.get_layer("face_evidence").input)(pixels)
    assert np.allclose(served(pixels)[2][:, 0], np.asarray(features) @ weights + 0.5, atol=1e-3)


def test_the_converted_file_tells_faces_as_keras_does(trained: Path) -> None:
    model = load_trained(trained / CLASSIFIER_WEIGHTS)
    count = model.get_layer("logits").get_weights()[0].shape[0]
    layer = FaceEvidenceLayer(np.random.default_rng(1).normal(size=count), 0.5)
    served = serving_model(model, 96, Calibration(1.0, (0.0, 0.0, 0.0)), layer)
    pictures = [np.full((96, 96, 3), grey, np.uint8) for grey in (40, 200)]
    classifier = Classifier(Network(convert(served, 96, pictures)["float32"], 96), threads=1)
    assert classifier.has_face_evidence
    values = [classifier.classify(pixels).face_evidence for pixels in pictures]
    assert values == pytest.approx(served(np.stack(pictures))[2].numpy()[:, 0].tolist(), rel=1e-3)


def test_scenes_are_judged_with_the_scores_that_evidence_gives(serving: Release) -> None:
    """As in serving, unsure detections may be confirmed; the score of others stays."""
    pixels = scene_of_two_faces(0, "test").pixels
    detector = Detector(serving.detector, LOWEST_SCORE, 1)
    classifier = Classifier(serving.classifier, 1, serving.small_classifier)
    found = detector.detect(pixels)
    values = [classifier.classify(crop_with_margin(pixels, box)).face_evidence for box in found.boxes]
    assert any(values)
    expected = [
        add_evidence(float(score), value) if score >= serving.min_score else float(score)
        for score, value in zip(found.scores, values, strict=True)
    ]
    assert finder(serving)(pixels).faces.scores == pytest.approx(sorted(expected, reverse=True), rel=1e-4)
