"""A run becomes a valid release."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.inference.classify import Classifier
from functions.inference.fetch import open_release
from functions.inference.release import ReleaseError, load_release
from functions.shared.contract import LABELS
from functions.shared.release_files import BASELINE
from training import release
from training.candidate import shipped
from training.dataset import Dataset
from training.errors import TrainingError
from training.files import CLASSIFIER_WEIGHTS as WEIGHTS
from training.files import CONVERSION, GATE, METRICS, STATE
from training.release import write_release

Gated = Callable[..., Path]


def test_without_a_run_the_serving_release_gets_no_other_version(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is no converted run to release"):
        write_release(tmp_path / "release", "9.0.0", open_release(""))
    assert not (tmp_path / "release").exists()


@pytest.fixture
def gated(tmp_path_factory: pytest.TempPathFactory) -> Gated:
    """Return a function that copies a run, which other tests share, and adds the gate's verdict."""

    def copied(run: Path, *, passed: bool = True) -> Path:
        digest = hashlib.sha256(shipped(run).file).hexdigest()
        gate = {"passed": passed, "reason": "worse: accuracy", "network_sha256": digest}
        copy = Path(shutil.copytree(run, tmp_path_factory.mktemp("gated") / "run"))
        (copy / GATE).write_text(json.dumps(gate))
        return copy

    return copied


def test_the_release_loads_and_answers_the_same(
    evaluated: Path, gated: Gated, dataset: Dataset, tmp_path: Path
) -> None:
    written = write_release(tmp_path, "1.2.3", open_release(""), gated(evaluated))
    loaded = load_release(tmp_path)
    assert loaded == written
    assert (loaded.version, loaded.classifier.size) == ("1.2.3", 96)
    pixels = dataset.split("test")[0].pixels
    before, after = (
        Classifier(r, threads=1).classify(pixels) for r in (shipped(evaluated), loaded.classifier)
    )
    assert before.probabilities == after.probabilities


def test_the_manifest_has_the_origin(evaluated: Path, gated: Gated, tmp_path: Path) -> None:
    manifest = write_release(tmp_path, "1.2.3", open_release(""), gated(evaluated)).manifest
    assert manifest["labels"] == list(LABELS)
    metrics = json.loads((evaluated / METRICS).read_text())
    assert manifest["metrics"] == {**metrics["overall"], "served": metrics["served"]["overall"]}
    assert manifest["dataset"]["fingerprint"] == json.loads((evaluated / STATE).read_text())["fingerprint"]
    weights = hashlib.sha256((evaluated / WEIGHTS).read_bytes()).hexdigest()
    assert manifest["trained_weights"]["sha256"] == weights
    assert {"created", "git_commit"} <= manifest.keys()


def test_a_detector_that_was_not_trained_is_kept(evaluated: Path, gated: Gated, tmp_path: Path) -> None:
    serving = open_release("")
    written = write_release(tmp_path, "1.2.3", serving, gated(evaluated))
    assert (written.detector, written.min_score) == (serving.detector, serving.min_score)
    kept, former = written.manifest["detector"], serving.manifest["detector"]
    assert kept == {key: value for key, value in former.items() if key != "metrics"}  # of both networks


def test_too_few_validation_pictures_give_a_release_without_a_baseline_and_its_weights(
    evaluated: Path, gated: Gated, drawn: Path, tmp_path: Path, command, capsys: pytest.CaptureFixture[str]
) -> None:
    out, run = tmp_path / "out", gated(evaluated)
    (tmp_path / "weights").mkdir()
    given = {"data": drawn, "run": run, "out": out, "weights": tmp_path / "weights", "version": "1.2.3"}
    assert command(release, *(f"--{name}={value}" for name, value in given.items())) == 0
    loaded = load_release(out)
    assert BASELINE not in loaded.manifest["files"]
    copied = (tmp_path / "weights" / WEIGHTS).read_bytes()
    assert hashlib.sha256(copied).hexdigest() == loaded.manifest["trained_weights"]["sha256"]
    assert "validation pictures; a baseline needs at least 200" in capsys.readouterr().out


def test_one_changed_byte_is_refused(evaluated: Path, gated: Gated, tmp_path: Path) -> None:
    write_release(tmp_path, "1.2.3", open_release(""), gated(evaluated))
    file = tmp_path / "classifier.tflite"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ReleaseError, match="sha256"):
        load_release(tmp_path)


def test_a_run_without_a_verdict_is_not_released(evaluated: Path, tmp_path: Path) -> None:
    run = shutil.copytree(evaluated, tmp_path / "run", ignore=shutil.ignore_patterns(GATE))
    with pytest.raises(TrainingError, match="has not passed through the gate; run `make judge`"):
        write_release(tmp_path / "out", "1.2.3", open_release(""), run)


def test_a_run_that_was_converted_after_the_verdict_is_not_released(
    evaluated: Path, gated: Gated, tmp_path: Path
) -> None:
    run = gated(shutil.copytree(evaluated, tmp_path / "run"))
    shipped_file = run / f"{json.loads((run / CONVERSION).read_text())['shipped']}.tflite"
    shipped_file.write_bytes(shipped_file.read_bytes() + b"0")
    with pytest.raises(TrainingError, match="was converted again after the gate"):
        write_release(tmp_path / "out", "1.2.3", open_release(""), run)


def test_a_refused_run_is_released_only_with_a_reason(evaluated: Path, gated: Gated, tmp_path: Path) -> None:
    run = gated(shutil.copytree(evaluated, tmp_path / "run"), passed=False)
    with pytest.raises(TrainingError, match=r"the gate refused .*: worse: accuracy"):
        write_release(tmp_path / "out", "1.2.3", open_release(""), run)
    despite = "the old test pictures were mislabelled"
    written = write_release(tmp_path / "out", "1.2.3", open_release(""), run, despite=despite)
    assert written.manifest["released_despite"] == despite


def test_a_new_release_does_not_keep_the_previous_baseline(
    evaluated: Path, gated: Gated, tmp_path: Path
) -> None:
    (tmp_path / BASELINE).write_text("{}")
    write_release(tmp_path, "1.2.3", open_release(""), gated(evaluated))
    assert not (tmp_path / BASELINE).exists()
