"""From a run to a release that serving takes."""

import hashlib
import json
from pathlib import Path

import pytest

from functions.inference.classify import Classifier
from functions.inference.fetch import open_release
from functions.inference.release import ReleaseError, load_release
from functions.shared.contract import LABELS
from training.classifier.dataset import Dataset
from training.classifier.evaluate import METRICS, shipped
from training.classifier.train import STATE, WEIGHTS
from training.release import write_release


def test_what_is_written_loads_and_answers_the_same(
    evaluated: Path, dataset: Dataset, tmp_path: Path
) -> None:
    written = write_release(evaluated, tmp_path, "1.2.3", open_release(""))
    loaded = load_release(tmp_path)
    assert loaded == written
    assert (loaded.version, loaded.classifier.size) == ("1.2.3", 96)
    pixels = dataset.split("test")[0].pixels
    before, after = (
        Classifier(r, threads=1).classify([pixels])[0] for r in (shipped(evaluated), loaded.classifier)
    )
    assert before.probabilities == after.probabilities


def test_the_manifest_says_where_it_comes_from(evaluated: Path, tmp_path: Path) -> None:
    manifest = write_release(evaluated, tmp_path, "1.2.3", open_release("")).manifest
    assert manifest["labels"] == list(LABELS)
    assert manifest["metrics"] == json.loads((evaluated / METRICS).read_text())["overall"]
    assert manifest["dataset"]["fingerprint"] == json.loads((evaluated / STATE).read_text())["fingerprint"]
    weights = hashlib.sha256((evaluated / WEIGHTS).read_bytes()).hexdigest()
    assert manifest["trained_weights"]["sha256"] == weights
    assert {"created", "git_commit"} <= manifest.keys()


def test_the_detector_that_was_not_trained_is_kept(evaluated: Path, tmp_path: Path) -> None:
    serving = open_release("")
    written = write_release(evaluated, tmp_path, "1.2.3", serving)
    assert (written.detector, written.min_detection) == (serving.detector, serving.min_detection)
    assert written.manifest["detector"] == serving.manifest["detector"]


def test_one_changed_byte_is_refused(evaluated: Path, tmp_path: Path) -> None:
    write_release(evaluated, tmp_path, "1.2.3", open_release(""))
    file = tmp_path / "classifier.tflite"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ReleaseError, match="sha256"):
        load_release(tmp_path)


def test_a_run_that_was_not_evaluated_is_not_released(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_release(tmp_path, tmp_path / "out", "1.2.3", open_release(""))
