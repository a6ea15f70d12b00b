"""A window's predictions, and those of the days before it, against the baseline: what has changed, and how surely.

Each source is compared with its own past. A change is *large* on a day when its effect reaches the limit of its kind
and exceeds the largest effect of any day of the baseline by a margin. It is *unlikely* when its p-value, which allows
for how days differ, stays below `ALPHA_DAY` after Holm's correction for all tests of the day. It is drift when two
separate days say so, one of them of the last two; or when the mean of the last days has moved by the limit, which is
unlikely at `ALPHA_LASTING` (a moving estimates test, Chu, Hornik and Kuan 1995, with days as its unit).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift.effects import (
    CONFIDENCE_DROP,
    EMBEDDING,
    KINDS,
    MEAN,
    MIN_EFFECTIVE,
    PREDICTION,
    SPREAD,
    TESTS,
    Effects,
    effects,
)
from functions.drift.features import FEATURES, PROJECTIONS, TITLES, merged, shown
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from functions.drift.baseline import Baseline, Reference
    from functions.drift.features import Sample

ALPHA_DAY: Final = 0.02
ALPHA_LASTING: Final = 0.005
DAYS: Final = 7  # before the window's end that are looked at
CONFIRMING: Final = 2  # days that make a drift
MARGIN: Final = 1.25  # by which the largest effect of the baseline's days has to be exceeded
LABEL, PROJECTION, SILENCE = "label", "projection", "records"
SILENT: Final = "silent"  # the kind of a source's silence, beside `KINDS`
OK, SUSPECTED, DRIFT, NEW, NOT_ENOUGH = "ok", "suspected", "drift", "new", "not enough"
_MIN_LASTING: Final = 5  # days, of fewer of which no mean is taken
_PRIOR_DAYS: Final = 4  # of the baseline that what is expected between days weighs as much as
_LIMITS: Final = np.array([test.limit for test in TESTS])
_PRIOR: Final = np.array([test.between_days**2 for test in TESTS])
_TWO_SIDED: Final = np.array([test.kind != CONFIDENCE_DROP for test in TESTS])
_OF_LABELS: Final = np.array([test.kind == PREDICTION for test in TESTS])


@dataclass(frozen=True)
class Finding:
    """What has changed.

    Attributes:
        source: Whose predictions; None for all together.
        feature: One of the features, `label` for the mix of labels, `projection` for what the network sees, or
            `records` of a source that sends none.
        kind: One of `KINDS`, or `silent`.
        of: What of the feature: its `mean`, its `spread`, or the `share` of labels; of silence, `days`.
        effect: How large the difference is, in the unit of its kind, see `Test.limit`; of silence, days.
        limit: The effect from which it counts.
        p: How likely a difference as large is by chance, corrected for the number of tests.
        days: How many of the last days say so.
        lasting: Whether the mean of the last days says so.
        words: What to tell a person.
    """

    source: str | None
    feature: str
    kind: str
    of: str
    effect: float
    limit: float
    p: float
    days: int
    lasting: bool
    words: str

    @property
    def confirmed(self) -> bool:
        """Whether it is drift rather than a suspicion."""
        return self.lasting or self.days >= CONFIRMING


@dataclass(frozen=True)
class Comparison:
    """What came of comparing a window, and the days before it, with the baseline.

    Attributes:
        verdict: `ok`, `drift`, or `not enough` predictions to tell.
        sources: The status of each source: `ok`, `suspected`, `drift`, `silent`, `new` or `not enough`.
        effects: The largest effect of each kind that was tested in the window, chance or not.
        findings: What has changed; what is confirmed first, then by how much the limit is exceeded.
        tests: How many tests of the window there were.
        days: How many complete days were looked at.
    """

    verdict: str
    sources: Mapping[str, str]
    effects: Mapping[str, float]
    findings: tuple[Finding, ...]
    tests: int
    days: int


@dataclass(frozen=True)
class _Verdicts:
    """The tests of one sample: effects, corrected p-values and which are both unlikely and large; each (tests,)."""

    effects: NDArray[np.float64]
    p: NDArray[np.float64]
    limits: NDArray[np.float64]
    significant: NDArray[np.bool_]
    sample: Sample


def compare(
    window: Mapping[str, Sample], days: Sequence[Mapping[str, Sample]], baseline: Baseline
) -> Comparison:
    """Compare each source with its own past, or, where none has one, all together with the baseline.

    Args:
        window: The predictions by source.
        days: The same of the complete days before the window's end, the latest last.
        baseline: Of the same model version.
    """
    days = days[-DAYS:]
    alone = not baseline.sources
    references: dict[str | None, Reference] = {None: baseline.overall} if alone else {}
    references.update((source, reference) for source, reference in baseline.sources.items())
    now = _tested(_subjects(window, alone=alone), references, ALPHA_DAY)
    daily = [_tested(_subjects(day, alone=alone), references, ALPHA_DAY) for day in days]
    lasting = _lasting([_subjects(day, alone=alone) for day in days], references)
    found: list[Finding] = []
    for source, reference in references.items():
        own = [day.get(source) for day in daily]
        found += _findings(source, reference, now.get(source), own, lasting.get(source))
        if source is not None:
            found += _silence(source, reference, window, days)
    new: list[str | None] = [source for source in window if source not in baseline.sources]
    if alone:  # for information: a release's own pictures are no source's past
        result = _tested(_subjects(window, alone=False), dict.fromkeys(new, baseline.overall), ALPHA_DAY)
        found += [
            one for source in result for one in _findings(source, baseline.overall, result[source], [], None)
        ]
    sources = {
        source: NEW if source in new else _status(source, found, tested=source in now)
        for source in {**window, **baseline.sources}
    }
    confirmed = any(finding.confirmed for finding in found)
    return Comparison(
        verdict=DRIFT if confirmed else OK if now else NOT_ENOUGH,
        sources=sources,
        effects=_largest(now),
        findings=tuple(sorted(found, key=_order)),
        tests=sum(int(np.isfinite(verdicts.p).sum()) for verdicts in now.values()),
        days=len(days),
    )


def holm(ps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values (n,) for being many (Holm 1979): what is then below a level holds at it."""
    order = np.argsort(ps, kind="stable")
    stepped = ps[order] * np.arange(len(ps), 0, -1)
    corrected = np.empty_like(ps)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return corrected


def _subjects(samples: Mapping[str, Sample], *, alone: bool) -> Mapping[str | None, Sample]:
    if alone:
        return {None: merged(samples.values())}
    return {source: sample for source, sample in samples.items()}  # noqa: C416 -- None is a key beside them


def _tested(
    samples: Mapping[str | None, Sample], references: Mapping[str | None, Reference], alpha: float
) -> dict[str | None, _Verdicts]:
    """Test what has a reference and enough predictions, all in one family."""
    compared = {
        source: effects(sample, references[source].moments)
        for source, sample in samples.items()
        if source in references and sample.effective >= MIN_EFFECTIVE
    }
    ps = {
        source: _p_values(found.values, found.sampling + found.of_reference, references[source], 1)
        for source, found in compared.items()
    }
    limits = {source: _day_limits(references[source]) for source in compared}
    return _corrected(compared, ps, limits, samples, alpha)


def _lasting(
    days: Sequence[Mapping[str | None, Sample]], references: Mapping[str | None, Reference]
) -> dict[str | None, _Verdicts]:
    """Test the mean effect of the last days, where the reference knows how days differ."""
    compared, ps, limits, samples = {}, {}, {}, {}
    for source, reference in references.items():
        own = [day[source] for day in days if source in day and day[source].effective >= MIN_EFFECTIVE]
        if reference.days and len(own) >= _MIN_LASTING:
            each = [effects(sample, reference.moments) for sample in own]
            mean = Effects(
                np.mean([one.values for one in each], axis=0),
                np.mean([one.sampling for one in each], axis=0) / len(own),
                np.mean([one.of_reference for one in each], axis=0),
            )
            compared[source], limits[source], samples[source] = mean, _LIMITS, merged(own)
            ps[source] = _p_values(mean.values, mean.sampling + mean.of_reference, reference, len(own))
    return _corrected(compared, ps, limits, samples, ALPHA_LASTING)


def _corrected(
    compared: Mapping[str | None, Effects],
    ps: Mapping[str | None, NDArray[np.float64]],
    limits: Mapping[str | None, NDArray[np.float64]],
    samples: Mapping[str | None, Sample],
    alpha: float,
) -> dict[str | None, _Verdicts]:
    if not compared:
        return {}
    together = np.concatenate([ps[source] for source in compared])
    tested = np.isfinite(together)
    together[tested] = holm(together[tested])
    verdicts = {}
    for source, p in zip(compared, np.split(together, len(compared)), strict=True):
        values = compared[source].values
        significant = (p < alpha) & (np.abs(values) >= limits[source])
        verdicts[source] = _Verdicts(values, p, limits[source], significant, samples[source])
    return verdicts


def _p_values(
    values: NDArray[np.float64], chance: NDArray[np.float64], reference: Reference, days: int
) -> NDArray[np.float64]:
    """Return how likely effects as large are on so many days of an unchanged world; NaN where that is not known.

    The variance between days is that of the baseline's days, moderated by what is expected, as that of genes is
    (Smyth 2004); the degrees of freedom are those of both together. A release's own pictures have no days: then it is
    the expected one, and of the labels, which depend on the place, nothing is known.
    """
    from scipy.stats import norm, t  # noqa: PLC0415 -- takes a second to import, and is needed here only

    if reference.days:
        count = reference.days.count
        freedom = _PRIOR_DAYS + count - 1
        between = (_PRIOR_DAYS * _PRIOR + (count - 1) * reference.days.variance) / freedom
        tail = t(freedom).sf
        between = between * (1 / days + 1 / count)
    else:
        between, tail = _PRIOR / days, norm.sf
    z = values / np.sqrt(between + chance)
    p = np.where(_TWO_SIDED, 2 * tail(np.abs(z)), tail(z))
    return p if reference.days else np.where(_OF_LABELS, np.nan, p)


def _day_limits(reference: Reference) -> NDArray[np.float64]:
    return np.maximum(_LIMITS, MARGIN * reference.days.largest) if reference.days else _LIMITS


def _findings(
    source: str | None,
    reference: Reference,
    now: _Verdicts | None,
    daily: Sequence[_Verdicts | None],
    lasting: _Verdicts | None,
) -> list[Finding]:
    """Return what the window, the last two days or the mean of the days say; tests of one thing as one finding."""
    groups: dict[str, list[tuple[int, _Verdicts]]] = {}
    for place in range(len(TESTS)):
        for verdicts in (now, lasting, *daily[-CONFIRMING:][::-1]):
            if verdicts and verdicts.significant[place]:
                groups.setdefault(_group(place), []).append((place, verdicts))
                break
    findings = []
    for group, members in groups.items():
        place, verdicts = max(members, key=lambda one: abs(one[1].effects[one[0]] / one[1].limits[one[0]]))
        places = [one for one, _ in members]
        agreeing = max(_agreeing(one, said.effects[one], daily) for one, said in members)
        findings.append(
            Finding(
                source,
                _named(place),
                TESTS[place].kind,
                TESTS[place].of,
                float(abs(verdicts.effects[place])),
                float(verdicts.limits[place]),
                float(verdicts.p[place]),
                agreeing,
                bool(lasting and any(lasting.significant[one] for one in places)),
                _words(group, places, verdicts, reference),
            )
        )
    return findings


def _agreeing(place: int, effect: float, daily: Sequence[_Verdicts | None]) -> int:
    """Return how many days say the same, if one of the last two is among them."""
    said = [bool(day and day.significant[place] and day.effects[place] * effect > 0) for day in daily]
    return sum(said) if any(said[-CONFIRMING:]) else 0


def _silence(
    source: str, reference: Reference, window: Mapping[str, Sample], days: Sequence[Mapping[str, Sample]]
) -> list[Finding]:
    usual = reference.days.longest_silence if reference.days else 0
    silent = next((number for number, day in enumerate(reversed(days)) if source in day), len(days))
    if not window or source in window or silent <= usual:
        return []
    words = (
        f"no record came for {silent} whole day{'s' * (silent > 1)}; in the baseline never more than {usual}"
    )
    return [
        Finding(
            source,
            SILENCE,
            SILENT,
            "days",
            silent,
            usual + 1,
            0.0,
            silent - usual,
            lasting=False,
            words=words,
        )
    ]


def _status(source: str, findings: Sequence[Finding], *, tested: bool) -> str:
    own = [finding for finding in findings if finding.source == source]
    if any(finding.kind == SILENT for finding in own):
        return SILENT
    if own:
        return DRIFT if any(finding.confirmed for finding in own) else SUSPECTED
    return OK if tested else NOT_ENOUGH


def _largest(now: Mapping[str | None, _Verdicts]) -> dict[str, float]:
    largest: dict[str, float] = {}
    for verdicts in now.values():
        for test, value, p in zip(TESTS, verdicts.effects, verdicts.p, strict=True):
            if np.isfinite(p):
                size = abs(value) if test.kind != CONFIDENCE_DROP else max(value, 0.0)
                largest[test.kind] = max(largest.get(test.kind, 0.0), float(size))
    return {kind: largest[kind] for kind in KINDS if kind in largest}


def _order(finding: Finding) -> tuple[bool, bool, str, float]:
    exceeded = finding.effect / finding.limit
    return not finding.confirmed, finding.source is not None, finding.source or "", -exceeded


def _group(place: int) -> str:
    test = TESTS[place]
    return {EMBEDDING: PROJECTION, PREDICTION: LABEL}.get(test.kind, f"{test.feature} {test.of}")


def _named(place: int) -> str:
    test = TESTS[place]
    return {EMBEDDING: PROJECTION, PREDICTION: LABEL}.get(test.kind, test.feature)


def _words(group: str, places: Sequence[int], verdicts: _Verdicts, reference: Reference) -> str:
    """Say what has changed, from what to what."""
    sample, test = verdicts.sample, TESTS[places[0]]
    if group == PROJECTION:
        changed = len({TESTS[place].feature for place in places})
        said = f"{changed} of the {len(PROJECTIONS)} figures that sum up what the network sees have changed"
    elif group == LABEL:
        said = f"other labels than before: {_shares(sample, reference)}"
    else:
        said = _change(test.feature, test.of, verdicts.effects[places[0]], sample, reference)
    return f"{said} (by {sample.effective:,.0f} independent predictions of {sample.seen:,})"


def _shares(sample: Sample, reference: Reference) -> str:
    counts, now = reference.label_counts(), sample.label_counts()
    was, is_ = max(sum(counts.values()), 1), max(len(sample.labels), 1)
    return ", ".join(f"{label} {counts[label] / was:.0%} → {now[label] / is_:.0%}" for label in LABELS)


def _change(feature: str, of: str, effect: float, sample: Sample, reference: Reference) -> str:
    place = FEATURES.index(feature)
    moments = reference.moments
    shares = np.bincount(sample.labels, minlength=len(LABELS)) / len(sample.labels)
    expected = float(shares @ moments.means[:, place])
    title = TITLES.get(feature, feature)
    if of == SPREAD:
        return f"{title} is spread {'more' if effect > 0 else 'less'} widely, by {abs(np.expm1(effect)):.0%}"
    now = float(sample.values[:, place].mean())
    if TESTS[_test_of(feature)].kind == CONFIDENCE_DROP:
        return f"the mean confidence was {expected:.1%} with these labels and is {now:.1%}"
    direction = "risen" if effect > 0 else "fallen"
    return f"{title} has {direction}: the mean was {shown(feature, expected)} and is {shown(feature, now)}"


def _test_of(feature: str) -> int:
    return next(place for place, test in enumerate(TESTS) if test.feature == feature and test.of == MEAN)
