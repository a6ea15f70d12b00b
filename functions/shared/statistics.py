"""Statistics that several functions and training compute: shares with their intervals, corrected p-values."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Z: Final = 1.959964  # of the normal distribution, two-sided 95%


@dataclass(frozen=True)
class Share:
    """A share with its 95% interval."""

    value: float
    low: float
    high: float


def share(hits: float, count: float, effect: float = 1.0) -> Share | None:
    """Return a share with its 95% interval (Wilson 1927) for `count / effect` independent observations."""
    if not count:
        return None
    value, n = hits / count, max(count / effect, 1.0)
    middle, scale = value + Z**2 / (2 * n), 1 + Z**2 / n
    spread = Z * sqrt(value * (1 - value) / n + (Z / n) ** 2 / 4)
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return Share(value, min(max(low, 0.0), value), max(min(high, 1.0), value))


def holm(ps: Sequence[float]) -> list[float]:
    """Correct p-values for multiple testing (Holm 1979)."""
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, ps[index] * (len(ps) - rank))
        corrected[index] = min(largest, 1.0)
    return corrected
