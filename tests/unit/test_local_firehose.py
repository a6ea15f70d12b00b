"""The local Firehose transforms log events as AWS's does."""

import gzip
from datetime import UTC, datetime

import pytest

from infra.local.errors import StackError
from infra.local.firehose import check, filter_of, pack
from tests.template import stack_template

NOW = datetime(2026, 11, 21, 23, 59, 58, tzinfo=UTC)


@pytest.fixture(scope="module")
def destination():
    """The properties of the stream in template.yaml."""
    resources = stack_template()["Resources"]
    return resources["RecordsStream"]["Properties"]["ExtendedS3DestinationConfiguration"]


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        ('{"route":"/predict","label":"mask"}', True),
        ('{"route": ""}', True),
        ('{"route": null}', False),
        ('{"route": 5}', False),
        ('{"level":"INFO","message":"route"}', False),
        ('["route"]', False),
        ('"route"', False),
        ("REPORT RequestId: 1 Duration: 3 ms", False),
        ('{"route":"/predict"', False),
    ],
)
def test_a_subscription_filter_selects_events_with_the_field(message, passes):
    assert filter_of('{ $.route = "*" }')(message) is passes


@pytest.mark.parametrize("pattern", ["", "ERROR", '{ $.route = "batch" }', '{ $.a = "*" || $.b = "*" }'])
def test_unsupported_patterns_are_refused(pattern):
    with pytest.raises(StackError, match="filter patterns"):
        filter_of(pattern)


def test_an_object_has_a_line_for_each_message(destination):
    _, body = pack(['{"n":1}', '{"n":2}'], "stack-records", destination, NOW)

    assert gzip.decompress(body) == b'{"n":1}\n{"n":2}\n'


def test_the_key_contains_the_day_and_is_unique(destination):
    keys = [pack(["{}"], "stack-records", destination, NOW)[0] for _ in range(2)]

    assert keys[0] != keys[1]
    for key in keys:
        assert key.startswith("dt=2026-11-21/stack-records-1-2026-11-21-23-59-58-")
        assert key.endswith(".gz")


def test_the_stack_uses_only_supported_properties(destination):
    check(destination)


@pytest.mark.parametrize(
    "change",
    [
        {"ProcessingConfiguration": {"Enabled": False}},
        {"CompressionFormat": "UNCOMPRESSED"},
        {"Prefix": "records/"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_stream_with_unsupported_properties_is_refused(destination, change):
    with pytest.raises(StackError):
        check({**destination, **change})
