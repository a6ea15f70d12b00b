"""What a million pictures cost: `python -m infra.cost` prints the README's table from the benchmark's figures."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PRICES_SEEN: Final = "2026-11-21"  # us-east-1, first tier, no free tier; every price of this file
API_REQUEST: Final = 3.50 / 1e6  # dollars a call of a REST API
LAMBDA_REQUEST: Final = 0.20 / 1e6  # dollars an invocation
LAMBDA_GB_SECOND: Final = {"x86_64": 0.0000166667, "arm64": 0.0000133334}  # dollars
REKOGNITION_IMAGE: Final = 1.00 / 1e3  # dollars a DetectProtectiveEquipment, first million of a month

PICTURES: Final = 1_000_000
MEMORY_SIZES: Final = (512, 1024, 1769)  # MB
MB_PER_PROCESSOR: Final = 1769  # Lambda gives a processor in proportion to memory
RESULTS: Final = Path(__file__).parents[1] / "tests" / "benchmarks" / "RESULTS.md"


class NoFigures(Exception):  # noqa: N818 -- names what is missing
    """The benchmark's results do not hold what is asked for."""


@dataclass(frozen=True)
class Cost:
    """Of `PICTURES` predictions at one memory size, in dollars; `milliseconds` is what Lambda bills for one."""

    memory: int
    milliseconds: int
    api_gateway: float
    functions: float


def cost(milliseconds: float, memory: int, architecture: str = "x86_64") -> Cost:
    """Return what predictions cost that take `milliseconds` on one whole processor.

    With less memory than comes with a processor they take longer in proportion: a prediction is arithmetic on one
    thread. With more they are not taken to be faster.
    """
    billed = math.ceil(milliseconds * max(1.0, MB_PER_PROCESSOR / memory))
    gigabyte_seconds = billed / 1000 * memory / 1024
    one = LAMBDA_REQUEST + gigabyte_seconds * LAMBDA_GB_SECOND[architecture]
    return Cost(memory, billed, PICTURES * API_REQUEST, PICTURES * one)


def table(milliseconds: float, peak: float) -> str:
    """Return the Markdown table for predictions of `milliseconds` that need `peak` MB of memory."""
    rekognition = PICTURES * REKOGNITION_IMAGE
    lines = [
        "| Memory | Billed | API Gateway | Lambda x86_64 | Lambda arm64 | Together | Rekognition |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for memory in MEMORY_SIZES:
        if peak > memory:
            continue
        x86, arm = cost(milliseconds, memory), cost(milliseconds, memory, "arm64")
        together = x86.api_gateway + x86.functions
        lines.append(
            f"| {memory} MB | {x86.milliseconds} ms | ${x86.api_gateway:.2f} | ${x86.functions:.2f} "
            f"| ${arm.functions:.2f} | **${together:.2f}** | ${rekognition:,.0f} |"
        )
    note = (
        f"Dollars a million pictures; prices of us-east-1, looked up {PRICES_SEEN}. Measured: {milliseconds:g} ms "
        f"on one processor, {peak:g} MB at most. Together is with x86_64; arm64 is taken to be as fast. Not in it: "
        "cold starts, log storage, data out."
    )
    return "\n".join([*lines, "", note])


def measured(results: str) -> tuple[float, float]:
    """Return milliseconds (p50) and peak memory in MB of the handler end to end, from the benchmark's Markdown.

    Raises:
        NoFigures: There is no row that begins with "handler", or its table has no column for p50 or MB.
    """
    header: list[str] = []
    for line in results.splitlines():
        cells = [cell.strip().strip("*`") for cell in line.strip().strip("|").split("|")]
        if any("p50" in cell for cell in cells):
            header = cells
        elif header and cells[0].lower().startswith("handler"):
            row = dict(zip(header, cells, strict=False))
            try:
                return _number(row, "p50"), _number(row, "MB")
            except StopIteration as error:
                raise NoFigures("the handler's row has no figure for p50 or for MB") from error
    raise NoFigures("no row for the handler")


def _number(row: dict[str, str], column: str) -> float:
    cell = next(value for name, value in row.items() if column in name)
    return float(next(re.finditer(r"[\d.]+", cell)).group())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ms", type=float, help="milliseconds a prediction, on one processor")
    parser.add_argument("--mb", type=float, help="peak memory in MB")
    arguments = parser.parse_args()
    if arguments.ms is None or arguments.mb is None:
        milliseconds, peak = measured(RESULTS.read_text())
        arguments.ms = milliseconds if arguments.ms is None else arguments.ms
        arguments.mb = peak if arguments.mb is None else arguments.mb
    print(table(arguments.ms, arguments.mb))


if __name__ == "__main__":
    main()
