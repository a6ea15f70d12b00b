"""Runs are tracked in MLflow, with a SQLite store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from functions.shared.release_files import IMAGE_RELEASE
from tests.releases import copy_release
from training.commit import git_commit
from training.files import STATE
from training.tracking import CANDIDATE, NAME, PASSED, client, track, track_if_possible

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

HISTORY = [
    {
        "stage": 0,
        "epoch": epoch,
        "loss": 1 / (1 + epoch),
        "val_ap50": 0.1 * epoch,
        "ended": 1_700_000_060 + epoch,
    }
    for epoch in range(3)
]


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> MlflowClient:
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return client(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run after its second epoch."""
    folder = tmp_path / "run"
    folder.mkdir()
    write_state(folder, HISTORY[:2])
    return folder


def write_state(folder: Path, history: list[dict]) -> None:
    state = {
        "network": "detector",
        "fingerprint": "f00d",
        "started": 1_700_000_000.5,
        "starting_weights": "imagenet",
        "recipe": {"seed": 1, "batch": 24, "stages": [{"size": 96}]},
        "history": history,
    }
    (folder / STATE).write_text(json.dumps(state))


def judged(folder: Path, *, passed: bool) -> None:
    (folder / "metrics.json").write_text("{}")
    (folder / "scores.json").write_text(json.dumps({"macro_f1": 0.8, "mask_f1": 0.93}))
    (folder / "gate.json").write_text(json.dumps({"passed": passed, "reason": "so it is"}))
    (folder / "report").mkdir()
    (folder / "report" / "confusion.svg").write_text("<svg/>")


def losses(store: MlflowClient, run_id: str) -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in store.get_metric_history(run_id, "loss")]


def test_every_epoch_is_logged_once_however_often_it_is_called(run: Path, store: MlflowClient) -> None:
    first = track(run, store=store)
    assert track(run, store=store) == first
    assert losses(store, first) == [(0, 1.0), (1, 0.5)]
    write_state(run, HISTORY)
    track(run, store=store)
    assert losses(store, first) == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]


def test_recipe_data_and_commit_are_logged(run: Path, store: MlflowClient) -> None:
    result = store.get_run(track(run, store=store)).data
    assert result.params == {"seed": "1", "batch": "24", "stages": "[{'size': 96}]"}
    assert result.tags["dataset"] == "f00d"
    assert result.tags["mlflow.source.git.commit"] == git_commit()


def test_times_are_those_of_training_and_the_data_set_is_an_input(run: Path, store: MlflowClient) -> None:
    run_id = track(run, store=store)
    result = store.get_run(run_id)
    assert result.info.start_time == 1_700_000_000_500
    assert [m.timestamp for m in store.get_metric_history(run_id, "loss")] == [
        1_700_000_060_000,
        1_700_000_061_000,
    ]
    (dataset,) = result.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("detector", "f00d")


def test_a_run_that_the_gate_refused_ends_as_failed(run: Path, store: MlflowClient) -> None:
    judged(run, passed=False)
    result = store.get_run(track(run, store=store))
    assert result.info.status == "FAILED"
    assert result.data.tags["gate"] == "so it is"
    assert result.info.end_time > result.info.start_time


def test_an_unavailable_store_does_not_end_training(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    track_if_possible(run)
    assert "is not tracked in MLflow" in capsys.readouterr().out


def test_two_instances_can_create_the_experiment_concurrently(
    run: Path, store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_type = type(store)
    real, asked = client_type.get_experiment_by_name, []

    def not_yet(self: MlflowClient, name: str) -> object:
        asked.append(name)
        if len(asked) == 1:  # between asking and making, another instance makes it
            self.create_experiment(name)
            return None
        return real(self, name)

    monkeypatch.setattr(client_type, "get_experiment_by_name", not_yet)
    assert losses(store, track(run, store=store)) == [(0, 1.0), (1, 0.5)]


def test_another_store_gets_the_whole_run(
    run: Path, store: MlflowClient, empty_store: Path, tmp_path: Path
) -> None:
    first = track(run, store=store)
    (tmp_path / "other").mkdir()
    shutil.copyfile(empty_store, tmp_path / "other" / "mlflow.db")
    other = client(f"sqlite:///{tmp_path}/other/mlflow.db")
    second = track(run, store=other)
    assert second != first
    assert losses(other, second) == losses(store, first)


def test_figures_plots_and_the_release_are_stored(run: Path, store: MlflowClient, tmp_path: Path) -> None:
    judged(run, passed=True)
    run_id = track(run, copy_release(tmp_path / "release", version="1.1.0"), store)
    result = store.get_run(run_id)
    assert result.data.metrics["test_macro_f1"] == 0.8
    assert result.data.metrics["test_mask_f1"] == 0.93
    assert result.data.metrics["gate_passed"] == 1
    assert result.info.status == "FINISHED"
    assert {file.path for file in store.list_artifacts(run_id)} == {
        "metrics.json",
        "gate.json",
        "report",
        "release",
    }
    fetched = Path(store.download_artifacts(run_id, "release", str(tmp_path)))
    assert (fetched / "classifier.tflite").read_bytes() == (IMAGE_RELEASE / "classifier.tflite").read_bytes()


def test_a_release_is_registered_once_and_named_by_aliases(
    run: Path, store: MlflowClient, tmp_path: Path
) -> None:
    judged(run, passed=True)
    made = copy_release(tmp_path / "release", version="1.1.0")
    track(run, made, store)
    track(run, made, store)
    (version,) = store.search_model_versions(f"name = '{NAME}'")
    assert version.tags == {"release": "1.1.0", "gate": "so it is"}
    assert store.get_model_version_by_alias(NAME, CANDIDATE).tags["release"] == "1.1.0"
    assert store.get_model_version_by_alias(NAME, PASSED).tags["release"] == "1.1.0"


def test_a_refused_release_has_only_the_alias_candidate(
    run: Path, store: MlflowClient, tmp_path: Path
) -> None:
    judged(run, passed=True)
    track(run, copy_release(tmp_path / "one", version="1.1.0"), store)
    (run / "gate.json").write_text(json.dumps({"passed": False, "reason": "worse"}))
    track(run, copy_release(tmp_path / "two", version="1.2.0"), store)
    assert store.get_model_version_by_alias(NAME, CANDIDATE).tags["release"] == "1.2.0"
    assert store.get_model_version_by_alias(NAME, PASSED).tags["release"] == "1.1.0"


def test_the_default_store_is_a_file_in_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / ".runs" / "run").mkdir(parents=True)
    write_state(tmp_path / ".runs" / "run", HISTORY)
    run_id = track(Path(".runs/run"))
    assert (tmp_path / ".runs" / "mlflow.db").is_file()
    assert client().get_run(run_id).info.artifact_uri.startswith(f"file://{tmp_path}/.runs/mlflow/")


def test_the_environment_variable_sets_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    assert client().tracking_uri == f"sqlite:///{tmp_path}/elsewhere.db"
