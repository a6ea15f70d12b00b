"""Measure what monitoring adds to a prediction: `python -m tests.benchmarks.record_cost` prints a table.

Predict's handler answers the same request in one process with and without the code that only serves monitoring (the
statistics of the picture, and the record with its metrics). The two alternate after each call, so that other load on
the machine affects both equally. The projection is always computed: it is an output of the classifier's file, some
20,000 of its 300 million multiplications.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import numpy as np

from functions.inference import predict
from functions.inference import score as scoring
from tests.benchmarks.batch import picture
from tests.make_events import api_event

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES: Final = {"640x480": (640, 480), "1080p": (1920, 1080)}
CALLS: Final = 400


def without_monitoring() -> contextlib.ExitStack:
    """Patch Predict so that it computes no statistics and writes no record."""
    stack = contextlib.ExitStack()
    stack.enter_context(patch.object(scoring, "image_statistics", lambda _: {}))
    stack.enter_context(patch.object(predict.recorder, "predicted", lambda *_, **__: None))
    return stack


def measure(size: tuple[int, int], calls: int = CALLS) -> NDArray[np.float64]:
    """Return milliseconds of wall clock and processor, with and without monitoring, (2, calls, 2)."""
    file = picture(*size, number=1)
    event: dict[str, Any] = api_event("POST", "/predict", content_type="image/jpeg", body=file)
    taken = np.zeros((2, calls, 2))
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        for call in range(-10, calls):
            for way in (0, 1) if call % 2 else (1, 0):
                with without_monitoring() if way else contextlib.nullcontext():
                    started = time.perf_counter(), time.process_time()
                    answer = predict.handler(event, None)  # type: ignore[arg-type]
                    ended = time.perf_counter(), time.process_time()
                if answer["statusCode"] != 200:
                    raise ValueError(answer["body"])
                if call >= 0:
                    taken[:, call, way] = np.subtract(ended, started) * 1e3
    return taken


def render() -> str:
    """The table, in Markdown."""
    lines = [
        "| picture | measured | with, median ms | without, median ms | difference, median ms | 95% interval |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, size in SIZES.items():
        for measured, taken in zip(("clock", "processor"), measure(size), strict=True):
            cost = taken[:, 0] - taken[:, 1]
            draws = np.random.default_rng(0).choice(cost, (2000, len(cost)))
            low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
            figures = [f"{value:.2f}" for value in (*np.median(taken, axis=0), np.median(cost))]
            lines.append(f"| {name} | {measured} | {' | '.join(figures)} | {low:.2f} to {high:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(render())  # noqa: T201
