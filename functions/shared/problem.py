"""Problem details (RFC 9457): one table of refusals for every function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One kind of refusal: a stable identifier, its HTTP status and a short title."""

    identifier: str
    status: int
    title: str


MALFORMED_BODY = Problem("malformed-body", 400, "The body cannot be parsed")
MALFORMED_BASE64 = Problem("malformed-base64", 400, "The picture is not valid base64")
INVALID_PARAMETER = Problem("invalid-parameter", 400, "A parameter is missing or out of range")
FORBIDDEN = Problem("forbidden", 403, "The API key is missing or wrong")
BLOCKED = Problem("blocked", 403, "A firewall refused the request")
NOT_FOUND = Problem("not-found", 404, "There is nothing at this path")
NO_RESULT = Problem("no-result", 404, "There is no result")
NO_REPORT = Problem("no-report", 404, "There is no report yet")
METHOD_NOT_ALLOWED = Problem("method-not-allowed", 405, "The path does not take this method")
GONE = Problem("gone", 410, "The picture is no longer there")
TOO_LARGE = Problem("too-large", 413, "The picture is too large")
UNSUPPORTED_TYPE = Problem("unsupported-type", 415, "Not an accepted type")
UNREADABLE_IMAGE = Problem("unreadable-image", 422, "Not a readable picture")
TOO_MANY_PIXELS = Problem("too-many-pixels", 422, "The picture has too many pixels")
TOO_SMALL = Problem("too-small", 422, "The picture is too small")
THROTTLED = Problem("throttled", 429, "Too many requests")
QUOTA_EXCEEDED = Problem("quota-exceeded", 429, "The quota of the month is used up")
INTERNAL = Problem("internal", 500, "Something went wrong on our side")
NOT_IN_TIME = Problem("not-in-time", 503, "It cannot be done in time")

PROBLEMS = tuple(value for value in vars().copy().values() if isinstance(value, Problem))


class InputError(Exception):
    """A request or a picture was refused; `detail` says how to fix it."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail


def problem_json(problem: Problem, detail: str, *, instance: str | None = None) -> dict[str, Any]:
    """Return an `application/problem+json` body; `instance` is a URI with the id that the log lines contain."""
    body = {
        "type": f"urn:maskwatch:problem:{problem.identifier}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
    }
    return body | {"instance": instance} if instance else body
