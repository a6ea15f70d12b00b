"""Runs schedules with a rate in minutes; the hourly one of Drift is left to `make drift`."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from infra.local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from threading import Event

    from infra.local.function import Function

_MINUTE: Final = 60.0  # seconds
_RATE: Final = re.compile(r"rate\((\d+) minutes?\)")
_SCHEDULED: Final = "<aws.scheduler.scheduled-time>"


def run_schedule(schedule: Mapping[str, Any], function: Function, stopped: Event) -> None:
    """Invoke a function at the rate of an `AWS::Scheduler::Schedule` in minutes, until `stopped` is set.

    Args:
        schedule: The properties in the template.
        function: The target.
        stopped: Ends the schedule.
    """
    match = _RATE.fullmatch(schedule["ScheduleExpression"])
    while match and not stopped.wait(_MINUTE * int(match[1])):
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        try:
            function.invoke(json.loads(schedule["Target"]["Input"].replace(_SCHEDULED, now)))
        except LocalError as error:  # the next invocation may succeed
            print(f"a schedule failed: {error}", file=sys.stderr)
