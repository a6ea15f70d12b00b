"""The classifier's gate: compares a run with the serving release.

Overall figures are accuracy, mask-or-not accuracy and macro-F1 of the classifier on portraits, and of the served
path, which finds the face first, with the share of faces found. Calibration, classes, sources, slices, latency and
the faces in scenes, which the classifier confirms, follow (see `training.detector.compare`). See `training.gate` for
the conditions. The result goes to `gate.json` in the run's folder.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.inference.classify import Classifier, resize
from functions.shared.contract import LABELS
from training.candidate import Answers, answer, candidate_release
from training.classifier.evaluate import (
    TURNS,
    actual_classes,
    faces_with_margins,
    load_test,
    probabilities,
    slices,
)
from training.commit import git_commit
from training.detector.compare import compare_scenes
from training.detector.scenes import scenes_of
from training.errors import TrainingError
from training.files import GATE
from training.gate import ALPHA, FEWEST, MAX_LOSS, OK, WORSE, Comparison, against_floor, comparison, decide
from training.metrics import calibration_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from functions.inference.release import Network, Release
    from training.classifier.dataset import Dataset

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
    tests = sum(len(part.actual) >= FEWEST for part in parts) + CLASSES
    return [
        *compare_overall(test_set),
        _calibration(test_set),
        *_classes(test_set, ALPHA / tests),
        # One figure per group, since a second would be nearly the same test again.
        *(
            _compare_counts(
                f"{part.name}: accuracy", len(part.actual), _accuracy, *_counts(part), alpha=ALPHA / tests
            )
            for part in parts
        ),
    ]


def compare_overall(group: Group) -> list[Comparison]:
    """Compare accuracy, mask-or-not accuracy and macro-F1, with a non-inferiority test."""
    drawn, observed = _counts(group, doubted=True)
    prefix = f"{group.name}: " if group.name else ""
    return [
        _compare_counts(prefix + name, len(group.actual), figure, drawn, observed, margin=MAX_LOSS)
        for name, figure in {
            "accuracy": _accuracy,
            "mask_or_not_accuracy": _mask_or_not,
            "macro_f1": lambda confusion: _f1(confusion)[0],
        }.items()
    ]


def compare_served(actual: Ints, candidate: Answers, serving: Answers) -> list[Comparison]:
    """Compare the served path: its overall figures, and the share of portraits in which a face is found."""
    counts = np.array(
        [
            (candidate.face_found & serving.face_found).sum(),
            (candidate.face_found & ~serving.face_found).sum(),
            (~candidate.face_found & serving.face_found).sum(),
            (~candidate.face_found & ~serving.face_found).sum(),
        ],
        float,
    )
    n = len(actual)
    doubted = counts + (0 if np.array_equal(candidate.face_found, serving.face_found) else (0, 0.5, 0.5, 0))
    drawn = np.random.default_rng(0).multinomial(n, doubted / doubted.sum(), DRAWS)
    faces = comparison(
        "served: face_found",
        n,
        (float(candidate.face_found.mean()), float(serving.face_found.mean())),
        (drawn[:, 1] - drawn[:, 2]) / n,
        margin=MAX_LOSS,
    )
    return [*compare_overall(Group("served", actual, candidate.probabilities, serving.probabilities)), faces]


def _classes(group: Group, alpha: float) -> list[Comparison]:
    drawn, observed = _counts(group)
    return [
        _compare_counts(
            f"class {label}: f1",
            int((group.actual == number).sum()),
            partial(_class_f1, number),
            drawn,
            observed,
            alpha=alpha,
        )
        for number, label in enumerate(LABELS)
    ]


def _counts(group: Group, *, doubted: bool = False) -> tuple[Ints, Ints]:
    """Count how often (actual, candidate's answer, serving's answer) occurs, in resamples and in the test set.

    A resample of pictures is a multinomial draw of these counts; the results are (DRAWS, 3, 3, 3) and (1, 3, 3, 3).
    `doubted` adds half a picture that only the candidate gets right, and half a one that only serving gets right
    (after Agresti & Min 2005); otherwise a few pictures on which two networks happen to agree would prove them equal.
    """
    classes = (group.actual, group.candidate.argmax(axis=1), group.serving.argmax(axis=1))
    kinds = np.ravel_multi_index(classes, (CLASSES,) * 3)
    observed = np.bincount(kinds, minlength=CLASSES**3)
    total = len(group.actual)
    expected = observed.reshape((CLASSES,) * 3).astype(float)
    if doubted and not np.array_equal(group.candidate, group.serving):
        for number, share in enumerate(expected.sum(axis=(1, 2)) / max(total, 1)):
            others = np.arange(CLASSES) != number
            expected[number, number, others] += 0.5 * share / (CLASSES - 1)
            expected[number, others, number] += 0.5 * share / (CLASSES - 1)
    chances = expected.ravel() / max(expected.sum(), 1e-9)
    drawn = np.random.default_rng(0).multinomial(total, chances, DRAWS)
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
    return comparison(figure, n, values, differences, alpha=alpha, margin=margin)


def _accuracy(confusion: Ints) -> Floats:
    return np.asarray(np.trace(confusion, axis1=1, axis2=2) / confusion.sum(axis=(1, 2)).clip(1))


def _mask_or_not(confusion: Ints) -> Floats:
    right = confusion[:, 0, 0] + confusion[:, 1:, 1:].sum(axis=(1, 2))
    return np.asarray(right / confusion.sum(axis=(1, 2)).clip(1))


def _class_f1(number: int, confusion: Ints) -> Floats:
    return _f1(confusion)[1][..., number]


def _f1(confusion: Ints) -> tuple[Floats, Floats]:
    """Return the mean F1 of the classes that occur (K,), and the F1 of each class (K, 3)."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    actual = confusion.sum(axis=2)
    of_each = 2 * hits / (confusion.sum(axis=1) + actual).clip(1)
    occurs = actual > 0
    return (of_each * occurs).sum(axis=1) / occurs.sum(axis=1).clip(1), of_each


def _calibration(group: Group) -> Comparison:
    """Compare the calibration error, of which less is better."""

    def errors(chances: Floats) -> Callable[[Ints], float]:
        confidence, correct = chances.max(axis=1), chances.argmax(axis=1) == group.actual
        return lambda drawn: calibration_error(confidence[drawn], correct[drawn])

    n, rng = len(group.actual), np.random.default_rng(0)
    candidate, serving = errors(group.candidate), errors(group.serving)
    draws = [rng.integers(0, n, n) for _ in range(CALIBRATION_DRAWS)]
    differences = np.array([candidate(drawn) - serving(drawn) for drawn in draws])
    every = np.arange(n)
    values = (candidate(every), serving(every))
    return comparison("calibration_error", n, values, differences, less_is_better=True)


def compare_latency(candidate: Floats, serving: Floats) -> Comparison:
    """Compare median latency; `candidate` and `serving` are milliseconds (N,), measured alternately.

    It is worse if the whole interval lies above an increase of `SLOWER`.
    """
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(candidate), (CALIBRATION_DRAWS, len(candidate)))
    first, second = (np.median(times[draws], axis=1) for times in (candidate, serving))
    medians = (float(np.median(candidate)), float(np.median(serving)))
    result = comparison("latency_ms", len(candidate), medians, first - second, less_is_better=True)
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


def judge_run(
    run: Path,
    data: Path,
    serving: Release,
    floor: Release,
    detector: Path | None = None,
    reference: Path | None = None,
) -> dict[str, Any]:
    """Compare a run with the serving release on the test pictures of `data`; write and return `gate.json`.

    Args:
        run: Folder of a converted run.
        data: Folder of pictures.
        serving: The serving release.
        floor: The release in the image, than which no candidate may be worse.
        detector: Folder of the detector's run to be released together; default: the serving detector.
        reference: Folder of other pictures, on which the overall figures are compared, too.

    Raises:
        TrainingError: There are no test pictures.
    """
    dataset = load_test(data)
    candidate = candidate_release(serving, run, detector)
    networks = candidate.classifier, serving.classifier
    compared = list(predict_groups(*networks, dataset))
    samples, actual = dataset.split("test"), compared[0].actual
    answers = [
        answer(release, samples, f"served path, {name}")
        for name, release in (("run", candidate), ("serving", serving))
    ]
    result = compare(compared)
    result += compare_served(actual, answers[0], answers[1])
    if floor.classifier != serving.classifier:
        lowest = probabilities(floor.classifier, [s.pixels for s in samples], name="floor")
        result += against_floor(compare_overall(Group("", actual, compared[0].candidate, lowest)))
    if reference:
        result += compare_overall(next(predict_groups(*networks, load_test(reference), "reference")))
    scenes = [] if detector else scenes_of(data, ("test",))
    if scenes:
        result += compare_scenes(candidate, serving, floor, scenes)
    result.append(compare_latency(*time_both(*networks, dataset)))
    document = decide(
        result,
        {
            "serving_version": serving.version,
            "floor_version": floor.version,
            "data_fingerprint": dataset.fingerprint,
            "git_commit": git_commit(),
            "network_sha256": hashlib.sha256(candidate.classifier.file).hexdigest(),
            "reference": "judged"
            if reference
            else "not given: how much was forgotten of other pictures is unknown",
            # As a string, like all metadata of a model package.
            "macro_f1": next(f"{row.candidate:.4f}" for row in result if row.figure == "macro_f1"),
        },
    )
    (run / GATE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return document
