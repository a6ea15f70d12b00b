"""Write so that a kill or a full disk leaves what was there before."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a file to write beside `path`, and put it in its place once it is whole."""
    fresh = path.with_name(f"new-{path.name}")  # the ending stays: Keras goes by it
    try:
        yield fresh
        with fresh.open("rb") as written:
            os.fsync(
                written.fileno()
            )  # or a machine that stops may leave the name of a file without its content
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def full_disk_told() -> Iterator[None]:
    """Turn the error of a full disk into one line that says what to do.

    Raises:
        TrainingError: In place of the OSError.
    """
    try:
        yield
    except OSError as error:
        # HDF5 passes the number on in its text alone.
        if error.errno not in {errno.ENOSPC, errno.EDQUOT} and "No space left" not in str(error):
            raise
        raise TrainingError("the disk is full; make room and run the same command again to go on") from error


def require_space(folder: Path, needed: int) -> None:
    """Refuse to start what would not fit.

    Args:
        folder: Where to write; need not exist.
        needed: Bytes.

    Raises:
        TrainingError: There is less than that.
    """
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise TrainingError(f"{folder} needs {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free")
