"""The rules that decide when an alert begins: a JSON document that operators edit, validated field by field."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from typing import TYPE_CHECKING, Any, Final, TypeVar
from zoneinfo import ZoneInfo

from functions.shared.contract import read_source
from functions.shared.problem import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

T = TypeVar("T")
MAX_MINUTES: Final = 60  # of a window
STEPS: Final = 20  # faces are counted by confidence in steps of 1 / STEPS
MAX_DOCUMENT: Final = 100_000  # characters
_MAX_SOURCES: Final = 1_000
_MAX_COOL_DOWN: Final = 1_440  # minutes
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_SHARE: Final = ("share", "minutes", "min_faces")
_ANY: Final = ("any",)
_OPTIONS: Final = ("min_confidence", "quiet_hours", "cool_down_minutes", "over_minutes")

DEFAULT: Final = """{
  "tz": "UTC",
  "default": {"share": 0.4, "minutes": 10, "min_faces": 40, "over_minutes": 10, "cool_down_minutes": 30},
  "sources": {}
}"""


class RulesError(ValueError):
    """The rules cannot be used; the message names the field and says what it must be."""


@dataclass(frozen=True)
class Rule:
    """When an alert about a source begins and ends.

    Attributes:
        min_share: The share of faces without a proper mask at which an alert begins; 0 if a single face is enough.
        minutes: The length of the window in which faces are counted.
        min_faces: How many faces a window must contain.
        min_step: The confidence, in steps of `1 / STEPS`, below which a face's label counts as uncertain.
        quiet_hours: Start and end times of day between which no alert begins; a range may cross midnight.
        cool_down_minutes: How long after the end of an alert no other begins.
        over_minutes: How long the rule must not be violated before an alert ends.
    """

    min_share: float
    minutes: int
    min_faces: int
    min_step: int
    quiet_hours: tuple[tuple[time, time], ...]
    cool_down_minutes: int
    over_minutes: int


@dataclass(frozen=True)
class Rules:
    """The whole document.

    Attributes:
        zone: The time zone of quiet hours and of the times in messages.
        default: The rule of sources that are not in `sources`; None for no alerts.
        sources: Rules by source; the empty name is for pictures without a source.
    """

    zone: tzinfo
    default: Rule | None
    sources: Mapping[str, Rule | None]

    def rule_for(self, source: str) -> Rule | None:
        """Return the rule of a source, or None for no alerts."""
        return self.sources.get(source, self.default)

    def is_quiet(self, rule: Rule, moment: float) -> bool:
        """Return whether a Unix time is in a rule's quiet hours."""
        now = datetime.fromtimestamp(moment, self.zone).time()
        return any(
            start <= now < end if start < end else now >= start or now < end
            for start, end in rule.quiet_hours
        )


def parse(text: str) -> Rules:
    """Parse and validate a document.

    Raises:
        RulesError: The document is malformed; the message names the field.
    """
    if len(text) > MAX_DOCUMENT:
        raise RulesError(f"the rules have {len(text):,} characters; at most {MAX_DOCUMENT:,} are allowed")
    try:
        document = json.loads(text, object_pairs_hook=_unique_fields)
    except (ValueError, RecursionError) as error:
        raise RulesError(f"the rules are not JSON: {error}") from error
    fields = _object(document, "the document", ("tz", "default", "sources"))
    sources = fields.get("sources", {})
    if not isinstance(sources, dict) or len(sources) > _MAX_SOURCES:
        raise RulesError(f"`sources` must be an object of at most {_MAX_SOURCES:,} sources with their rules")
    if "default" not in fields:
        raise RulesError("`default` is missing: a rule for all other sources, or null for none")
    rules = [(_source(name), _rule(rule, f"sources.{name}")) for name, rule in sources.items()]
    return Rules(
        zone=_zone(fields.get("tz", "UTC")),
        default=_rule(fields["default"], "default"),
        sources=_unique_fields(rules),  # two names may be the same source
    )


def rules_in_force(current: str, good: str) -> tuple[Rules, str]:
    """Return the current rules, or the last good ones and what is wrong with the current ones.

    If the last good ones are not valid either, as after an update that is stricter, the default rules are in force.
    """
    try:
        return parse(current), ""
    except RulesError as error:
        try:
            return parse(good), str(error)
        except RulesError:
            fault = f"{error}; the last good rules cannot be read either, so the default rules are in force"
            return parse(DEFAULT), fault


def _rule(value: Any, path: str) -> Rule | None:
    if value is None:
        return None
    fields = _object(value, path, (*_SHARE, *_ANY, *_OPTIONS))
    if fields.get("any", False) is not False:
        if fields["any"] is not True:
            raise RulesError(f"`{path}.any` must be true or false")
        if both := [name for name in _SHARE if name in fields]:
            raise RulesError(f"`{path}` has `any`, so it takes no `{both[0]}`: a single face is enough")
        min_share, minutes, min_faces = 0.0, 1, 1
    else:
        if missing := [name for name in _SHARE if name not in fields]:
            raise RulesError(
                f"`{path}.{missing[0]}` is missing; a rule has {', '.join(_SHARE)}, or any: true"
            )
        min_share = _number(fields["share"], f"{path}.share", 0, 1)
        if min_share == 0:
            raise RulesError(f"`{path}.share` must be more than 0; for a single face say any: true")
        minutes = _integer(fields["minutes"], f"{path}.minutes", 1, MAX_MINUTES)
        min_faces = _integer(fields["min_faces"], f"{path}.min_faces", 1, 1_000_000)
    return Rule(
        min_share=min_share,
        minutes=minutes,
        min_faces=min_faces,
        min_step=_confidence_step(fields.get("min_confidence", 0), f"{path}.min_confidence"),
        quiet_hours=_quiet_hours(fields.get("quiet_hours", []), f"{path}.quiet_hours"),
        cool_down_minutes=_integer(
            fields.get("cool_down_minutes", 0), f"{path}.cool_down_minutes", 0, _MAX_COOL_DOWN
        ),
        over_minutes=_integer(fields.get("over_minutes", 5), f"{path}.over_minutes", 1, MAX_MINUTES),
    )


def _object(value: Any, path: str, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RulesError(f"`{path}` must be an object with some of {', '.join(known)}")
    if unknown := [name for name in value if name not in known]:
        raise RulesError(f"`{path}` has an unknown field `{unknown[0]}`; there are {', '.join(known)}")
    return value


def _unique_fields(pairs: list[tuple[str, T]]) -> dict[str, T]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise RulesError(f"`{double}` is given twice")
    return fields


def _number(value: Any, path: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise RulesError(f"`{path}` must be a number from {least} to {most}, not {json.dumps(value)}")
    return float(value)


def _integer(value: Any, path: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RulesError(f"`{path}` must be a whole number from {least} to {most:,}, not {json.dumps(value)}")
    return value


def _confidence_step(value: Any, path: str) -> int:
    steps = _number(value, path, 0, 1) * STEPS
    if abs(steps - round(steps)) > 1e-6:
        raise RulesError(f"`{path}` must be a multiple of {1 / STEPS}")
    return round(steps)


def _quiet_hours(value: Any, path: str) -> tuple[tuple[time, time], ...]:
    if not isinstance(value, list):
        raise RulesError(f'`{path}` must be a list such as ["22:00-06:00"]')
    ranges = []
    for number, text in enumerate(value):
        match = _HOURS.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise RulesError(f"`{path}[{number}]` must be of the form 22:00-06:00, not {json.dumps(text)}")
        start, end = (time.fromisoformat(part) for part in text.split("-"))
        if start == end:
            raise RulesError(f"`{path}[{number}]` is empty; for no alerts use null as the rule")
        ranges.append((start, end))
    return tuple(ranges)


def _zone(name: Any) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, OSError, ValueError, TypeError, AttributeError) as error:
        raise RulesError(f"`tz` must be a time zone such as Europe/Berlin, not {json.dumps(name)}") from error


def _source(name: str) -> str:
    try:
        return read_source(name) or ""
    except InputError as error:
        raise RulesError(
            f"`sources` contains {json.dumps(name)}, which is not a valid name: {error}"
        ) from error
