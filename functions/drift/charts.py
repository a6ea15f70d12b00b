"""Small charts as SVG that stands in a page; their colours are the page's."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BINS: Final = 24
_WIDTH, _HEIGHT = 240, 84


def histogram(then: NDArray[np.float32], now: NDArray[np.float32], title: str, ends: Sequence[str]) -> str:
    """Draw how often values occurred then (an area) and occur now (a line), each as a share.

    Args:
        then: Values of the baseline.
        now: Values of the window.
        title: What a screen reader says.
        ends: What stands below the left and the right end of the axis, see `bounds`.
    """
    low, high = bounds(then, now)
    areas = [
        np.histogram(values.clip(low, high), BINS, (low, high))[0] / len(values) for values in (then, now)
    ]
    top = max(float(area.max()) for area in areas)
    before, after = (_outline(area / top) for area in areas)
    texts = "".join(
        f'<text x="{x}" y="{_HEIGHT + 14}" text-anchor="{anchor}">{escape(text)}</text>'
        for x, anchor, text in ((0, "start", ends[0]), (_WIDTH, "end", ends[1]))
    )
    return (
        f'<svg class="histogram" viewBox="-1 -4 {_WIDTH + 2} {_HEIGHT + 22}" role="img" aria-label="{escape(title)}">'
        f'<path class="then" d="{before}"/><path class="now" d="{after}"/>'
        f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>{texts}</svg>'
    )


def bounds(then: NDArray[np.float32], now: NDArray[np.float32]) -> tuple[float, float]:
    """Return between which values nearly all lie; never the same."""
    low, high = (
        float(choose(np.quantile(values, share) for values in (then, now)))
        for choose, share in ((min, 0.005), (max, 0.995))
    )
    apart = high - low > 1e-4 * max(
        abs(low), abs(high), 1e-3
    )  # else too little for single precision to divide
    return (low, high) if apart else (low - 0.5, high + 0.5)


def _outline(heights: NDArray[np.float64]) -> str:
    """Return the path of the steps, from the axis and back to it; 1 is the full height."""
    step = _WIDTH / len(heights)
    corners = "".join(
        f"V{_HEIGHT * (1 - height):.1f}H{(n + 1) * step:.1f}" for n, height in enumerate(heights)
    )
    return f"M0 {_HEIGHT}{corners}V{_HEIGHT}"


def shares(parts: Sequence[tuple[str, float]], title: str) -> str:
    """Draw a bar of parts, each of a class and a share, that together make up its length."""
    bars, left = [], 0.0
    for name, share in parts:
        bars.append(
            f'<rect class="{name}" x="{left:.2f}" width="{max(share * 100 - 0.4, 0):.2f}" height="10"/>'
        )
        left += share * 100
    return (
        '<svg class="shares" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{"".join(bars)}</svg>'
    )


def meter(value: float, limit: float) -> str:
    """Draw how a value stands to its limit, which is marked at a third; beyond three times that it is full."""
    length = min(value / limit / 3, 1) * 100
    kind = "over" if value >= limit else "under"
    return (
        '<svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="8"/><rect class="{kind}" width="{length:.1f}" height="8"/>'
        '<rect class="limit" x="33" width="0.8" height="8"/></svg>'
    )
