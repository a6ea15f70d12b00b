"""From records to alerts: count, look whether a rule is violated or an alert over, tell once.

Every step may happen twice or at once with another: counting and the change of an alert are conditional writes, and
whoever changes an alert tells it. If that one dies before, the next look after `PATIENCE` tells it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from functions.alerts.alert import OPEN, begin, end
from functions.alerts.counts import SECONDS
from functions.alerts.decide import find_violation, is_over
from functions.alerts.rules import Rules, RulesError, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from functions.alerts.alert import Alert, Precision
    from functions.alerts.store import State, Store
    from functions.shared.record import Record

PATIENCE: Final = 60.0  # seconds that telling may take
LATE: Final = 3_600.0  # seconds; older records are counted, but nobody is alarmed by them


@dataclass(frozen=True)
class Watch:
    """What is needed to look at sources.

    Attributes:
        store: The table.
        rules: Those that hold.
        precision: From a release's version, and the lowest step of confidence by label, to its own figures.
        tell: Tells an alert.
        page: The page's address.
    """

    store: Store
    rules: Rules
    precision: Callable[[str, Mapping[str, int]], Mapping[str, Precision]]
    tell: Callable[[Alert], None]
    page: str

    def take(self, source: str, records: Sequence[Record], now: float) -> int:
        """Count the predictions of a source, and begin an alert where they violate its rule.

        Args:
            source: The camera or site.
            records: Of its predictions; any of them may have come before.
            now: Unix time.

        Returns:
            How many were not counted before.
        """
        counted = self.store.count(source, records, now)
        rule = self.rules.of(source)
        times = [record.time for record in records if record.time > now - LATE]
        if rule is None or not times:
            return counted
        state = self.store.state(source)
        if state is None or state.alert.status != OPEN:
            length = 60.0 * rule.minutes
            buckets = self.store.buckets(source, min(times) - length, max(times) + length)
            found = find_violation(buckets, self.rules, rule, min(times), _ended(state))
            if found:
                self._retell(state, now)
                started, seen = found
                precision = self.precision(seen.model_version, seen.lowest)
                alert = begin(
                    str(uuid.uuid4()), source, started, seen, rule, self.rules.zone, precision, self.page
                )
                self._move(alert, state, now)
                return counted
        self._retell(state, now)
        return counted

    def tick(self, now: float) -> None:
        """End alerts that are over at a Unix time, also where no more records come."""
        for state in self.store.states():
            alert = state.alert
            if alert.status == OPEN:
                rule = self.rules.of(alert.source)
                minutes = rule.over_minutes if rule else 0
                buckets = self.store.buckets(alert.source, now - 60 * minutes - SECONDS, now)
                if is_over(buckets, rule, _unix(alert.started), now):
                    self._retell(state, now)
                    self._move(end(alert, now, self.rules.zone), state, now)
                    continue
            self._retell(state, now)

    def _move(self, alert: Alert, before: State | None, now: float) -> None:
        if self.store.move(alert, before, now):
            self._tell(alert)

    def _retell(self, state: State | None, now: float) -> None:
        """Tell what whoever changed an alert did not come to tell."""
        if state is None or state.told == state.alert.status or now - state.claimed < PATIENCE:
            return
        if self.store.claim(state, now):
            self._tell(state.alert)

    def _tell(self, alert: Alert) -> None:
        self.tell(alert)
        self.store.mark_told(alert)


def good_rules(store: Store) -> tuple[Rules, str]:
    """Return the rules that hold, and what is wrong with those that were set last if it is not they."""
    current, good = store.rules()
    try:
        rules = parse(current)
    except RulesError as error:
        return parse(good), str(error)
    if current != good:
        store.put_rules("good", current)
    return rules, ""


def _ended(state: State | None) -> float:
    return _unix(state.alert.ended) if state and state.alert.ended else 0.0


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
