"""A run's commit says whether the code was that of the commit."""

import re
import subprocess
from pathlib import Path

import pytest

from training.commit import git_commit


def test_a_changed_checkout_is_dirty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GIT_COMMIT", raising=False)
    (tmp_path / "code.py").write_text("a = 1")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (["init"], ["add", "."], [*identity, "commit", "-m", "a"], ["tag", "v1"]):
        subprocess.run(["git", *command], check=True, capture_output=True)

    clean = git_commit()
    (tmp_path / "code.py").write_text("a = 2")

    assert re.fullmatch("[0-9a-f]{40}", clean)
    assert git_commit() == f"{clean}-dirty"


def test_a_container_is_told_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMIT", "c0ffee")

    assert git_commit() == "c0ffee"
