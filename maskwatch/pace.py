"""Adapts the frame rate to the service's answers; the page does the same (functions/portal/page/pace.js)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from maskwatch.frames import MAX_WAIT

if TYPE_CHECKING:
    from maskwatch.client import ApiError

_MAX_SLOWDOWN: Final = 32


@dataclass(frozen=True)
class Pace:
    """The pace after some answers and refusals.

    Attributes:
        failures: Refusals since the last answer.
        slowdown: Factor by which the interval between frames is longer than usual.
    """

    failures: int = 0
    slowdown: float = 1

    def answered(self) -> Pace:
        """Return the pace after an answer, which is slightly faster, up to full speed."""
        return Pace(0, max(1, self.slowdown * 0.97))

    def refused(self, refusal: ApiError) -> tuple[Pace, float]:
        """Return the pace after a refusal, and the seconds to wait.

        The wait is what the service asks for, or an exponential backoff if that is longer, up to `MAX_WAIT`.
        """
        throttled = refusal.status == HTTPStatus.TOO_MANY_REQUESTS
        slowdown = min(self.slowdown * 2, _MAX_SLOWDOWN) if throttled else self.slowdown
        wait = min(max(refusal.after, 2.0 ** min(self.failures, 10)), MAX_WAIT)
        return replace(self, failures=self.failures + 1, slowdown=slowdown), wait
