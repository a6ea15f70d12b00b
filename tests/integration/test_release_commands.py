"""The operator's commands that change which release answers; the rehearsal tests those that succeed."""

import pytest
import requests


@pytest.mark.parametrize("command", [("challenge", "10"), ("shadow",)])
def test_an_invalid_release_cannot_be_a_challenger(system, command):
    done = system.operate(*command, "--release", "nowhere", "--stack", "maskwatch")

    assert done.returncode == 1
    assert "Release nowhere must not serve" in done.stderr
    assert "challenger" not in requests.get(f"{system.url}/health", timeout=60).json()
