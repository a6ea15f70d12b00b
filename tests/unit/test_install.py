import re
import subprocess
import sys
import tomllib

import pytest

from tests.template import ROOT

WATCH = ROOT / "docs" / "watch"


@pytest.fixture
def installed_by(tmp_path):
    """A function: with a uv that exits like this, which installer got these packages."""

    def install(exit_of_uv, *packages):
        for command, code in ((".venv/bin/uv", exit_of_uv), (".venv-other/bin/pip", 0)):
            path = tmp_path / command
            path.parent.mkdir(parents=True)
            path.write_text(f'#!/bin/sh\nprintf "%s\\n" {path.name} "$@" > installed\nexit {code}\n')
            path.chmod(0o755)
        command = [ROOT / "infra" / "install.sh", ".venv-other", *packages]
        subprocess.run(command, cwd=tmp_path, check=True)
        installer, *arguments = (tmp_path / "installed").read_text().splitlines()
        assert arguments[-len(packages) :] == list(packages)
        return installer

    return install


def test_uv_installs_the_packages(installed_by):
    assert installed_by(0, "-e", ".[local,dev]") == "uv"


def test_pip_installs_the_packages_if_uv_cannot(installed_by):
    assert installed_by(2, "-e", ".[local,dev]") == "pip"


@pytest.mark.parametrize("target", [".venv/bin/uv", ".venv-sam/bin/sam"])
def test_another_python_is_refused_before_it_makes_an_environment(tmp_path, target):
    code = "import sys; sys.version_info = (3, 14); exec(sys.argv[1])"
    python = tmp_path / "python3.14"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$2\"\n")
    python.chmod(0o755)
    command = ["make", "-f", ROOT / "Makefile", "-I", ROOT, f"PYTHON={python}", target]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)

    assert done.returncode == 2
    assert "MaskWatch needs Python 3.11 to 3.13: set PYTHON=" in done.stderr
    assert not list(tmp_path.glob(".venv*"))


@pytest.mark.parametrize(
    "dockerfile",
    [*(ROOT / "functions").glob("*/Dockerfile"), ROOT / "training" / "Dockerfile", WATCH / "Dockerfile"],
    ids=lambda path: path.parent.name,
)
def test_an_image_downloads_only_packages_with_hashes(dockerfile):
    installations = re.findall(r"pip install (.+)", dockerfile.read_text())

    assert "--require-hashes" in installations[0]
    assert all("--no-deps --no-build-isolation" in options for options in installations[1:])


def test_the_watch_image_has_the_packages_of_the_command_line():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, build = pyproject["project"], pyproject["build-system"]
    needed = {*project["dependencies"], *project["optional-dependencies"]["video"], *build["requires"]}
    lines = (WATCH / "requirements.in").read_text().splitlines()

    assert {line for line in lines if not line.startswith("#")} == needed
