"""Measure how hostile uploads delay good ones: `python -m tests.benchmarks.hostile_batch` prints a table."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.batch import answers_in_tens, batch_on_moto
from tests.hostile import FAULTY, HOSTILE, mixed_uploads

if TYPE_CHECKING:
    from collections.abc import Mapping


def seconds(files: Mapping[str, bytes]) -> float:
    """Return how long a fresh import of Batch takes for files, upload included."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(sys, "path", [str(FAULTY), *sys.path])
        with batch_on_moto(patch) as (module, s3):
            start = time.monotonic()
            for _ in answers_in_tens(module, s3, files):
                pass
            return time.monotonic() - start


def main() -> None:
    """Measure both alternately, and print the table."""
    mixed = mixed_uploads(100)
    good = {key: file for key, file in mixed.items() if key.startswith("good/")}
    lines = [f"| {len(good)} good | with {len(HOSTILE)} hostile | ratio |", "|--:|--:|--:|"]
    for _ in range(3):
        alone, together = seconds(good), seconds(mixed)
        lines.append(f"| {alone:.1f} s | {together:.1f} s | {together / alone:.2f} |")
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
