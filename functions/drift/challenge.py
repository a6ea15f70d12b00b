"""How a challenger does beside the live release: on the same pictures in the shadow, or on sources of its own."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.drift.accuracy import Share, design_effect, share
from functions.drift.sample import BURST, Seen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.drift.accuracy import Judged
    from functions.shared.record import Record

MIN_DIFFERENCE: Final = 0.02  # of two accuracies, that is worth knowing of
SIGNIFICANCE: Final = 0.05  # two-sided
POWER: Final = 0.8  # the chance to find such a difference
_ASSUMED: Final = 0.9  # accuracy, as long as there are fewer labels than this to say
_MIN_JUDGED: Final = 30

TOO_FEW: Final = "too few labels"
BETTER: Final = "better"
WORSE: Final = "worse"
ALIKE: Final = "alike"


@dataclass(frozen=True)
class Side:
    """One of the two releases in the window.

    Attributes:
        model_version: Of the release.
        pictures: That it scored.
        labels: How many of them it gave each label, by their largest face.
        median_ms: From pixels to verdicts; None where there are no pictures.
        p95_ms: The same, of the slowest twentieth.
        judged: Labels of the audit sample about its pictures.
        accuracy: The share of these that it had right; None where there are none.
        needed: How many more labels are needed.
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
    """What the window says about two releases.

    Attributes:
        shadow: Whether the challenger scored the pictures that the live release answered.
        live: The release that serves.
        challenger: The other one.
        agreement: Of the pictures that both scored, the share that got the same label; frames of a source and minute
            count as one. None where there are none.
        disagreements: How often the live release said the first label and the challenger the second.
        p: Of the test that both are equally accurate; None where there is nothing to test.
        verdict: On the challenger: `too few labels` until there are as many as a difference of `MIN_DIFFERENCE` takes
            to be found, lest looking again and again finds one that is none; then `better`, `worse` or `alike`.
    """

    shadow: bool
    live: Side
    challenger: Side
    agreement: Share | None
    disagreements: Sequence[tuple[str, str, int]]
    p: float | None
    verdict: str


class Tally:
    """Counts what two releases say in the window.

    Args:
        live: The version of the release that serves.
        challenger: That of the other one; empty where there is none.
    """

    def __init__(self, live: str, challenger: str) -> None:
        self.live, self.challenger = live, challenger
        self._seen, self._minutes = Seen(), 0
        self._labels = {live: Counter[str](), challenger: Counter[str]()}
        self._times = {live: array("f"), challenger: array("f")}
        self._pairs = Counter[tuple[str, str]]()

    def add(self, record: Record) -> None:
        """Count a prediction, or what was said in the shadow of one."""
        body = record.body
        if body is None or record.model_version not in self._labels:
            return
        if record.shadow:
            if body["live"]["model_version"] != self.live:
                return
            self._pairs[body["live"]["label"], body["label"]] += 1
            self._minutes += self._seen.add(hash((record.source, int(record.taken // BURST))) % 2**64)
        self._labels[record.model_version][body["label"]] += 1
        detect, infer = body.get("DetectTime"), body.get("InferenceTime")
        if isinstance(detect, int | float) and isinstance(infer, int | float):
            self._times[record.model_version].append(detect + infer)

    def result(self, audited: Sequence[Judged]) -> Challenge | None:
        """Return what comes of it; None where there is no challenger.

        Args:
            audited: The labels of the audit sample. Others say nothing here: who reports mistakes reports those of
                the release that answers.
        """
        if not self.challenger or self.challenger == self.live:
            return None
        shadow = bool(self._pairs)
        pairs = [one for one in audited if one.model_version == self.live and one.shadow]
        own = {
            self.live: pairs if shadow else [one for one in audited if one.model_version == self.live],
            self.challenger: [one for one in audited if one.model_version == self.challenger],
        }
        hits = {version: [one.predicted == one.actual for one in judged] for version, judged in own.items()}
        if shadow:
            own[self.challenger] = pairs
            hits[self.challenger] = [one.shadow == one.actual for one in pairs]
            needed, p = _paired(pairs)
        else:
            needed, p = _unpaired(own[self.live], own[self.challenger])
        sides = [
            self._side(version, own[version], hits[version], more)
            for version, more in zip((self.live, self.challenger), needed, strict=True)
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

    def _side(self, version: str, judged: Sequence[Judged], hits: Sequence[bool], needed: int) -> Side:
        times = np.frombuffer(self._times[version], np.float32)
        median, p95 = np.quantile(times, (0.5, 0.95)).round(2).tolist() if len(times) else (None, None)
        accuracy = share(sum(hits), len(hits), design_effect(judged)) if judged else None
        labels = self._labels[version]
        return Side(version, labels.total(), dict(labels), median, p95, len(judged), accuracy, needed)


def _verdict(live: Side, challenger: Side, p: float | None) -> str:
    if live.needed or challenger.needed or p is None or not live.accuracy or not challenger.accuracy:
        return TOO_FEW
    if p >= SIGNIFICANCE:
        return ALIKE
    return BETTER if challenger.accuracy.value > live.accuracy.value else WORSE


def _unpaired(live: Sequence[Judged], challenger: Sequence[Judged]) -> tuple[tuple[int, int], float | None]:
    """Return how many more labels each release needs, and p of both being equally accurate on their own sources."""
    right = [sum(one.predicted == one.actual for one in judged) for judged in (live, challenger)]
    effects = [design_effect(judged) for judged in (live, challenger)]
    n = [len(judged) / effect for judged, effect in zip((live, challenger), effects, strict=True)]
    known = right[0] / len(live) if len(live) >= _MIN_JUDGED else _ASSUMED
    wanted = labels_needed(known)
    needed = [ceil(max(wanted - have, 0) * effect) for have, effect in zip(n, effects, strict=True)]
    if not live or not challenger:
        return (needed[0], needed[1]), None
    p = two_proportions(right[0] / len(live), n[0], right[1] / len(challenger), n[1])
    return (needed[0], needed[1]), p


def _paired(pairs: Sequence[Judged]) -> tuple[tuple[int, int], float | None]:
    """Return how many more labels are needed, and p that both are equally accurate on the same pictures."""
    lost = sum(one.predicted == one.actual != one.shadow for one in pairs)
    won = sum(one.shadow == one.actual != one.predicted for one in pairs)
    discordant = (lost + won) / len(pairs) if len(pairs) >= _MIN_JUDGED else 2 * (1 - _ASSUMED)
    effect = design_effect(pairs)
    needed = ceil(max(pairs_needed(discordant) - len(pairs) / effect, 0) * effect)
    return (needed, needed), mcnemar(lost, won) if pairs else None


def two_proportions(p1: float, n1: float, p2: float, n2: float) -> float:
    """Return the two-sided p of two shares being the same: the pooled z test (Fleiss, Levin and Paik 2003, ch. 3)."""
    from scipy.stats import norm  # noqa: PLC0415 -- takes a second to import, and few stacks have a challenger

    pooled = (p1 * n1 + p2 * n2) / (n1 + n2)
    spread = sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return 1.0 if spread == 0 else float(2 * norm.sf(abs(p1 - p2) / spread))


def labels_needed(p: float, difference: float = MIN_DIFFERENCE) -> int:
    """Return how many labels of each release tell `p` from `p - difference` (Fleiss, Levin and Paik 2003, ch. 4)."""
    other = max(p - difference, 0.0)
    mean = (p + other) / 2
    alpha, beta = _quantiles()
    spread = alpha * sqrt(2 * mean * (1 - mean)) + beta * sqrt(p * (1 - p) + other * (1 - other))
    return ceil((spread / (p - other)) ** 2) if p > other else 0


def mcnemar(lost: int, won: int) -> float:
    """Return the two-sided p of as many pictures being lost as won, by the exact test (McNemar 1947)."""
    from scipy.stats import binomtest  # noqa: PLC0415 -- see above

    return float(binomtest(won, lost + won, 0.5).pvalue) if lost + won else 1.0


def pairs_needed(discordant: float, difference: float = MIN_DIFFERENCE) -> int:
    """Return how many labels about the same pictures tell such a difference (Connor 1987, eq. 3).

    Args:
        discordant: The share of pictures that one release has right and the other wrong.
        difference: Of the two accuracies; no more than `discordant`.
    """
    discordant = max(discordant, difference)
    alpha, beta = _quantiles()
    return ceil((alpha * sqrt(discordant) + beta * sqrt(discordant - difference**2)) ** 2 / difference**2)


def _quantiles() -> tuple[float, float]:
    from scipy.stats import norm  # noqa: PLC0415 -- see above

    return float(norm.isf(SIGNIFICANCE / 2)), float(norm.isf(1 - POWER))


def words(challenge: Mapping[str, Any]) -> str:
    """Say in a sentence what a report's JSON says about a challenger."""
    live, challenger = challenge["live"], challenge["challenger"]
    told = f"Release {challenger['model_version']} challenges {live['model_version']}"
    told += " in the shadow" if challenge["shadow"] else ""
    told += f": {challenger['pictures']:,} pictures beside {live['pictures']:,}."
    if agreement := challenge["agreement"]:
        told += f" Both say the same of {agreement['value']:.1%} of them."
    if all(side["accuracy"] for side in (live, challenger)):
        right = [f"{side['accuracy']['value']:.1%} ({side['judged']} judged)" for side in (challenger, live)]
        told += f" Of the audit sample it has {right[0]} right, the live one {right[1]}, p = {challenge['p']:.2g}."
    if challenge["verdict"] != TOO_FEW:
        return f"{told} The challenger is {challenge['verdict']}."
    needed = f"{challenger['needed']:,} more labels of the audit sample are needed"
    if not challenge["shadow"]:
        needed += f" about the challenger's pictures and {live['needed']:,} about the live one's"
    return f"{told} To tell a difference of {MIN_DIFFERENCE:.0%}, {needed}."
