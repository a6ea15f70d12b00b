"""The systemd unit of docs/watch."""

import shutil
import subprocess
import sys

import pytest

from tests.system import ROOT

UNIT = ROOT / "docs" / "watch" / "maskwatch-watch@.service"
COMMAND = "/opt/maskwatch/bin/maskwatch"


def verify(unit):
    """Return the output of systemd-analyze for a unit."""
    return subprocess.run(
        ["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True
    ).stderr


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze: Debian's package systemd"
)
def test_systemd_accepts_the_unit(tmp_path):
    unit = tmp_path / UNIT.name
    text = UNIT.read_text()
    assert COMMAND in text

    unit.write_text(text.replace(COMMAND, sys.executable))  # one that is there
    assert verify(unit) == ""

    unit.write_text(text.replace(COMMAND, sys.executable).replace("RestartSec", "RestartSoon"))
    assert "RestartSoon" in verify(unit)
