"""Reading damaged records terminates and never yields a record that was not stored."""

import contextlib
import gzip
import json
import zlib
from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.drift.records import inflate, values
from functions.shared.record import Record, parse_record
from tests.records import drawn

RNG = np.random.default_rng(0)
LINES = [drawn(RNG, datetime(2026, 11, 21, 12, tzinfo=UTC)) for _ in range(40)]
KEYS = [parse_record(json.loads(line)).key for line in LINES]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def read(data: bytes) -> list[Record]:
    def inflated():
        with contextlib.suppress(zlib.error, EOFError):
            yield from inflate(data)

    found = [parse_record(value) for value in values(inflated())]
    return [record for record in found if record is not None]


@given(st.integers(0, 2_000), st.binary(max_size=40), st.integers(0, 40), st.booleans())
@settings(max_examples=300, deadline=None)
def test_damaged_gzip(position, noise, cut, member_each):
    packed = b"".join(gzip.compress(line.encode()) for line in LINES) if member_each else None
    data = bytearray(packed or gzip.compress("".join(LINES).encode()))
    position = position * len(data) // 2_000
    data[position : position + cut] = noise
    kept = [record.key for record in read(bytes(data))]
    assert set(kept) <= set(KEYS)


@given(st.integers(0, 2_000), st.binary(max_size=40), st.integers(0, 400), st.integers(100, 5_000))
@settings(max_examples=300, deadline=None)
def test_damaged_text(position, noise, cut, size):
    data = bytearray("".join(LINES).encode())
    position = position * len(data) // 2_000
    data[position : position + cut] = noise
    chunks = [bytes(data[start : start + size]) for start in range(0, len(data), size)]
    found = [parse_record(value) for value in values(chunks)]
    kept = [record.key for record in found if record]
    lost = len(LINES) - len(set(kept) & set(KEYS))
    assert lost <= 2  # the damaged line and one that it was joined with
    assert len(found) <= len(LINES) + len(noise) + 1


@given(st.binary(max_size=2_000), st.integers(1, 100))
@settings(max_examples=300, deadline=None)
def test_any_bytes(data, size):
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert len(list(values(chunks))) <= len(data)


@given(st.sampled_from(sorted(json.loads(LINES[0]))), ANYTHING)
@settings(max_examples=500, deadline=None)
def test_a_record_with_any_value_is_read_within_limits_or_left_out(member, value):
    record = parse_record(json.loads(LINES[0]) | {member: value})
    assert record is None or (record.source.isprintable() and 0 <= record.key < 2**64)


@given(ANYTHING)
def test_any_value_in_place_of_a_record_is_left_out(value):
    assert parse_record(value) is None
