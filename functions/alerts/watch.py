"""Counts records, begins and ends alerts, and notifies the listeners once.

Any step may be repeated or run concurrently: counting and changing an alert are conditional writes. A change also
stores its notifications, which the same invocation sends. What it cannot send, each tick tries again after
`NOTIFY_TIMEOUT`. A failure for one source or listener does not stop the others.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from functions.alerts.alert import OPEN, begin, end
from functions.alerts.counts import VIOLATIONS
from functions.alerts.decide import counted_until, find_violation, is_over, is_silent
from functions.alerts.rules import MAX_MINUTES, Rules, rules_in_force

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from functions.alerts.alert import Alert
    from functions.alerts.precision import Precision
    from functions.alerts.rules import Rule
    from functions.alerts.store import Store
    from functions.shared.record import Record

NOTIFY_TIMEOUT: Final = 60.0  # seconds
MAX_ALERT_AGE: Final = 3_600.0  # seconds; older records are counted, but begin no alert
# Seconds; older records are in no window and not counted.
MAX_RECORD_AGE: Final = MAX_ALERT_AGE + 60 * MAX_MINUTES
MAX_CLOCK_SKEW: Final = 300.0  # seconds; records from further in the future are not counted


class WatchError(RuntimeError):
    """Sources could not be counted or listeners not notified; the message has the first error and the number."""


@dataclass(frozen=True)
class Watch:
    """Watches sources for violations of their rules.

    Attributes:
        store: The table.
        rules: The rules in force.
        precision: Returns the precision of labels, given a release's version and `FaceCounts.lowest`.
        listeners: Whom to notify, by name.
        page: URL of the page.
    """

    store: Store
    rules: Rules
    precision: Callable[[str, Mapping[str, int]], Mapping[str, Precision]]
    listeners: Mapping[str, Callable[[Alert], None]]
    page: str

    def process_all(self, by_source: Mapping[str, Sequence[Record]], now: float) -> int:
        """Process the records of several sources; return how many predictions were not counted before.

        Raises:
            WatchError: Processing failed for a source; the others were processed.
        """
        counted, errors = 0, list[Exception]()
        for source, records in by_source.items():
            with _collect_error(errors):
                counted += self.process(source, records, now)
        _raise_first(errors)
        return counted

    def process(self, source: str, records: Sequence[Record], now: float) -> int:
        """Count the predictions of a source, and begin an alert if they violate its rule.

        Some may have been delivered before; return how many were not counted before. `now` is a Unix time.
        """
        records = [record for record in records if now - MAX_RECORD_AGE < record.taken < now + MAX_CLOCK_SKEW]
        counted = self.store.count(source, records, now)
        rule = self.rules.rule_for(source)
        times = [record.taken for record in records if record.taken > now - MAX_ALERT_AGE]
        if rule is None or not times:
            return counted
        if rule.min_share or any(label in VIOLATIONS for record in records for label in record.face_labels):
            self._begin(source, rule, min(times), max(times), now)
        return counted

    def _begin(self, source: str, rule: Rule, first: float, last: float, now: float) -> None:
        """Begin an alert if a window that overlaps the given Unix times violates the rule."""
        last_alert = self.store.last_alert(source)
        if last_alert and last_alert.status == OPEN:
            return
        length = 60.0 * rule.minutes
        buckets = self.store.buckets(source, first - length, last + length)
        ended = _unix(last_alert.ended) if last_alert and last_alert.ended else 0.0
        violation = find_violation(buckets, self.rules, rule, first, ended)
        if violation:
            window_end, counts = violation
            precision = self.precision(counts.model_version, counts.lowest)
            alert = begin(
                str(uuid.uuid4()),
                source,
                window_end=window_end,
                counts=counts,
                rule=rule,
                precision=precision,
                zone=self.rules.zone,
                page=self.page,
            )
            self._change(alert, last_alert, now)

    def tick(self, now: float) -> None:
        """End the alerts that are over at a Unix time, and send the notifications that could not be sent before.

        Raises:
            WatchError: This failed for a source; the others were done.
        """
        errors: list[Exception] = []
        for alert in self.store.last_alerts():
            with _collect_error(errors):
                self._end(alert, now)
        with _collect_error(errors):
            self._notify(now)
        _raise_first(errors)

    def _end(self, alert: Alert, now: float) -> None:
        if alert.status != OPEN:
            return
        ended, why = now, "the source has no rule any more"
        if rule := self.rules.rule_for(alert.source):
            started = _unix(alert.started)
            buckets = self.store.buckets(alert.source, max(started, now - MAX_RECORD_AGE), now)
            ended = counted_until(buckets, rule, now)
            if not is_over(buckets, self.rules, rule, started, ended):
                return
            if self.rules.is_quiet(rule, ended):
                why = "quiet hours have begun"
            elif is_silent(buckets, rule, now):
                why = f"no picture has come for {rule.over_minutes} min"
            else:
                why = "masks are worn again, or nobody is there"
        self._change(end(alert, ended, self.rules.zone, why), alert, now)

    def _change(self, alert: Alert, before: Alert | None, now: float) -> None:
        if self.store.replace_alert(alert, before, now, self.listeners):
            self._notify(now, alert.source)

    def _notify(self, now: float, only: str | None = None) -> None:
        """Send notifications, only those of one source if it is given; each listener gets them in order."""
        errors: list[Exception] = []
        unsent = set[tuple[str, str]]()  # sources and listeners whose later notifications wait
        for notification in self.store.notifications():
            source, listener = notification.alert.source, notification.listener
            if (source, listener) in unsent or only not in {None, source}:
                continue
            unsent.add((source, listener))
            with _collect_error(errors):
                if now - notification.claimed >= NOTIFY_TIMEOUT and self.store.claim(notification, now):
                    self.listeners[listener](notification.alert)
                    self.store.remove(notification)
                    unsent.remove((source, listener))
        _raise_first(errors)


def adopt_rules(store: Store) -> tuple[Rules, str]:
    """Return the same as `rules_in_force`, and save the current rules as the last good ones if they are valid."""
    current, good = store.rules()
    rules, fault = rules_in_force(current, good)
    if not fault and current != good:
        store.save_good_rules(current)
    return rules, fault


@contextmanager
def _collect_error(errors: list[Exception]) -> Iterator[None]:
    """Collect an error, which `_raise_first` raises after the others were processed."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 -- raised later
        errors.append(error)


def _raise_first(errors: list[Exception]) -> None:
    if errors:
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise WatchError(f"{errors[0]!r}{more}") from errors[0]


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
