"""The pace at which frames are sent, as tests/browser/test_page_tracking.py tests it for the page."""

import pytest

from maskwatch.client import ApiError
from maskwatch.pace import Pace


def after(pace, *refusals):
    """Return the pace after these answers, and the waits."""
    waits = []
    for refusal in refusals:
        pace, wait = pace.refused(refusal)
        waits.append(wait)
    return pace, waits


def test_waits_grow_to_half_a_minute_and_end_with_an_answer():
    busy = ApiError("busy", status=503)

    pace, waits = after(Pace(), *[busy] * 7)

    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert after(pace.answered(), busy)[1] == [1]


def test_after_days_of_refusals_the_wait_is_the_same():
    assert after(Pace(), *[ApiError("busy", status=503)] * 5000)[1][-1] == 30


@pytest.mark.parametrize(("seconds", "waits"), [(7, 7), (86_400, 30)])
def test_the_retry_after_of_the_service_is_honoured_up_to_half_a_minute(seconds, waits):
    throttled = ApiError("slow down", "throttled", 429, seconds)
    assert after(Pace(), throttled, throttled)[1] == [waits] * 2


def test_throttling_slows_the_pace_and_answers_raise_it():
    slowed, _ = after(Pace(), *[ApiError("slow down", "throttled", 429)] * 2)
    assert slowed.slowdown == 4
    assert after(slowed, *[ApiError("slow down", "throttled", 429)] * 9)[0].slowdown == 32
    for _ in range(200):
        slowed = slowed.answered()
    assert slowed.slowdown == 1
    assert after(Pace(), ApiError("busy", status=500))[0].slowdown == 1
