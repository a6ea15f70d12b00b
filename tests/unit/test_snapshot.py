"""Environments that Lambda restores from one snapshot differ where they must, and share no client of AWS."""

import importlib
import random
import subprocess
import sys
from types import ModuleType

import pytest

from functions.inference import predict, snapshot
from tests.conftest import ROOT


@pytest.fixture
def restored(monkeypatch):
    """Import Predict as on Lambda; return what it wants called after a restore."""
    calls = []
    module = ModuleType("snapshot_restore_py")
    module.register_after_restore = calls.append
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", module)
    importlib.reload(predict)
    return calls


def test_restored_environments_draw_other_numbers(restored):
    (renew,) = restored
    drawn = set()
    for _ in range(2):
        random.seed(7)  # the state in the snapshot
        renew()
        drawn.add(random.random())  # noqa: S311

    assert len(drawn) == 2


def test_elsewhere_there_is_nothing_to_register(monkeypatch):
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)

    snapshot.renew_after_restore()


def test_no_client_of_aws_is_frozen():
    code = "import sys; import functions.inference.predict; sys.exit('botocore.client' in sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
