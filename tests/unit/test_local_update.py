"""An update of the local stack deploys its functions concurrently, and rolls all back if one fails."""

from threading import Barrier
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from infra.local import update
from infra.local.errors import FunctionError


class Function:
    """A fake function that deploys when the other one does."""

    def __init__(self, name, together, *, fails=False):
        self.config, self.fails = SimpleNamespace(name=name, environment={}, release="old"), fails
        self._together = together

    def deploy(self, config, seconds):
        if seconds:  # a deployment, not a rollback
            self._together.wait(60)
        if self.fails:
            raise FunctionError(f"{config.name} answered 500")
        self.config = config


@pytest.fixture
def updated(monkeypatch):
    """Update two functions to another release; return their versions and the reason of a failure."""

    def run(*failing):
        together = Barrier(2)
        functions = {name: Function(name, together, fails=name in failing) for name in ("Predict", "Batch")}
        configs = [SimpleNamespace(name=name, environment={}, release="new") for name in functions]
        monkeypatch.setattr(update, "transformed_template", lambda *_: {})
        monkeypatch.setattr(update, "with_parameters", lambda *_: None)
        monkeypatch.setattr(update, "function_configs", lambda *_: configs)
        aliases = [SimpleNamespace(properties={"FunctionName": name}) for name in functions]
        stack = SimpleNamespace(of_type=lambda _: aliases)
        result = update.Updater(stack, functions, "moto", "url", Mock()).update({})
        return {name: function.config.release for name, function in functions.items()}, result

    return run


def test_functions_are_deployed_concurrently(updated):
    assert updated() == ({"Predict": "new", "Batch": "new"}, "")


@pytest.mark.parametrize("failing", ["Predict", "Batch"])
def test_a_failure_rolls_the_other_function_back(updated, failing):
    assert updated(failing) == ({"Predict": "old", "Batch": "old"}, f"{failing} answered 500")
