"""Metrics of a classifier in plain numpy, after the papers named below.

Throughout, `actual` and `predicted` are class numbers (N,), `confusion` is (…, C, C) with actual classes in rows, and
N may be 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.shared.contract import LABELS
from functions.shared.statistics import share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

STEPS: Final = 20  # thresholds of confidence in `precision_at`
DRAWS: Final = 1000  # of a bootstrap
BINS: Final = 15  # equally wide bins of confidence, as in Guo et al. 2017


def softmax(logits: NDArray[np.floating[Any]]) -> Floats:
    """Return the probabilities (N, C) of logits (N, C)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def confusion_matrix(actual: Ints, predicted: Ints, classes: int) -> Ints:
    """Return how often class i was predicted as class j, (classes, classes)."""
    return np.bincount(actual * classes + predicted, minlength=classes**2).reshape(classes, classes)


def precision_recall_f1(confusion: Ints) -> tuple[Floats, Floats, Floats]:
    """Return TP / (TP + FP), TP / (TP + FN) and their harmonic mean by class, each (…, C); 0 where undefined."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    predicted, actual = confusion.sum(axis=-2), confusion.sum(axis=-1)
    return _share(hits, predicted), _share(hits, actual), _share(2 * hits, predicted + actual)


def by_label(confusion: Ints) -> dict[str, dict[str, float]]:
    """Return precision, recall and F1 of each label; `confusion` is (labels, labels)."""
    names, values = ("precision", "recall", "f1"), precision_recall_f1(confusion)
    return {n: dict(zip(LABELS, v.tolist(), strict=True)) for n, v in zip(names, values, strict=True)}


def accuracy(confusion: Ints) -> Floats:
    """Return the share of predictions that are right, (…)."""
    return _share(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def mask_or_not_accuracy(confusion: Ints) -> Floats:
    """Return the accuracy if the labels other than `mask`, which is class 0, count as one, (…)."""
    right = confusion[..., 0, 0] + confusion[..., 1:, 1:].sum(axis=(-2, -1))
    return _share(right, confusion.sum(axis=(-2, -1)))


def macro_f1(confusion: Ints) -> Floats:
    """Return the mean F1 of the classes that occur, (…)."""
    occurs = confusion.sum(axis=-1) > 0
    return _share((precision_recall_f1(confusion)[2] * occurs).sum(axis=-1), occurs.sum(axis=-1))


def roc_curve(positive: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates at each distinct score, starting at (0, 0) (Fawcett 2006)."""
    hits, alarms = _counts_by_threshold(positive, score)
    return _share(alarms, alarms[-1:]), _share(hits, hits[-1:])


def precision_recall_curve(positive: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """Return recall and precision at each distinct score, from the highest."""
    hits, alarms = (counts[1:] for counts in _counts_by_threshold(positive, score))
    return _share(hits, hits[-1:]), _share(hits, hits + alarms)


def area_under_roc(positive: NDArray[np.bool_], score: Floats) -> float:
    """Return the area under the ROC curve: the probability that a positive scores above a negative, ties halved."""
    x, y = roc_curve(positive, score)
    return float(np.trapezoid(y, x))


def average_precision(positive: NDArray[np.bool_], score: Floats) -> float:
    """Return the precision averaged over the steps of recall, without interpolation."""
    recall, precision = precision_recall_curve(positive, score)
    return float((np.diff(recall, prepend=0) * precision).sum())


def reliability(confidence: Floats, correct: NDArray[np.bool_]) -> tuple[Floats, Floats, Ints]:
    """Return mean confidence, accuracy and count for each of `BINS` equal bins of (0, 1]; 0 for empty bins."""
    numbers = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(numbers, minlength=BINS)
    sums = np.bincount(numbers, confidence, BINS)
    hits = np.bincount(numbers, correct, BINS)
    return _share(sums, counts), _share(hits, counts), counts


def calibration_error(confidence: Floats, correct: NDArray[np.bool_]) -> float:
    """Return the expected calibration error of the top label: |accuracy - confidence| per bin, weighted by count.

    Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Guo et al. 2017.
    """
    expected, observed, counts = reliability(confidence, correct)
    return float((np.abs(observed - expected) * counts).sum() / max(counts.sum(), 1))


def calibration_error_by_chance(confidence: Floats) -> float:
    """Return the mean `calibration_error` that perfectly calibrated predictions with these confidences would show.

    It is above 0, since each bin deviates by chance (consistency resampling, Bröcker & Smith 2007).
    """
    rng = np.random.default_rng(0)
    draws = (rng.random(len(confidence)) < confidence for _ in range(DRAWS))
    return float(np.mean([calibration_error(confidence, correct) for correct in draws]))


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share, which is valid for small counts and shares near 1; (0, 1) for none."""
    interval = share(hits, count)
    return (interval.low, interval.high) if interval else (0.0, 1.0)


def bootstrap_interval(figure: Callable[[Ints], float], count: int) -> tuple[float, float]:
    """Return the 95% percentile interval (Efron 1979) of `figure`, a function of the indices that are drawn."""
    rng = np.random.default_rng(0)
    values = [figure(rng.integers(0, count, count)) for _ in range(DRAWS)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def figures(actual: Ints, probabilities: Floats) -> dict[str, Any]:
    """Return the figures of a group of pictures; `probabilities` is (N, C), and class 0 is `mask`."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    confusion = confusion_matrix(actual, predicted, probabilities.shape[1])
    return {
        "n": len(actual),
        "accuracy": float(accuracy(confusion)),
        "mask_or_not_accuracy": float(mask_or_not_accuracy(confusion)),
        "macro_f1": float(macro_f1(confusion)),
        "calibration_error": calibration_error(confidence, actual == predicted),
        "confusion": confusion.tolist(),
    }


def by_part(
    figures_of: Callable[[NDArray[np.bool_]], dict[str, Any]],
    sources: NDArray[np.str_],
    slices: Mapping[str, Mapping[str, NDArray[np.bool_]]],
) -> dict[str, dict[str, Any]]:
    """Return `figures_of` each mask (N,): by source, and by group and slice, without empty slices."""
    return {
        "sources": {str(name): figures_of(sources == name) for name in np.unique(sources)},
        "slices": {
            group: {name: figures_of(chosen) for name, chosen in members.items() if chosen.any()}
            for group, members in slices.items()
        },
    }


def precision_at(actual: Ints, probabilities: Floats) -> list[list[dict[str, Any]]]:
    """Return, for each class and confidence in steps of 0.05, the predictions with at least that confidence.

    `n` is their number, and `right` the number of correct ones, so that readers can compute an interval.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return [
        [
            {
                "min_confidence": step / STEPS,
                "n": int((chosen := (predicted == number) & (confidence >= step / STEPS)).sum()),
                "right": int((chosen & (actual == number)).sum()),
            }
            for step in range(STEPS)
        ]
        for number in range(probabilities.shape[1])
    ]


def _counts_by_threshold(positive: NDArray[np.bool_], score: Floats) -> tuple[Ints, Ints]:
    """Return the hits and false alarms at or above each distinct score, from none to all."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=-np.inf))
    hits = np.cumsum(positive[order])[ends]
    return np.concatenate([[0], hits]), np.concatenate([[0], ends + 1 - hits])


def _share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    return np.asarray(part / np.maximum(whole, 1), np.float64)
