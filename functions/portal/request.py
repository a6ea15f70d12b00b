"""What every request to the portal may hold: JSON in the body."""

from __future__ import annotations

import json
from typing import Any

from functions.shared.problem import MALFORMED_BODY, InputError


def read_object(body: bytes, form: str) -> dict[str, Any]:
    """Read a body that is a JSON object; `form` is a sentence that shows what it should be.

    Raises:
        InputError: It is not JSON, or none that is an object.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(MALFORMED_BODY, f"The body is not JSON: {error}. {form}") from error
    if not isinstance(told, dict):
        raise InputError(MALFORMED_BODY, f"The body is JSON, but not an object. {form}")
    return told
