"""What every request to the portal may hold: JSON in the body, and the name of a source."""

from __future__ import annotations

import json
from typing import Any, Final

from functions.problem import INVALID_PARAMETER, MALFORMED_BODY, Rejected

_MAX_SOURCE: Final = 64  # characters


def read_object(body: bytes, form: str) -> dict[str, Any]:
    """Read a body that is a JSON object; `form` is a sentence that shows what it should be.

    Raises:
        Rejected: It is not JSON, or none that is an object.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Rejected(MALFORMED_BODY, f"The body is not JSON: {error}. {form}") from error
    if not isinstance(told, dict):
        raise Rejected(MALFORMED_BODY, f"The body is JSON, but not an object. {form}")
    return told


def read_source(source: object) -> str:
    """Check the name of a camera or site.

    Raises:
        Rejected: It is too long, or not printable text.
    """
    if not (isinstance(source, str) and len(source) <= _MAX_SOURCE and source.isprintable()):
        detail = f"`source` must be text of at most {_MAX_SOURCE} printable characters."
        raise Rejected(INVALID_PARAMETER, detail)
    return source
