"""An alert, and what is told of it: a sentence for people, an event for systems."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from functions.alerts.counts import VIOLATIONS
from functions.alerts.rules import STEPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from functions.alerts.counts import Seen
    from functions.alerts.rules import Rule

OPEN: Final = "open"
OVER: Final = "over"
_WORDS: Final = {"no_mask": "without a mask", "incorrect": "with a mask worn wrongly"}
_SUBJECT: Final = 100  # characters that SNS takes, in ASCII


@dataclass(frozen=True)
class Precision:
    """Of a label, on the test pictures of a release: the share of faces so labelled that were labelled rightly.

    Attributes:
        value: The share.
        n: Faces so labelled.
        min_confidence: With at least this confidence.
    """

    value: float
    n: int
    min_confidence: float


@dataclass(frozen=True)
class Alert:
    """What began at a source, and whether it is over. Times are ISO 8601, UTC.

    Attributes:
        id: The same from its beginning to its end.
        status: `OPEN` or `OVER`.
        source: The camera or site; empty where pictures told none.
        started: The end of the window that violated the rule.
        ended: When it was over; None while it is not.
        minutes: That the window was long.
        faces: That were seen in it.
        people: How many of them were followed, and counted once.
        labels: How many faces had each label.
        share: Of the faces, those that wear no proper mask.
        min_share: From which on the rule asks for an alert.
        min_confidence: That the rule asks for.
        model_version: Of the release that judged.
        precision: Of the labels that violate and occur, where the release's manifest says it.
        message: The sentence.
        page: Where to look: the page's view of that source and hour.
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

    def to_json(self) -> dict[str, Any]:
        """Return it as `GET /alerts` and events show it."""
        return asdict(self)

    @property
    def subject(self) -> str:
        """Of a mail."""
        what = "Masks missing" if self.status == OPEN else "Masks fine again"
        return f"{what}: {_place(self.source)}".encode("ascii", "replace").decode()[:_SUBJECT]


def begin(
    alert_id: str,
    source: str,
    started: float,
    seen: Seen,
    rule: Rule,
    zone: tzinfo,
    precision: Mapping[str, Precision],
    page: str,
) -> Alert:
    """Return an alert that begins.

    Args:
        alert_id: What to call it.
        source: The camera or site.
        started: The end of the window, Unix time.
        seen: What was in the window.
        rule: That it violates.
        zone: In which the message gives times.
        precision: Of labels, from the release's own report.
        page: The page's address.
    """
    end = datetime.fromtimestamp(started, UTC)
    minimum = f" with at least {rule.min_level / STEPS:.0%} confidence" if rule.min_level else ""
    parts = [
        f"{seen.labels[label]} {_WORDS[label]}{_trust(precision.get(label))}"
        for label in VIOLATIONS
        if seen.labels[label]
    ]
    allowed = (
        "None is allowed there."
        if rule.share == 0
        else f"The limit is {rule.share:.0%} of at least {rule.min_faces} faces."
    )
    last = f"the last {rule.minutes} minutes" if rule.minutes > 1 else "the last minute"
    message = (
        f"{_place(source)}, {end.astimezone(zone):%d %b %H:%M} ({end.astimezone(zone).tzname()}): in {last} "
        f"{seen.violations} of {seen.faces} faces ({seen.share:.0%}) wore no proper mask{minimum}: "
        f"{', '.join(parts)}. {allowed}"
    )
    hour = f"{end:%Y-%m-%dT%H}"
    return Alert(
        id=alert_id,
        status=OPEN,
        source=source,
        started=iso(started),
        ended=None,
        minutes=rule.minutes,
        faces=seen.faces,
        people=seen.people,
        labels=seen.labels,
        share=round(seen.share, 4),
        min_share=rule.share,
        min_confidence=rule.min_level / STEPS,
        model_version=seen.model_version,
        precision=precision,
        message=message,
        page=f"{page}#compliance?{urlencode({'source': source, 'hour': hour})}",
    )


def end(alert: Alert, ended: float, zone: tzinfo, *, ruled: bool = True) -> Alert:
    """Return an alert that is over, at a Unix time; `ruled` unless it is since its rule was taken away."""
    started, over = datetime.fromisoformat(alert.started), datetime.fromtimestamp(ended, UTC)
    why = "masks are worn again, or nobody is there" if ruled else "there is no rule about it any more"
    message = (
        f"{_place(alert.source)}, {over.astimezone(zone):%d %b %H:%M} ({over.astimezone(zone).tzname()}): {why}. "
        f"The alert of {started.astimezone(zone):%H:%M} is over after "
        f"{max(round((over - started).total_seconds() / 60), 1)} min."
    )
    return replace(alert, status=OVER, ended=iso(ended), message=message)


def from_json(document: Mapping[str, Any]) -> Alert:
    """Return what `Alert.to_json` returned."""
    precision = {label: Precision(**figures) for label, figures in document["precision"].items()}
    return Alert(**{**document, "precision": precision})


def iso(time: float) -> str:
    """Return a Unix time as ISO 8601, UTC, to the second."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _place(source: str) -> str:
    return source or "A camera without a name"


def _trust(precision: Precision | None) -> str:
    if precision is None:
        return " (the model has no test figures for this)"
    sure = f" at {precision.min_confidence:.0%} confidence or more" if precision.min_confidence else ""
    return f" (in tests the model was right in {precision.value:.1%} of {precision.n} such answers{sure})"
