"""template.yaml, transformed once in each process."""

from copy import deepcopy
from functools import cache
from typing import Any

from infra.local.template import transformed_template
from tests.system import ROOT


@cache
def _transformed() -> dict[str, Any]:
    return transformed_template(ROOT / "template.yaml", {})


def stack_template() -> dict[str, Any]:
    """Return a copy of the transformed template with its defaults: to transform it takes a quarter of a second."""
    return deepcopy(_transformed())
