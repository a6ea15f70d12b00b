"""Track training in MLflow: `python -m training.tracking --run RUN [--release FOLDER]`.

`track` brings an MLflow run up to date with a run's folder: recipe, data set and git commit, the figures of every
epoch and of the test pictures, the gate's verdict, plots, and the release. Training calls it after every epoch. It
can be called at any time and repeatedly: a resumed run continues its MLflow run, and another store gets the whole
history.

MLFLOW_TRACKING_URI names the store: by default a SQLite file under `.runs`; with the ARN of a tracking server,
SageMaker's managed MLflow (through its plugin, sagemaker-mlflow). A release is registered as a model version, with
the alias `candidate` for the newest, and `passed` for the newest that passed the gate.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from functions.shared.release_files import MANIFEST
from training.commit import git_commit
from training.errors import reported
from training.files import CONVERSION, GATE, MAIN_FIGURES, METRICS, REPORT, STATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.entities import DatasetInput, Run
    from mlflow.tracking import MlflowClient

NAME: Final = "maskwatch"  # of the experiment and of the registered model
LOCAL: Final = Path(".runs")
LINK: Final = "mlflow.json"  # in a run's folder: the id of its MLflow run
CANDIDATE, PASSED = "candidate", "passed"


def client(uri: str | None = None) -> MlflowClient:
    """Return a client of the store in MLFLOW_TRACKING_URI, or of the local one."""
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 -- MLflow is slow to import

    # 7, the default, delay an epoch for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        LOCAL.mkdir(exist_ok=True)
        uri = f"sqlite:///{(LOCAL / 'mlflow.db').absolute()}"  # MLflow keeps a connection for each address
    return MlflowClient(uri)


def track(run: Path, release: Path | None = None, store: MlflowClient | None = None) -> str:
    """Bring the MLflow run of the folder `run` up to date.

    Args:
        run: Folder of a run with at least one finished epoch.
        release: Folder of its release, to register.
        store: The store; default: `client()`.

    Returns:
        The id of the MLflow run.
    """
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 -- MLflow is slow to import

    store = store or client()
    state = json.loads((run / STATE).read_text(encoding="utf-8"))
    result = _run(store, run, state["started"])
    run_id = str(result.info.run_id)
    gate = _read(run / GATE)
    tags = {
        "network": state["network"],
        "dataset": state["fingerprint"],
        "starting_weights": state["starting_weights"],
        "folder": run.name,
        **({"gate": gate["reason"]} if gate else {}),
    }
    # MLflow's parameters are immutable; these are the same on every call.
    params = [Param(key, str(value)) for key, value in state["recipe"].items()]
    known = len(store.get_metric_history(run_id, "epoch"))
    metrics = [
        Metric(key, float(value), round(1000 * row["ended"]), step)
        for step, row in enumerate(state["history"])
        if step >= known
        for key, value in row.items()
        if key != "ended"
    ]
    now = round(1000 * time.time())
    metrics += [Metric(f"test_{key}", value, now, 0) for key, value in _read(run / MAIN_FIGURES).items()]
    if gate:
        metrics.append(Metric("gate_passed", float(gate["passed"]), now, 0))
    store.log_batch(run_id, metrics, params, [RunTag(key, value) for key, value in tags.items()])
    if not (result.inputs and result.inputs.dataset_inputs):
        store.log_inputs(run_id, [_dataset(state)])
    for name in (METRICS, GATE, CONVERSION):
        if (run / name).is_file():
            store.log_artifact(run_id, str(run / name))
    if (run / REPORT).is_dir():
        store.log_artifacts(run_id, str(run / REPORT), REPORT)
    if release:
        _register(store, run_id, release, gate)
    if gate:
        store.set_terminated(run_id, "FINISHED" if gate["passed"] else "FAILED")
    return run_id


def track_if_possible(run: Path, release: Path | None = None) -> None:
    """Call `track`, but only print its errors, so that an unavailable store does not end training."""
    try:
        track(run, release)
    except Exception as error:  # noqa: BLE001 -- no error of a store is worth hours of training
        print(
            f"{run} is not tracked in MLflow: {error}. `.venv/bin/python -m training.tracking --run {run}` does it",
            flush=True,
        )


def _dataset(state: Mapping[str, Any]) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput  # noqa: PLC0415 -- MLflow is slow to import

    digest = state["fingerprint"][:36]  # no more is allowed
    return DatasetInput(Dataset(state["network"], digest, "local", json.dumps({"fingerprint": digest})), [])


def _run(store: MlflowClient, run: Path, started: float) -> Run:
    """Return the MLflow run that the folder is linked to, or create one if the store does not have it."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 -- MLflow is slow to import

    link = run / LINK
    if link.is_file():
        try:
            return store.get_run(json.loads(link.read_text(encoding="utf-8"))["run_id"])
        except MlflowException:
            pass  # the link is to another store
    result = store.create_run(
        _experiment(store), round(1000 * started), {"mlflow.source.git.commit": git_commit()}, run.name
    )
    link.write_text(json.dumps({"run_id": result.info.run_id}) + "\n", encoding="utf-8")
    return result


def _experiment(store: MlflowClient) -> str:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 -- MLflow is slow to import

    experiment = store.get_experiment_by_name(NAME)
    if experiment:
        return str(experiment.experiment_id)
    local = store.tracking_uri.startswith("sqlite:")
    place = Path(store.tracking_uri.removeprefix("sqlite:///")).absolute().parent / "mlflow"
    try:
        return str(store.create_experiment(NAME, artifact_location=place.as_uri() if local else None))
    except MlflowException:
        if experiment := store.get_experiment_by_name(NAME):  # another instance created it concurrently
            return str(experiment.experiment_id)
        raise


def _register(store: MlflowClient, run_id: str, release: Path, gate: Mapping[str, Any]) -> None:
    version = json.loads((release / MANIFEST).read_text(encoding="utf-8"))["version"]
    if store.search_model_versions(f"name = '{NAME}' and tags.release = '{version}'"):
        return
    store.log_artifacts(run_id, str(release), "release")
    if not store.search_registered_models(f"name = '{NAME}'"):
        store.create_registered_model(NAME)
    source = f"{store.get_run(run_id).info.artifact_uri}/release"
    tags = {"release": version, "gate": str(gate.get("reason", "not run"))}
    registered = store.create_model_version(NAME, source, run_id, tags=tags)
    store.set_registered_model_alias(NAME, CANDIDATE, registered.version)
    if gate.get("passed"):
        store.set_registered_model_alias(NAME, PASSED, registered.version)


def _read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--release", type=Path, help="folder of the release made from it, to register")
    options = parser.parse_args()
    with reported(parser):
        store = client()
        print(f"MLflow run {track(options.run, options.release, store)} in {store.tracking_uri}")


if __name__ == "__main__":
    main()
