"""Stored records are read, whatever is damaged among them."""

import gzip
import json
from datetime import UTC, date, datetime, timedelta

import boto3
import numpy as np
import pytest

from functions.drift import records
from functions.drift.records import Reader, values
from functions.shared.record import parse_record
from tests.records import drawn, parsed, refused

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = NOON.date()


@pytest.fixture
def lines():
    rng = np.random.default_rng(0)
    return [drawn(rng, NOON + timedelta(seconds=n)) for n in range(300)]


@pytest.fixture
def bucket(moto):  # noqa: ARG001 -- an AWS account
    return boto3.resource("s3").create_bucket(Bucket="records")


@pytest.fixture
def reader(bucket):
    return Reader(bucket.meta.client, "records", lambda: 1.0)


def ids(read):
    return [record.body["prediction_id"] for record in read]


def result(lines):
    return [parsed(line)["prediction_id"] for line in lines]


def packed(lines):
    return gzip.compress("".join(lines).encode())


def test_a_record_is_read(bucket, reader, lines):
    bucket.put_object(Key=f"dt={DAY}/stream-1.gz", Body=packed(lines[:1]))
    (record,) = reader.read([DAY])
    assert record.body == parsed(lines[0])
    assert record.time == NOON.timestamp()
    assert (record.source, record.model_version) == ("gate-1", "1.0.0")
    assert record.face_labels == (record.body["label"],)
    assert (reader.objects, reader.corrupt, reader.damaged) == (1, 0, 0)


def test_a_refusal_is_read(bucket, reader):
    bucket.put_object(Key=f"dt={DAY}/stream-1.gz", Body=packed([refused(NOON)]))
    (record,) = reader.read([DAY])
    assert record.is_refusal
    assert record.time == NOON.timestamp()


@pytest.mark.parametrize(
    "pack",
    [
        packed,
        lambda lines: b"".join(packed([line]) for line in lines),
        lambda lines: packed([line.rstrip("\n") for line in lines]),
        lambda lines: packed([line.replace("\n", "\r\n\n") for line in lines]),
        lambda lines: "".join(lines).encode(),
        lambda lines: packed(lines) + packed([]),
    ],
    ids=["lines", "members", "no newlines", "empty lines", "not compressed", "an empty member"],
)
def test_every_record_is_read_however_they_are_concatenated(bucket, reader, lines, pack):
    bucket.put_object(Key=f"dt={DAY}/stream-1.gz", Body=pack(lines))
    assert ids(reader.read([DAY])) == result(lines)
    assert (reader.corrupt, reader.damaged) == (0, 0)


def test_a_truncated_object_is_read_up_to_its_end(bucket, reader, lines):
    body = packed(lines)
    bucket.put_object(Key=f"dt={DAY}/stream-1.gz", Body=body[: len(body) // 2])
    bucket.put_object(Key=f"dt={DAY}/stream-2.gz", Body=packed(lines[-1:]))
    read = ids(reader.read([DAY]))
    assert len(read) > 100
    assert read == [*result(lines)[: len(read) - 1], result(lines)[-1]]
    assert (reader.objects, reader.damaged, reader.corrupt) == (2, 1, 1)  # the truncated line


def test_a_corrupted_object_is_read_up_to_the_damage(bucket, reader):
    rng = np.random.default_rng(1)
    lines = [drawn(rng, NOON) for _ in range(3_000)]
    body = bytearray(packed(lines))
    body[-20_000:-19_000] = bytes(1000)
    bucket.put_object(Key=f"dt={DAY}/stream-1.gz", Body=bytes(body))
    read = ids(reader.read([DAY]))
    assert len(read) > 2_000
    assert read == result(lines)[: len(read)]
    assert reader.damaged == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[: len(line) // 2] + "\n",
        lambda line: line[: len(line) // 2],  # without a newline before the next record
        lambda line: line[10:],
        lambda _: "nonsense\n",
        lambda _: "[" * 100_000 + "\n",
        lambda _: "9" * 10_000 + "\n",
        lambda _: "null\n",
        lambda _: '{"time":3}\n',
        lambda _: "\x00\ufffd\n",
    ],
    ids=["cut", "cut, no newline", "no start", "words", "deep", "long number", "null", "other", "binary"],
)
def test_a_damaged_line_does_not_affect_others(bucket, reader, lines, damage):
    bucket.put_object(Key=f"dt={DAY}/stream-1.gz", Body=packed([lines[0], damage(lines[1]), *lines[2:]]))
    assert ids(reader.read([DAY])) == result(lines[:1] + lines[2:])
    assert reader.corrupt == 1


def test_records_without_newlines_are_yielded_one_by_one(monkeypatch, lines):
    monkeypatch.setattr(records, "_MAX_RECORD", 10_000)
    text = "".join(lines).replace("\n", "").encode()
    chunks = (text[start : start + 1000] for start in range(0, len(text), 1000))
    assert list(values(chunks)) == [parsed(line) for line in lines]


def test_an_endless_record_is_not_kept_in_memory(monkeypatch, lines):
    monkeypatch.setattr(records, "_MAX_RECORD", 10_000)
    endless = [b"x" * 1000] * 100
    assert [value is None for value in values([*endless, b"\n", lines[0].encode()])][-1] is False
    assert list(values(endless)) == [None] * 10


@pytest.mark.parametrize(
    "change",
    [
        {"time": "yesterday"},
        {"time": "2026-11-21T12:00:00"},  # without a time zone
        {"time": None},
        {"prediction_id": 7},
        {"model_version": None},
        {"source": 1},
        {"source": "x" * 65},
        {"source": "two\nlines"},
        {"source": "\ud800"},
        {"label": "beard"},
        {"label": ["mask"]},
        {"faces": None},
        {"faces": [{"label": "beard"}]},
        {"faces": [{}]},
        {"probabilities": {"mask": 1.0}},
        {"probabilities": {"mask": 1.0, "no_mask": float("nan"), "incorrect": 0.0}},
        {"probabilities": {"mask": "1", "no_mask": 0, "incorrect": 0}},
    ],
    ids=str,
)
def test_an_invalid_value_is_not_a_record(lines, change):
    assert parse_record(parsed(lines[0]) | change) is None


def test_unknown_fields_are_ignored(lines):
    assert parse_record(parsed(lines[0]) | {"new": {"a": 1}}) is not None


def test_a_missing_source_is_the_empty_source():
    assert parse_record(parsed(drawn(np.random.default_rng(0), NOON, source=None))).source == ""


def test_only_a_duplicate_has_the_same_key(lines):
    keys = {parse_record(parsed(line)).key for line in lines}
    assert len(keys) == len(lines)
    assert parse_record(parsed(lines[0])).key in keys


def test_times_in_different_time_zones_are_equal(lines):
    record = parse_record(parsed(lines[0]) | {"time": "2026-11-21T14:00:00.000+02:00"})
    assert record.time == NOON.timestamp()


def test_only_the_given_days_are_read_in_order(bucket, reader, lines):
    days = [DAY - timedelta(days=n) for n in range(3)]
    for day, line in zip(days, lines, strict=False):
        bucket.put_object(Key=f"dt={day}/stream-1.gz", Body=packed([line]))
        bucket.put_object(Key=f"dt={day}/", Body=b"")  # a folder, as the console creates it
    assert ids(reader.read(days[:2])) == result(lines[:2])
    assert reader.objects == 2


def test_an_object_that_vanishes_is_counted(bucket, reader, lines):
    for name in "abcdefghi":
        bucket.put_object(Key=f"dt={DAY}/{name}.gz", Body=packed(lines[:1]))
    read = reader.read([DAY])
    next(read)
    bucket.Object(f"dt={DAY}/i.gz").delete()
    assert len(list(read)) == 7
    assert (reader.objects, reader.vanished) == (8, 1)
    assert reader.incomplete == {DAY}


def test_reading_ends_when_time_is_over(bucket, lines):
    days = [DAY, DAY - timedelta(days=1), date(2026, 11, 1)]
    for day in days:
        for name in "ab":
            bucket.put_object(Key=f"dt={day}/{name}.gz", Body=packed(lines[:1]))
    left = iter([1, 1, 1, 1, 1, 0])  # before a day and before each of its objects
    reader = Reader(bucket.meta.client, "records", lambda: next(left, 0))
    assert len(list(reader.read(days))) == 3
    assert reader.incomplete == set(days[1:])


def test_a_body_that_breaks_off_is_requested_again(bucket, lines, monkeypatch):
    from botocore.exceptions import IncompleteReadError  # noqa: PLC0415
    from botocore.response import StreamingBody  # noqa: PLC0415

    whole, failures = StreamingBody.read, [1, 1]

    def read(self, amt=None):
        if amt is None and failures:
            failures.pop()
            raise IncompleteReadError(actual_bytes=1, expected_bytes=2)
        return whole(self, amt)

    bucket.put_object(Key=f"dt={DAY}/a.gz", Body=packed(lines))
    monkeypatch.setattr(StreamingBody, "read", read)
    assert len(list(Reader(bucket.meta.client, "records", lambda: 1.0).read([DAY]))) == len(lines)
    failures += [1, 1, 1]
    with pytest.raises(IncompleteReadError):
        list(Reader(bucket.meta.client, "records", lambda: 1.0).read([DAY]))


def test_every_record_starts_with_the_time(lines):
    assert all(json.loads(line) and line.startswith('{"time"') for line in lines)
