"""A violation begins one alert that ends once, however often records are delivered."""

import json
import random
from dataclasses import replace
from datetime import datetime

import boto3
import pytest

from functions.alerts.alert import OPEN, OVER
from functions.alerts.counts import count_faces
from functions.alerts.rules import parse
from functions.alerts.store import Store
from functions.alerts.watch import NOTIFY_TIMEOUT, Watch, WatchError
from tests.alerts import START, TABLE, iso, record

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
def notified():
    return []


@pytest.fixture
def watch(store, notified):
    return Watch(store, parse(json.dumps(RULES)), lambda *_: {}, {"people": notified.append}, "https://p/")


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


def statuses(notified):
    return [(alert.source, alert.status) for alert in notified]


def test_too_large_a_share_begins_one_alert_which_ends_after_over_minutes(watch, notified):
    watch.process("gate", bad_minute(START), START + 60)
    watch.process("gate", bad_minute(START + 60), START + 120)
    assert statuses(notified) == [("gate", OPEN)]

    for minute in range(2, 10):
        watch.tick(START + 60 * minute)

    assert statuses(notified) == [("gate", OPEN), ("gate", OVER)]
    assert notified[0].id == notified[1].id
    assert (notified[1].started, notified[1].ended) == ("2026-11-24T09:00:50Z", "2026-11-24T09:06:00Z")


def test_an_alert_of_a_source_that_fell_silent_does_not_say_that_masks_are_worn(watch, notified):
    watch.process("gate", bad_minute(START), START + 60)
    watch.tick(START + 600)

    assert statuses(notified) == [("gate", OPEN), ("gate", OVER)]
    assert "no picture has come for 4 min" in notified[1].message


@pytest.mark.parametrize("late", [6, 15, 40])
def test_a_violation_that_is_counted_late_is_one_alert_which_ends_in_the_pictures_time(watch, notified, late):
    """For example, while a large upload keeps Batch busy."""
    for minute in range(late + 30):
        now = START + 60 * (minute + 1)
        taken = now - 60 * late
        if START < taken <= START + 60 * 20:
            watch.process("gate", bad_minute(taken - 60), now)
        watch.tick(now)

    assert statuses(notified) == [("gate", OPEN), ("gate", OVER)]
    assert START + 60 * 20 < datetime.fromisoformat(notified[1].ended).timestamp() <= now


def test_few_faces_or_a_small_share_begin_no_alert(watch, notified):
    watch.process("gate", bad_minute(START)[:9], START + 60)
    watch.process(
        "other", [record(START + n, "no_mask" if n < 2 else "mask", source="other") for n in range(10)], START
    )

    assert notified == []


def test_a_single_confident_face_is_enough_for_a_rule_with_any(watch, notified):
    watch.process("ward", [record(START, "incorrect", source="ward", confidence=0.89)], START)
    assert notified == []

    watch.process("ward", [record(START, "incorrect", source="ward", confidence=0.9)], START)
    assert statuses(notified) == [("ward", OPEN)]


def test_no_alert_begins_for_a_source_without_a_rule_or_in_quiet_hours(watch, notified):
    watch.process("yard", bad_minute(START, "yard"), START)
    watch.process("night", bad_minute(START, "night"), START)
    watch.process("night", [record(START + 3600, "mask", source="night")], START + 3600)
    assert notified == []

    watch.process("night", [record(START + 3600, "no_mask", source="night")], START + 3600)
    assert statuses(notified) == [("night", OPEN)]


def test_the_next_alert_begins_only_after_the_cool_down(watch, notified):
    watch.process("gate", bad_minute(START), START + 60)
    watch.tick(START + 360)
    assert len(notified) == 2

    watch.process("gate", bad_minute(START + 600), START + 660)
    assert len(notified) == 2

    watch.process("gate", bad_minute(START + 1200), START + 1260)
    assert statuses(notified)[2:] == [("gate", OPEN)]


@pytest.mark.parametrize("seed", range(5))
def test_records_delivered_twice_in_any_order_begin_one_alert(watch, notified, seed):
    records = [*bad_minute(START), *bad_minute(START + 60)]
    twice = random.Random(seed).sample([*records, *records], 48)  # noqa: S311 -- an order
    for n in range(0, 48, 3):
        watch.process("gate", twice[n : n + 3], START + 120)
    watch.tick(START + 600)
    for n in range(0, 48, 3):
        watch.process("gate", twice[n : n + 3], START + 700)

    assert statuses(notified) == [("gate", OPEN), ("gate", OVER)]
    assert count_faces(watch.store.buckets("gate", START, START + 120), 0, others=False).faces == 24


def test_half_an_hour_s_delay_does_not_hide_a_violation(watch, notified):
    watch.process("gate", [record(START + 1800, "mask", source="gate")], START + 1800)

    watch.process("gate", bad_minute(START), START + 1800)

    assert statuses(notified) == [("gate", OPEN)]


def test_records_older_than_an_hour_begin_no_alert(watch, notified):
    watch.process("gate", bad_minute(START), START + 4000)

    assert notified == []


def test_old_uploads_that_are_scored_now_begin_no_alert_and_are_not_counted(watch, notified):
    year, yesterday = iso(START - 365 * 86_400), iso(START - 86_400)
    watch.process("gate", bad_minute(START, uploaded=year), START + 60)
    watch.process("ward", bad_minute(START, "ward", uploaded=yesterday), START + 60)

    assert notified == []
    assert watch.store.buckets("gate", 0, START + 3600) == []


def test_an_upload_counts_at_the_time_of_its_upload(watch, notified):
    watch.process("gate", bad_minute(START + 900, uploaded=iso(START)), START + 960)

    assert statuses(notified) == [("gate", OPEN)]
    assert notified[0].started == "2026-11-24T09:00:10Z"


def test_records_from_a_slightly_fast_clock_count_and_from_a_wrong_clock_do_not(watch, notified):
    watch.process("gate", bad_minute(START + 120), START + 60)
    assert statuses(notified) == [("gate", OPEN)]
    watch.tick(START + 180)
    assert len(notified) == 1

    watch.tick(START + 600)
    assert statuses(notified) == [("gate", OPEN), ("gate", OVER)]

    watch.process("ward", [record(START + 86_400, "no_mask", source="ward")], START + 60)
    assert len(notified) == 2


def test_records_out_of_order_around_midnight_begin_one_alert(watch, notified):
    midnight = START + 15 * 3600
    records = [*bad_minute(midnight - 60), *bad_minute(midnight)]
    for n in (5, 20, 4, 21, 0, 23, 1, 22, 2):
        watch.process("gate", [records[n]], midnight + 60)
    assert notified == []  # the rule needs ten faces

    watch.process("gate", records, midnight + 60)
    watch.tick(midnight + 600)

    assert statuses(notified) == [("gate", OPEN), ("gate", OVER)]


def test_an_alert_ends_in_quiet_hours_and_none_begins_before_or_after_midnight(watch, notified):
    evening = START + 13 * 3600  # 22:00, when quiet hours begin
    watch.process("late", [record(evening - 30, "no_mask", source="late")], evening - 20)
    assert statuses(notified) == [("late", OPEN)]
    for minute in range(1, 10):
        now = evening + 60 * minute
        watch.process("late", [record(now, "no_mask", source="late")], now)
        watch.tick(now)
    assert statuses(notified) == [("late", OPEN), ("late", OVER)]
    assert "quiet hours have begun" in notified[1].message

    for hour in (2, 7.99):  # 0:00, 5:59
        now = evening + 3600 * hour
        watch.process("late", [record(now, "no_mask", source="late")], now)
    assert len(notified) == 2

    morning = evening + 8 * 3600
    watch.process("late", [record(morning, "no_mask", source="late")], morning)
    assert statuses(notified)[2:] == [("late", OPEN)]


def test_a_cool_down_survives_a_restart(watch, notified):
    watch.process("gate", bad_minute(START), START + 60)
    watch.tick(START + 360)

    restarted = replace(watch, store=Store(boto3.client("dynamodb"), TABLE, 40))
    restarted.process("gate", bad_minute(START + 600), START + 660)

    assert statuses(notified) == [("gate", OPEN), ("gate", OVER)]


def test_an_alert_stays_open_while_masks_are_missing(watch, notified):
    for minute in range(12):
        watch.process("gate", bad_minute(START + 60 * minute), START + 60 * minute + 59)
        watch.tick(START + 60 * minute + 60)

    assert statuses(notified) == [("gate", OPEN)]


def test_single_people_without_a_mask_do_not_keep_an_alert_open(watch, notified):
    watch.process("gate", bad_minute(START), START + 60)
    for minute in range(2, 12, 3):
        now = START + 60 * minute
        watch.process("gate", [record(now, "no_mask", source="gate")], now)
        watch.tick(now)

    assert statuses(notified) == [("gate", OPEN), ("gate", OVER)]


def test_a_single_face_keeps_the_alert_of_a_rule_with_any_open(watch, notified):
    for minute in range(6):
        now = START + 60 * minute
        watch.process("ward", [record(now, "no_mask", source="ward")], now)
        watch.tick(now)

    assert statuses(notified) == [("ward", OPEN)]


def test_an_alert_ends_when_its_rule_is_removed(watch, notified):
    watch.process("gate", bad_minute(START), START + 60)
    silent = Watch(watch.store, parse('{"default": null}'), watch.precision, watch.listeners, "")

    silent.tick(START + 120)

    assert statuses(notified) == [("gate", OPEN), ("gate", OVER)]
    assert "the source has no rule any more" in notified[1].message


def fail(alert):
    raise ConnectionError(alert.id)


def test_a_failed_notification_is_repeated_once_a_minute_later(watch, notified):
    broken = replace(watch, listeners={"people": fail})
    with pytest.raises(WatchError):
        broken.process("gate", bad_minute(START), START + 60)

    watch.process("gate", bad_minute(START), START + 61)
    assert notified == []
    watch.tick(START + 61 + NOTIFY_TIMEOUT)
    watch.tick(START + 62 + NOTIFY_TIMEOUT)

    assert statuses(notified) == [("gate", OPEN)]


def test_a_listener_is_not_notified_again_because_another_was_missed(watch, notified):
    events = []
    half = replace(watch, listeners={"people": fail, "systems": events.append})
    with pytest.raises(WatchError):
        half.process("gate", bad_minute(START), START + 60)
    for minute in (2, 3):
        with pytest.raises(WatchError):
            half.tick(START + 60 * minute)
    assert statuses(events) == [("gate", OPEN)]

    replace(half, listeners={"people": notified.append, "systems": events.append}).tick(START + 240)

    assert statuses(notified) == statuses(events) == [("gate", OPEN)]


def test_a_listener_that_fails_gets_everything_later_in_order_and_the_other_one_at_once(watch, notified):
    events = []
    half = replace(watch, listeners={"people": fail, "systems": events.append})
    with pytest.raises(WatchError):
        half.process("gate", bad_minute(START), START + 60)
    with pytest.raises(WatchError):
        half.tick(START + 360)
    with pytest.raises(WatchError):
        half.process("gate", bad_minute(START + 1200), START + 1260)
    assert statuses(events) == [("gate", OPEN), ("gate", OVER), ("gate", OPEN)]

    for minute in (22, 23):
        replace(half, listeners={"people": notified.append, "systems": events.append}).tick(
            START + 60 * minute
        )

    assert notified == events


def test_a_failure_for_one_source_does_not_stop_the_others(watch, notified):
    def notify(alert):
        if alert.source == "a":
            fail(alert)
        notified.append(alert)

    partly = replace(watch, listeners={"people": notify})
    by_source = {name: bad_minute(START, name) for name in ("a", "b", "c")}

    with pytest.raises(WatchError, match="ConnectionError"):
        partly.process_all(by_source, START + 60)
    assert statuses(notified) == [("b", OPEN), ("c", OPEN)]

    with pytest.raises(WatchError):
        partly.tick(START + 600)
    assert statuses(notified)[2:] == [("b", OVER), ("c", OVER)]


def test_a_tracked_person_is_one_face(watch, notified):
    watch.process(
        "gate", [record(START + n, "no_mask", source="gate", track="7") for n in range(60)], START + 60
    )

    assert notified == []


@pytest.mark.parametrize(("source", "alerts"), [("gate", 0), ("ward", 1)])
def test_a_face_beside_a_tracked_person_violates_only_a_rule_for_single_faces(
    watch, notified, source, alerts
):
    frames = [record(START + n, "mask", "no_mask", source=source, track=str(n)) for n in range(20)]
    watch.process(source, frames, START + 60)
    assert len(notified) == alerts
