"""A prediction is counted once, even if it is delivered repeatedly, late, out of order or concurrently."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from moto.dynamodb.responses import DynamoHandler

from functions.alerts.counts import count_faces
from infra.local.aws import serialized
from tests.alerts import START, TABLE, record

SOURCE = "gate-3"


@pytest.fixture
def store(store, monkeypatch):
    monkeypatch.setattr(DynamoHandler, "call_action", serialized(DynamoHandler.call_action))
    return store


def counts(store, min_step=0, *, others=False):
    return count_faces(store.buckets(SOURCE, START, START + 3600), min_step, others=others)


def test_faces_are_counted_by_label(store):
    assert store.count(SOURCE, [record(START, "mask", "no_mask", "no_mask")], START) == 1

    assert Counter(counts(store).labels) == Counter(mask=1, no_mask=2)
    assert counts(store).share == pytest.approx(2 / 3)


def test_a_prediction_that_is_delivered_again_is_not_counted_again(store):
    first = [record(START + n, "no_mask") for n in range(30)]
    store.count(SOURCE, first, START)

    again = store.count(SOURCE, [*reversed(first), record(START + 5, "mask")], START)

    assert again == 1
    assert Counter(counts(store).labels) == Counter(no_mask=30, mask=1)


def test_more_predictions_than_one_update_takes_are_all_counted(store):
    assert store.count(SOURCE, [record(START, "mask") for _ in range(220)], START) == 220
    assert counts(store).faces == 220


def test_concurrent_duplicates_in_any_order_are_counted_once(store):
    records = [record(START + n / 5, "no_mask" if n % 4 else "mask") for n in range(200)]
    twice = random.sample([*records, *records], 400)
    parts = [twice[start : start + 13] for start in range(0, len(twice), 13)]

    with ThreadPoolExecutor(8) as pool:
        counted = sum(pool.map(lambda part: store.count(SOURCE, part, START), parts))

    assert counted == 200
    assert Counter(counts(store).labels) == Counter(mask=50, no_mask=150)


def test_a_picture_without_faces_counts_no_face(store):
    store.count(SOURCE, [record(START)], START)

    assert counts(store).faces == 0


def test_a_tracked_person_counts_once_with_the_label_of_most_frames(store):
    frames = [record(START + n, "no_mask" if n < 3 else "mask", track="a|b") for n in range(12)]
    store.count(SOURCE, [*frames, record(START, "no_mask", track="2")], START)

    found = counts(store)

    assert (found.faces, found.people) == (2, 2)
    assert Counter(found.labels) == Counter(mask=1, no_mask=1)


def test_faces_beside_a_tracked_person_count_only_on_request(store):
    """A guard who stands behind the visitors all day must not hide that they wear no masks."""
    visitors = [record(START + n, "no_mask", "mask", track=str(n // 10)) for n in range(50)]
    store.count(SOURCE, visitors, START)

    assert Counter(counts(store).labels) == Counter(no_mask=5)
    assert counts(store).share == 1
    assert Counter(counts(store, others=True).labels) == Counter(no_mask=5, mask=50)


def test_a_label_below_the_minimum_is_uncertain(store):
    store.count(SOURCE, [record(START, "no_mask", confidence=c) for c in (0.849, 0.85, 0.9, 1.0)], START)

    assert Counter(counts(store, 17).labels) == Counter(no_mask=3, uncertain=1)
    assert counts(store, 17).lowest["no_mask"] == 17


def test_buckets_expire(store):
    store.count(SOURCE, [record(START, "mask")], START + 60)

    (item,) = boto3.client("dynamodb").scan(TableName=TABLE)["Items"]
    assert int(item["expires"]["N"]) == START + 60 + 86_400
