"""Runs schedules with a rate in minutes; the hourly one of Drift is left to `make drift`."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from infra.local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.function import Function

_RATE: Final = re.compile(r"rate\((\d+) minutes?\)")
_SCHEDULED: Final = "<aws.scheduler.scheduled-time>"


class Clock:
    """Invokes a function at the rate of an `AWS::Scheduler::Schedule`.

    Args:
        schedule: The properties in the template.
        function: The target.
    """

    def __init__(self, schedule: Mapping[str, Any], function: Function) -> None:
        match = _RATE.fullmatch(schedule["ScheduleExpression"])
        self._seconds = 60 * int(match[1]) if match else None
        self._input, self._function = schedule["Target"]["Input"], function
        self._stopped = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start the schedule, if its rate is in minutes."""
        if self._seconds:
            self._thread.start()

    def stop(self) -> None:
        """Stop the schedule."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            try:
                self._function.invoke(json.loads(self._input.replace(_SCHEDULED, now)))
            except LocalError as error:  # the next invocation may succeed
                print(f"a schedule failed: {error}", file=sys.stderr)
