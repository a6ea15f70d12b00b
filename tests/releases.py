"""Copies of the shipped release."""

import json
import shutil
from pathlib import Path
from typing import Any

from functions.shared.release_files import IMAGE_RELEASE, MANIFEST


def copy_release(folder: Path, **members: Any) -> Path:
    """Copy the shipped release into a folder, and set members of the copy's manifest."""
    shutil.copytree(IMAGE_RELEASE, folder, dirs_exist_ok=True)
    if members:
        alter(folder, **members)
    return folder


def alter(folder: Path, **members: Any) -> None:
    """Set members of a release's manifest."""
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | members))
