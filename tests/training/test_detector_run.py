"""A detector run: trained, killed and resumed, converted, evaluated, released."""

import hashlib
import json
from pathlib import Path
from unittest.mock import patch

import keras
import numpy as np
import pytest

from functions.inference.fetch import open_release
from functions.inference.release import Network
from tests.pictures import encode
from tests.training.drawn import draw
from training.candidate import candidate_release
from training.detector import evaluate
from training.detector.convert import convert_run, detect_faces, platt
from training.detector.evaluate import evaluate_run, patterns
from training.detector.model import load_trained
from training.detector.train import load_cut_faces, train
from training.errors import TrainingError
from training.files import CONVERSION, DETECTOR, GATE, METRICS, STATE
from training.files import DETECTOR_WEIGHTS as WEIGHTS
from training.recipe import Recipe, Stage
from training.release import write_release
from training.report import write_report
from training.scenes import load_scenes

RECIPE = Recipe((Stage(64, 1, 2e-3, 16, 2), Stage(96, 2, 1e-3, 16, 2)), batch=8, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scenes of two faces each, two more faces without a class in one of them, and crops to paste."""
    folder = tmp_path_factory.mktemp("scenes")
    (folder / "frames").mkdir()
    rows = ["file,split,source,width,height,xmin,ymin,xmax,ymax,label"]
    for number, split in enumerate(["train", "train", "train", "val", "test", "test"]):
        name = f"frames/{number}.jpg"
        picture = draw("mask", number, 320, 200)
        for left, label in ((20, "mask"), (200, "no_mask")):
            picture.paste(draw(label, number), (left, 60))
            rows.append(f"{name},{split},street,320,200,{left},60,{left + 64},132,{label}")
        (folder / name).write_bytes(encode(picture))
    rows += [f"frames/5.jpg,test,street,320,200,{box},face" for box in ("110,60,174,132", "110,10,126,30")]
    (folder / "frames.csv").write_text("\n".join(rows) + "\n")
    crops = folder / "crops" / "train" / "mask"
    crops.mkdir(parents=True)
    (crops / "portrait_1.jpg").write_bytes(encode(draw("mask", 9)))
    (crops / "portrait_2.jpg").write_bytes(encode(draw("mask", 8)))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random starting weights in the format `<layer>|<variable>`."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "backbone.npz"
    model = keras.applications.MobileNetV2(
        alpha=0.35, include_top=False, weights=None, input_shape=(None, None, 3)
    )
    arrays = {f"{layer.name}|{v.name}": v.numpy() for layer in model.layers for v in layer.weights}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def detected(folder: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    train(folder, run, RECIPE, backbone=weights)
    convert_run(run, load_scenes(folder), 96)
    # A detector trained for seconds has its threshold near 0, where it takes every background for hundreds of faces.
    with patch.multiple(evaluate, backgrounds=lambda _: [], patterns=lambda: patterns()[:1]):
        evaluate_run(run, folder, candidate_release(open_release(""), None, run))
    return run


def history(folder: Path) -> list[dict[str, float]]:
    return json.loads((folder / STATE).read_text())["history"]


def test_every_epoch_is_in_the_history_and_old_checkpoints_are_deleted(detected: Path) -> None:
    assert [(row["stage"], row["epoch"]) for row in history(detected)] == [(0, 0), (1, 0), (1, 1)]
    assert {"loss", "val_recall", "val_ap50"} <= set(history(detected)[0])
    assert not list(detected.glob("*checkpoint*"))
    assert (detected / WEIGHTS).stat().st_size < 2_500_000


def test_a_run_on_other_scenes_is_not_continued(detected: Path, drawn: Path, weights: Path) -> None:
    table = (drawn / "frames.csv").read_text()
    assert "street" in table
    with pytest.raises(TrainingError, match="both are needed"):
        train(drawn, detected, RECIPE, backbone=weights)  # it has no scene to validate with


def test_a_run_from_other_weights_is_not_continued(
    detected: Path, folder: Path, weights: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.npz"
    with np.load(weights) as arrays:
        np.savez(other, **{name: array + 1 for name, array in arrays.items()})
    with pytest.raises(TrainingError, match="other weights"):
        train(folder, detected, RECIPE, backbone=other)


def test_faces_with_a_box_are_pasted(folder: Path, tmp_path: Path) -> None:
    assert len(load_cut_faces(folder)) == 6  # of the scenes to train with
    for name in ("frames", "crops"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "frames.csv").symlink_to(folder / "frames.csv")
    (tmp_path / "crops.csv").write_text(
        "file,xmin,ymin,xmax,ymax\ncrops/train/mask/portrait_1.jpg,5,6,55,66\ncrops/train/mask/portrait_2.jpg,,,,\n"
    )
    shapes = [face.shape for face in load_cut_faces(tmp_path)]
    assert len(shapes) == 7
    assert (68, 56, 3) in shapes  # with a rim


def test_the_converted_file_agrees_with_keras(detected: Path, folder: Path) -> None:
    result = json.loads((detected / CONVERSION).read_text())
    assert result["input_size"] == 96
    assert 0 < result["min_score"] <= 1
    judged = load_scenes(folder, ("val",))
    low = 1e-30  # a detector trained for seconds is sure of nothing
    eight = detect_faces((detected / DETECTOR).read_bytes(), 96, judged, low)
    exact = detect_faces((detected / "detector-float32.tflite").read_bytes(), 96, judged, low)
    assert len(exact[0].scores)
    assert eight[0].scores.max() == pytest.approx(exact[0].scores.max(), rel=0.5)


def test_the_report_of_a_run_has_every_figure(detected: Path) -> None:
    result = json.loads((detected / METRICS).read_text())
    assert result["scenes"] == 2
    assert result["faces"] == 5
    assert set(result["labels"]) == {"mask", "no_mask", "incorrect"}
    assert result["sizes"]["64-128"]["n"] == 5
    assert result["face_free"]["patterns"]["n"] == 1
    assert 0 <= result["overall"]["ap50_interval"][0] <= result["overall"]["ap50"] <= 1
    assert np.sum(result["end_to_end"]["confusion"]) == result["end_to_end"]["n"]
    assert result["faces_of_unknown_class"] == 1  # the other one is too small to count


def test_a_trained_detector_can_be_trained_further(detected: Path, folder: Path, tmp_path: Path) -> None:
    still = Recipe((Stage(64, 1, 0.0, 8, 2),), batch=8, seed=1)
    model = train(folder, tmp_path, still, start=detected / WEIGHTS)
    before = {variable.path: variable.numpy() for variable in load_trained(detected / WEIGHTS).variables}
    assert model.trainable_variables
    for variable in model.trainable_variables:
        assert np.array_equal(variable.numpy(), before[variable.path])


def test_a_run_of_each_network_gives_a_release(evaluated: Path, detected: Path, tmp_path: Path) -> None:
    serving = open_release("")
    candidate = candidate_release(serving, evaluated, detected)
    for run, network in ((evaluated, candidate.classifier), (detected, candidate.detector)):
        result = {"passed": True, "network_sha256": hashlib.sha256(network.file).hexdigest()}
        (run / GATE).write_text(json.dumps(result))
    written = write_release(tmp_path, "2.0.0", serving, evaluated, detected)
    (evaluated / GATE).unlink()
    (detected / GATE).unlink()
    assert written.detector == Network((detected / DETECTOR).read_bytes(), 96)
    result = json.loads((detected / METRICS).read_text())
    assert written.manifest["detector"]["metrics"]["ap50"] == result["overall"]["ap50"]
    assert written.min_score == json.loads((detected / CONVERSION).read_text())["min_score"]


def test_the_report_includes_the_detector(evaluated: Path, detected: Path, tmp_path: Path) -> None:
    write_report(evaluated, tmp_path, detected)
    for name in ("model-card.md", "report.html"):
        assert "Finding faces" in (tmp_path / name).read_text()


def test_calibrated_scores_are_probabilities() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random(20_000)
    right = rng.random(20_000) < chance
    logit = np.log(chance / (1 - chance))
    overconfident = 1 / (1 + np.exp(-(2 * logit + 1)))
    slope, offset = platt(overconfident.clip(1e-6, 1 - 1e-6).astype(np.float32), right)
    assert slope == pytest.approx(0.5, abs=0.03)
    assert offset == pytest.approx(-0.5, abs=0.05)
