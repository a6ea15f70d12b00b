"""Environments that Lambda restores from one snapshot have different ids and their own AWS clients."""

import importlib
import random
import sys
from types import ModuleType

import pytest

from functions.inference import predict, snapshot


@pytest.fixture
def restored(monkeypatch):
    """Import Predict as on Lambda; return its hooks after a restore."""
    calls = []
    module = ModuleType("snapshot_restore_py")
    module.register_after_restore = calls.append
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", module)
    importlib.reload(predict)
    return calls


def test_restored_environments_draw_different_random_numbers(restored):
    (renew,) = restored
    drawn = set()
    for _ in range(2):
        random.seed(7)  # the state in the snapshot
        renew()
        drawn.add(random.random())  # noqa: S311

    assert len(drawn) == 2


def test_without_snapstart_no_hook_is_registered(monkeypatch):
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)

    snapshot.renew_after_restore()
