"""Compares the predictions of a window and of the days before it with the baseline.

Each source is compared with its own reference. A difference is *large* on a day if its effect reaches the limit of
its kind and exceeds the largest effect of any day of the baseline by a margin. It is *unlikely* if its p-value, which
allows for the variance between days, is below `ALPHA_DAY` after Holm's correction for all tests of the day. It is
drift if both hold on two days, one of which is among the last two, or if the mean of the last days has moved by the
limit and this is unlikely at `ALPHA_LASTING` (a moving estimates test, Chu, Hornik and Kuan 1995, with days as its
unit).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift.effects import (
    CONFIDENCE_DROP,
    EMBEDDING,
    KINDS,
    MIN_EFFECTIVE,
    PREDICTION,
    SPREAD,
    TESTS,
    Effects,
    effects,
)
from functions.drift.features import CONFIDENCE, FEATURES, PROJECTIONS, TITLES, format_value, merge
from functions.shared.contract import LABELS
from functions.shared.statistics import holm

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from functions.drift.baseline import Baseline, Reference
    from functions.drift.features import Sample

ALPHA_DAY: Final = 0.02
ALPHA_LASTING: Final = 0.005
DAYS: Final = 7  # complete days before the window's end
CONFIRMING_DAYS: Final = 2
MARGIN: Final = 1.25  # factor by which the largest effect of a baseline day must be exceeded
LABEL, PROJECTION, SILENCE = "label", "projection", "records"
SILENT: Final = "silent"  # the kind of a silent source's finding, in addition to `KINDS`
OK, SUSPECTED, DRIFT, NEW, NOT_ENOUGH = "ok", "suspected", "drift", "new", "not enough"
_MIN_LASTING_DAYS: Final = 5
_PRIOR_DAYS: Final = 4  # weight of the expected variance between days, in days of the baseline
_LIMITS: Final = np.array([test.limit for test in TESTS])
_PRIOR: Final = np.array([test.between_days**2 for test in TESTS])
_TWO_SIDED: Final = np.array([test.kind != CONFIDENCE_DROP for test in TESTS])
_IS_PREDICTION: Final = np.array([test.kind == PREDICTION for test in TESTS])


@dataclass(frozen=True)
class Finding:
    """A difference from the reference.

    Attributes:
        source: The source; None for all sources pooled.
        feature: One of the features, `label` for the proportions of labels, `projection` for the network's embedding,
            or `records` for a silent source.
        kind: One of `KINDS`, or `silent`.
        statistic: `mean`, `spread`, or `share` of labels; `days` for a silent source.
        effect: The size of the difference in the unit of its kind, see `Test.limit`; days for a silent source.
        limit: The effect at which the difference is large.
        p: p-value, corrected for the number of tests.
        days: How many of the last days show the difference.
        lasting: Whether the mean of the last days shows it.
        words: A description.
    """

    source: str | None
    feature: str
    kind: str
    statistic: str
    effect: float
    limit: float
    p: float
    days: int
    lasting: bool
    words: str

    @property
    def confirmed(self) -> bool:
        """Whether it is drift rather than suspected."""
        return self.lasting or self.days >= CONFIRMING_DAYS


@dataclass(frozen=True)
class DriftComparison:
    """The result of the comparison.

    Attributes:
        verdict: `ok`, `drift`, or `not enough` predictions.
        sources: The status of each source: `ok`, `suspected`, `drift`, `silent`, `new` or `not enough`.
        effects: The largest effect of each kind in the window, significant or not.
        findings: Confirmed findings first, then by the factor by which the limit is exceeded.
        tests: How many tests of the window there were.
        days: How many complete days were compared.
    """

    verdict: str
    sources: Mapping[str, str]
    effects: Mapping[str, float]
    findings: tuple[Finding, ...]
    tests: int
    days: int


@dataclass(frozen=True)
class _TestResults:
    """The test results of one sample, each (tests,).

    `_correct` corrects `p`, and sets `significant`, which means unlikely and large.
    """

    effects: NDArray[np.float64]
    p: NDArray[np.float64]
    limits: NDArray[np.float64]
    sample: Sample
    significant: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(len(TESTS), bool))


def compare(
    window: Mapping[str, Sample],
    days: Sequence[Mapping[str, Sample]],
    baseline: Baseline,
    active_sources: Sequence[Collection[str]] | None = None,
) -> DriftComparison:
    """Compare each source with its own reference, or all sources pooled with the baseline if no source has one.

    Args:
        window: Samples of the window by source.
        days: The same for each complete day before the window's end, the latest last.
        baseline: A baseline of the same model version.
        active_sources: The sources that sent pictures on each day and, last, in the window; None if all of them
            were answered by the baseline's release, so that they are those of `days` and `window`.
    """
    active_sources = (active_sources or [*days, window])[-DAYS - 1 :]
    days = days[-DAYS:]
    pooled = not baseline.sources
    references: dict[str | None, Reference] = {None: baseline.overall} if pooled else {}
    references.update((source, reference) for source, reference in baseline.sources.items())
    current = _test_samples(_subjects(window, pooled=pooled), references)
    daily = [_test_samples(_subjects(day, pooled=pooled), references) for day in days]
    lasting = _test_lasting([_subjects(day, pooled=pooled) for day in days], references)
    findings: list[Finding] = []
    for source, reference in references.items():
        own = [day.get(source) for day in daily]
        findings += _findings(source, reference, current.get(source), own, lasting.get(source))
        if source is not None:
            findings += _silence(source, reference, active_sources)
    new: list[str | None] = [source for source in window if source not in baseline.sources]
    if pooled:  # for information only: validation pictures are not a reference of a source
        result = _test_samples(_subjects(window, pooled=False), dict.fromkeys(new, baseline.overall))
        for subject, results in result.items():
            findings += _findings(subject, baseline.overall, results, [], None)
    sources = {
        source: NEW if source in new else _status(source, findings, tested=source in current)
        for source in {**window, **baseline.sources}
    }
    confirmed = any(finding.confirmed for finding in findings)
    return DriftComparison(
        verdict=DRIFT if confirmed else OK if current else NOT_ENOUGH,
        sources=sources,
        effects=_largest_effects(current),
        findings=tuple(sorted(findings, key=_sort_key)),
        tests=sum(int(np.isfinite(results.p).sum()) for results in current.values()),
        days=len(days),
    )


def _subjects(samples: Mapping[str, Sample], *, pooled: bool) -> Mapping[str | None, Sample]:
    if pooled:
        return {None: merge(samples.values())}
    return {source: sample for source, sample in samples.items()}  # noqa: C416 -- widens the type of the keys


def _test_samples(
    samples: Mapping[str | None, Sample], references: Mapping[str | None, Reference]
) -> dict[str | None, _TestResults]:
    """Test the samples that have a reference and enough predictions, as one family of tests."""
    tested = {}
    for source, sample in samples.items():
        reference = references.get(source)
        if reference and sample.effective >= MIN_EFFECTIVE:
            changes = effects(sample, reference.moments)
            limits = np.maximum(_LIMITS, MARGIN * reference.days.largest) if reference.days else _LIMITS
            tested[source] = _TestResults(changes.values, _p_values(changes, reference, 1), limits, sample)
    return _correct(tested, ALPHA_DAY)


def _test_lasting(
    days: Sequence[Mapping[str | None, Sample]], references: Mapping[str | None, Reference]
) -> dict[str | None, _TestResults]:
    """Test the mean effect of the last days, for references that know how days differ."""
    tested = {}
    for source, reference in references.items():
        own = [day[source] for day in days if source in day and day[source].effective >= MIN_EFFECTIVE]
        if reference.days and len(own) >= _MIN_LASTING_DAYS:
            daily_effects = [effects(sample, reference.moments) for sample in own]
            mean = Effects(
                np.mean([day.values for day in daily_effects], axis=0),
                np.mean([day.sampling_variance for day in daily_effects], axis=0) / len(own),
                np.mean([day.reference_variance for day in daily_effects], axis=0),
            )
            p = _p_values(mean, reference, len(own))
            tested[source] = _TestResults(mean.values, p, _LIMITS, merge(own))
    return _correct(tested, ALPHA_LASTING)


def _correct(tested: Mapping[str | None, _TestResults], alpha: float) -> dict[str | None, _TestResults]:
    """Correct the p-values of a family of tests, and set what is significant."""
    if not tested:
        return {}
    together = np.concatenate([results.p for results in tested.values()])
    known = np.isfinite(together)
    together[known] = holm(together[known].tolist())
    return {
        source: replace(results, p=p, significant=(p < alpha) & (np.abs(results.effects) >= results.limits))
        for (source, results), p in zip(tested.items(), np.split(together, len(tested)), strict=True)
    }


def _p_values(changes: Effects, reference: Reference, days: int) -> NDArray[np.float64]:
    """Return the p-values of effects in the mean of `days` days without drift, NaN where the variance is unknown.

    The variance between days is that of the baseline's days, moderated by the expected one (Smyth 2004); the degrees
    of freedom are the sum of both. A baseline of validation pictures has no days, so the expected variance is used,
    and the proportions of labels, which depend on the site, are not tested.
    """
    from scipy.stats import norm, t  # noqa: PLC0415 -- takes a second to import

    if reference.days:
        count = reference.days.count
        freedom = _PRIOR_DAYS + count - 1
        between = (_PRIOR_DAYS * _PRIOR + (count - 1) * reference.days.variance) / freedom
        tail = t(freedom).sf
        between = between * (1 / days + 1 / count)
    else:
        between, tail = _PRIOR / days, norm.sf
    z = changes.values / np.sqrt(between + changes.sampling_variance + changes.reference_variance)
    p = np.where(_TWO_SIDED, 2 * tail(np.abs(z)), tail(z))
    return p if reference.days else np.where(_IS_PREDICTION, np.nan, p)


def _findings(
    source: str | None,
    reference: Reference,
    current: _TestResults | None,
    daily: Sequence[_TestResults | None],
    lasting: _TestResults | None,
) -> list[Finding]:
    """Return the findings of the window, the last two days and the mean of the days; related tests as one finding."""
    groups: dict[str, dict[int, _TestResults]] = {}
    for index in range(len(TESTS)):
        for results in (current, lasting, *daily[-CONFIRMING_DAYS:][::-1]):
            if results and results.significant[index]:
                groups.setdefault(_group_of(index), {})[index] = results
                break
    findings = []
    for group, members in groups.items():
        index = max(members, key=lambda test: abs(members[test].effects[test] / members[test].limits[test]))
        results = members[index]
        agreeing = max(_agreeing_days(test, result.effects[test], daily) for test, result in members.items())
        findings.append(
            Finding(
                source,
                group.partition(" ")[0],
                TESTS[index].kind,
                TESTS[index].statistic,
                float(abs(results.effects[index])),
                float(results.limits[index]),
                float(results.p[index]),
                agreeing,
                bool(lasting and any(lasting.significant[test] for test in members)),
                _describe(group, [*members], results, reference),
            )
        )
    return findings


def _agreeing_days(index: int, effect: float, daily: Sequence[_TestResults | None]) -> int:
    """Return the number of days that show an effect of this sign, 0 if none of the last two does."""
    agree = [bool(day and day.significant[index] and day.effects[index] * effect > 0) for day in daily]
    return sum(agree) if any(agree[-CONFIRMING_DAYS:]) else 0


def _silence(source: str, reference: Reference, active_sources: Sequence[Collection[str]]) -> list[Finding]:
    """Return a finding if a source is silent while others send; days without any record do not count."""
    *days, window = active_sources
    usual = reference.days.longest_silence if reference.days else 0
    days = [day for day in days if day]
    gap = next((number for number, day in enumerate(reversed(days)) if source in day), len(days))
    if not window or source in window or gap <= usual:
        return []
    words = f"no record arrived for {gap} whole day{'s' * (gap > 1)}; in the baseline never more than {usual}"
    return [
        Finding(source, SILENCE, SILENT, "days", gap, usual + 1, 0.0, gap - usual, lasting=False, words=words)
    ]


def _status(source: str, findings: Sequence[Finding], *, tested: bool) -> str:
    own = [finding for finding in findings if finding.source == source]
    if any(finding.kind == SILENT for finding in own):
        return SILENT
    if own:
        return DRIFT if any(finding.confirmed for finding in own) else SUSPECTED
    return OK if tested else NOT_ENOUGH


def _largest_effects(current: Mapping[str | None, _TestResults]) -> dict[str, float]:
    largest: dict[str, float] = {}
    for results in current.values():
        for test, value, p in zip(TESTS, results.effects, results.p, strict=True):
            if np.isfinite(p):
                size = abs(value) if test.kind != CONFIDENCE_DROP else max(value, 0.0)
                largest[test.kind] = max(largest.get(test.kind, 0.0), float(size))
    return {kind: largest[kind] for kind in KINDS if kind in largest}


def _sort_key(finding: Finding) -> tuple[bool, bool, str, float]:
    exceeded = finding.effect / finding.limit
    return not finding.confirmed, finding.source is not None, finding.source or "", -exceeded


def _group_of(index: int) -> str:
    """Return a test's group: `projection`, `label`, or its feature and its statistic with a blank between."""
    test = TESTS[index]
    return {EMBEDDING: PROJECTION, PREDICTION: LABEL}.get(test.kind, f"{test.feature} {test.statistic}")


def _describe(group: str, indexes: Sequence[int], results: _TestResults, reference: Reference) -> str:
    """Describe the change, with reference and current values."""
    sample, test = results.sample, TESTS[indexes[0]]
    if group == PROJECTION:
        changed = len({TESTS[index].feature for index in indexes})
        text = f"{changed} of the {len(PROJECTIONS)} dimensions of the network's embedding have changed"
    elif group == LABEL:
        text = f"the proportions of labels have changed: {_describe_labels(sample, reference)}"
    else:
        text = _describe_change(test.feature, test.statistic, results.effects[indexes[0]], sample, reference)
    return f"{text} ({sample.effective:,.0f} independent predictions of {sample.predictions:,})"


def _describe_labels(sample: Sample, reference: Reference) -> str:
    counts, current = reference.label_counts(), sample.label_counts()
    was, is_ = max(sum(counts.values()), 1), max(len(sample.labels), 1)
    return ", ".join(f"{label} {counts[label] / was:.0%} → {current[label] / is_:.0%}" for label in LABELS)


def _describe_change(
    feature: str, statistic: str, effect: float, sample: Sample, reference: Reference
) -> str:
    index = FEATURES.index(feature)
    moments = reference.moments
    shares = np.bincount(sample.labels, minlength=len(LABELS)) / len(sample.labels)
    expected = float(shares @ moments.means[:, index])
    title = TITLES.get(feature, feature)
    if statistic == SPREAD:
        return f"{title} is spread {'more' if effect > 0 else 'less'} widely, by {abs(np.expm1(effect)):.0%}"
    current = float(sample.values[:, index].mean())
    if feature == CONFIDENCE:
        return f"the mean confidence was {expected:.1%} with these labels and is {current:.1%}"
    direction = "risen" if effect > 0 else "fallen"
    was, is_ = format_value(feature, expected), format_value(feature, current)
    return f"{title} has {direction}: the mean was {was} and is {is_}"
