"""Simulated sites with cameras, whose visitors stay for seconds, may return, and vary by hour and weekday."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift.features import APPEARANCE, CONFIDENCE, FEATURES, PROJECTIONS, Sample, effective_number
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MINUTES: Final = 24 * 60
WEEK: Final = 7
_APPEARANCE: Final = [FEATURES.index(feature) for feature in APPEARANCE]
_PROJECTIONS: Final = [FEATURES.index(feature) for feature in PROJECTIONS]
_CONFIDENCE: Final = FEATURES.index(CONFIDENCE)
_OF_PERSON: Final = (
    0.8  # standard deviation between people; the rest of the variance of 1 is between their frames
)
_CERTAINTY: Final = np.array([40.0, 20.0, 8.0])  # of beta distributions, by label


@dataclass(frozen=True)
class Change:
    """A change of a site on a day.

    Attributes:
        by: Standard deviations by which features move.
        by_day: Standard deviations by which features move further on each day.
        wider: Factors of the spread of features.
        labels: The new shares of the labels.
        unsure: The decrease in confidence.
        sources: The number of sources affected; None for all.
        gone: Whether these stop sending.
        newcomers: The number of new cameras.
        release: Whether another release scores the pictures, from noon of the first day on.
    """

    by: Mapping[str, float] = field(default_factory=dict)
    by_day: Mapping[str, float] = field(default_factory=dict)
    wider: Mapping[str, float] = field(default_factory=dict)
    labels: tuple[float, float, float] | None = None
    unsure: float = 0.0
    sources: int | None = None
    gone: bool = False
    newcomers: int = 0
    release: bool = False


@dataclass(frozen=True)
class World:
    """A site.

    Attributes:
        sources: The number of cameras.
        people: Visitors of a camera on a weekday, on average.
        frames: Frames of each visitor, on average, six seconds apart.
        regulars: The size of the population from which visitors are drawn every day; None if all are new.
        night: Standard deviations by which pictures are darker and noisier from 20 to 6 o'clock.
        weather: Share of the variance of the appearance that is between days, equal for all cameras.
        inertia: Correlation of the weather with that of the day before.
        weekend: Factors of the number of visitors on weekends, alternating between the sources.
        labels: Shares of the labels.
    """

    sources: int = 4
    people: float = 60.0
    frames: float = 8.0
    regulars: int | None = None
    night: float = 0.0
    weather: float = 0.0
    inertia: float = 0.0
    weekend: tuple[float, float] = (1.0, 1.0)
    labels: tuple[float, float, float] = (0.8, 0.17, 0.03)


Frames = tuple["NDArray[np.float32]", "NDArray[np.int8]", "NDArray[np.int64]"]  # features, labels, minutes


class Site:
    """Generates the frames of a site, one day after the other."""

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self._world, self._rng = world, rng
        self._base = rng.normal(0, 1, (world.sources, len(FEATURES)))
        self._of_label = rng.normal(0, 0.7, (len(LABELS), len(FEATURES)))
        self._pool = rng.normal(0, _OF_PERSON, (world.sources, world.regulars or 1, len(FEATURES)))
        self._pool_labels = self._drawn_labels((world.sources, world.regulars or 1), world.labels)
        self._sky = np.zeros(len(_APPEARANCE))

    def day(self, number: int, change: Change | None = None, since: int = 0) -> dict[str, Frames]:
        """Return the frames of a day by source; from the day `since` on, the change is in force."""
        world, rng = self._world, self._rng
        fresh = rng.normal(0, 1, len(_APPEARANCE))
        self._sky = world.inertia * self._sky + np.sqrt(1 - world.inertia**2) * fresh
        day = {}
        for source in range(world.sources):
            applies = change is not None and (change.sources is None or source < change.sources)
            if applies and change.gone:
                continue
            factor = world.weekend[source % 2] if number % WEEK >= 5 else 1.0
            frames = self._frames(source, factor, change if applies else None, number - since + 1)
            if len(frames[1]):
                day[f"gate-{source:03}"] = frames
        return day

    def _frames(self, source: int, factor: float, change: Change | None, elapsed: int) -> Frames:
        world, rng = self._world, self._rng
        people = rng.poisson(world.people * factor)
        shares = change.labels if change and change.labels else world.labels
        if world.regulars:
            who = rng.integers(0, world.regulars, people)
            person, label = self._pool[source, who], self._pool_labels[source, who]
            if change and change.labels:
                label = self._drawn_labels(people, shares)
        else:
            person = rng.normal(0, _OF_PERSON, (people, len(FEATURES)))
            label = self._drawn_labels(people, shares)
        stay = 1 + rng.poisson(world.frames - 1, people)
        start = rng.integers(0, MINUTES * 10, people)  # in steps of six seconds
        of = np.repeat(np.arange(people), stay)
        step = np.arange(len(of)) - np.repeat(np.cumsum(stay) - stay, stay)
        minutes = np.minimum((start[of] + step) // 10, MINUTES - 1)
        labels = label[of]
        z = person[of] + rng.normal(0, np.sqrt(1 - _OF_PERSON**2), (len(of), len(FEATURES)))
        z[:, _PROJECTIONS] += self._of_label[labels][:, _PROJECTIONS]
        z[:, _APPEARANCE] += 0.3 * self._of_label[labels][:, _APPEARANCE]
        dark = (minutes < 6 * 60) | (minutes >= 20 * 60)
        z[:, _APPEARANCE[0]] -= world.night * dark
        z[:, _APPEARANCE[4]] += world.night * dark
        z[:, _APPEARANCE] = (
            np.sqrt(1 - world.weather) * z[:, _APPEARANCE] + np.sqrt(world.weather) * self._sky
        )
        confidence = rng.beta(_CERTAINTY[labels], 1)
        if change:
            for feature, by in {**change.by, **change.by_day}.items():
                days = elapsed if feature in change.by_day else 1
                z[:, FEATURES.index(feature)] += by * days
            for feature, by in change.wider.items():
                z[:, FEATURES.index(feature)] *= by
            confidence -= change.unsure
        z += self._base[source]
        values = z.copy()
        values[:, _APPEARANCE] = 0.4 + 0.1 * z[:, _APPEARANCE]
        values[:, FEATURES.index("size")], values[:, FEATURES.index("shape")] = 9.1, 0.415
        values[:, FEATURES.index("faces")] = 1 + (z[:, FEATURES.index("faces")] > 1)
        values[:, FEATURES.index("face_side")] = 6 + 0.5 * z[:, FEATURES.index("face_side")]
        values[:, _CONFIDENCE] = confidence.clip(0.34, 1)
        return values.astype(np.float32), labels.astype(np.int8), minutes

    def _drawn_labels(self, size: int | tuple[int, ...], shares: tuple[float, ...]) -> NDArray[np.int8]:
        return self._rng.choice(len(LABELS), size, p=shares).astype(np.int8)


def thinned(frames: Frames, rng: np.random.Generator) -> Sample:
    """Return one frame of each minute, as Drift's sampler keeps them."""
    values, labels, minutes = frames
    shuffled = rng.permutation(len(minutes))
    _, first = np.unique(minutes[shuffled], return_index=True)
    kept = shuffled[first]
    return Sample(values[kept], labels[kept], len(minutes), effective_number(values[kept]))
