"""The sampler keeps one record per source and minute, independent of their order, in bounded memory."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from functions.drift import sample
from functions.drift.features import FEATURES, effective_number
from functions.drift.heavy_hitters import HeavyHitters
from functions.drift.sample import HashSet, Sampler
from functions.shared.record import parse_record
from tests.records import drawn, parsed

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = (datetime(2026, 11, 21, tzinfo=UTC).timestamp(), datetime(2026, 11, 22, tzinfo=UTC).timestamp())


def made(count, source="gate-1", seed=0, interval=60, start=NOON, **options):
    rng = np.random.default_rng(seed)
    return [
        parse_record(
            parsed(drawn(rng, start + timedelta(seconds=interval * number), source=source, **options))
        )
        for number in range(count)
    ]


def sampled(records, always=()):
    sampler = Sampler(always)
    for record in records:
        sampler.add(record)
    return sampler


def test_frames_of_a_minute_count_as_one_in_any_order():
    records = made(300, interval=1)
    found = sampled(records).between(*DAY)["gate-1"]
    assert (len(found.labels), found.predictions) == (5, 300)
    shuffled = [records[number] for number in np.random.default_rng(1).permutation(300)]
    again = sampled(shuffled).between(*DAY)["gate-1"]
    assert again.values.tolist() == found.values.tolist()


def test_the_frame_of_a_minute_that_is_kept_is_random():
    first = FEATURES.index("brightness")
    records = [made(20, seed=seed, interval=1) for seed in range(200)]
    places = [
        [round(record.body["image"]["brightness"], 4) for record in of].index(
            round(float(sampled(of).between(*DAY)["gate-1"].values[0, first]), 4)
        )
        for of in records
    ]
    assert np.mean(places) == pytest.approx(9.5, abs=4 * 5.8 / np.sqrt(200))


def test_days_and_windows_are_selected_by_the_time_of_the_records():
    sampler = sampled(made(48, interval=3600, start=NOON - timedelta(days=1)))
    assert {day: len(found["gate-1"].labels) for day, found in sampler.days().items()} == {
        date(2026, 11, 20): 12,
        date(2026, 11, 21): 24,
        date(2026, 11, 22): 12,
    }
    assert len(sampler.between(DAY[0], DAY[0] + 7200)["gate-1"].labels) == 2


def test_junk_sources_do_not_displace_real_ones(monkeypatch):
    monkeypatch.setattr(sample, "MAX_SOURCES", 10)
    real = [record for number in range(3) for record in made(60, f"real-{number}", seed=number)]
    known = made(1, "rare but known", seed=9)
    junk = [record for number in range(200) for record in made(1, f"junk-{number}", seed=100 + number)]
    order = np.random.default_rng(0).permutation(len(real + known + junk))
    records = [(real + known + junk)[number] for number in order]
    found = sampled(records, ["rare but known"]).between(0, 2 * DAY[1])
    assert {"real-0", "real-1", "real-2", "rare but known"} <= set(found)
    assert len(found) <= 11


def test_the_busiest_names_survive_any_number_of_others():
    busiest, names = HeavyHitters(5), set()
    rng = np.random.default_rng(0)
    stream = [f"big-{number}" for number in range(3) for _ in range(400)] + [f"junk-{n}" for n in range(800)]
    for number in rng.permutation(len(stream)):
        names.add(stream[number])
        names.discard(busiest.add(stream[number]))
    assert {"big-0", "big-1", "big-2"} <= names
    assert len(names) == 5


@pytest.mark.parametrize("cameras", [5, 6, 12, 60])
def test_cameras_of_like_frequency_keep_their_places(monkeypatch, cameras):
    monkeypatch.setattr(sample, "MAX_SOURCES", 5)
    minutes = [
        made(1, f"camera-{n}", start=NOON + timedelta(minutes=m)) for m in range(60) for n in range(cameras)
    ]
    found = sampled(record for records in minutes for record in records).between(*DAY)
    assert [len(each.labels) for each in found.values()] == [60] * 5


def test_a_name_that_becomes_frequent_gets_the_place_of_a_rare_one():
    busiest = HeavyHitters(2)
    for name in ("early", "rare"):
        assert busiest.add(name) is None
    assert [busiest.add("early") for _ in range(9)] == [None] * 9
    assert [busiest.add("late") for _ in range(4)] == ["late", "late", "rare", None]


def test_without_records_there_are_no_samples():
    assert Sampler().between(*DAY) == {}
    assert Sampler().days() == {}


@pytest.mark.parametrize("image", [{}, {"width": 1e300, "height": 1e300}])
def test_a_record_without_features_is_left_out_and_counted(image):
    records = made(10)
    records[3] = replace(records[3], body=records[3].body | {"image": image})
    records[4] = replace(records[4], body=records[4].body | {"projection": [1e300] * 16})
    sampler = sampled(records)
    assert sampler.unusable == 2
    assert sampler.between(*DAY)["gate-1"].predictions == 8


def test_correlated_predictions_have_a_smaller_effective_number():
    rng = np.random.default_rng(0)
    people = rng.normal(size=(50, len(FEATURES)))
    assert effective_number(people.astype(np.float32)) == pytest.approx(50, rel=0.15)
    lingering = np.repeat(people, 10, axis=0) + 0.1 * rng.normal(size=(500, len(FEATURES)))
    assert 15 < effective_number(lingering.astype(np.float32)) < 60
    assert effective_number(np.ones((100, len(FEATURES)), np.float32)) == 1


def test_a_hash_set_contains_what_was_added(monkeypatch):
    monkeypatch.setattr(sample, "_SLOTS", 8)
    seen = HashSet()
    keys = np.random.default_rng(0).integers(0, 2**64, 5_000, np.uint64).tolist()
    keys += [0, 1, 2, 8, 16, 24, 2**64 - 1]  # these collide
    known = set()
    for key in keys:
        assert seen.add(key) is ((key or 1) not in known)
        known.add(key or 1)
    assert not any(seen.add(key) for key in keys)
