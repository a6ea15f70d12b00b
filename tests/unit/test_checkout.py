"""A checkout of the project works on any platform."""

import subprocess

from functions.inference.release import load_release
from tests.system import ROOT


def test_a_checkout_with_line_ends_of_windows_has_a_valid_release_and_scripts_that_run(tmp_path):
    command = ["git", "-c", "core.autocrlf=true", "clone", "--quiet", ROOT, tmp_path / "maskwatch"]
    subprocess.run(command, check=True)

    assert load_release(tmp_path / "maskwatch" / "functions" / "inference" / "model").version
    for script in ("infra/install.sh", ".ci/run", "tests/container/run.sh"):
        assert b"\r" not in (tmp_path / "maskwatch" / script).read_bytes()
