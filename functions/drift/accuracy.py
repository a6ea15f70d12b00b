"""How often predictions were right, with intervals that know that frames of one minute show the same people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MIN_CLUSTERS: Final = 10  # that must be wrong, and right, to tell how alike members are
_Z: Final = 1.959964  # of the normal distribution, two-sided 95%


@dataclass(frozen=True)
class Judged:
    """A prediction of which somebody said what the picture shows.

    Attributes:
        source: The camera or site.
        minute: When it was made, Unix time in minutes.
        model_version: Of the release that made it.
        actual: The label that somebody gave.
        predicted: The most probable label.
        uncertain: Whether the answer called it uncertain.
        audit: Whether it is of the random audit sample, and was judged as such.
        shadow: The most probable label by a challenger in the shadow; None where there was none.
    """

    source: str
    minute: int
    model_version: str
    actual: str
    predicted: str
    uncertain: bool
    audit: bool
    shadow: str | None = None


@dataclass(frozen=True)
class Share:
    """A share with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Figures:
    """How well labels were predicted; a share is None where there is nothing to divide by.

    Attributes:
        n: Predictions that were judged.
        of: Predictions that there are.
        accuracy: Share of right ones among the judged.
        bounds: Between what the accuracy of all predictions lies whatever was chosen to be judged: all others wrong,
            or all others right (Manski 1989). None where there are none.
        precision: By label.
        recall: By label.
        f1: By label.
        uncertain: Share that the answers called uncertain; they count by their most probable label.
        confusion: How often; rows are actual labels, columns predicted ones, in the order of `LABELS`.
    """

    n: int
    of: int
    accuracy: Share | None
    bounds: tuple[float, float] | None
    precision: Mapping[str, Share | None]
    recall: Mapping[str, Share | None]
    f1: Mapping[str, Share | None]
    uncertain: Share | None
    confusion: tuple[tuple[int, ...], ...]


def figures(judged: Sequence[Judged], of: int) -> Figures:
    """Work out the figures of judged predictions, out of so many that there are."""
    pairs = Counter((one.actual, one.predicted) for one in judged)
    confusion = tuple(tuple(pairs[actual, predicted] for predicted in LABELS) for actual in LABELS)
    n = len(judged)
    hits = {label: confusion[i][i] for i, label in enumerate(LABELS)}
    actual = {label: sum(confusion[i]) for i, label in enumerate(LABELS)}
    predicted = {label: sum(row[i] for row in confusion) for i, label in enumerate(LABELS)}
    right = sum(hits.values())
    effect = design_effect(judged)
    return Figures(
        n=n,
        of=of,
        accuracy=share(right, n, effect),
        bounds=(right / of, (right + of - n) / of) if of else None,
        precision={label: share(hits[label], predicted[label], effect) for label in LABELS},
        recall={label: share(hits[label], actual[label], effect) for label in LABELS},
        f1={
            label: _f1(hits[label], actual[label] + predicted[label] - hits[label], effect)
            for label in LABELS
        },
        uncertain=share(sum(one.uncertain for one in judged), n, effect),
        confusion=confusion,
    )


def design_effect(judged: Sequence[Judged]) -> float:
    """Return by how much the variance of the accuracy exceeds that of as many independent predictions.

    The clusters are a source's minutes (Rao and Scott 1992). Where hardly any is wrong, or right, they say little
    about how alike their members are, which are then taken to be all the same.
    """
    sizes, hits = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for one in judged:
        cluster = one.source, one.minute
        sizes[cluster] += 1
        hits[cluster] += one.actual == one.predicted
    n, count = len(judged), len(sizes)
    if count == n or count < 2:
        return float(max(n, 1)) if count == 1 else 1.0
    p = hits.total() / n
    wrong = sum(hits[one] < size for one, size in sizes.items())
    right = sum(number > 0 for number in hits.values())
    if min(wrong, right) < _MIN_CLUSTERS:
        return sum(size**2 for size in sizes.values()) / n
    between = count / (count - 1) * sum((hits[one] - p * size) ** 2 for one, size in sizes.items()) / n**2
    return max(between / (p * (1 - p) / n), 1.0)


def share(hits: float, count: float, effect: float = 1.0) -> Share | None:
    """Return a share with its 95% interval (Wilson 1927), of `count / effect` independent ones."""
    if not count:
        return None
    value, n = hits / count, max(count / effect, 1.0)
    middle, scale = value + _Z**2 / (2 * n), 1 + _Z**2 / n
    spread = _Z * sqrt(value * (1 - value) / n + (_Z / n) ** 2 / 4)
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return Share(value, min(max(low, 0.0), value), max(min(high, 1.0), value))


def _f1(hits: int, either: int, effect: float) -> Share | None:
    """Return F1 with its interval by the indirect Wilson method (Lam, Gopal and Qian 2023).

    Of the pictures that are so labelled or were so called, J are both. J is a share, and F1 = 2J / (1 + J).
    """
    jaccard = share(hits, either, effect)
    return jaccard and Share(
        *(2 * value / (1 + value) for value in (jaccard.value, jaccard.low, jaccard.high))
    )
