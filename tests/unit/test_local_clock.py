"""The local clock runs schedules of minutes; schedules of hours are left to commands."""

import json
import re
from threading import Event

from infra.local import clock
from infra.local.errors import FunctionError


class Function:
    """Records events; raises an error at the first, and stops the schedule at the second."""

    def __init__(self):
        self.events, self.stopped = [], Event()

    def invoke(self, event):
        self.events.append(event)
        if len(self.events) == 1:
            raise FunctionError("it is asleep")
        self.stopped.set()


def run(rate):
    """Return the events that a schedule of a rate sent."""
    target = {"Input": json.dumps({"time": "<aws.scheduler.scheduled-time>"})}
    function = Function()
    clock.run_schedule({"ScheduleExpression": rate, "Target": target}, function, function.stopped)
    return function.events


def test_a_schedule_continues_after_a_failure_and_passes_the_time(monkeypatch):
    monkeypatch.setattr(clock, "_MINUTE", 0.01)

    _, second = run("rate(1 minute)")

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", second["time"])


def test_schedules_of_hours_are_not_run():
    assert run("rate(1 hour)") == []
