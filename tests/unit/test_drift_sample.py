"""A sample of the records: fair, bounded, and the same however they come."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from functions.drift import sample
from functions.drift.features import FEATURES, features
from functions.drift.records import as_record
from functions.drift.sample import OTHERS, Sampler, Seen
from tests.records import drawn, parsed

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(sample, "ROWS", 50)
    monkeypatch.setattr(sample, "SOURCES", 3)
    monkeypatch.setattr(sample, "_TRACKED", 6)


def made(count, source="gate-1", seed=0, **options):
    rng = np.random.default_rng(seed)
    return [as_record(parsed(drawn(rng, NOON, source=source, **options))) for _ in range(count)]


def sampled(records):
    sampler = Sampler()
    for record in records:
        sampler.add(record)
    return sampler


def rows(sample):
    return {
        (tuple(values), label) for values, label in zip(sample.values.tolist(), sample.labels, strict=True)
    }


def test_few_records_are_all_kept():
    records = made(20)
    samples, overall = sampled(records).samples()
    assert list(samples) == ["gate-1"]
    assert rows(samples["gate-1"]) == rows(overall)
    expected = np.array([features(record.body) for record in records], np.float32)
    assert sorted(overall.values.tolist()) == sorted(expected.tolist())
    assert overall.values.dtype == np.float32
    labels = dict(
        zip(map(tuple, expected.tolist()), (record.body["label"] for record in records), strict=True)
    )
    assert all(labels[values] == label for values, label in rows(overall))
    assert overall.seen == 20


def test_of_many_as_many_are_kept_as_fit_whichever_order_they_come_in():
    records = made(300)
    samples, overall = sampled(records).samples()
    assert overall.values.shape == (50, len(FEATURES))
    assert len(overall.labels) == 50
    assert overall.seen == samples["gate-1"].seen == 300
    shuffled = [records[number] for number in np.random.default_rng(1).permutation(300)]
    assert rows(sampled(shuffled).samples()[1]) == rows(overall)


def test_every_record_has_the_same_chance():
    first = FEATURES.index("brightness")
    means = [sampled(made(200, seed=seed)).samples()[1].values[:, first].mean() for seed in range(20)]
    assert np.mean(means) == pytest.approx(0.4, abs=4 * 0.1 / np.sqrt(20 * 50))


def test_that_of_all_holds_each_source_by_its_share():
    records = made(900, "busy") + made(100, "quiet", seed=1)
    samples, overall = sampled(records).samples()
    assert [samples[source].seen for source in ("busy", "quiet")] == [900, 100]
    assert [len(samples[source].labels) for source in ("busy", "quiet")] == [50, 50]
    assert overall.seen == 1000
    assert 35 <= len(rows(overall) & rows(samples["busy"])) <= 50
    assert rows(overall) == rows(sampled([replace(record, source="one") for record in records]).samples()[1])


def test_the_busiest_sources_are_told_apart_and_the_rest_pooled():
    records = [record for number in range(5) for record in made(10 + number, f"gate-{number}", seed=number)]
    samples, overall = sampled(records).samples()
    assert list(samples) == ["gate-4", "gate-3", "gate-2", OTHERS]
    assert samples[OTHERS].seen == 21
    assert overall.seen == 60


def test_sources_without_number_take_bounded_memory():
    records = [record for number in range(100) for record in made(1, f"gate-{number:03}", seed=number)]
    sampler = sampled(records)
    assert len(sampler._kept) == 7  # noqa: SLF001
    samples, overall = sampler.samples()
    assert list(samples) == ["gate-000", "gate-001", "gate-002", OTHERS]
    assert samples[OTHERS].seen == 97
    assert overall.seen == 100


def test_no_records_make_empty_samples():
    samples, overall = Sampler().samples()
    assert not samples
    assert overall.values.shape == (0, len(FEATURES))
    assert (overall.labels, overall.seen) == ((), 0)


@pytest.mark.parametrize("image", [{}, {"width": 1e300, "height": 1e300}])
def test_a_record_without_its_figures_is_left_out_and_counted(image):
    records = made(10)
    records[3] = replace(records[3], body=records[3].body | {"image": image})
    records[4] = replace(records[4], body=records[4].body | {"projection": [1e300] * 16})
    sampler = sampled(records)
    assert sampler.unusable == 2
    assert sampler.samples()[1].seen == 8


def test_what_was_seen_is_known_again(monkeypatch):
    monkeypatch.setattr(sample, "_SLOTS", 8)
    seen = Seen()
    keys = np.random.default_rng(0).integers(0, 2**64, 5_000, np.uint64).tolist()
    keys += [0, 1, 2, 8, 16, 24, 2**64 - 1]  # that fall on the same slots
    known = set()
    for key in keys:
        assert seen.add(key) is ((key or 1) not in known)
        known.add(key or 1)
    assert not any(seen.add(key) for key in keys)
