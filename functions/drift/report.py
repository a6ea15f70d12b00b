"""The report of a run, from which the page, the metrics and the JSON are made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.shared.contract import iso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from functions.drift.challenge import Challenge
    from functions.drift.compare import DriftComparison, Finding
    from functions.drift.feedback_join import FeedbackFigures
    from functions.drift.gather import Counts
    from functions.drift.window import Window

NO_BASELINE: Final = "no baseline"
OTHER_VERSION: Final = "other version"
_KEYS: Final = {"statistic": "of", "total": "of"}  # of fields that are called otherwise in a report


@dataclass(frozen=True)
class BaselineInfo:
    """The baseline of a run.

    Attributes:
        uri: Its location.
        model_version: The release that made its predictions.
        own: Whether it is of the stack's own sources rather than of validation pictures.
    """

    uri: str
    model_version: str
    own: bool


@dataclass(frozen=True)
class SourceReport:
    """A source in the window.

    Attributes:
        status: See `DriftComparison.sources`; `no baseline` if there is none.
        predictions: How many predictions there are.
        effective: The effective number of independent predictions.
        labels: Compared predictions by label.
    """

    status: str
    predictions: int
    effective: float
    labels: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """The result of a run.

    Attributes:
        window: The window that was compared.
        verdict: The comparison's verdict; `no baseline`; or `other version`, if the serving release is not the
            baseline's.
        counts: Counts of what was read.
        baseline: The baseline; None if there is none.
        serving_version: The release that made most predictions of the last hour; None if there are none.
        comparison: The comparison; None if there is no baseline.
        sources: Sources by name, busiest first.
        accuracy: Accuracy by feedback.
        labelled_since: The first day whose predictions `accuracy` is about.
        min_accuracy: The lowest acceptable accuracy, 0 to 1.
        notes: Sentences for the reader.
        challenge: The challenger's comparison; None if there is no challenger.
    """

    window: Window
    verdict: str
    counts: Counts
    baseline: BaselineInfo | None
    serving_version: str | None
    comparison: DriftComparison | None
    sources: Mapping[str, SourceReport]
    accuracy: FeedbackFigures
    labelled_since: date
    min_accuracy: float
    notes: tuple[str, ...]
    challenge: Challenge | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report's JSON document."""
        comparison = self.comparison
        return {
            "window": {"from": iso(self.window.start.timestamp()), "to": iso(self.window.end.timestamp())},
            "verdict": self.verdict,
            "counts": asdict(self.counts),
            "baseline": self.baseline and asdict(self.baseline),
            "serving_version": self.serving_version,
            "findings": [_finding(finding) for finding in comparison.findings] if comparison else [],
            "effects": {kind: round(size, 4) for kind, size in comparison.effects.items()}
            if comparison
            else {},
            "tests": comparison.tests if comparison else 0,
            "days": comparison.days if comparison else 0,
            "sources": {
                name: asdict(source) | {"effective": round(source.effective, 1)}
                for name, source in self.sources.items()
            },
            "accuracy": {
                "from": self.labelled_since.isoformat(),
                "min_accuracy": self.min_accuracy,
                **_with_keys(self.accuracy),
            },
            "challenge": self.challenge and self.challenge.to_dict(),
            "notes": list(self.notes),
        }


def _with_keys(part: Finding | FeedbackFigures) -> dict[str, Any]:
    return asdict(part, dict_factory=lambda items: {_KEYS.get(name, name): value for name, value in items})


def verdict_of(
    comparison: DriftComparison | None, baseline: BaselineInfo | None, serving_version: str | None
) -> str:
    """Return the verdict of a run."""
    if baseline is None or comparison is None:
        return NO_BASELINE
    if serving_version not in {None, baseline.model_version}:
        return OTHER_VERSION
    return comparison.verdict


def _finding(finding: Finding) -> dict[str, Any]:
    return _with_keys(finding) | {"effect": round(finding.effect, 4), "confirmed": finding.confirmed}
