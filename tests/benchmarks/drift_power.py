"""Measure Drift's power and its false alarms on simulated sites: `python -m tests.benchmarks.drift_power`.

Sites are drawn at random (see `drift_worlds`). Two weeks are the baseline; each of the thirty days after it is
compared once, at its midnight. If the site does not change, every start of an alarm is a false alarm. If it changes
on the eighth day, the power is how often that is detected, and after how many days.
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import numpy as np

from functions.drift import compare as comparing
from functions.drift.baseline import build
from functions.drift.compare import DAYS, DRIFT, compare
from functions.drift.features import APPEARANCE, PROJECTIONS
from functions.drift.report import OTHER_VERSION, BaselineInfo, verdict_of
from tests.benchmarks.drift_worlds import MINUTES, Change, Site, World, thinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from functions.drift.effects import Effects, Moments
    from functions.drift.features import Sample
    from tests.benchmarks.drift_worlds import Frames

BASELINE_DAYS: Final = 14
MONTH: Final = 30  # days
BEFORE: Final = 7  # days of the month before the change
RELEASE: Final = "1"
USUAL: Final = World(weather=0.05, night=1.0)

UNCHANGED: Final = {
    "4 equal cameras": World(),
    "30 equal cameras": World(sources=30, people=40),
    "100 equal cameras": World(sources=100, people=40),
    "50 unique scenes a day, of ten frames": World(sources=1, people=50, frames=10),
    "60 regulars, every day": World(regulars=60),
    "day and night": World(night=1.5),
    "weather: 5% of the variance between days": World(weather=0.05),
    "weather that lasts: the same, correlation 0.5": World(weather=0.05, inertia=0.5),
    "weekend proportions, 30 cameras": World(sources=30, people=40, weekend=(0.3, 1.2)),
    "all of it, 30 cameras": World(
        sources=30, people=40, weekend=(0.3, 1.2), weather=0.05, night=1.5, regulars=100
    ),
}


def _all(by: float) -> dict[str, float]:
    return dict.fromkeys(PROJECTIONS, by)


CHANGED: Final[dict[str, Sequence[tuple[str, Change]]]] = {
    "brightness of one camera": [
        (f"{by} SD", Change(by={"brightness": by}, sources=1)) for by in (-0.5, -1.0, -2.0)
    ],
    "blur of one camera": [
        (f"{by} SD", Change(by={"sharpness": by}, sources=1)) for by in (-0.5, -1.0, -2.0)
    ],
    "spread of one camera's contrast": [
        (f"x {by}", Change(wider={"contrast": by}, sources=1)) for by in (1.3, 1.7, 2.5)
    ],
    "another kind of people, everywhere": [(f"{by} SD", Change(by=_all(by))) for by in (0.3, 0.6, 1.0)],
    "fewer masks, similar pictures": [
        (f"80% → {after:.0%}", Change(labels=(after, 0.97 - after, 0.03))) for after in (0.7, 0.6, 0.4)
    ],
    "less confidence": [(f"-{by:.0%}", Change(unsure=by)) for by in (0.02, 0.05, 0.1)],
    "slow drift of all pictures": [
        (f"{by} SD a day", Change(by_day=dict.fromkeys(APPEARANCE, by))) for by in (0.02, 0.05, 0.1)
    ],
    "a camera falls silent": [("all of it", Change(sources=1, gone=True))],
    "another release scores, from noon on": [("all of it", Change(release=True))],
}
NEW_SOURCES: Final = {  # the existing cameras do not change: every alarm is a false one
    "a new camera in addition to four, from the second week on": Change(newcomers=1),
    "four new cameras in addition to four, from the second week on": Change(newcomers=4),
}


@dataclass(frozen=True)
class Run:
    """The alarms of one site.

    Attributes:
        alarms: Whether there was an alarm, for each day.
        named: The kinds of the confirmed findings.
    """

    alarms: tuple[bool, ...]
    named: frozenset[str]

    @property
    def onsets(self) -> int:
        """How often an alarm began."""
        return sum(now and not then for then, now in zip((False, *self.alarms), self.alarms, strict=False))

    @property
    def delay(self) -> int | None:
        """The number of whole days from the change to an alarm."""
        changed = self.alarms[BEFORE:]
        return changed.index(True) + 1 if True in changed else None


def _cached(effects: Callable[[Sample, Moments], Effects]) -> Callable[[Sample, Moments], Effects]:
    """Cache the effects of a day, which is part of several comparisons."""
    known: dict[tuple[int, int], Effects] = {}

    def recall(sample: Sample, reference: Moments) -> Effects:
        key = id(sample), id(reference)
        if key not in known:
            known[key] = effects(sample, reference)
        return known[key]

    return recall


def run(world: World, change: Change | None, seed: int) -> Run:
    """Simulate a site, and compare each of its days with the baseline."""
    rng = np.random.default_rng(seed)
    onset = BASELINE_DAYS + BEFORE
    past = list(samples(world, change, onset, rng))
    baseline = build(RELEASE, past[:BASELINE_DAYS])
    info = BaselineInfo("", RELEASE, own=True)
    alarms, named = [], set()
    with patch.object(comparing, "effects", _cached(comparing.effects)):
        for day in range(BASELINE_DAYS, BASELINE_DAYS + MONTH):
            result = compare(past[day], past[max(BASELINE_DAYS, day - DAYS + 1) : day + 1], baseline)
            serving = "another" if change and change.release and day >= onset else RELEASE
            verdict = verdict_of(result, info, serving)
            alarms.append(verdict in {DRIFT, OTHER_VERSION})
            if verdict == OTHER_VERSION:
                named.add(verdict)
            else:
                named |= {finding.kind for finding in result.findings if finding.confirmed}
    return Run(tuple(alarms), frozenset(named))


def samples(
    world: World, change: Change | None, onset: int, rng: np.random.Generator
) -> Iterator[dict[str, Sample]]:
    """Yield the samples of each day by source, as the baseline's release scored them."""
    site = Site(world, rng)
    others = Site(replace(world, sources=change.newcomers), rng) if change and change.newcomers else None
    for number in range(BASELINE_DAYS + MONTH):
        changed = change if number >= onset else None
        day = site.day(number, changed, onset)
        if changed and others:
            day |= {f"new-{source}": frames for source, frames in others.day(number).items()}
        if changed and changed.release:
            day = {source: _before_noon(frames) for source, frames in day.items()} if number == onset else {}
        yield {source: thinned(frames, rng) for source, frames in day.items()}


def _before_noon(frames: Frames) -> Frames:
    values, labels, minutes = frames
    before = minutes < MINUTES // 2
    return values[before], labels[before], minutes[before]


def unchanged(runs: int, pool: ProcessPoolExecutor) -> Iterator[str]:
    """Yield the lines of the table of false alarms."""
    yield "| an unchanged site | months | false alarms | days with an alarm | alarms a month |"
    yield "|---|---:|---:|---:|---:|"
    sites = [(name, world, None) for name, world in UNCHANGED.items()]
    sites += [(name, USUAL, change) for name, change in NEW_SOURCES.items()]
    for name, world, change in sites:
        result = list(pool.map(run, [world] * runs, [change] * runs, range(runs)))
        onsets, days = sum(one.onsets for one in result), sum(sum(one.alarms) for one in result)
        yield f"| {name} | {runs} | {onsets} | {days} of {runs * MONTH} | {onsets / runs:.2f} |"


def changed(runs: int, pool: ProcessPoolExecutor) -> Iterator[str]:
    """Yield the lines of the table of power."""
    yield "| what changes on four cameras with weather and nights | by | detected | after, median days | as |"
    yield "|---|---:|---:|---:|---|"
    for name, sizes in CHANGED.items():
        for size, change in sizes:
            result = list(pool.map(run, [USUAL] * runs, [change] * runs, range(runs)))
            delays = [one.delay for one in result if one.delay]
            kinds = Counter(kind for one in result for kind in one.named)
            named = ", ".join(f"{kind} {count / runs:.0%}" for kind, count in kinds.most_common()) or "-"
            median = f"{np.median(delays):.0f}" if delays else "-"
            yield f"| {name} | {size} | {len(delays)} of {runs} | {median} | {named} |"


def main() -> None:
    """Simulate, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="sites of each kind (default: %(default)s)")
    parser.add_argument("--only", choices=("unchanged", "changed"), help="one of the tables")
    parser.add_argument("--processes", type=int, default=1, help="(default: %(default)s)")
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:
        for table in (unchanged, changed):
            if options.only not in {None, table.__name__}:
                continue
            for line in table(options.runs, pool):
                print(line, flush=True)  # noqa: T201
            print(flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
