"""When somebody is told: a JSON document that operators edit, read strictly, each error naming its field."""

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
STEPS: Final = 20  # steps of confidence that faces are counted by: 0.05 each
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
    """When there is an alert about a source.

    Attributes:
        share: Of the faces that wear no proper mask, from which on there is one; 0 where a single face is enough.
        minutes: That faces are counted over.
        min_faces: That must have been seen in them.
        min_level: Steps of confidence (see `STEPS`) below which a face's label counts as uncertain.
        quiet_hours: Times of day, from and to, in which no alert begins; one may go over midnight.
        cool_down_minutes: After the end of an alert, in which no other begins.
        over_minutes: After which an alert is over if they were fine.
    """

    share: float
    minutes: int
    min_faces: int
    min_level: int
    quiet_hours: tuple[tuple[time, time], ...]
    cool_down_minutes: int
    over_minutes: int


@dataclass(frozen=True)
class Rules:
    """The whole document.

    Attributes:
        zone: Of quiet hours, and of the times in messages.
        default: Of sources that have no rule of their own; None where nobody is told about them.
        sources: By name, empty for pictures that told none.
    """

    zone: tzinfo
    default: Rule | None
    sources: Mapping[str, Rule | None]

    def of(self, source: str) -> Rule | None:
        """Return the rule of a source, or None where nobody is told about it."""
        return self.sources.get(source, self.default)

    def is_quiet(self, rule: Rule, moment: float) -> bool:
        """Return whether a moment, Unix time, is in a rule's quiet hours."""
        now = datetime.fromtimestamp(moment, self.zone).time()
        return any(
            start <= now < end if start < end else now >= start or now < end
            for start, end in rule.quiet_hours
        )


def parse(text: str) -> Rules:
    """Read a document.

    Raises:
        RulesError: It is malformed.
    """
    if len(text) > MAX_DOCUMENT:
        raise RulesError(f"the rules have {len(text):,} characters; {MAX_DOCUMENT:,} are the most")
    try:
        document = json.loads(text, object_pairs_hook=_without_doubles)
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
        sources=_without_doubles(rules),  # two names may be the same source
    )


def _rule(value: Any, path: str) -> Rule | None:
    if value is None:
        return None
    fields = _object(value, path, (*_SHARE, *_ANY, *_OPTIONS))
    if fields.get("any", False) is not False:
        if fields["any"] is not True:
            raise RulesError(f"`{path}.any` must be true or false")
        if both := [name for name in _SHARE if name in fields]:
            raise RulesError(f"`{path}` has `any`, so it takes no `{both[0]}`: a single face is enough")
        share, minutes, min_faces = 0.0, 1, 1
    else:
        if missing := [name for name in _SHARE if name not in fields]:
            raise RulesError(
                f"`{path}.{missing[0]}` is missing; a rule has {', '.join(_SHARE)}, or any: true"
            )
        share = _number(fields["share"], f"{path}.share", 0, 1)
        if share == 0:
            raise RulesError(f"`{path}.share` must be more than 0; for a single face say any: true")
        minutes = _whole(fields["minutes"], f"{path}.minutes", 1, MAX_MINUTES)
        min_faces = _whole(fields["min_faces"], f"{path}.min_faces", 1, 1_000_000)
    return Rule(
        share=share,
        minutes=minutes,
        min_faces=min_faces,
        min_level=_level(fields.get("min_confidence", 0), f"{path}.min_confidence"),
        quiet_hours=_quiet_hours(fields.get("quiet_hours", []), f"{path}.quiet_hours"),
        cool_down_minutes=_whole(
            fields.get("cool_down_minutes", 0), f"{path}.cool_down_minutes", 0, _MAX_COOL_DOWN
        ),
        over_minutes=_whole(fields.get("over_minutes", 5), f"{path}.over_minutes", 1, MAX_MINUTES),
    )


def _object(value: Any, path: str, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RulesError(f"`{path}` must be an object with some of {', '.join(known)}")
    if unknown := [name for name in value if name not in known]:
        raise RulesError(f"`{path}` has an unknown field `{unknown[0]}`; there are {', '.join(known)}")
    return value


def _without_doubles(pairs: list[tuple[str, T]]) -> dict[str, T]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise RulesError(f"`{double}` stands there twice")
    return found


def _number(value: Any, path: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise RulesError(f"`{path}` must be a number from {least} to {most}, and is {json.dumps(value)}")
    return float(value)


def _whole(value: Any, path: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RulesError(
            f"`{path}` must be a whole number from {least} to {most:,}, and is {json.dumps(value)}"
        )
    return value


def _level(value: Any, path: str) -> int:
    steps = _number(value, path, 0, 1) * STEPS
    if abs(steps - round(steps)) > 1e-6:
        raise RulesError(f"`{path}` must be a multiple of {1 / STEPS}, since faces are counted in such steps")
    return round(steps)


def _quiet_hours(value: Any, path: str) -> tuple[tuple[time, time], ...]:
    if not isinstance(value, list):
        raise RulesError(f'`{path}` must be a list such as ["22:00-06:00"]')
    found = []
    for number, text in enumerate(value):
        match = _HOURS.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise RulesError(f"`{path}[{number}]` must be of the form 22:00-06:00, and is {json.dumps(text)}")
        start, end = (time.fromisoformat(one) for one in text.split("-"))
        if start == end:
            raise RulesError(f"`{path}[{number}]` is no time at all; for no alerts use null as the rule")
        found.append((start, end))
    return tuple(found)


def _zone(name: Any) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, OSError, ValueError, TypeError, AttributeError) as error:
        raise RulesError(
            f"`tz` must be a time zone such as Europe/Berlin, and is {json.dumps(name)}"
        ) from error


def _source(name: str) -> str:
    try:
        return read_source(name) or ""
    except InputError as error:
        raise RulesError(f"`sources` names {json.dumps(name)}, which can be no source: {error}") from error
