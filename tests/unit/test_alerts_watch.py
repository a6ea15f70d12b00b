"""One alert where masks are missing, one end, nothing from other sources, whatever is delivered how often."""

import json
import random
from dataclasses import replace

import boto3
import pytest
from moto import mock_aws

from functions.alerts.alert import OPEN, OVER
from functions.alerts.counts import total
from functions.alerts.rules import parse
from functions.alerts.store import Store
from functions.alerts.watch import PATIENCE, Watch, WatchError
from tests.alerts import START, TABLE, create_table, iso, record

RULES = {
    "default": {"share": 0.3, "minutes": 5, "min_faces": 10, "over_minutes": 4, "cool_down_minutes": 10},
    "sources": {
        "ward": {"any": True, "min_confidence": 0.9, "over_minutes": 2},
        "yard": None,
        "night": {"any": True, "quiet_hours": ["09:00-10:00"]},
        "late": {"any": True, "quiet_hours": ["22:00-06:00"], "over_minutes": 2},
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
            {"people": told.append},
            "https://p/",
        )


def bad_minute(start, source="gate", **about):
    """Twelve faces within a minute, six of them without a mask."""
    return [
        record(
            start + 5 * n,
            "no_mask" if n % 2 else "mask",
            source=source,
            prediction_id=f"{start}-{n}",
            **about,
        )
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


def test_old_pictures_that_are_scored_now_alarm_nobody_and_are_not_counted(watch, told):
    year, yesterday = iso(START - 365 * 86_400), iso(START - 86_400)
    watch.take("gate", bad_minute(START, uploaded=year), START + 60)
    watch.take("ward", bad_minute(START, "ward", uploaded=yesterday), START + 60)

    assert told == []
    assert watch.store.buckets("gate", 0, START + 3600) == []


def test_an_upload_counts_when_it_came_and_not_when_it_was_scored(watch, told):
    watch.take("gate", bad_minute(START + 900, uploaded=iso(START)), START + 960)

    assert statuses(told) == [("gate", OPEN)]
    assert told[0].started == "2026-11-24T09:00:10Z"


def test_a_clock_that_is_a_little_fast_alarms_and_one_that_is_wrong_does_not(watch, told):
    watch.take("gate", bad_minute(START + 120), START + 60)
    assert statuses(told) == [("gate", OPEN)]
    watch.tick(START + 180)
    assert len(told) == 1

    watch.tick(START + 600)
    assert statuses(told) == [("gate", OPEN), ("gate", OVER)]

    watch.take("ward", [record(START + 86_400, "no_mask", source="ward")], START + 60)
    assert len(told) == 2


def test_records_out_of_order_on_both_sides_of_midnight_are_one_alert(watch, told):
    midnight = START + 15 * 3600
    records = [*bad_minute(midnight - 60), *bad_minute(midnight)]
    for n in (5, 20, 4, 21, 0, 23, 1, 22, 2):
        watch.take("gate", [records[n]], midnight + 60)
    assert told == []  # the rule wants ten faces

    watch.take("gate", records, midnight + 60)
    watch.tick(midnight + 600)

    assert statuses(told) == [("gate", OPEN), ("gate", OVER)]


def test_an_alert_ends_in_quiet_hours_and_none_begins_in_them_on_either_side_of_midnight(watch, told):
    evening = START + 13 * 3600  # 22:00, when quiet hours begin
    watch.take("late", [record(evening - 30, "no_mask", source="late")], evening - 20)
    assert statuses(told) == [("late", OPEN)]
    for minute in range(1, 10):
        now = evening + 60 * minute
        watch.take("late", [record(now, "no_mask", source="late")], now)
        watch.tick(now)
    assert statuses(told) == [("late", OPEN), ("late", OVER)]

    for hour in (2, 7.99):  # 0:00, 5:59
        now = evening + 3600 * hour
        watch.take("late", [record(now, "no_mask", source="late")], now)
    assert len(told) == 2

    morning = evening + 8 * 3600
    watch.take("late", [record(morning, "no_mask", source="late")], morning)
    assert statuses(told)[2:] == [("late", OPEN)]


def test_a_cool_down_outlives_the_process(watch, told):
    watch.take("gate", bad_minute(START), START + 60)
    watch.tick(START + 360)

    started_anew = replace(watch, store=Store(boto3.client("dynamodb"), TABLE, 40))
    started_anew.take("gate", bad_minute(START + 600), START + 660)

    assert statuses(told) == [("gate", OPEN), ("gate", OVER)]


def test_an_alert_goes_on_while_masks_are_missing(watch, told):
    for minute in range(12):
        watch.take("gate", bad_minute(START + 60 * minute), START + 60 * minute + 59)
        watch.tick(START + 60 * minute + 60)

    assert statuses(told) == [("gate", OPEN)]


def test_one_person_now_and_then_does_not_keep_an_alert_on_for_days(watch, told):
    watch.take("gate", bad_minute(START), START + 60)
    for minute in range(2, 12, 3):
        now = START + 60 * minute
        watch.take("gate", [record(now, "no_mask", source="gate")], now)
        watch.tick(now)

    assert statuses(told) == [("gate", OPEN), ("gate", OVER)]


def test_where_one_is_too_many_one_keeps_the_alert_on(watch, told):
    for minute in range(6):
        now = START + 60 * minute
        watch.take("ward", [record(now, "no_mask", source="ward")], now)
        watch.tick(now)

    assert statuses(told) == [("ward", OPEN)]


def test_an_alert_ends_with_its_rule(watch, told):
    watch.take("gate", bad_minute(START), START + 60)
    silent = Watch(watch.store, parse('{"default": null}'), watch.precision, watch.listeners, "")

    silent.tick(START + 120)

    assert statuses(told) == [("gate", OPEN), ("gate", OVER)]
    assert "there is no rule about it any more" in told[1].message


def fail(alert):
    raise ConnectionError(alert.id)


def test_what_could_not_be_told_is_told_a_minute_later_and_once(watch, told):
    broken = replace(watch, listeners={"people": fail})
    with pytest.raises(WatchError):
        broken.take("gate", bad_minute(START), START + 60)

    watch.take("gate", bad_minute(START), START + 61)
    assert told == []
    watch.tick(START + 61 + PATIENCE)
    watch.tick(START + 62 + PATIENCE)

    assert statuses(told) == [("gate", OPEN)]


def test_who_was_told_is_not_told_again_since_somebody_else_was_not(watch, told):
    heard = []
    half = replace(watch, listeners={"people": fail, "systems": heard.append})
    with pytest.raises(WatchError):
        half.take("gate", bad_minute(START), START + 60)
    for minute in (2, 3):
        with pytest.raises(WatchError):
            half.tick(START + 60 * minute)
    assert statuses(heard) == [("gate", OPEN)]

    replace(half, listeners={"people": told.append, "systems": heard.append}).tick(START + 240)

    assert statuses(told) == statuses(heard) == [("gate", OPEN)]


def test_one_source_that_cannot_be_told_of_keeps_no_other_from_its_turn(watch, told):
    def tell(alert):
        if alert.source == "a":
            fail(alert)
        told.append(alert)

    partly = replace(watch, listeners={"people": tell})
    by_source = {name: bad_minute(START, name) for name in ("a", "b", "c")}

    with pytest.raises(WatchError, match="ConnectionError"):
        partly.take_all(by_source, START + 60)
    assert statuses(told) == [("b", OPEN), ("c", OPEN)]

    with pytest.raises(WatchError):
        partly.tick(START + 600)
    assert statuses(told)[2:] == [("b", OVER), ("c", OVER)]


def test_a_person_who_stays_is_one_face(watch, told):
    watch.take(
        "gate", [record(START + n, "no_mask", source="gate", track="7") for n in range(60)], START + 60
    )

    assert told == []
