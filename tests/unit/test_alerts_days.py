"""On simulated days, the default rule raises few false alerts, and true ones soon."""

import json

from functions.alerts.rules import DEFAULT
from tests.benchmarks.alerts import bad_hour, quiet_day

RULE = json.loads(DEFAULT)["default"]


def test_three_quiet_days_raise_one_alert_at_most():
    assert sum(quiet_day(RULE, seed) for seed in range(3)) <= 1


def test_people_without_masks_raise_an_alert_within_fifteen_minutes():
    delays = [bad_hour(RULE, seed) for seed in range(3)]

    assert all(delay is not None and delay <= 900 for delay in delays)
