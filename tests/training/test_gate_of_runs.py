"""The gate and the release step on files: the serving model passes against itself, a bad one does not."""

import json
import shutil
from pathlib import Path

import pytest

from functions.inference.fetch import open_release
from functions.inference.release import ReleaseError, load_release
from functions.shared.release_files import IMAGE_RELEASE, MANIFEST
from tests.training.drawn import write_crops, write_tables
from training import judge
from training.classifier import compare
from training.errors import TrainingError
from training.files import GATE, SMALL, file_sha256
from training.gates import gate_classifier

VERSION = "2.0.0"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    write_crops(folder, {"test": 10})
    write_tables(folder, ("test",))
    (folder / "crops.csv").unlink()  # with portraits of unknown sources
    return folder


@pytest.fixture
def same(run: Path, tmp_path: Path) -> Path:
    """A run with the serving classifier."""
    folder = tmp_path / "same"
    shutil.copytree(run, folder)
    manifest = json.loads((IMAGE_RELEASE / "manifest.json").read_text())
    own, small = manifest["classifier"], manifest["small_classifier"]
    conversion = json.loads((folder / "conversion.json").read_text())
    conversion |= {"shipped": "int8", "input_size": own["input"]["size"]}
    conversion["small"] = {
        "shipped": "int8",
        "input_size": small["input"]["size"],
        "calibration": small["calibration"],
    }
    (folder / "conversion.json").write_text(json.dumps(conversion))
    shutil.copyfile(IMAGE_RELEASE / own["file"], folder / "int8.tflite")
    shutil.copyfile(IMAGE_RELEASE / small["file"], folder / SMALL)
    return folder


@pytest.fixture
def worse(run: Path, tmp_path: Path) -> Path:
    """A run of three epochs from random weights."""
    return Path(shutil.copytree(run, tmp_path / "worse"))


@pytest.fixture(autouse=True)
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdicts here are clear; tests/training/test_gate.py tests the statistics."""
    monkeypatch.setattr(compare, "DRAWS", 2_000)
    monkeypatch.setattr(compare, "CALIBRATION_DRAWS", 100)
    monkeypatch.setattr(compare, "TIMED", 40)


def test_the_serving_model_passes_against_itself(same: Path, pictures: Path) -> None:
    decision = gate_classifier(same, pictures, open_release(""), open_release(""))
    assert decision == json.loads((same / GATE).read_text())
    assert (decision["passed"], decision["reason"]) == (
        True,
        "not worse than the serving release in any figure",
    )
    judged = [one for one in decision["comparisons"] if one["figure"] != "latency_ms"]
    assert {(one["low"], one["high"]) for one in judged} == {(0.0, 0.0)}
    assert {"accuracy", "class incorrect: f1", "source -: accuracy", "turned upside down: accuracy"} <= {
        one["figure"] for one in decision["comparisons"]
    }
    assert {"face: recall", "face: false detections a scene"} <= {one["figure"] for one in judged}


def test_a_run_that_passes_becomes_a_valid_release(
    same: Path, pictures: Path, tmp_path: Path, command
) -> None:
    out, report = tmp_path / "release", tmp_path / "report"
    arguments = ["--data", pictures, "--run", same, "--out", out, "--report", report, "--version", VERSION]
    assert command(judge, *arguments) == 0
    release, serving = load_release(out), open_release("")
    assert release.version == VERSION
    assert (release.classifier, release.detector) == (serving.classifier, serving.detector)
    assert "not worse than the serving release in any figure" in (report / "report.html").read_text()
    decision = json.loads((report / GATE).read_text())
    assert decision["passed"] is True
    assert decision["manifest_sha256"] == file_sha256(out / MANIFEST)


def test_a_refused_run_gives_no_release(
    worse: Path, pictures: Path, tmp_path: Path, command, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "release"
    shutil.copytree(IMAGE_RELEASE, out)  # of an earlier run, which passed
    arguments = ["--data", pictures, "--run", worse, "--out", out, "--version", VERSION]
    assert command(judge, *arguments) == 0
    with pytest.raises(ReleaseError, match="manifest"):
        load_release(out)
    assert json.loads((worse / GATE).read_text())["passed"] is False
    assert capsys.readouterr().out.count("refused: worse than the serving release: accuracy") == 1
    assert "worse than the serving release: accuracy" in (worse / "report" / "report.html").read_text()


def test_without_test_pictures_the_gate_is_an_error(same: Path, tmp_path: Path) -> None:
    write_crops(tmp_path / "none", {"train": 1})
    with pytest.raises(TrainingError, match="no pictures in the split test"):
        gate_classifier(same, tmp_path / "none", open_release(""), open_release(""))
