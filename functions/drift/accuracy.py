"""Accuracy, precision, recall and F1 of labelled predictions, with intervals that allow for clustered frames."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.shared.contract import LABELS
from functions.shared.statistics import Share, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MIN_CLUSTERS: Final = 10  # with a wrong and with a right prediction, to estimate how alike members are


@dataclass(frozen=True, slots=True)
class LabelledPrediction:
    """A prediction with its actual label.

    Attributes:
        source: The camera or site.
        minute: Time of the prediction, Unix time in minutes.
        model_version: The release that made it.
        actual: The label that a person gave.
        predicted: The most probable label.
        uncertain: Whether the answer was `uncertain`.
        audit: Whether it belongs to the audit sample and was labelled as part of it.
        shadow: The most probable label of the challenger's shadow prediction; None if there is none.
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
class Figures:
    """How well labels were predicted; a share is None if its denominator is 0.

    Attributes:
        n: How many predictions are labelled.
        total: How many predictions there are.
        accuracy: Share of right predictions among the labelled ones.
        bounds: Bounds of the accuracy of all predictions, whichever were labelled: all others wrong, and all others
            right (Manski 1989). None if there are no predictions.
        precision: By predicted label.
        recall: By actual label.
        f1: By label; None if no prediction has the label as its actual one.
        uncertain: Share of `uncertain` answers; they count with their most probable label.
        confusion: Counts; rows are actual labels, columns predicted ones, in the order of `LABELS`.
    """

    n: int
    total: int
    accuracy: Share | None
    bounds: tuple[float, float] | None
    precision: Mapping[str, Share | None]
    recall: Mapping[str, Share | None]
    f1: Mapping[str, Share | None]
    uncertain: Share | None
    confusion: tuple[tuple[int, ...], ...]


def figures(labelled: Sequence[LabelledPrediction], total: int) -> Figures:
    """Return the figures of labelled predictions; `total` is the number of all predictions."""
    pairs = Counter((prediction.actual, prediction.predicted) for prediction in labelled)
    confusion = tuple(tuple(pairs[actual, predicted] for predicted in LABELS) for actual in LABELS)
    n = len(labelled)
    hits = {label: confusion[i][i] for i, label in enumerate(LABELS)}
    actual = {label: sum(confusion[i]) for i, label in enumerate(LABELS)}
    predicted = {label: sum(row[i] for row in confusion) for i, label in enumerate(LABELS)}
    right = sum(hits.values())
    effect = design_effect(labelled)
    return Figures(
        n=n,
        total=total,
        accuracy=share(right, n, effect),
        bounds=(right / total, (right + total - n) / total) if total else None,
        precision={label: share(hits[label], predicted[label], effect) for label in LABELS},
        recall={label: share(hits[label], actual[label], effect) for label in LABELS},
        f1={
            label: _f1(hits[label], actual[label] + predicted[label] - hits[label], effect)
            if actual[label]
            else None
            for label in LABELS
        },
        uncertain=share(sum(prediction.uncertain for prediction in labelled), n, effect),
        confusion=confusion,
    )


def design_effect(labelled: Sequence[LabelledPrediction]) -> float:
    """Return the variance of the accuracy, divided by that of as many independent predictions.

    The clusters are the minutes of a source (Rao and Scott 1992). If too few clusters have a wrong or a right
    prediction to estimate how alike their members are, the members of each are assumed to be identical.
    """
    sizes, hits = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for prediction in labelled:
        cluster = prediction.source, prediction.minute
        sizes[cluster] += 1
        hits[cluster] += prediction.actual == prediction.predicted
    n, count = len(labelled), len(sizes)
    if count == n or count < 2:
        return float(max(n, 1)) if count == 1 else 1.0
    p = hits.total() / n
    wrong = sum(hits[cluster] < size for cluster, size in sizes.items())
    right = sum(number > 0 for number in hits.values())
    if min(wrong, right) < _MIN_CLUSTERS:
        return sum(size**2 for size in sizes.values()) / n
    squares = sum((hits[cluster] - p * size) ** 2 for cluster, size in sizes.items())
    between = count / (count - 1) * squares / n**2
    return max(between / (p * (1 - p) / n), 1.0)


def _f1(hits: int, either: int, effect: float) -> Share | None:
    """Return F1 with its interval by the indirect Wilson method (Lam, Gopal and Qian 2023).

    J is the share of pictures with the label as both actual and predicted among those with it as either; F1 is
    2J / (1 + J).
    """
    jaccard = share(hits, either, effect)
    return jaccard and Share(
        *(2 * value / (1 + value) for value in (jaccard.value, jaccard.low, jaccard.high))
    )
