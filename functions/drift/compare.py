"""A window's predictions against the baseline: what has changed, by how much, and whether that is more than chance.

A change is told when it is both unlikely and large. Unlikely: its p-value stays below `ALPHA` after Holm's correction
for all the tests of a run, so that of runs in a world that stays as it is one in two hundred tells of any. Large:
its size reaches the limit of its kind, so that a week of a million pictures does not tell of what nobody would see.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.drift.baseline import projected
from functions.drift.features import CONFIDENCE, FEATURES, INPUTS, OF_FACES, PROJECTIONS, TITLES, shown
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from functions.drift.baseline import Baseline, Sketch
    from functions.drift.features import Sample

ALPHA: Final = 0.005
FEWEST: Final = 100  # predictions, with fewer of which nothing is said
INPUT, EMBEDDING, PREDICTION, CONFIDENCE_DROP = KINDS = ("input", "embedding", "prediction", "confidence")
LIMITS: Final[Mapping[str, float]] = {INPUT: 0.25, EMBEDDING: 0.3, PREDICTION: 0.1, CONFIDENCE_DROP: 0.02}
LABEL: Final = "label"
SHIFT: Final = "embedding"
PROJECTION: Final = "projection"


@dataclass(frozen=True)
class Finding:
    """A test of whether something has changed.

    Attributes:
        feature: One of the features, `label` for the mix of labels, or `embedding` for the mean of all
            projections, or among the findings `projection` for the one that has changed most.
        source: Whose predictions; None for all.
        kind: One of `KINDS`.
        p: How likely a difference as large is by chance, corrected for the number of tests.
        effect: How large the difference is, in the unit of its kind: of input and embedding, standard deviations of
            the reference; of predictions, the share whose label would have to change; of confidence, its fall.
        words: What to tell a person.
    """

    feature: str
    source: str | None
    kind: str
    p: float
    effect: float
    words: str

    @property
    def significant(self) -> bool:
        """Whether it is both unlikely and large."""
        return self.p < ALPHA and self.effect >= LIMITS[self.kind]


@dataclass(frozen=True)
class Comparison:
    """What came of comparing a window with the baseline.

    Attributes:
        verdict: `ok`, `drift`, or `not enough` predictions to tell.
        sources: The verdict on each source.
        effects: The largest effect of each kind in all predictions together, chance or not.
        findings: What has changed, all sources together first, then what exceeds its limit most.
        tests: Everything that was looked at, the findings among it.
    """

    verdict: str
    sources: Mapping[str, str]
    effects: Mapping[str, float]
    findings: tuple[Finding, ...]
    tests: tuple[Finding, ...]


def compare(samples: Mapping[str, Sample], overall: Sample, baseline: Baseline) -> Comparison:
    """Compare all predictions, and those of each source, with the baseline.

    A source is compared with its own past where the baseline knows it, and with everything where not.

    Args:
        samples: The predictions by source.
        overall: All of them.
        baseline: Of the same model version.
    """
    tests = list(_tests(None, overall, baseline.everything))
    alone = (
        len(samples) == 1 and not baseline.sources
    )  # its tests would be those of all predictions over again
    if not alone:
        for source, sample in samples.items():
            tests += _tests(source, sample, baseline.sources.get(source, baseline.everything))
    corrected = holm([test.p for test in tests])
    tests = [replace(test, p=p) for test, p in zip(tests, corrected, strict=True)]
    findings = _findings(tests)

    def verdict(sample: Sample, *sources: str | None) -> str:
        if any(finding.source in sources for finding in findings):
            return "drift"
        return "ok" if len(sample.labels) >= FEWEST else "not enough"

    return Comparison(
        verdict=verdict(overall, None, *samples),
        sources={name: verdict(sample, None if alone else name) for name, sample in samples.items()},
        effects={
            kind: max((t.effect for t in tests if t.kind == kind and t.source is None), default=0.0)
            for kind in KINDS
        },
        findings=findings,
        tests=tuple(tests),
    )


def _findings(tests: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the significant tests in their order; of a source's projections, which say nothing apart, the first."""
    kept: dict[tuple[str | None, str], Finding] = {}
    alike = Counter[tuple[str | None, str]]()
    for test in sorted(
        (test for test in tests if test.significant),
        key=lambda test: (test.source is not None, test.source or "", -test.effect / LIMITS[test.kind]),
    ):
        key = test.source, PROJECTION if test.feature in PROJECTIONS else test.feature
        kept.setdefault(key, test)
        alike[key] += 1
    return tuple(
        replace(
            test,
            feature=PROJECTION,
            words=f"{alike[key]} of the {len(PROJECTIONS)} figures that sum up what the network sees have changed",
        )
        if key[1] == PROJECTION
        else test
        for key, test in kept.items()
    )


def holm(ps: Sequence[float]) -> list[float]:
    """Correct p-values for being many (Holm 1979): each stays in its place, and what is below a level holds at it."""
    corrected = [0.0] * len(ps)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        largest = max(largest, min(ps[place] * (len(ps) - rank), 1.0))
        corrected[place] = largest
    return corrected


def _tests(source: str | None, sample: Sample, reference: Sketch) -> Iterator[Finding]:
    if len(sample.labels) < FEWEST:
        return
    for feature in INPUTS:
        then, now = reference.column(feature), sample.values[:, FEATURES.index(feature)]
        yield _change(source, INPUT, feature, then, now)
    for feature in PROJECTIONS:
        then, now = reference.column(feature), sample.values[:, FEATURES.index(feature)]
        yield _change(source, EMBEDDING, feature, then, now)
    yield _shift(source, sample, reference)
    yield _mix(source, sample, reference)
    yield _drop(source, sample, reference)


def _change(
    source: str | None, kind: str, feature: str, then: NDArray[np.float32], now: NDArray[np.float32]
) -> Finding:
    p, effect = _evidently("ks", then, now), _evidently("wasserstein", then, now)
    words = f"{TITLES.get(feature, feature)} {_direction(then, now)}: {_figures(feature, then, now)}"
    return Finding(feature, source, kind, p, effect, words)


def _figures(feature: str, then: NDArray[np.float32], now: NDArray[np.float32]) -> str:
    """Say the change in the first figures in which it shows."""
    if feature in OF_FACES:
        was, is_ = (f"{(values > 0).mean():.0%}" for values in (then, now))
        if was != is_:
            return f"one was found in {was} of the pictures, and now in {is_}"
    was, is_ = (shown(feature, float(np.median(values))) for values in (then, now))
    if was != is_:
        return f"the median was {was} and is {is_}"
    was, is_ = (shown(feature, float(values.mean())) for values in (then, now))
    return f"the mean was {was} and is {is_}"


def _direction(then: NDArray[np.float32], now: NDArray[np.float32]) -> str:
    moved = float(now.mean() - then.mean()) / max(float(then.std()), 1e-3)
    if abs(moved) < LIMITS[INPUT] / 2:
        return "is spread differently"
    return "has risen" if moved > 0 else "has fallen"


def _shift(source: str | None, sample: Sample, reference: Sketch) -> Finding:
    """Test whether the projections' mean has moved, by Hotelling's T² with the reference's covariance."""
    from scipy.stats import f  # noqa: PLC0415 -- slow to import, see `_evidently`

    n, side = len(sample.labels), len(PROJECTIONS)
    moved = projected(sample).mean(axis=0) - reference.mean
    ridge = 1e-6 * (np.trace(reference.covariance) + 1) * np.eye(side)  # it may be singular
    square = float(moved @ np.linalg.solve(reference.covariance + ridge, moved))
    pairs = n * reference.count / (n + reference.count)
    effect = float(np.sqrt(max(square - side / pairs, 0.0)))  # less what chance alone brings about
    words = f"what the network makes of the faces has moved by {effect:.2f} standard deviations"
    freedom = reference.count - side
    p = f.sf(square * pairs * freedom / (side * (reference.count - 1)), side, freedom)
    return Finding(SHIFT, source, EMBEDDING, float(p), effect, words)


def _mix(source: str | None, sample: Sample, reference: Sketch) -> Finding:
    """Test whether labels occur in other proportions."""
    from scipy.stats import chi2_contingency  # noqa: PLC0415

    now = np.array([Counter(sample.labels)[label] for label in LABELS], float)
    then = np.array([reference.labels[label] for label in LABELS], float)
    occurring = now + then > 0
    p = chi2_contingency([then[occurring], now[occurring]]).pvalue if occurring.sum() > 1 else 1.0
    shares = then / then.sum(), now / now.sum()
    effect = float(abs(shares[0] - shares[1]).sum() / 2)
    told = (f"{label} {was:.0%} → {is_:.0%}" for label, was, is_ in zip(LABELS, *shares, strict=True))
    return Finding(
        LABEL, source, PREDICTION, float(p), effect, f"other labels than before: {', '.join(told)}"
    )


def _drop(source: str | None, sample: Sample, reference: Sketch) -> Finding:
    """Test whether the confidence is lower than it was in the same labels."""
    now = sample.values[:, FEATURES.index(CONFIDENCE)]
    then = reference.confidence_at(Counter(sample.labels))
    effect = max(float(then.mean() - now.mean()), 0.0)
    words = f"the mean confidence was {then.mean():.1%} with these labels and is {now.mean():.1%}"
    return Finding(CONFIDENCE, source, CONFIDENCE_DROP, _evidently("ks", then, now), effect, words)


def _evidently(method: str, then: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """Return the score of one of Evidently's tests for numbers: `ks`, a p-value, or `wasserstein`, in deviations."""
    import pandas as pd  # noqa: PLC0415 -- takes seconds to import, as Evidently does, and is needed here only
    from evidently.legacy.calculations import stattests  # noqa: PLC0415 -- where 0.7 has them
    from evidently.legacy.core import ColumnType  # noqa: PLC0415

    test: Any = {"ks": stattests.ks_stat_test, "wasserstein": stattests.wasserstein_stat_test}[method]
    columns = pd.Series(then, dtype=float), pd.Series(now, dtype=float)
    return float(test(*columns, ColumnType.Numerical, None).drift_score)
