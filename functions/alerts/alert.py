"""An alert and its message."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from unicodedata import bidirectional
from urllib.parse import urlencode

from functions.alerts.counts import VIOLATIONS
from functions.alerts.precision import Precision
from functions.alerts.rules import STEPS
from functions.shared.contract import iso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from functions.alerts.counts import FaceCounts
    from functions.alerts.rules import Rule

_UNNAMED: Final = "A camera without a name"
OPEN: Final = "open"
OVER: Final = "over"
_DESCRIPTIONS: Final = {"no_mask": "without a mask", "incorrect": "with a mask worn wrongly"}
_MAX_SUBJECT: Final = 100  # characters, SNS's limit
_LEFT_TO_RIGHT: Final = (
    "\u200e"  # beside a name in Arabic or Hebrew, it keeps the order of the words around it
)


@dataclass(frozen=True)
class Alert:
    """A violation of a source's rule. Times are ISO 8601, UTC.

    Attributes:
        id: Identifies the alert from its start to its end.
        status: `OPEN` or `OVER`.
        source: The camera or site; empty for pictures without a source.
        started: The end of the window that violated the rule.
        ended: When the alert ended; None while it is open.
        minutes: The length of the window.
        faces: How many faces were counted in the window; a tracked person counts once.
        people: How many of them were tracked people.
        labels: How many faces had each label.
        share: The share of faces without a proper mask.
        min_share: The share at which the rule is violated.
        min_confidence: The rule's minimum confidence.
        model_version: The release that made the predictions.
        precision: The precision of each violating label in the window, if the release's manifest has it.
        message: The alert as sentences.
        page: URL of the page's view of this source and hour.
    """

    id: str
    status: str
    source: str
    started: str
    ended: str | None
    minutes: int
    faces: int
    people: int
    labels: Mapping[str, int]
    share: float
    min_share: float
    min_confidence: float
    model_version: str
    precision: Mapping[str, Precision]
    message: str
    page: str

    def to_dict(self) -> dict[str, Any]:
        """Return the alert as `GET /alerts` and events contain it."""
        return asdict(self)

    @property
    def subject(self) -> str:
        """The subject of an e-mail."""
        what = "Masks missing" if self.status == OPEN else "Alert over"
        return f"{what}: {self.source or _UNNAMED}"[:_MAX_SUBJECT]


def begin(
    alert_id: str,
    source: str,
    *,
    window_end: float,
    counts: FaceCounts,
    rule: Rule,
    precision: Mapping[str, Precision],
    zone: tzinfo,
    page: str,
) -> Alert:
    """Return a new, open alert about a window that violates a rule.

    The window ended at `window_end`, a Unix time. The message has its times in `zone`, and the precision by label.
    """
    hour = f"{datetime.fromtimestamp(window_end, UTC):%Y-%m-%dT%H}"
    return Alert(
        id=alert_id,
        status=OPEN,
        source=source,
        started=iso(window_end),
        ended=None,
        minutes=rule.minutes,
        faces=counts.faces,
        people=counts.people,
        labels=counts.labels,
        share=round(counts.share, 4),
        min_share=rule.min_share,
        min_confidence=rule.min_step / STEPS,
        model_version=counts.model_version,
        precision=precision,
        message=_message(source, datetime.fromtimestamp(window_end, zone), counts, rule, precision),
        page=f"{page}#compliance?{urlencode({'source': source, 'hour': hour})}",
    )


def _message(
    source: str, end: datetime, counts: FaceCounts, rule: Rule, precision: Mapping[str, Precision]
) -> str:
    minimum = f" with at least {rule.min_step / STEPS:.0%} confidence" if rule.min_step else ""
    parts = [
        f"{counts.labels[label]} {_DESCRIPTIONS[label]}{_precision_text(precision.get(label))}"
        for label in VIOLATIONS
        if counts.labels[label]
    ]
    allowed = (
        "None is allowed there."
        if rule.min_share == 0
        else f"The limit is {_percent(rule.min_share)} of at least {rule.min_faces} faces."
    )
    last = f"the last {rule.minutes} minutes" if rule.minutes > 1 else "the last minute"
    return (
        f"{_place(source)}, {end:%d %b %H:%M} ({end.tzname()}): in {last} "
        f"{counts.violations} of {counts.faces} faces ({_percent(counts.share)}) wore no proper mask{minimum}: "
        f"{', '.join(parts)}. {allowed}"
    )


def end(alert: Alert, ended: float, zone: tzinfo, why: str) -> Alert:
    """Return the alert, ended at a Unix time, with the reason in its message."""
    started, over = datetime.fromisoformat(alert.started), datetime.fromtimestamp(ended, UTC)
    message = (
        f"{_place(alert.source)}, {over.astimezone(zone):%d %b %H:%M} ({over.astimezone(zone).tzname()}): {why}. "
        f"The alert of {started.astimezone(zone):%H:%M} is over after "
        f"{max(round((over - started).total_seconds() / 60), 1)} min."
    )
    return replace(alert, status=OVER, ended=iso(ended), message=message)


def from_dict(document: Mapping[str, Any]) -> Alert:
    """Return the alert of which `Alert.to_dict` returned the document."""
    precision = {label: Precision(**figures) for label, figures in document["precision"].items()}
    return Alert(**{**document, "precision": precision})


def _place(source: str) -> str:
    if any(bidirectional(character) in {"R", "AL", "AN"} for character in source):
        return f"{_LEFT_TO_RIGHT}{source}{_LEFT_TO_RIGHT}"
    return source or _UNNAMED


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g}%"


def _precision_text(precision: Precision | None) -> str:
    if precision is None:
        return " (the model has no test figures for this)"
    minimum = f" at {precision.min_confidence:.0%} confidence or more" if precision.min_confidence else ""
    return f" (in tests the model was right in {precision.value:.1%} of {precision.n} such answers{minimum})"
