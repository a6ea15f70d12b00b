"""The git commit that a run was trained with."""

from __future__ import annotations

import os
import subprocess


def git_commit() -> str:
    """Return GIT_COMMIT, which containers set, else the checked-out commit, else `unknown`."""
    if "GIT_COMMIT" in os.environ:
        return os.environ["GIT_COMMIT"]
    try:
        result = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    except FileNotFoundError:
        return "unknown"
    return result.stdout.strip() or "unknown"
