"""The error of training, and how a command reports one."""

from __future__ import annotations

import errno
import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from functions.inference.release import ReleaseError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator


class TrainingError(Exception):
    """Something is wrong with the pictures, the tables, a setting or the disk; the message says what to do."""


@contextmanager
def explain_full_disk() -> Iterator[None]:
    """Turn the OSError of a full disk into a TrainingError that says what to do.

    Raises:
        TrainingError: The disk is full.
    """
    try:
        yield
    except OSError as error:
        # HDF5 reports the error number only in the message.
        if error.errno not in {errno.ENOSPC, errno.EDQUOT} and "No space left" not in str(error):
            raise
        raise TrainingError(
            "the disk is full; make room, then run the same command again to resume"
        ) from error


@contextmanager
def reported(parser: ArgumentParser) -> Iterator[None]:
    """End the command with the reason if it fails: a TrainingError, a ReleaseError or an OSError."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may not be UTF-8
    try:
        with explain_full_disk():
            yield
    except (TrainingError, ReleaseError, OSError) as error:
        parser.error(str(error))
