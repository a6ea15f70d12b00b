"""Compares a challenger with the serving release: on the same pictures in shadow mode, or on different sources."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import asdict, dataclass, replace
from math import ceil, log, pi, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.drift.accuracy import design_effect
from functions.drift.sample import MINUTE, HashSet
from functions.shared.statistics import Share, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from functions.drift.accuracy import LabelledPrediction
    from functions.shared.record import Record

MIN_DIFFERENCE: Final = 0.02  # of two accuracies, to be detected
SIGNIFICANCE: Final = 0.05  # two-sided
POWER: Final = 0.8  # the probability of detecting `MIN_DIFFERENCE`, at least
_ASSUMED_DISCORDANT: Final = 0.2  # while there are fewer than `_MIN_MINUTES`
_MIN_MINUTES: Final = 30
_MAX_MS: Final = 900_000  # Lambda's timeout; a longer time is damaged

TOO_FEW: Final = "too few labels"
BETTER: Final = "better"
WORSE: Final = "worse"
ALIKE: Final = "alike"
DIFFERENT_SOURCES: Final = "different sources"
_KEYS: Final = {"serving": "live", "labelled": "judged"}  # of fields that are called otherwise in a report


@dataclass(frozen=True)
class ReleaseStatistics:
    """One of the two releases in the window.

    Attributes:
        model_version: Version of the release.
        pictures: How many pictures it scored.
        labels: Its answers by label (of the largest face).
        median_ms: Median time of detection and classification; None if there are no pictures.
        p95_ms: The 95th percentile of this time.
        labelled: How many of its pictures have a label of the audit sample.
        accuracy: Its accuracy on these; None if there are none.
    """

    model_version: str
    pictures: int
    labels: Mapping[str, int]
    median_ms: float | None
    p95_ms: float | None
    labelled: int
    accuracy: Share | None


@dataclass(frozen=True)
class Challenge:
    """The comparison of two releases in a window.

    Attributes:
        shadow: Whether the challenger runs in shadow mode, on the pictures that the serving release answers, by its
            newest prediction in the window.
        serving: The serving release.
        challenger: The challenger.
        agreement: The share of pictures to which both gave the same label; its interval counts the frames of a source
            and minute as one. None if no picture was scored by both.
        disagreements: The serving release's label, the challenger's label, and how often this pair occurred.
        p: In shadow mode, the smallest p-value until now of the hypothesis that both are equally accurate; see
            `sequential_p`.
        needed: In shadow mode, how many more labels of the audit sample the verdict `alike` needs.
        verdict: In shadow mode, `better` or `worse` (the challenger) if `p` is below `SIGNIFICANCE`; otherwise
            `too few labels`, until there are enough to detect `MIN_DIFFERENCE`, and then `alike`. `different sources`
            if each release answers sources of its own, which may differ more than the releases do.
    """

    shadow: bool
    serving: ReleaseStatistics
    challenger: ReleaseStatistics
    agreement: Share | None
    disagreements: Sequence[tuple[str, str, int]]
    p: float | None
    needed: int | None
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as a report contains it."""
        return asdict(
            self, dict_factory=lambda items: {_KEYS.get(name, name): value for name, value in items}
        )


class AnswerCounts:
    """Counts the answers of two versions in the window; the challenger's is empty if there is none."""

    def __init__(self, serving: str, challenger: str) -> None:
        self.serving, self.challenger = serving, challenger
        self._seen_minutes, self._minutes = HashSet(), 0
        self._labels = {serving: Counter[str](), challenger: Counter[str]()}
        self._times = {serving: array("f"), challenger: array("f")}
        self._pairs = Counter[tuple[str, str]]()
        # Of the challenger's newest prediction: its Unix time, and whether it is a shadow prediction.
        self._newest = 0.0, False

    def add(self, record: Record) -> None:
        """Count a prediction or a shadow prediction."""
        body = record.body
        if record.model_version not in self._labels:
            return
        if record.shadow:
            if body["live"]["model_version"] != self.serving:
                return
            self._pairs[body["live"]["label"], body["label"]] += 1
            self._minutes += self._seen_minutes.add(
                hash((record.source, int(record.taken // MINUTE))) % 2**64
            )
        if record.model_version == self.challenger:
            self._newest = max(self._newest, (record.time, record.shadow))
        self._labels[record.model_version][body["label"]] += 1
        times = [body.get(name) for name in ("DetectTime", "InferenceTime")]
        measured = [ms for ms in times if isinstance(ms, int | float) and 0 <= ms < _MAX_MS]
        if len(measured) == len(times):
            self._times[record.model_version].append(sum(measured))

    def result(self, audited: Sequence[LabelledPrediction]) -> Challenge | None:
        """Return the comparison, with labelled predictions of the audit sample; None if there is no challenger.

        Other labels are biased: people report mistakes of the release whose answers they see.
        """
        if not self.challenger or self.challenger == self.serving:
            return None
        serving = [prediction for prediction in audited if prediction.model_version == self.serving]
        _, shadow = self._newest
        if shadow:
            serving = [prediction for prediction in serving if prediction.shadow]
            challenger = [replace(pair, predicted=pair.shadow) for pair in serving if pair.shadow]
            p, needed, verdict = _compare(serving)
        else:
            challenger = [prediction for prediction in audited if prediction.model_version == self.challenger]
            p, needed, verdict = None, None, DIFFERENT_SOURCES
        agreeing, both = sum(n for (a, b), n in self._pairs.items() if a == b), self._pairs.total()
        return Challenge(
            shadow=shadow,
            serving=self._statistics(self.serving, serving),
            challenger=self._statistics(self.challenger, challenger),
            agreement=share(agreeing, both, both / max(self._minutes, 1)),
            disagreements=[(a, b, n) for (a, b), n in self._pairs.most_common() if a != b],
            p=p,
            needed=needed,
            verdict=verdict,
        )

    def _statistics(self, version: str, labelled: Sequence[LabelledPrediction]) -> ReleaseStatistics:
        times = np.frombuffer(self._times[version], np.float32)
        median, p95 = np.quantile(times, (0.5, 0.95)).round(2).tolist() if len(times) else (None, None)
        right = sum(prediction.predicted == prediction.actual for prediction in labelled)
        accuracy = share(right, len(labelled), design_effect(labelled))
        labels = self._labels[version]
        return ReleaseStatistics(version, labels.total(), dict(labels), median, p95, len(labelled), accuracy)


def _compare(pairs: Sequence[LabelledPrediction]) -> tuple[float, int, str]:
    """Return the p-value, how many more labels are needed, and the verdict on the same pictures.

    The frames of a source and minute show the same people, so they count once: for the release that has more of them
    right. Minutes are compared in order of time. Labels that come late change this order, so with them the bound on
    false positives is approximate.
    """
    balance = Counter[tuple[str, int]]()
    for pair in pairs:
        balance[pair.source, pair.minute] += (pair.shadow == pair.actual) - (pair.predicted == pair.actual)
    minutes = len(balance)
    in_order = sorted(balance, key=lambda cluster: (cluster[1], cluster[0]))
    wins = [balance[cluster] > 0 for cluster in in_order if balance[cluster]]
    p, better = sequential_p(wins)
    if p < SIGNIFICANCE:
        return p, 0, BETTER if better else WORSE
    discordant = len(wins) / minutes if minutes >= _MIN_MINUTES else _ASSUMED_DISCORDANT
    missing = max(pairs_needed(discordant) - minutes, 0)
    needed = ceil(missing * len(pairs) / minutes) if minutes else missing
    return p, needed, TOO_FEW if needed else ALIKE


def sequential_p(wins: Iterable[bool]) -> tuple[float, bool]:
    """Return the smallest p-value after any win or loss, and whether there were more wins than losses then.

    It tests equal chances to win and to lose: after n wins and losses, it is (n + 1) C(n, wins) / 2^n, the inverse of
    the likelihood ratio of any chance to win, uniformly distributed, to 1/2. With equal chances, it ever falls below
    a level with at most that probability (Robbins 1970; Johari et al. 2022).
    """
    counts = {True: 0, False: 0}
    p, smallest, better = 1.0, 1.0, False
    for count, won in enumerate(wins, start=1):
        counts[won] += 1
        p *= (count + 1) / (2 * counts[won])
        if p < smallest:
            smallest, better = p, counts[True] > counts[False]
    return smallest, better


def pairs_needed(discordant: float, difference: float = MIN_DIFFERENCE) -> int:
    """Return a number of independent pairs that is enough to detect a difference (Connor 1987, eq. 3).

    It is that of a test after the last pair, while `sequential_p` may detect the difference after any. The normal
    quantile of the level is replaced by that at which the p-value reaches it, by Stirling's formula. It depends on
    the number of pairs, but so little that few steps find both.

    Args:
        discordant: The share of pairs that exactly one release has right.
        difference: The difference of the two accuracies; at most `discordant`.
    """
    discordant = max(discordant, difference)
    beta, count = NormalDist().inv_cdf(POWER), 1 / discordant
    for _ in range(10):
        alpha = sqrt(log(2 * count * discordant / (pi * SIGNIFICANCE**2)))
        count = (alpha * sqrt(discordant) + beta * sqrt(discordant - difference**2)) ** 2 / difference**2
    return ceil(count)


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
            f"{right[1]}."
        )
    if not challenge["shadow"]:
        return f"{text} Their sources may differ more than the releases do: only shadow mode gives a verdict."
    if challenge["verdict"] != TOO_FEW:
        return f"{text} The challenger is {challenge['verdict']}, p = {challenge['p']:.2g}."
    if needed := challenge.get("needed"):  # not in reports of earlier versions
        detect = f"To detect a difference of {MIN_DIFFERENCE:.0%}"
        return f"{text} {detect}, {needed:,} more labels of the audit sample are needed."
    return text
