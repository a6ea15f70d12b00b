"""Which state of the code trains."""

from __future__ import annotations

import os
import subprocess


def git_commit() -> str:
    """The checked-out commit; in a container, which has no repository, what GIT_COMMIT says; else `unknown`."""
    if "GIT_COMMIT" in os.environ:
        return os.environ["GIT_COMMIT"]
    try:
        result = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    except FileNotFoundError:
        return "unknown"
    return result.stdout.strip() or "unknown"
