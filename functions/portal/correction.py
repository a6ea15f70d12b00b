"""Shares of labels, corrected for the confusion of the release that predicted them."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

from functions.shared.statistics import Share, Z

if TYPE_CHECKING:
    from collections.abc import Sequence

_SINGULAR: Final = 0.05  # determinant of the matrix of rates below which the correction is too uncertain
_Rates = list[list[float]]


def correct(groups: Sequence[tuple[Sequence[int], float, Sequence[Sequence[int]]]]) -> list[Share] | None:
    """Return the corrected share of each label, or None if a confusion matrix is nearly singular or nothing was seen.

    The predicted shares q follow from the actual shares p and the row-normalised confusion matrix M: q = p M. So
    p = q A, where A is the inverse of M (Rogan and Gladen 1978; for several classes Buonaccorsi 2010). The variance
    follows by the delta method from those of q and of the rows of M, which are multinomial. In the variance of q,
    each label has z^2 / 3 faces more (Agresti and Coull 1998), so that a label without any is not ruled out. Shares
    are clipped to 0 to 1 and rescaled to sum to 1.

    Args:
        groups: For each release: the count of each predicted label, shape (3,); the number of independent faces
            among them; the confusion matrix on its test pictures, shape (3, 3), rows actual, columns predicted.
    """
    total = sum(sum(counts) for counts, _, _ in groups)
    if not total:
        return None
    size = len(groups[0][0])
    shares, variances = [0.0] * size, [0.0] * size
    for counts, independent, confusion in groups:
        counted = sum(counts)
        if not counted:
            continue
        rates = [[count / max(sum(row), 1) for count in row] for row in confusion]
        inverse = _inverse(rates)
        if inverse is None:
            return None
        predicted = [count / counted for count in counts]
        actual = _times(predicted, inverse)
        faces = max(min(independent, counted), 1.0)
        smoothed = [(faces * share + Z**2 / size) / (faces + Z**2) for share in predicted]
        for label in range(size):
            column = [row[label] for row in inverse]
            variance = _multinomial(column, smoothed) / faces
            for share, rate, row in zip(actual, rates, confusion, strict=True):
                variance += share**2 * _multinomial(column, rate) / max(sum(row), 1)
            shares[label] += counted / total * actual[label]
            variances[label] += (counted / total) ** 2 * variance
    within = [min(max(share, 0.0), 1.0) for share in shares]
    within = [share / sum(within) for share in within]
    return [
        Share(value, max(value - Z * sqrt(variance), 0.0), min(value + Z * sqrt(variance), 1.0))
        for value, variance in zip(within, variances, strict=True)
    ]


def _multinomial(weights: Sequence[float], shares: Sequence[float]) -> float:
    """Return the variance of a weighted sum of multinomial shares, for a single draw."""
    mean = sum(weight * share for weight, share in zip(weights, shares, strict=True))
    return max(sum(weight**2 * share for weight, share in zip(weights, shares, strict=True)) - mean**2, 0.0)


def _times(row: Sequence[float], matrix: _Rates) -> list[float]:
    return [sum(a * line[index] for a, line in zip(row, matrix, strict=True)) for index in range(len(matrix))]


def _inverse(matrix: _Rates) -> _Rates | None:
    """Return the inverse of a 3 x 3 matrix by its cofactors, or None if it is nearly singular."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if determinant < _SINGULAR:
        return None
    adjugate = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    return [[value / determinant for value in row] for row in adjugate]
