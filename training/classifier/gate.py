"""Compare a run with what serves: `python -m training.classifier.gate --data FOLDER --run RUN --serving RELEASE`.

Both classifiers judge the same test pictures, and each figure's difference gets a paired bootstrap interval. The
run is refused where an interval lies wholly on the worse side: overall, in a class, a source or a slice, in
calibration, or where it is clearly slower. Overall figures have intervals of 95% each; those of groups hold
together at 95% (Bonferroni), or some slice of many would look worse by chance alone. Groups of few pictures are
told but not judged. `gate.json` in the run's folder says all of it; the exit status is 1 for a refused run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.inference.classify import Classifier, resize
from functions.inference.fetch import open_release
from functions.inference.release import ReleaseError
from functions.shared.contract import LABELS
from training.classifier.dataset import DataError
from training.classifier.evaluate import (
    MARGINS,
    TURNS,
    load_test,
    margin_crop,
    probabilities,
    shipped,
    slices,
    truths,
)
from training.commit import git_commit
from training.metrics import calibration_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from functions.inference.release import Network, Release
    from training.classifier.dataset import Dataset

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

GATE: Final = "gate.json"
SERVING_HELP: Final = "release to compare with: a folder or s3://…; default: the one in the inference image"
DRAWS: Final = 20_000  # of a bootstrap whose tails a Bonferroni correction looks far into
CALIBRATION_DRAWS: Final = 1_000
FEWEST: Final = 25  # pictures of a group that is judged; below, a bootstrap takes chance for certainty
DOUBT: Final = 0.05
SLOWER: Final = 0.1  # share of time that the run may take longer than what serves
TIMED: Final = 200  # pictures
CLASSES: Final = len(LABELS)


@dataclass(frozen=True)
class Group:
    """Pictures that both models judged.

    Attributes:
        name: What the report calls it; empty for the whole test set as it is.
        truth: Class numbers (N,).
        candidate: Probabilities (N, 3) of the run.
        serving: Probabilities (N, 3) of the release that serves.
    """

    name: str
    truth: Ints
    candidate: Floats
    serving: Floats


@dataclass(frozen=True)
class Comparison:
    """One figure of both models.

    Attributes:
        figure: Its name, after that of the group.
        n: Pictures it rests on.
        candidate: Of the run.
        serving: Of the release that serves.
        low: Lower end of the interval of candidate - serving.
        high: Upper end.
        verdict: `ok`, `worse`, or `too few` to judge.
    """

    figure: str
    n: int
    candidate: float
    serving: float
    low: float
    high: float
    verdict: str


def compare(groups: Sequence[Group]) -> list[Comparison]:
    """Every figure of every group; the group of the whole test set has an empty name and comes first."""
    whole, *parts = groups
    told = [*_shares(whole, DOUBT), _calibration(whole)]
    judged = sum(len(part.truth) >= FEWEST for part in parts) + CLASSES
    told += _classes(whole, DOUBT / judged)
    for part in parts:
        # One figure a group: two would be nearly the same question, asked twice.
        told.append(_shares(part, DOUBT / judged)[0])
    return told


def _shares(group: Group, doubt: float) -> list[Comparison]:
    """Accuracy, mask-or-not accuracy and macro-F1."""
    drawn, observed = _counts(group)
    prefix = f"{group.name}: " if group.name else ""
    told = []
    for name, figure in {
        "accuracy": _accuracy,
        "mask_or_not_accuracy": _mask_or_not,
        "macro_f1": lambda confusion: _f1(confusion)[0],
    }.items():
        told.append(_compared(prefix + name, len(group.truth), figure, observed, drawn, doubt))
    return told


def _classes(group: Group, doubt: float) -> list[Comparison]:
    drawn, observed = _counts(group)
    return [
        _compared(
            f"class {label}: f1",
            int((group.truth == number).sum()),
            lambda confusion, number=number: _f1(confusion)[1][..., number],
            observed,
            drawn,
            doubt,
        )
        for number, label in enumerate(LABELS)
    ]


def _counts(group: Group) -> tuple[Ints, Ints]:
    """How often (truth, candidate's answer, serving's answer) occurs: in DRAWS resamples, and in fact.

    A resample of pictures is a draw of these counts, so that is what is drawn: (DRAWS, 3, 3, 3) and (1, 3, 3, 3).
    """
    told = (group.truth, group.candidate.argmax(axis=1), group.serving.argmax(axis=1))
    kinds = np.ravel_multi_index(told, (CLASSES,) * 3)
    observed = np.bincount(kinds, minlength=CLASSES**3)
    total = len(group.truth)
    drawn = np.random.default_rng(0).multinomial(total, observed / max(total, 1), DRAWS)
    return drawn.reshape(-1, *(CLASSES,) * 3), observed.reshape(1, *(CLASSES,) * 3)


def _compared(figure: str, n: int, of: Any, observed: Ints, drawn: Ints, doubt: float) -> Comparison:
    candidate, serving = float(of(observed.sum(axis=3))[0]), float(of(observed.sum(axis=2))[0])
    differences = of(drawn.sum(axis=3)) - of(drawn.sum(axis=2))
    low, high = np.quantile(differences, [doubt / 2, 1 - doubt / 2])
    verdict = "too few" if n < FEWEST else "worse" if high < 0 else "ok"
    return Comparison(figure, n, candidate, serving, float(low), float(high), verdict)


def _accuracy(confusion: Ints) -> Floats:
    return np.asarray(np.trace(confusion, axis1=1, axis2=2) / confusion.sum(axis=(1, 2)).clip(1))


def _mask_or_not(confusion: Ints) -> Floats:
    right = confusion[:, 0, 0] + confusion[:, 1:, 1:].sum(axis=(1, 2))
    return np.asarray(right / confusion.sum(axis=(1, 2)).clip(1))


def _f1(confusion: Ints) -> tuple[Floats, Floats]:
    """Mean over the classes that occur (K,), and of each class (K, 3)."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    are = confusion.sum(axis=2)
    of_each = 2 * hits / (confusion.sum(axis=1) + are).clip(1)
    occurs = are > 0
    return (of_each * occurs).sum(axis=1) / occurs.sum(axis=1).clip(1), of_each


def _calibration(group: Group) -> Comparison:
    """Calibration error, of which less is better."""

    def errors(told: Floats) -> Any:
        confidence, correct = told.max(axis=1), told.argmax(axis=1) == group.truth
        return lambda drawn: calibration_error(confidence[drawn], correct[drawn])

    n, rng = len(group.truth), np.random.default_rng(0)
    candidate, serving = errors(group.candidate), errors(group.serving)
    draws = [rng.integers(0, n, n) for _ in range(CALIBRATION_DRAWS)]
    low, high = np.quantile([candidate(d) - serving(d) for d in draws], [DOUBT / 2, 1 - DOUBT / 2])
    verdict = "too few" if n < FEWEST else "worse" if low > 0 else "ok"
    everything = np.arange(n)
    told = (candidate(everything), serving(everything), float(low), float(high))
    return Comparison("calibration_error", n, *told, verdict)


def compare_latency(candidate: Floats, serving: Floats) -> Comparison:
    """Median milliseconds (N,) a picture, taken in turns; worse is slower by more than `SLOWER`, for certain."""
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(candidate), (CALIBRATION_DRAWS, len(candidate)))
    first, second = (np.median(times[draws], axis=1) for times in (candidate, serving))
    low, high = np.quantile(first - second, [DOUBT / 2, 1 - DOUBT / 2])
    allowed = SLOWER * float(np.median(serving))
    return Comparison(
        "latency_ms",
        len(candidate),
        float(np.median(candidate)),
        float(np.median(serving)),
        float(low),
        float(high),
        "worse" if low > allowed else "ok",
    )


def groups(candidate: Network, serving: Network, dataset: Dataset) -> Iterator[Group]:
    """Let both judge the test pictures: as they are, by source and slice, turned, and at several margins.

    Raises:
        DataError: There are no test pictures.
    """
    samples = dataset.split("test")
    if not samples:
        raise DataError("there are no pictures in the split test")
    truth, pictures = truths(samples), [s.pixels for s in samples]

    def judged(name: str, truth: Ints, pictures: Sequence[Any], change: Any = None) -> Group:
        first, second = (
            probabilities(network, pictures, change, f"{who}, {name or 'as they are'}")
            for who, network in (("run", candidate), ("serving", serving))
        )
        return Group(name, truth, first, second)

    whole = judged("", truth, pictures)
    yield whole
    sources = np.array([s.example.source or "-" for s in samples])
    parts = {f"source {name}": sources == name for name in np.unique(sources)}
    for slice_, members in slices(samples).items():
        parts |= {f"{slice_} {name}": chosen for name, chosen in members.items()}
    for name, chosen in parts.items():
        if chosen.any():
            yield Group(name, truth[chosen], whole.candidate[chosen], whole.serving[chosen])
    for name, change in TURNS.items():
        yield judged(f"turned {name}", truth, pictures, change)
    faces = [s for s in dataset.split("test", faces=True) if s.face]
    for margin in MARGINS if faces else ():
        cut = [margin_crop(face, margin) for face in faces]
        yield judged(f"margin {margin:.0%}", truths(faces), cut)


def time_both(candidate: Network, serving: Network, dataset: Dataset) -> tuple[Floats, Floats]:
    """Milliseconds a picture (N,) of each, one thread, in turns, so that what else runs here slows both alike."""
    both = [(Classifier(network, threads=1), network.size) for network in (candidate, serving)]
    samples = dataset.split("test")
    times = np.empty((2, TIMED))
    for number in range(-10, TIMED):  # the first few warm up
        pixels = samples[number % len(samples)].pixels
        for row, (classifier, size) in enumerate(both):
            square = [resize(pixels, size)]
            started = time.perf_counter()
            classifier.classify(square)
            if number >= 0:
                times[row, number] = 1e3 * (time.perf_counter() - started)
    return times[0], times[1]


def verdict(comparisons: Sequence[Comparison], about: Mapping[str, str]) -> dict[str, Any]:
    """What `gate.json` says. A test set too small to tell anything lets nothing through."""
    worse = [one.figure for one in comparisons if one.verdict == "worse"]
    reason = f"worse than what serves: {'; '.join(worse)}" if worse else "nowhere worse than what serves"
    if comparisons[0].verdict == "too few":
        reason = f"{comparisons[0].n} test pictures are too few to tell, {FEWEST} are needed"
    return {
        "passed": not worse and comparisons[0].verdict == "ok",
        "reason": reason,
        **about,
        "comparisons": [asdict(one) for one in comparisons],
    }


def judge_run(run: Path, data: Path, serving: Release) -> dict[str, Any]:
    """Compare what a run ships with a release on the test pictures of `data`; write and return `gate.json`.

    Raises:
        DataError: There are no test pictures.
    """
    dataset = load_test(data)
    both = shipped(run), serving.classifier
    told = compare(list(groups(*both, dataset)))
    told.append(compare_latency(*time_both(*both, dataset)))
    said = verdict(
        told,
        {
            "serving_version": serving.version,
            "data_fingerprint": dataset.fingerprint,
            "git_commit": git_commit(),
            # As text, since a model package's metadata are strings.
            "macro_f1": next(f"{one.candidate:.4f}" for one in told if one.figure == "macro_f1"),
        },
    )
    (run / GATE).write_text(json.dumps(said, indent=1) + "\n")
    return said


def as_text(told: Mapping[str, Any]) -> str:
    """A gate's JSON as a table, the verdict last."""
    lines = [
        f"{one['verdict']:8}{one['figure']:45}{one['n']:>6}{one['candidate']:9.4f}{one['serving']:9.4f}"
        for one in told["comparisons"]
    ]
    return "\n".join([*lines, f"{'passed' if told['passed'] else 'refused'}: {told['reason']}"])


def main() -> None:
    """Judge a run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of pictures (see training/classifier/dataset.py)"
    )
    parser.add_argument("--run", type=Path, required=True, help="folder of a converted run")
    parser.add_argument("--serving", default="", help=SERVING_HELP)
    options = parser.parse_args()
    try:
        told = judge_run(options.run, options.data, open_release(options.serving))
    except (DataError, ReleaseError) as error:
        parser.error(str(error))
    print(as_text(told))
    sys.exit(not told["passed"])


if __name__ == "__main__":
    main()
