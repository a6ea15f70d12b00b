"""Atomic writes, and checks of the folder that a command writes to."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, and rename it to `path` on success; otherwise `path` stays unchanged."""
    # Another process may write the same file; the ending stays, by which Keras chooses the format.
    fresh = path.with_name(f"new-{secrets.token_hex(4)}-{path.name}")
    try:
        yield fresh
        with fresh.open("rb") as written:
            os.fsync(written.fileno())  # otherwise a power failure could leave an empty file
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other processes from writing where this one does, by a file that stays; the lock ends with the process.

    Raises:
        TrainingError: Another process has the lock.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingError(
                f"another command is writing there, and has {file}; wait for its end, or choose another folder"
            ) from error
        yield


def require_apart(data: Path, out: Path) -> None:
    """Check that neither folder contains the other, because a command that replaces `out` would delete `data`.

    Raises:
        TrainingError: They are the same folder, or one contains the other.
    """
    # `Path.resolve` fails for a link to itself.
    first, second = (Path(os.path.realpath(folder)) for folder in (data, out))
    if first.is_relative_to(second) or second.is_relative_to(first):
        raise TrainingError(
            f"{out} and the pictures in {data} are in one folder; choose another folder to write"
        )


def require_space(folder: Path, needed: int) -> None:
    """Check that the disk has enough space.

    Args:
        folder: Folder to write to; need not exist.
        needed: Bytes needed.

    Raises:
        TrainingError: There is less free space.
    """
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise TrainingError(f"{folder} needs {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free")
