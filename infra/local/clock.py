"""Runs the schedules that come every few minutes; what comes by the hour is left to `make drift`."""

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
    """Invokes a function as an `AWS::Scheduler::Schedule` says.

    Args:
        schedule: Its properties, as the template has them.
        function: Its target.
    """

    def __init__(self, schedule: Mapping[str, Any], function: Function) -> None:
        match = _RATE.fullmatch(schedule["ScheduleExpression"])
        self._seconds = 60 * int(match[1]) if match else None
        self._input, self._function = schedule["Target"]["Input"], function
        self._stopped = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to count the minutes."""
        if self._seconds:
            self._thread.start()

    def stop(self) -> None:
        """Invoke no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            try:
                self._function.invoke(json.loads(self._input.replace(_SCHEDULED, now)))
            except LocalError as error:  # the next one comes
                print(f"a schedule failed: {error}", file=sys.stderr)
