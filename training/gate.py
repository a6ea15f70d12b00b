"""The statistics of both gates: how a candidate is compared with the serving release, and when it passes.

Both score the same test pictures; each figure's difference gets a paired 95% bootstrap interval. A candidate passes
if

- each overall figure is shown to lose less than its margin, which is `MAX_LOSS` for shares: the worse end of its
  interval lies within it (a non-inferiority test), so that nothing passes on a test set that is too small to tell;
- the same holds against the release in the inference image, the floor, so that small losses do not add up;
- no interval of a class, source or slice lies wholly on the worse side. These are corrected for their number
  (Bonferroni), since one of many would look worse by chance. Groups under `MIN_PICTURES` do not count.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

ALPHA: Final = 0.05
MAX_LOSS: Final = 0.02  # largest loss of an overall figure that is a share
MIN_PICTURES: Final = 25  # pictures; with fewer, a bootstrap interval is too narrow to decide by
SERVING_HELP: Final = (
    "release to compare with: a folder, s3://… or stack:NAME; default: the one in the inference image"
)
OK, WORSE, NOT_SHOWN, TOO_FEW = "ok", "worse", "not shown", "too few"


@dataclass(frozen=True)
class Comparison:
    """The comparison of one figure.

    Attributes:
        figure: Name of the group and the figure.
        n: Number of pictures or faces.
        candidate: The candidate's value.
        serving: The value of the serving release, or of the floor.
        low: Lower end of the interval of candidate - serving.
        high: Upper end of the interval.
        verdict: `OK`, `WORSE`, `NOT_SHOWN` to be within the margin, or `TOO_FEW` pictures to decide.
        margin: Largest loss of an overall figure; 0 for the others.
        less_is_better: Whether the figure is an error.
        scenes: Number of scenes that hold the faces; 0 for pictures of one face.
    """

    figure: str
    n: int
    candidate: float
    serving: float
    low: float
    high: float
    verdict: str
    margin: float = 0.0
    less_is_better: bool = False
    scenes: int = 0


def compare_figure(
    figure: str,
    n: int,
    values: tuple[float, float],
    differences: NDArray[np.float64],
    *,
    alpha: float = ALPHA,
    margin: float = 0.0,
    less_is_better: bool = False,
    scenes: int = 0,
) -> Comparison:
    """Compare a figure by its bootstrap.

    Args:
        figure: Name of the figure.
        n: Number of pictures or faces.
        values: The values of the candidate and of the serving release.
        differences: Candidate - serving in each draw, (draws,).
        alpha: The interval has confidence 1 - alpha.
        margin: Largest loss, for a non-inferiority test; 0 to refuse only a significant loss.
        less_is_better: Whether the figure is an error.
        scenes: Number of scenes that were drawn, if not pictures of one face.
    """
    low, high = (float(end) for end in np.quantile(differences, [alpha / 2, 1 - alpha / 2]))
    best, worst = (-low, -high) if less_is_better else (high, low)
    if n < MIN_PICTURES:
        verdict = TOO_FEW
    elif best < 0:
        verdict = WORSE
    else:
        verdict = NOT_SHOWN if margin and worst <= -margin else OK
    return Comparison(figure, n, *values, low, high, verdict, margin, less_is_better, scenes)


def against_floor(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return comparisons with the floor, named as such."""
    return [replace(result, figure=f"floor {result.figure}") for result in comparisons]


def decide(comparisons: Sequence[Comparison], metadata: Mapping[str, str]) -> dict[str, Any]:
    """Decide whether a candidate passes, and return the content of `gate.json`.

    The first comparison must be that of the whole test set.
    """
    first = comparisons[0]
    worse = [result.figure for result in comparisons if result.verdict == WORSE]
    not_shown = [result for result in comparisons if result.verdict == NOT_SHOWN]
    if first.verdict == TOO_FEW:
        what = "faces in test scenes" if first.scenes else "test pictures"
        reason = f"{first.n} {what} are too few to tell, {MIN_PICTURES} are needed"
    elif worse:
        reason = f"worse than the serving release: {'; '.join(worse)}"
    elif not_shown:
        intervals = "; ".join(_interval(result) for result in not_shown)
        reason = f"not shown to be within the margin: {intervals}{_pictures_needed(not_shown)}"
    else:
        reason = "not worse than the serving release in any figure"
    return {
        "passed": first.verdict != TOO_FEW and not worse and not not_shown,
        "reason": reason,
        "resolution": _resolution(comparisons),
        **metadata,
        "comparisons": [asdict(result) for result in comparisons],
    }


def _interval(result: Comparison) -> str:
    low, high, margin = result.low, result.high, result.margin
    if result.less_is_better:
        interval, limit = f"{low:+.3f} to {high:+.3f}", f"{margin:g} more"
    else:
        interval, limit = f"{100 * low:+.1f} to {100 * high:+.1f} points", f"{100 * margin:g} less"
    return f"{result.figure} {interval} on {_size(result)} (at most {limit})"


def _size(result: Comparison) -> str:
    return f"{result.scenes} scenes" if result.scenes else f"{result.n} pictures"


def _resolution(comparisons: Sequence[Comparison]) -> str:
    """Return a sentence on the smallest difference that a test set of this size can show."""
    first = comparisons[0]
    points = 50 * (first.high - first.low)
    return f"differences of {first.figure} under {points:.1f} points cannot be told from chance on {_size(first)}"


def _pictures_needed(not_shown: Sequence[Comparison]) -> str:
    """Return a sentence on the test set that would decide, since intervals shrink with the root of its size."""
    needed = {"pictures": 0, "scenes": 0}
    for result in not_shown:
        gain, worst = result.candidate - result.serving, result.low
        if result.less_is_better:
            gain, worst = -gain, -result.high
        room = gain + result.margin
        if room <= 0:
            return ""
        unit = "scenes" if result.scenes else "pictures"
        more = ((gain - worst) / room) ** 2
        needed[unit] = max(needed[unit], math.ceil((result.scenes or result.n) * more))
    sizes = " and ".join(f"{count:,} test {unit}" for unit, count in needed.items() if count)
    return f". Some {sizes} would show it, if the differences stayed"


def as_text(gate: Mapping[str, Any]) -> str:
    """Return a gate's JSON as a table that ends in the verdict."""
    lines = [
        f"{row['verdict']:10}{row['figure']:45}{row['n']:>6}{row['candidate']:9.4f}{row['serving']:9.4f}"
        for row in gate["comparisons"]
    ]
    return "\n".join([*lines, f"{'passed' if gate['passed'] else 'refused'}: {gate['reason']}"])
