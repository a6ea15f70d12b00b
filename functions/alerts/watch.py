"""From records to alerts: count, look whether a rule is violated or an alert over, tell once.

Every step may happen twice or at once with another: counting and the change of an alert are conditional writes, and
whoever changes an alert tells it. If that one dies before, the next look after `PATIENCE` tells whoever was missed.
What fails for one source, or one listener, stops none of the others.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from functions.alerts.alert import OPEN, begin, end
from functions.alerts.counts import SECONDS, VIOLATIONS
from functions.alerts.decide import find_violation, is_over
from functions.alerts.rules import DEFAULT, MAX_MINUTES, Rules, RulesError, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from functions.alerts.alert import Alert, Precision
    from functions.alerts.rules import Rule
    from functions.alerts.store import State, Store
    from functions.shared.record import Record

PATIENCE: Final = 60.0  # seconds that telling may take
LATE: Final = 3_600.0  # seconds; older records are counted, but nobody is alarmed by them
FORGOTTEN: Final = LATE + 60 * MAX_MINUTES  # seconds; what is older is in no window any more, and not counted
AHEAD: Final = 300.0  # seconds that the clock of a record may be fast; what claims to be later is not counted


class WatchError(RuntimeError):
    """Some sources could not be counted, or somebody not be told; the message says how many, and the first reason."""


@dataclass(frozen=True)
class Watch:
    """What is needed to look at sources.

    Attributes:
        store: The table.
        rules: Those that hold.
        precision: From a release's version, and the lowest step of confidence by label, to its own figures.
        listeners: Who is told an alert, by name. What was told to whom is marked `<status> <name>`.
        page: The page's address.
    """

    store: Store
    rules: Rules
    precision: Callable[[str, Mapping[str, int]], Mapping[str, Precision]]
    listeners: Mapping[str, Callable[[Alert], None]]
    page: str

    def take_all(self, by_source: Mapping[str, Sequence[Record]], now: float) -> int:
        """Do what `take` does for several sources; return how many predictions were not counted before.

        Raises:
            WatchError: It could not be done for one of them; for the others it was.
        """
        counted, errors = 0, list[Exception]()
        for source, records in by_source.items():
            with _kept(errors):
                counted += self.take(source, records, now)
        _raise(errors)
        return counted

    def take(self, source: str, records: Sequence[Record], now: float) -> int:
        """Count the predictions of a source, and begin an alert where they violate its rule.

        Args:
            source: The camera or site.
            records: Of its predictions; any of them may have come before.
            now: Unix time.

        Returns:
            How many were not counted before.
        """
        records = [record for record in records if now - FORGOTTEN < record.taken < now + AHEAD]
        counted = self.store.count(source, records, now)
        rule = self.rules.of(source)
        times = [record.taken for record in records if record.taken > now - LATE]
        if rule is None or not times:
            return counted
        if rule.share or any(label in VIOLATIONS for record in records for label in record.faces):
            self._begin(source, rule, min(times), max(times), now)
        return counted

    def _begin(self, source: str, rule: Rule, first: float, last: float, now: float) -> None:
        """Begin an alert where a window violates the rule that holds one of the times between two."""
        state = self.store.state(source)
        if state and state.alert.status == OPEN:
            return
        length = 60.0 * rule.minutes
        buckets = self.store.buckets(source, first - length, last + length)
        found = find_violation(buckets, self.rules, rule, first, _ended(state))
        if found:
            started, seen = found
            precision = self.precision(seen.model_version, seen.lowest)
            alert = begin(
                str(uuid.uuid4()), source, started, seen, rule, self.rules.zone, precision, self.page
            )
            self._move(alert, state, now)

    def tick(self, now: float) -> None:
        """End alerts that are over at a Unix time, also where no more records come; tell whoever was missed.

        Raises:
            WatchError: It could not be done for one of them; for the others it was.
        """
        errors: list[Exception] = []
        for state in self.store.states():
            with _kept(errors):
                self._retell(state, now)
            with _kept(errors):
                self._end(state, now)
        _raise(errors)

    def _end(self, state: State, now: float) -> None:
        alert, rule = state.alert, self.rules.of(state.alert.source)
        if alert.status != OPEN:
            return
        minutes = rule.over_minutes if rule else 0
        buckets = self.store.buckets(alert.source, now - 60 * minutes - SECONDS, now)
        if is_over(buckets, self.rules, rule, _unix(alert.started), now):
            self._move(end(alert, now, self.rules.zone, ruled=rule is not None), state, now)

    def _move(self, alert: Alert, before: State | None, now: float) -> None:
        if self.store.move(alert, before, now):
            self._tell(alert, self.listeners)

    def _retell(self, state: State, now: float) -> None:
        """Tell those whom whoever changed an alert did not reach."""
        if now - state.claimed < PATIENCE:
            return
        left = [name for name in self.listeners if f"{state.alert.status} {name}" not in state.told]
        if left and self.store.claim(state, now):
            self._tell(state.alert, left)

    def _tell(self, alert: Alert, names: Iterable[str]) -> None:
        errors: list[Exception] = []
        for name in names:
            with _kept(errors):
                self.listeners[name](alert)
                self.store.mark_told(alert, f"{alert.status} {name}")
        _raise(errors)


def good_rules(store: Store) -> tuple[Rules, str]:
    """Return the rules that hold, and what is wrong with those that were set last if it is not they.

    Where the last good ones cannot be read either, as by a release that is stricter, the default ones hold.
    """
    current, good = store.rules()
    try:
        rules = parse(current)
    except RulesError as error:
        try:
            return parse(good), str(error)
        except RulesError:
            return parse(DEFAULT), f"{error}; nor can the last good ones be read, so the default ones hold"
    if current != good:
        store.keep_good_rules(current)
    return rules, ""


@contextmanager
def _kept(errors: list[Exception]) -> Iterator[None]:
    """Keep an error for later, so that others have their turn first."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 -- whatever it is: `_raise` raises it
        errors.append(error)


def _raise(errors: list[Exception]) -> None:
    if errors:
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise WatchError(f"{errors[0]!r}{more}") from errors[0]


def _ended(state: State | None) -> float:
    return _unix(state.alert.ended) if state and state.alert.ended else 0.0


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
