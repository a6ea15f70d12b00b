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


@pytest.mark.parametrize(("told", "commit"), [("c0ffee", "c0ffee"), ("", "unknown")])
def test_a_container_is_told_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, commit: str
) -> None:
    monkeypatch.chdir(tmp_path)  # no checkout
    monkeypatch.setenv("GIT_COMMIT", told)

    assert git_commit() == commit
