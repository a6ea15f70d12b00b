"""The git commit that a run was trained with."""

from __future__ import annotations

import os
import subprocess


def git_commit() -> str:
    """Return GIT_COMMIT, which containers set, else the checked-out commit, else `unknown`.

    It ends in `-dirty` if tracked files were changed, since nobody could repeat such a run from the commit.
    """
    if commit := os.environ.get("GIT_COMMIT"):  # empty in an image that was built outside a checkout
        return commit
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "unknown"
    return result.stdout.strip() or "unknown"
