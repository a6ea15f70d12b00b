"""What both gates share: how a run is compared with a release, and what it takes to pass.

Candidate and serving release see the same test pictures, and the difference of each figure gets a paired bootstrap
interval of 95%. A run passes if

- each overall figure is shown to be no worse than the serving release's by `MARGIN`: the interval's lower end lies
  above it (a non-inferiority test), so that a test set too small to tell lets nothing through;
- the same holds against the release in the inference image, the floor: many small losses must not add up;
- no interval of a class, source or slice lies wholly on the worse side. These hold together at 95% (Bonferroni), or
  one of many would look worse by chance. Groups of fewer than `FEWEST` pictures are reported, not judged.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

ALPHA: Final = 0.05
MARGIN: Final = 0.02  # of an overall figure, that a candidate must be shown not to lose
FEWEST: Final = 25  # pictures of a group that is judged; below, a bootstrap takes chance for certainty
SERVING_HELP: Final = (
    "release to compare with: a folder, s3://… or stack:NAME; default: that in the inference image"
)
OK, WORSE, NOT_SHOWN, TOO_FEW = "ok", "worse", "not shown", "too few"


@dataclass(frozen=True)
class Comparison:
    """One figure of both releases.

    Attributes:
        figure: Its name, after that of the group.
        n: Pictures or faces it rests on.
        candidate: Of the run.
        serving: Of the release that serves, or of the floor.
        low: Lower end of the interval of candidate - serving.
        high: Upper end.
        verdict: `OK`, `WORSE`, `NOT_SHOWN` to be within the margin, or `TOO_FEW` to judge.
    """

    figure: str
    n: int
    candidate: float
    serving: float
    low: float
    high: float
    verdict: str


def comparison(
    figure: str,
    n: int,
    values: tuple[float, float],
    differences: NDArray[np.float64],
    *,
    alpha: float = ALPHA,
    margin: float | None = None,
    less_is_better: bool = False,
) -> Comparison:
    """Judge a figure by its bootstrap.

    Args:
        figure: Its name.
        n: Pictures or faces it rests on.
        values: Of the candidate and of the serving release.
        differences: Candidate - serving in each draw, (draws,).
        alpha: The interval holds with 1 - alpha.
        margin: What must be shown not to be lost; without, only a certain loss counts.
        less_is_better: For errors.
    """
    low, high = (float(end) for end in np.quantile(differences, [alpha / 2, 1 - alpha / 2]))
    best, worst = (-low, -high) if less_is_better else (high, low)
    if n < FEWEST:
        verdict = TOO_FEW
    elif best < 0:
        verdict = WORSE
    else:
        verdict = NOT_SHOWN if margin is not None and worst <= -margin else OK
    return Comparison(figure, n, *values, low, high, verdict)


def against_floor(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Overall comparisons with the floor, named as such."""
    return [Comparison(**{**asdict(one), "figure": f"floor {one.figure}"}) for one in comparisons]


def verdict(comparisons: Sequence[Comparison], about: Mapping[str, str]) -> dict[str, Any]:
    """What `gate.json` says; the first comparison is that of the whole test set."""
    first = comparisons[0]
    worse = [one.figure for one in comparisons if one.verdict == WORSE]
    not_shown = [one for one in comparisons if one.verdict == NOT_SHOWN]
    if first.verdict == TOO_FEW:
        reason = f"{first.n} test pictures are too few to tell, {FEWEST} are needed"
    elif worse:
        reason = f"worse than what serves: {'; '.join(worse)}"
    elif not_shown:
        intervals = "; ".join(
            f"{one.figure} {100 * one.low:+.1f} to {100 * one.high:+.1f} points on {one.n}"
            for one in not_shown
        )
        reason = (
            f"not shown to lose less than {100 * MARGIN:g} points: {intervals}{_pictures_needed(not_shown)}"
        )
    else:
        reason = "nowhere worse than what serves"
    return {
        "passed": first.verdict != TOO_FEW and not worse and not not_shown,
        "reason": reason,
        "resolution": _resolution(comparisons),
        **about,
        "comparisons": [asdict(one) for one in comparisons],
    }


def _resolution(comparisons: Sequence[Comparison]) -> str:
    """What a test set of this size can show."""
    first = comparisons[0]
    points = 50 * (first.high - first.low)
    return f"differences of {first.figure} under {points:.1f} points cannot be told from chance on {first.n} pictures"


def _pictures_needed(not_shown: Sequence[Comparison]) -> str:
    """How large a test set would settle it, as an interval shrinks with the root of its size."""
    needed = 0
    for one in not_shown:
        room = one.candidate - one.serving + MARGIN
        if room <= 0:
            return ""
        needed = max(needed, math.ceil(one.n * ((one.high - one.low) / 2 / room) ** 2))
    return f". Some {needed:,} test pictures would show it, if the differences stayed"


def as_text(result: Mapping[str, Any]) -> str:
    """A gate's JSON as a table, the verdict last."""
    lines = [
        f"{one['verdict']:10}{one['figure']:45}{one['n']:>6}{one['candidate']:9.4f}{one['serving']:9.4f}"
        for one in result["comparisons"]
    ]
    return "\n".join([*lines, f"{'passed' if result['passed'] else 'refused'}: {result['reason']}"])
