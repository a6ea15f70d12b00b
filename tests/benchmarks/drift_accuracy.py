"""Measure how feedback estimates accuracy if people choose labels: `python -m tests.benchmarks.drift_accuracy`.

97% of a site's predictions are right. Each person stays for one to five frames of a minute, whose predictions are
right or wrong together. Feedback is chosen in three ways; in addition, the whole audit sample is labelled. The table
compares both estimates with the truth, and says how often the intervals contain it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift.accuracy import LabelledPrediction, figures
from functions.shared.contract import AUDIT_SHARE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RIGHT: Final = 0.97
STAYS: Final = 3_000  # three frames each on average

CHOSEN: Final[dict[str, Callable[[NDArray[np.bool_], NDArray[np.bool_]], NDArray[np.float64]]]] = {
    "mistakes ten times as often": lambda right, _: np.where(right, 0.01, 0.1),
    "only one camera, which is worse": lambda _, worse: np.where(worse, 0.1, 0.0),
    "only right answers": lambda right, _: np.where(right, 0.03, 0.0),
}


def simulate(
    choose: Callable[[NDArray[np.bool_], NDArray[np.bool_]], NDArray[np.float64]], rng: np.random.Generator
) -> tuple[float, int, list[LabelledPrediction], list[LabelledPrediction]]:
    """Return a site's accuracy, its number of predictions, and the chosen and the randomly drawn labels."""
    frames = rng.integers(1, 6, STAYS)
    worse = rng.random(STAYS) < 0.25  # from the camera that is right in 91 of 100
    right = np.repeat(rng.random(STAYS) < np.where(worse, 0.91, RIGHT + (RIGHT - 0.91) / 3), frames)
    minutes, worse = np.repeat(np.arange(STAYS), frames), np.repeat(worse, frames)
    picked = rng.random(len(right)) < choose(right, worse)
    drawn = rng.random(len(right)) < AUDIT_SHARE

    def labelled(places: NDArray[np.bool_]) -> list[LabelledPrediction]:
        return [
            LabelledPrediction(
                "gate", minute, "1", "mask", "mask" if ok else "no_mask", uncertain=False, audit=True
            )
            for minute, ok in zip(minutes[places].tolist(), right[places].tolist(), strict=True)
        ]

    return float(right.mean()), len(right), labelled(picked), labelled(drawn)


def main() -> None:
    """Simulate, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, default=1_000, help="of each kind (default: %(default)s)")
    sites = parser.parse_args().sites
    heads = "what people choose to label", "error of their estimate", "interval contains the truth"
    more = ("error of the audit sample's estimate", "interval contains the truth", "bounds contain the truth")
    print(f"| {' | '.join([*heads, *more])} |", "|---|---:|---:|---:|---:|---:|", sep="\n")  # noqa: T201
    for name, choose in CHOSEN.items():
        rng = np.random.default_rng(0)
        off, held, bounded = np.zeros(2), np.zeros(2), 0
        for _ in range(sites):
            actual, total, chosen, audit = simulate(choose, rng)
            for place, labels in enumerate((chosen, audit)):
                found = figures(labels, total)
                assert found.accuracy
                off[place] += found.accuracy.value - actual
                held[place] += found.accuracy.low <= actual <= found.accuracy.high
            low, high = figures(chosen, total).bounds or (0.0, 1.0)
            bounded += low <= actual <= high
        cells = [
            f"{100 * one / sites:+.1f} points | {count / sites:.1%}"
            for one, count in zip(off, held, strict=True)
        ]
        print(f"| {name} | {cells[0]} | {cells[1]} | {bounded / sites:.1%} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
