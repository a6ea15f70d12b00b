"""The local clock runs schedules of minutes; schedules of hours are left to commands."""

import json
import re
import time

from infra.local.clock import Clock
from infra.local.errors import FunctionError


class Function:
    """Records events, and raises an error at the first."""

    def __init__(self):
        self.events = []

    def invoke(self, event):
        self.events.append(event)
        if len(self.events) == 1:
            raise FunctionError("it is asleep")


def clock(rate, seconds=None):
    target = {"Input": json.dumps({"time": "<aws.scheduler.scheduled-time>"})}
    made = Clock({"ScheduleExpression": rate, "Target": target}, function := Function())
    if seconds:
        made._seconds = seconds  # noqa: SLF001 -- nobody waits for minutes
    made.start()
    return made, function


def test_a_schedule_continues_after_a_failure_and_passes_the_time():
    made, function = clock("rate(1 minute)", 0.01)
    end = time.monotonic() + 30
    while len(function.events) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    made.stop()

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", function.events[1]["time"])


def test_schedules_of_hours_are_not_run():
    made, function = clock("rate(1 hour)")
    made.stop()

    assert function.events == []
