"""How often frames are sent, from how the service answers; the page does the same (functions/portal/page/pace.js)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from maskwatch.frames import LONGEST

if TYPE_CHECKING:
    from maskwatch.client import ApiError

_SLOWEST: Final = 32  # times as slow as asked for, after being throttled again and again


@dataclass(frozen=True)
class Pace:
    """The pace after some answers and refusals.

    Attributes:
        failures: Refusals since the last answer.
        slowdown: How many times as long as usual the time from one frame to the next is.
    """

    failures: int = 0
    slowdown: float = 1

    def answered(self) -> Pace:
        """Return the pace after an answer: back to full speed, slowly."""
        return Pace(0, max(1, self.slowdown * 0.97))

    def refused(self, refusal: ApiError) -> tuple[Pace, float]:
        """Return the pace after a refusal, and the seconds to wait.

        They are as many as the service says, and at least twice as many each time, up to `LONGEST`.
        """
        throttled = refusal.status == HTTPStatus.TOO_MANY_REQUESTS
        slowdown = min(self.slowdown * 2, _SLOWEST) if throttled else self.slowdown
        wait = max(refusal.after, min(2.0 ** min(self.failures, 10), LONGEST))
        return replace(self, failures=self.failures + 1, slowdown=slowdown), wait
