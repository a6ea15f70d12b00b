"""Compares a classifier with the serving one on portraits, and the answers of two releases on the served path.

Overall figures are accuracy, mask-or-not accuracy and macro-F1 of the classifier, and of the served path, which finds
the face first, with the share of faces found. Calibration, classes, sources, slices and latency follow. See
`training.gate` for the conditions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.inference.classify import Classifier, resize
from functions.shared.contract import LABELS
from training.answers import probabilities
from training.classifier.evaluate import TURNS, faces_with_margins, slices
from training.dataset import actual_classes
from training.errors import TrainingError
from training.gate import ALPHA, MAX_LOSS, MIN_PICTURES, OK, WORSE, Comparison, compare_figure
from training.metrics import accuracy, calibration_error, macro_f1, mask_or_not_accuracy, precision_recall_f1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from functions.inference.release import Network
    from training.answers import Answers
    from training.dataset import Dataset

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

DRAWS: Final = 20_000  # of the bootstrap; many, since the Bonferroni correction needs its far tails
CALIBRATION_DRAWS: Final = 1_000
SLOWER: Final = 0.1  # relative increase in latency that is allowed
TIMED: Final = 200  # pictures to measure latency
CLASSES: Final = len(LABELS)


@dataclass(frozen=True)
class Group:
    """The predictions of both models for a group of pictures.

    Attributes:
        name: Name in the report; empty for the whole test set.
        actual: Class numbers (N,).
        candidate: Probabilities (N, 3) of the run.
        serving: Probabilities (N, 3) of the serving release.
    """

    name: str
    actual: Ints
    candidate: Floats
    serving: Floats


def compare(groups: Sequence[Group]) -> list[Comparison]:
    """Compare all figures of all groups; the first group must be the whole test set."""
    test_set, *parts = groups
    tests = sum(len(part.actual) >= MIN_PICTURES for part in parts) + CLASSES
    result = [*compare_overall(test_set), _calibration(test_set)]
    counts, alpha = _counts(test_set), ALPHA / tests
    for number, label in enumerate(LABELS):
        n, figure = int((test_set.actual == number).sum()), partial(_class_f1, number)
        result.append(_compare_counts(f"class {label}: f1", n, figure, *counts, alpha=alpha))
    for part in parts:  # one figure each, since a second would be nearly the same test again
        name, n = f"{part.name}: accuracy", len(part.actual)
        result.append(_compare_counts(name, n, accuracy, *_counts(part), alpha=alpha))
    return result


def compare_overall(group: Group) -> list[Comparison]:
    """Compare accuracy, mask-or-not accuracy and macro-F1, with a non-inferiority test."""
    drawn, observed = _counts(group, smoothed=True)
    prefix = f"{group.name}: " if group.name else ""
    return [
        _compare_counts(prefix + name, len(group.actual), figure, drawn, observed, margin=MAX_LOSS)
        for name, figure in {
            "accuracy": accuracy,
            "mask_or_not_accuracy": mask_or_not_accuracy,
            "macro_f1": macro_f1,
        }.items()
    ]


def compare_served(actual: Ints, candidate: Answers, serving: Answers) -> list[Comparison]:
    """Compare the served path: its overall figures, and the share of portraits in which a face is found."""
    # Found by both, only by the candidate, only by serving, by neither.
    counts = np.bincount(2 * candidate.face_found + serving.face_found, minlength=4)[::-1]
    n = len(actual)
    smoothed = counts + (0 if np.array_equal(candidate.face_found, serving.face_found) else (0, 0.5, 0.5, 0))
    drawn = np.random.default_rng(0).multinomial(n, smoothed / smoothed.sum(), DRAWS)
    faces = compare_figure(
        "served: face_found",
        n,
        (float(candidate.face_found.mean()), float(serving.face_found.mean())),
        (drawn[:, 1] - drawn[:, 2]) / n,
        margin=MAX_LOSS,
    )
    return [*compare_overall(Group("served", actual, candidate.probabilities, serving.probabilities)), faces]


def _class_f1(number: int, confusion: Ints) -> Floats:
    return precision_recall_f1(confusion)[2][..., number]


def _counts(group: Group, *, smoothed: bool = False) -> tuple[Ints, Ints]:
    """Count how often (actual, candidate's answer, serving's answer) occurs, in resamples and in the test set.

    A resample of pictures is a multinomial draw of these counts; the results are (DRAWS, 3, 3, 3) and (1, 3, 3, 3).
    `smoothed` adds half a picture that only the candidate gets right, and half a one that only serving gets right
    (after Agresti & Min 2005); otherwise a few pictures on which two networks happen to agree would prove them equal.
    """
    classes = (group.actual, group.candidate.argmax(axis=1), group.serving.argmax(axis=1))
    kinds = np.ravel_multi_index(classes, (CLASSES,) * 3)
    observed = np.bincount(kinds, minlength=CLASSES**3)
    total = len(group.actual)
    expected = observed.reshape((CLASSES,) * 3).astype(float)
    if smoothed and not np.array_equal(group.candidate, group.serving):
        for number, share in enumerate(expected.sum(axis=(1, 2)) / max(total, 1)):
            others = np.arange(CLASSES) != number
            expected[number, number, others] += 0.5 * share / (CLASSES - 1)
            expected[number, others, number] += 0.5 * share / (CLASSES - 1)
    shares = expected.ravel() / max(expected.sum(), 1e-9)
    drawn = np.random.default_rng(0).multinomial(total, shares, DRAWS)
    return drawn.reshape(-1, *(CLASSES,) * 3), observed.reshape(1, *(CLASSES,) * 3)


def _compare_counts(
    figure: str,
    n: int,
    compute: Callable[[Ints], Floats],
    drawn: Ints,
    observed: Ints,
    *,
    alpha: float = ALPHA,
    margin: float = 0.0,
) -> Comparison:
    values = (float(compute(observed.sum(axis=3))[0]), float(compute(observed.sum(axis=2))[0]))
    differences = compute(drawn.sum(axis=3)) - compute(drawn.sum(axis=2))
    return compare_figure(figure, n, values, differences, alpha=alpha, margin=margin)


def _calibration(group: Group) -> Comparison:
    """Compare the calibration error, of which less is better."""

    def errors(output: Floats) -> Callable[[Ints], float]:
        confidence, correct = output.max(axis=1), output.argmax(axis=1) == group.actual
        return lambda drawn: calibration_error(confidence[drawn], correct[drawn])

    n, rng = len(group.actual), np.random.default_rng(0)
    candidate, serving = errors(group.candidate), errors(group.serving)
    draws = [rng.integers(0, n, n) for _ in range(CALIBRATION_DRAWS)]
    differences = np.array([candidate(drawn) - serving(drawn) for drawn in draws])
    values = (candidate(np.arange(n)), serving(np.arange(n)))
    return compare_figure("calibration_error", n, values, differences, less_is_better=True)


def compare_latency(candidate: Floats, serving: Floats) -> Comparison:
    """Compare median latency; `candidate` and `serving` are milliseconds (N,), measured alternately.

    It is worse if the whole interval lies above an increase of `SLOWER`.
    """
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(candidate), (CALIBRATION_DRAWS, len(candidate)))
    first, second = (np.median(times[draws], axis=1) for times in (candidate, serving))
    medians = (float(np.median(candidate)), float(np.median(serving)))
    result = compare_figure("latency_ms", len(candidate), medians, first - second, less_is_better=True)
    return replace(result, verdict=WORSE if result.low > SLOWER * result.serving else OK)


def predict_groups(candidate: Network, serving: Network, dataset: Dataset, name: str = "") -> Iterator[Group]:
    """Yield both models' predictions for the test pictures: unchanged, by source and slice, rotated, with margins.

    Raises:
        TrainingError: There are no test pictures.
    """
    samples = dataset.split("test")
    if not samples:
        raise TrainingError("there are no pictures in the split test")
    actual, pictures = actual_classes(samples), [s.pixels for s in samples]

    def group(name: str, actual: Ints, pictures: Sequence[Any], change: Any = None) -> Group:
        first, second = (
            probabilities(network, pictures, change, f"{who}, {name or 'as they are'}")
            for who, network in (("run", candidate), ("serving", serving))
        )
        return Group(name, actual, first, second)

    test_set = group(name, actual, pictures)
    yield test_set
    sources = np.array([s.example.source or "-" for s in samples])
    parts = {f"source {source}": sources == source for source in np.unique(sources)}
    for grouping, members in slices(samples).items():
        parts |= {f"{grouping} {slice_}": chosen for slice_, chosen in members.items()}
    for part, chosen in parts.items():
        if chosen.any():
            yield Group(part, actual[chosen], test_set.candidate[chosen], test_set.serving[chosen])
    for turn, change in TURNS.items():
        yield group(f"turned {turn}", actual, pictures, change)
    for margin, classes, faces in faces_with_margins(dataset):
        yield group(f"margin {margin}", classes, faces)


def time_both(candidate: Network, serving: Network, dataset: Dataset) -> tuple[Floats, Floats]:
    """Measure milliseconds per picture (N,), one thread, alternating so that other load affects both equally."""
    both = [(Classifier(network, threads=1), network.size) for network in (candidate, serving)]
    samples = dataset.split("test")
    times = np.empty((2, TIMED))
    for number in range(-10, TIMED):  # the first few warm up
        pixels = samples[number % len(samples)].pixels
        for row, (classifier, size) in enumerate(both):
            square = resize(pixels, size)
            started = time.perf_counter()
            classifier.classify(square)
            if number >= 0:
                times[row, number] = 1e3 * (time.perf_counter() - started)
    return times[0], times[1]
