"""Runs of each network that are killed at random times end with the same figures as uninterrupted ones.

Four kills by default; MASKWATCH_KILLS=10 is the long run. tests/training/test_run.py interrupts at every step.
"""

import json
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest

from tests.training.drawn import write_crops, write_tables
from tests.training.small_runs import RECIPE, small_run
from training.files import STATE

KILLS = int(os.environ.get("MASKWATCH_KILLS", "4"))
EPOCHS = sum(stage.epochs for stage in RECIPE.stages)


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.BaseContext:
    """Processes that start with TensorFlow imported, because the import takes longer than the run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.small_runs"])
    first = context.Process(target=int)  # waits for the import, which must not be in the time of a run
    first.start()
    first.join()
    return context


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_crops(folder / "crops", {"train": 8, "val": 4})
    write_tables(folder)
    table = folder / "frames.csv"
    table.write_text(table.read_text().replace(",test,", ",val,"))
    return folder


def history(folder: Path) -> list[dict[str, float]]:
    path = folder / STATE
    return json.loads(path.read_text())["history"] if path.is_file() else []


@pytest.mark.parametrize("network", ["classifier", "detector"])
def test_kills_change_nothing(
    processes: multiprocessing.context.BaseContext, data: Path, tmp_path: Path, network: str
) -> None:
    def run(out: Path, seconds: float | None = None) -> bool:
        """Return whether it ended before it was killed."""
        process = processes.Process(target=small_run, args=(network, data, out))
        process.start()
        process.join(seconds)
        ended = process.exitcode is not None
        process.kill()
        process.join()
        assert not ended or process.exitcode == 0
        return ended

    started = time.monotonic()
    assert run(tmp_path / "whole")
    whole = time.monotonic() - started
    expected = history(tmp_path / "whole")
    assert len(expected) == EPOCHS
    seed = np.random.SeedSequence().entropy
    print("seed of the kills:", seed)  # noqa: T201 -- shown with a failure, to repeat it
    rng = np.random.default_rng(seed)
    killed = finished = 0
    while killed < KILLS or history(tmp_path / f"{finished}"):
        out = tmp_path / f"{finished}"
        started = time.monotonic()
        if not run(out, whole * rng.uniform(0.2, 1.0) if killed < KILLS else None):
            killed += 1
            continue
        whole = min(whole, time.monotonic() - started)  # the machine may be quicker than it was
        for one, other in zip(history(out), expected, strict=True):
            assert one | {"ended": 0} == pytest.approx(other | {"ended": 0}, rel=1e-4, abs=1e-4)
        finished += 1
