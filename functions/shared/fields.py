"""Parsing of request fields: JSON objects, UTF-8 text, and refusal of names that are unknown or given twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from functions.shared.problem import INVALID_PARAMETER, MALFORMED_BODY, InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

T = TypeVar("T")
# The byte order mark of UTF-16, which PowerShell writes, after a gateway has read it as UTF-8.
_LOST_MARK: Final = b"\xef\xbf\xbd" * 2


def read_json(body: bytes, example: str) -> dict[str, Any]:
    """Parse a body that must be a JSON object; `example` is a sentence that shows one.

    Raises:
        InputError: It is not a JSON object, or has a field twice.
    """
    try:
        fields = json.loads(body.removeprefix(_LOST_MARK), object_pairs_hook=single)
    except UnicodeDecodeError as error:
        raise InputError(MALFORMED_BODY, f"The body is not JSON in UTF-8. {example}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(MALFORMED_BODY, f"The body is not JSON: {error}. {example}") from error
    if not isinstance(fields, dict):
        raise InputError(MALFORMED_BODY, f"The body is JSON, but not an object. {example}")
    return fields


def single(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return fields by their names.

    Raises:
        InputError: A field is given twice with different values.
    """
    fields: dict[str, T] = {}
    for name, value in pairs:
        first = fields.setdefault(name, value)
        if first is not value and first != value:  # NaN is not equal to itself
            raise InputError(INVALID_PARAMETER, f"`{name[:64]}` is given twice. Send it once.")
    return fields


def decode_text(value: bytes, name: str) -> str:
    """Decode the UTF-8 value of a field.

    Raises:
        InputError: It is not UTF-8.
    """
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InputError(INVALID_PARAMETER, f"`{name}` must be text in UTF-8.") from error


def refuse_unknown(names: Iterable[str], known: Collection[str]) -> None:
    """Refuse unknown field names, so that a misspelt one is never silently ignored.

    Raises:
        InputError: A name is not among the known ones.
    """
    unknown = next((name[:64] for name in names if name not in known), None)
    if unknown is None:
        return
    # Imported here because it would add a millisecond to every cold start.
    from difflib import get_close_matches  # noqa: PLC0415

    close = get_close_matches(unknown, known, n=1)
    hint = (
        f"Did you mean `{close[0]}`?" if close else f"There are {', '.join(f'`{name}`' for name in known)}."
    )
    raise InputError(INVALID_PARAMETER, f"There is no parameter {unknown!r}. {hint}")
