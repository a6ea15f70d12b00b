"""Small SVG charts, embedded in the report and coloured by its style sheet."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BINS: Final = 24
_WIDTH, _HEIGHT = 240, 84


def histogram(
    reference: NDArray[np.float32], current: NDArray[np.float32], title: str, ends: Sequence[str]
) -> str:
    """Draw the histograms of reference (an area) and current values (a line), as shares.

    The title is for screen readers; `ends` are the labels of the left and the right end of the axis, see `bounds`.
    """
    low, high = bounds(reference, current)
    areas = [
        np.histogram(values.clip(low, high), BINS, (low, high))[0] / len(values)
        for values in (reference, current)
    ]
    top = max(float(area.max()) for area in areas)
    before, after = (_outline(area / top) for area in areas)
    texts = "".join(
        f'<text x="{x}" y="{_HEIGHT + 14}" text-anchor="{anchor}">{escape(text)}</text>'
        for x, anchor, text in ((0, "start", ends[0]), (_WIDTH, "end", ends[1]))
    )
    return (
        f'<svg class="histogram" viewBox="-1 -4 {_WIDTH + 2} {_HEIGHT + 22}" role="img" aria-label="{escape(title)}">'
        f'<path class="reference" d="{before}"/><path class="current" d="{after}"/>'
        f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>{texts}</svg>'
    )


def bounds(reference: NDArray[np.float32], current: NDArray[np.float32]) -> tuple[float, float]:
    """Return two different values between which 99% of the values lie."""
    low, high = (
        float(choose(np.quantile(values, share) for values in (reference, current)))
        for choose, share in ((min, 0.005), (max, 0.995))
    )
    # A smaller difference is too small for bins in single precision.
    distinct = high - low > 1e-4 * max(abs(low), abs(high), 1e-3)
    return (low, high) if distinct else (low - 0.5, high + 0.5)


def _outline(heights: NDArray[np.float64]) -> str:
    """Return the SVG path of a histogram's outline; heights are from 0 to 1."""
    step = _WIDTH / len(heights)
    corners = "".join(
        f"V{_HEIGHT * (1 - height):.1f}H{(n + 1) * step:.1f}" for n, height in enumerate(heights)
    )
    return f"M0 {_HEIGHT}{corners}V{_HEIGHT}"


def shares(parts: Sequence[tuple[str, float]], title: str) -> str:
    """Draw a stacked bar of parts, each a CSS class and a share."""
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
    """Draw a value as a bar that ends at three times its limit; the limit is marked."""
    length = min(value / limit / 3, 1) * 100
    kind = "over" if value >= limit else "under"
    return (
        '<svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="8"/><rect class="{kind}" width="{length:.1f}" height="8"/>'
        '<rect class="limit" x="33" width="0.8" height="8"/></svg>'
    )
