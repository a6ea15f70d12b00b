"""Compares a challenger with the serving release: on the same pictures in shadow mode, or on different sources."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.drift.accuracy import Share, design_effect, share
from functions.drift.sample import BURST, HashSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.drift.accuracy import LabelledPrediction
    from functions.shared.record import Record

MIN_DIFFERENCE: Final = 0.02  # of two accuracies, to be detected
SIGNIFICANCE: Final = 0.05  # two-sided
POWER: Final = 0.8  # the probability of detecting `MIN_DIFFERENCE`
_ASSUMED_ACCURACY: Final = 0.9  # while there are fewer than `_MIN_LABELS` labels
_MIN_LABELS: Final = 30
_MAX_MS: Final = 900_000  # Lambda's timeout; a longer time is damaged

TOO_FEW: Final = "too few labels"
BETTER: Final = "better"
WORSE: Final = "worse"
ALIKE: Final = "alike"


@dataclass(frozen=True)
class Side:
    """One of the two releases in the window.

    Attributes:
        model_version: Version of the release.
        pictures: How many pictures it scored.
        labels: Its answers by label (of the largest face).
        median_ms: Median time of detection and classification; None if there are no pictures.
        p95_ms: The 95th percentile of this time.
        judged: How many labels of the audit sample are about its pictures.
        accuracy: Its accuracy on these; None if there are none.
        needed: How many more labels are needed for a verdict.
    """

    model_version: str
    pictures: int
    labels: Mapping[str, int]
    median_ms: float | None
    p95_ms: float | None
    judged: int
    accuracy: Share | None
    needed: int


@dataclass(frozen=True)
class Challenge:
    """The comparison of two releases in a window.

    Attributes:
        shadow: Whether the challenger runs in shadow mode, on the pictures that the serving release answers, by its
            newest prediction in the window.
        live: The serving release; `live` is its key in reports.
        challenger: The challenger.
        agreement: The share of pictures to which both gave the same label; its interval counts the frames of a source
            and minute as one. None if no picture was scored by both.
        disagreements: The serving release's label, the challenger's label, and how often this pair occurred.
        p: p-value of the hypothesis that both are equally accurate; None if there is nothing to test.
        verdict: `too few labels` until there are enough to detect `MIN_DIFFERENCE`, because repeated tests would find
            differences by chance; then whether the challenger is `better`, `worse` or `alike`.
    """

    shadow: bool
    live: Side
    challenger: Side
    agreement: Share | None
    disagreements: Sequence[tuple[str, str, int]]
    p: float | None
    verdict: str


class Tally:
    """Counts the answers of two releases in the window.

    Args:
        serving: Version of the serving release.
        challenger: Version of the challenger; empty if there is none.
    """

    def __init__(self, serving: str, challenger: str) -> None:
        self.serving, self.challenger = serving, challenger
        self._seen, self._minutes = HashSet(), 0
        self._labels = {serving: Counter[str](), challenger: Counter[str]()}
        self._times = {serving: array("f"), challenger: array("f")}
        self._pairs = Counter[tuple[str, str]]()
        # Of the challenger's newest prediction: its Unix time, and whether it is a shadow prediction.
        self._newest = 0.0, False

    def add(self, record: Record) -> None:
        """Count a prediction or a shadow prediction."""
        body = record.body
        if body is None or record.model_version not in self._labels:
            return
        if record.shadow:
            if body["live"]["model_version"] != self.serving:
                return
            self._pairs[body["live"]["label"], body["label"]] += 1
            self._minutes += self._seen.add(hash((record.source, int(record.taken // BURST))) % 2**64)
        if record.model_version == self.challenger:
            self._newest = max(self._newest, (record.time, record.shadow))
        self._labels[record.model_version][body["label"]] += 1
        times = [body.get(name) for name in ("DetectTime", "InferenceTime")]
        found = [ms for ms in times if isinstance(ms, int | float) and 0 <= ms < _MAX_MS]
        if len(found) == len(times):
            self._times[record.model_version].append(sum(found))

    def result(self, audited: Sequence[LabelledPrediction]) -> Challenge | None:
        """Return the comparison; None if there is no challenger.

        Args:
            audited: The labelled predictions of the audit sample. Other labels are biased: people report mistakes of
                the release whose answers they see.
        """
        if not self.challenger or self.challenger == self.serving:
            return None
        serving = [one for one in audited if one.model_version == self.serving]
        _, shadow = self._newest
        if shadow:
            challenger = [replace(one, predicted=one.shadow) for one in serving if one.shadow]
            serving = [one for one in serving if one.shadow]
            needed, p = _paired(serving)
        else:
            challenger = [one for one in audited if one.model_version == self.challenger]
            needed, p = _unpaired(serving, challenger)
        sides = [
            self._side(self.serving, serving, needed[0]),
            self._side(self.challenger, challenger, needed[1]),
        ]
        agreeing, both = sum(n for (a, b), n in self._pairs.items() if a == b), self._pairs.total()
        return Challenge(
            shadow=shadow,
            live=sides[0],
            challenger=sides[1],
            agreement=share(agreeing, both, both / max(self._minutes, 1)),
            disagreements=[(a, b, n) for (a, b), n in self._pairs.most_common() if a != b],
            p=p,
            verdict=_verdict(sides[0], sides[1], p),
        )

    def _side(self, version: str, labelled: Sequence[LabelledPrediction], needed: int) -> Side:
        times = np.frombuffer(self._times[version], np.float32)
        median, p95 = np.quantile(times, (0.5, 0.95)).round(2).tolist() if len(times) else (None, None)
        right = sum(one.predicted == one.actual for one in labelled)
        accuracy = share(right, len(labelled), design_effect(labelled))
        labels = self._labels[version]
        return Side(version, labels.total(), dict(labels), median, p95, len(labelled), accuracy, needed)


def _verdict(serving: Side, challenger: Side, p: float | None) -> str:
    if serving.needed or challenger.needed or p is None or not serving.accuracy or not challenger.accuracy:
        return TOO_FEW
    if p >= SIGNIFICANCE:
        return ALIKE
    return BETTER if challenger.accuracy.value > serving.accuracy.value else WORSE


def _unpaired(
    serving: Sequence[LabelledPrediction], challenger: Sequence[LabelledPrediction]
) -> tuple[tuple[int, int], float | None]:
    """Return how many more labels each release needs, and the p-value of equal accuracy on different sources."""
    right = [sum(one.predicted == one.actual for one in sample) for sample in (serving, challenger)]
    effects = [design_effect(sample) for sample in (serving, challenger)]
    n = [len(sample) / effect for sample, effect in zip((serving, challenger), effects, strict=True)]
    accuracy = right[0] / len(serving) if len(serving) >= _MIN_LABELS else _ASSUMED_ACCURACY
    enough = labels_needed(accuracy)
    needed = [ceil(max(enough - have, 0) * effect) for have, effect in zip(n, effects, strict=True)]
    if not serving or not challenger:
        return (needed[0], needed[1]), None
    p = two_proportions(right[0] / len(serving), n[0], right[1] / len(challenger), n[1])
    return (needed[0], needed[1]), p


def _paired(pairs: Sequence[LabelledPrediction]) -> tuple[tuple[int, int], float | None]:
    """Return how many more labels are needed, and the p-value of equal accuracy on the same pictures."""
    lost = sum(one.predicted == one.actual != one.shadow for one in pairs)
    won = sum(one.shadow == one.actual != one.predicted for one in pairs)
    discordant = (lost + won) / len(pairs) if len(pairs) >= _MIN_LABELS else 2 * (1 - _ASSUMED_ACCURACY)
    effect = design_effect(pairs)
    needed = ceil(max(pairs_needed(discordant) - len(pairs) / effect, 0) * effect)
    return (needed, needed), mcnemar(lost, won) if pairs else None


def two_proportions(p1: float, n1: float, p2: float, n2: float) -> float:
    """Return the two-sided p-value of equal shares by the pooled z test (Fleiss, Levin and Paik 2003, ch. 3)."""
    from scipy.stats import norm  # noqa: PLC0415 -- takes a second to import, and few stacks have a challenger

    pooled = (p1 * n1 + p2 * n2) / (n1 + n2)
    spread = sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return 1.0 if spread == 0 else float(2 * norm.sf(abs(p1 - p2) / spread))


def labels_needed(p: float, difference: float = MIN_DIFFERENCE) -> int:
    """Return the labels per release that detect `p` against `p - difference` (Fleiss, Levin and Paik 2003, ch. 4)."""
    other = max(p - difference, 0.0)
    mean = (p + other) / 2
    alpha, beta = _quantiles()
    spread = alpha * sqrt(2 * mean * (1 - mean)) + beta * sqrt(p * (1 - p) + other * (1 - other))
    return ceil((spread / (p - other)) ** 2) if p > other else 0


def mcnemar(lost: int, won: int) -> float:
    """Return the two-sided p-value of as many pictures lost as won by the exact test (McNemar 1947)."""
    from scipy.stats import binomtest  # noqa: PLC0415 -- see above

    return float(binomtest(won, lost + won, 0.5).pvalue) if lost + won else 1.0


def pairs_needed(discordant: float, difference: float = MIN_DIFFERENCE) -> int:
    """Return the number of pictures, labelled and scored by both, that detects a difference (Connor 1987, eq. 3).

    Args:
        discordant: The share of pictures that exactly one release has right.
        difference: The difference of the two accuracies; at most `discordant`.
    """
    discordant = max(discordant, difference)
    alpha, beta = _quantiles()
    return ceil((alpha * sqrt(discordant) + beta * sqrt(discordant - difference**2)) ** 2 / difference**2)


def _quantiles() -> tuple[float, float]:
    from scipy.stats import norm  # noqa: PLC0415 -- see above

    return float(norm.isf(SIGNIFICANCE / 2)), float(norm.isf(1 - POWER))


def describe(challenge: Mapping[str, Any]) -> str:
    """Return sentences that describe the comparison in a report's JSON."""
    serving, challenger = challenge["live"], challenge["challenger"]
    text = f"Release {challenger['model_version']} challenges release {serving['model_version']}"
    text += " in shadow mode" if challenge["shadow"] else ""
    text += f"; it scored {challenger['pictures']:,} pictures, the serving release {serving['pictures']:,}."
    if agreement := challenge["agreement"]:
        text += f" They agree on {agreement['value']:.1%} of the pictures that both scored."
    if all(side["accuracy"] for side in (serving, challenger)):
        right = [
            f"{side['accuracy']['value']:.1%} ({side['judged']} labels)" for side in (challenger, serving)
        ]
        text += (
            f" On the audit sample, the accuracy of the challenger is {right[0]}, that of the serving release "
            f"{right[1]}, p = {challenge['p']:.2g}."
        )
    if challenge["verdict"] != TOO_FEW:
        return f"{text} The challenger is {challenge['verdict']}."
    needed = f"{challenger['needed']:,} more labels of the audit sample are needed"
    if not challenge["shadow"]:
        needed += f" about the challenger's pictures and {serving['needed']:,} about the serving release's"
    return f"{text} To detect a difference of {MIN_DIFFERENCE:.0%}, {needed}."
