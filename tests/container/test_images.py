"""The images contain only what they need, and run unprivileged on a read-only disk, as on Lambda."""

import json

import pytest

from tests.container.images import IMAGES

LIMITS = {  # bytes, stand-in base included
    "PredictFunction": 350e6,
    "BatchFunction": 350e6,
    "PortalFunction": 350e6,
    "AlertsFunction": 350e6,
    "DriftFunction": 700e6,  # Evidently brings pandas, scipy and scikit-learn along
}


@pytest.mark.parametrize("function", IMAGES)
def test_an_image_is_small(docker, function):
    assert int(docker("image", "inspect", "--format", "{{.Size}}", IMAGES[function])) < LIMITS[function]


@pytest.mark.parametrize(
    ("image", "module"),
    [
        (IMAGES["PredictFunction"], "functions.inference.predict"),
        (IMAGES["PortalFunction"], "functions.portal.app"),
    ],
)
def test_a_handler_loads_from_bytecode_as_any_user_on_a_read_only_disk_without_heavy_modules(
    docker, image, module
):
    program = (
        f"import sys, {module}; import json; print(json.dumps({{"
        "'heavy': [m for m in ('boto3', 'pydantic', 'tensorflow', 'aws_xray_sdk') if m in sys.modules],"
        "'compiled': sys.modules['functions.shared.problem'].__cached__ is not None"
        " and __import__('os').path.exists(sys.modules['functions.shared.problem'].__cached__)}))"
    )
    stdout = docker(
        *("run", "--rm", "--read-only", "--tmpfs", "/tmp", "--user", "993:990", "--network", "none"),  # noqa: S108
        *("--env", "UPLOADS_BUCKET=uploads", "--env", "RESULTS_BUCKET=results"),
        *("--env", "INSIGHTS_BUCKET=insights", "--env", "ALERTS_TABLE=alerts"),
        *("--entrypoint", "python", image, "-c", program),
    )

    assert json.loads(stdout.splitlines()[-1]) == {"heavy": [], "compiled": True}


def test_every_package_of_an_image_is_compiled(docker):
    missing = docker(
        *("run", "--rm", "--entrypoint", "python", IMAGES["PredictFunction"], "-c"),
        "import importlib.util, pathlib; print([str(f) for f in pathlib.Path('.').rglob('*.py')"
        " if not pathlib.Path(importlib.util.cache_from_source(f)).exists()])",
    )

    assert missing.strip() == "[]"


def test_the_compiler_and_the_delegates_of_litert_are_left_out(docker):
    names = docker("run", "--rm", "--entrypoint", "ls", IMAGES["PredictFunction"], "ai_edge_litert").split()

    assert "interpreter.py" in names
    assert not {"aot", "vendors", "tools"} & set(names)
    assert not [name for name in names if "webgpu" in name.lower()]


@pytest.mark.parametrize("image", sorted(set(IMAGES.values())))
def test_scanners_are_told_of_the_packages_that_are_there_and_the_licence_is(docker, image):
    program = (
        "import pathlib; from importlib.metadata import distributions; print("
        "[package.name for package in distributions(path=['.'])"
        " if not any(file.suffix in ('.py', '.so') and file.locate().exists() for file in package.files)],"
        " pathlib.Path('LICENSE').is_file())"
    )

    assert docker("run", "--rm", "--entrypoint", "python", image, "-c", program).strip() == "[] True"


def test_training_and_weights_are_left_out(docker):
    names = docker("run", "--rm", "--entrypoint", "find", IMAGES["PredictFunction"], "functions").split()

    assert not [name for name in names if "training" in name or name.endswith((".h5", ".keras"))]
