"""One alert where masks are missing, one end, nothing from other sources, whatever is delivered how often."""

import json
import random

import pytest
from moto import mock_aws

from functions.alerts.alert import OPEN, OVER
from functions.alerts.counts import total
from functions.alerts.rules import parse
from functions.alerts.store import Store
from functions.alerts.watch import PATIENCE, Watch
from tests.alerts import START, TABLE, create_table, record

RULES = {
    "default": {"share": 0.3, "minutes": 5, "min_faces": 10, "over_minutes": 4, "cool_down_minutes": 10},
    "sources": {
        "ward": {"any": True, "min_confidence": 0.9, "over_minutes": 2},
        "yard": None,
        "night": {"any": True, "quiet_hours": ["09:00-10:00"]},
    },
}


@pytest.fixture
def told():
    return []


@pytest.fixture
def watch(aws, told):  # noqa: ARG001 -- sets the environment
    with mock_aws():
        yield Watch(
            Store(create_table(), TABLE, 40),
            parse(json.dumps(RULES)),
            lambda *_: {},
            told.append,
            "https://p/",
        )


def bad_minute(start, source="gate"):
    """Twelve faces within a minute, six of them without a mask."""
    return [
        record(start + 5 * n, "no_mask" if n % 2 else "mask", source=source, prediction_id=f"{start}-{n}")
        for n in range(12)
    ]


def statuses(told):
    return [(alert.source, alert.status) for alert in told]


def test_too_large_a_share_begins_one_alert_which_ends_when_it_was_fine(watch, told):
    watch.take("gate", bad_minute(START), START + 60)
    watch.take("gate", bad_minute(START + 60), START + 120)
    assert statuses(told) == [("gate", OPEN)]

    for minute in range(2, 10):
        watch.tick(START + 60 * minute)

    assert statuses(told) == [("gate", OPEN), ("gate", OVER)]
    assert told[0].id == told[1].id
    assert (told[1].started, told[1].ended) == ("2026-11-24T09:00:50Z", "2026-11-24T09:06:00Z")


def test_few_faces_or_a_small_share_begin_none(watch, told):
    watch.take("gate", bad_minute(START)[:9], START + 60)
    watch.take(
        "other", [record(START + n, "no_mask" if n < 2 else "mask", source="other") for n in range(10)], START
    )

    assert told == []


def test_a_single_sure_face_is_enough_where_the_rule_says_any(watch, told):
    watch.take("ward", [record(START, "incorrect", source="ward", confidence=0.89)], START)
    assert told == []

    watch.take("ward", [record(START, "incorrect", source="ward", confidence=0.9)], START)
    assert statuses(told) == [("ward", OPEN)]


def test_nobody_is_told_of_a_source_without_a_rule_or_in_quiet_hours(watch, told):
    watch.take("yard", bad_minute(START, "yard"), START)
    watch.take("night", bad_minute(START, "night"), START)
    watch.take("night", [record(START + 3600, "mask", source="night")], START + 3600)
    assert told == []

    watch.take("night", [record(START + 3600, "no_mask", source="night")], START + 3600)
    assert statuses(told) == [("night", OPEN)]


def test_another_begins_only_after_the_cool_down(watch, told):
    watch.take("gate", bad_minute(START), START + 60)
    watch.tick(START + 360)
    assert len(told) == 2

    watch.take("gate", bad_minute(START + 600), START + 660)
    assert len(told) == 2

    watch.take("gate", bad_minute(START + 1200), START + 1260)
    assert statuses(told)[2:] == [("gate", OPEN)]


@pytest.mark.parametrize("seed", range(5))
def test_the_same_records_twice_and_in_any_order_begin_one(watch, told, seed):
    records = [*bad_minute(START), *bad_minute(START + 60)]
    twice = random.Random(seed).sample([*records, *records], 48)  # noqa: S311 -- an order
    for n in range(0, 48, 3):
        watch.take("gate", twice[n : n + 3], START + 120)
    watch.tick(START + 600)
    for n in range(0, 48, 3):
        watch.take("gate", twice[n : n + 3], START + 700)

    assert statuses(told) == [("gate", OPEN), ("gate", OVER)]
    assert total(watch.store.buckets("gate", START, START + 120), 0).faces == 24


def test_half_an_hour_s_delay_does_not_hide_a_violation(watch, told):
    watch.take("gate", [record(START + 1800, "mask", source="gate")], START + 1800)

    watch.take("gate", bad_minute(START), START + 1800)

    assert statuses(told) == [("gate", OPEN)]


def test_what_is_older_than_an_hour_alarms_nobody(watch, told):
    watch.take("gate", bad_minute(START), START + 4000)

    assert told == []


def test_an_alert_goes_on_while_masks_are_missing(watch, told):
    for minute in range(12):
        watch.take("gate", bad_minute(START + 60 * minute), START + 60 * minute + 59)
        watch.tick(START + 60 * minute + 60)

    assert statuses(told) == [("gate", OPEN)]


def test_an_alert_ends_with_its_rule(watch, told):
    watch.take("gate", bad_minute(START), START + 60)
    silent = Watch(watch.store, parse('{"default": null}'), watch.precision, told.append, "")

    silent.tick(START + 120)

    assert statuses(told) == [("gate", OPEN), ("gate", OVER)]


def test_what_could_not_be_told_is_told_a_minute_later_and_once(watch, told):
    def fail(alert):
        raise ConnectionError(alert.id)

    broken = Watch(watch.store, watch.rules, watch.precision, fail, "")
    with pytest.raises(ConnectionError):
        broken.take("gate", bad_minute(START), START + 60)

    watch.take("gate", bad_minute(START), START + 61)
    assert told == []
    watch.tick(START + 61 + PATIENCE)
    watch.tick(START + 62 + PATIENCE)

    assert statuses(told) == [("gate", OPEN)]


def test_a_person_who_stays_is_one_face(watch, told):
    watch.take(
        "gate", [record(START + n, "no_mask", source="gate", track="7") for n in range(60)], START + 60
    )

    assert told == []
