"""The local backfill passes every item to the function once, in the state machine's batches, and reports failures."""

import csv
import gzip
import io
import json

import boto3
import pytest
import yaml

from infra.local.backfill import run
from infra.local.errors import ExecutionError, FunctionError
from infra.local.template import resolve
from tests.system import ROOT

DEFINITION = ROOT / "infra" / "backfill.asl.yaml"
KNOWN = {
    "AWS::Partition": "aws",
    "UploadsBucket": "uploads",
    "ResultsBucket": "results",
    "BatchFunction.Alias": "batch",
}


@pytest.fixture
def s3(moto, monkeypatch):  # noqa: ARG001 -- an AWS account
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "50")  # what S3 lists at once
    s3 = boto3.client("s3")
    for bucket in ("uploads", "results"):
        s3.create_bucket(Bucket=bucket)
    return s3


@pytest.fixture
def execute(s3):
    """Run the state machine with a function; return the output and the reported counts."""
    definition = resolve(yaml.safe_load(DEFINITION.read_text()), KNOWN, {})

    def start(function, **payload):
        counts = []
        output = run(
            definition,
            {"concurrency": 2, **payload},
            s3,
            lambda arn, event: {"batch": function}[arn](event),
            lambda now: counts.append(dict(now)),
        )
        return output, counts

    return start


def put(s3, *keys):
    for key in keys:
        s3.put_object(Bucket="uploads", Key=key, Body=b"x")


def results(s3, status):
    """Return what the result writer wrote for batches with a status."""
    written = [item["Key"] for item in s3.list_objects_v2(Bucket="results", Prefix="backfill/")["Contents"]]
    (key,) = (key for key in written if f"/{status}_" in key)
    return json.loads(s3.get_object(Bucket="results", Key=key)["Body"].read())


def test_every_object_of_the_prefix_is_in_exactly_one_batch(execute, s3):
    keys = [f"a/{n:03}.jpg" for n in range(120)]
    put(s3, *keys, "b/other.jpg")
    events = []

    _, counts = execute(lambda event: events.append(event) or {"scored": len(event["Items"])}, prefix="a/")

    assert sorted(item["Key"] for event in events for item in event["Items"]) == keys
    assert sorted(len(event["Items"]) for event in events) == [20, 50, 50]
    assert all(event["BatchInput"] == {"reader": "prefix", "bucket": "uploads"} for event in events)
    assert counts[-1] == {"total": 120, "succeeded": 120, "failed": 0}
    assert sum(result["scored"] for result in results(s3, "SUCCEEDED")) == 120


def test_an_empty_prefix_gives_no_batches(execute):
    output, counts = execute(None, prefix="none/")

    assert output["ResultWriterDetails"]["Bucket"] == "results"
    assert counts == [{"total": 0, "succeeded": 0, "failed": 0}]


def test_rows_of_an_inventory_are_read_by_its_columns(execute, s3):
    rows = io.StringIO()
    csv.writer(rows, quoting=csv.QUOTE_ALL).writerows(
        [("uploads", "a%20b.jpg", "true"), ("uploads", "c.jpg", "false")]
    )
    s3.put_object(Bucket="results", Key="data.csv.gz", Body=gzip.compress(rows.getvalue().encode()))
    manifest = {"fileSchema": "Bucket, Key, IsLatest", "files": [{"key": "data.csv.gz"}]}
    s3.put_object(Bucket="results", Key="manifest.json", Body=json.dumps(manifest).encode())
    events = []

    execute(events.append, manifest="manifest.json")

    (event,) = events
    assert event["BatchInput"]["reader"] == "inventory"
    assert event["Items"] == [
        {"Bucket": "uploads", "Key": "a%20b.jpg", "IsLatest": "true"},
        {"Bucket": "uploads", "Key": "c.jpg", "IsLatest": "false"},
    ]


def test_a_missing_inventory_fails_the_execution(execute):
    with pytest.raises(ExecutionError, match=r"States\.ItemReaderFailed: s3://results/none\.json"):
        execute(None, manifest="none.json")


def test_a_failed_batch_is_recorded_and_fails_the_execution(execute, s3):
    put(s3, *(f"{n:03}.jpg" for n in range(60)))

    def function(event):
        if len(event["Items"]) == 10:
            raise FunctionError("batch: timed out after 60.00 seconds")
        return {"scored": 50}

    with pytest.raises(ExecutionError, match=r"10 of 60 items failed; backfill/.*/manifest\.json says why"):
        execute(function, prefix="")

    assert results(s3, "FAILED") == [
        {"Error": "FunctionError", "Cause": "batch: timed out after 60.00 seconds"}
    ]
    assert results(s3, "SUCCEEDED") == [{"scored": 50}]


def test_a_failure_in_a_hundred_is_tolerated(execute, s3):
    put(s3, *(f"{n:03}.jpg" for n in range(151)))

    def function(event):
        if len(event["Items"]) == 1:
            raise FunctionError("batch: crashed")
        return {"scored": 50}

    _, counts = execute(function, prefix="")

    assert counts[-1] == {"total": 151, "succeeded": 150, "failed": 1}
