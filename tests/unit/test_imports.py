"""Imports follow the layers: training and infra import functions and maskwatch; there are no cycles."""

import ast
from graphlib import TopologicalSorter

import pytest

from tests.system import ROOT

PACKAGES = ("functions", "infra", "maskwatch", "training")
IMAGES = sorted(path.parent.name for path in (ROOT / "functions").glob("*/Dockerfile"))
ALLOWED = {
    "functions.shared": {"functions.shared"},
    **{f"functions.{image}": {f"functions.{image}", "functions.shared"} for image in IMAGES},
    "functions.promote": {"functions.promote", "functions.inference", "functions.shared"},  # one image
    "maskwatch": {"maskwatch"},
    "infra": {"infra", "functions", "maskwatch"},
    "training": {"training", "functions", "infra"},
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}


def imported(module):
    """Return the project's modules that a module imports, including those for type checkers."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            of_package = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= of_package or {node.module}
    return {name for name in found if name.partition(".")[0] in PACKAGES}


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_lower_layers(package):
    modules = [name for name in MODULES if f"{name}.".startswith(f"{package}.")]
    assert modules

    wrong = {
        (module, name)
        for module in modules
        for name in imported(module)
        if not any(f"{name}.".startswith(f"{below}.") for below in ALLOWED[package])
    }

    assert not wrong


def test_the_detector_is_trained_without_code_of_the_classifier():
    used = {
        name for module in MODULES if module.startswith("training.detector.") for name in imported(module)
    }

    assert "training.dataset" in used
    assert not [name for name in used if name.startswith("training.classifier")]


def test_there_are_no_import_cycles():
    TopologicalSorter({module: imported(module) for module in MODULES}).prepare()
