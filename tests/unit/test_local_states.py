"""The local Step Functions does to a distributed map what the real one is documented to do."""

import copy
import csv
import gzip
import io
import json
import threading
from pathlib import Path

import boto3
import pytest
import yaml
from moto import mock_aws

from infra.local.function import FunctionFailed, NoneIdle
from infra.local.states import ExecutionFailed, InvalidStateMachine, execute
from infra.local.template import resolve

DEFINITION = Path(__file__).parents[2] / "infra" / "backfill.asl.yaml"
KNOWN = {
    "AWS::Partition": "aws",
    "UploadsBucket": "uploads",
    "ResultsBucket": "results",
    "BatchFunction.Alias": "batch",
}


@pytest.fixture
def definition():
    return resolve(yaml.safe_load(DEFINITION.read_text()), KNOWN, {})


@pytest.fixture
def s3(monkeypatch):
    monkeypatch.setattr("infra.local.states._MAX_WAIT", 0)
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "50")  # what S3 lists at once
    with mock_aws():
        s3 = boto3.client("s3", "us-east-1")
        for bucket in ("uploads", "results"):
            s3.create_bucket(Bucket=bucket)
        yield s3


@pytest.fixture
def run(definition, s3):
    """Execute the definition with a function that counts what it gets."""

    def start(given, function=lambda event: {"scored": len(event["Items"])}):
        told = []
        output = execute(
            definition,
            {"concurrency": 2, **given},
            lambda service: {"s3": s3}[service],
            lambda arn, event: {"batch": function}[arn](event),
            lambda counts: told.append(dict(counts)),
        )
        return output, told

    return start


def put(s3, *keys):
    for key in keys:
        s3.put_object(Bucket="uploads", Key=key, Body=b"x")


def written(s3, output, status):
    """Read what the result writer wrote of the batches of a status."""
    details = output["ResultWriterDetails"]
    manifest = json.loads(s3.get_object(**details)["Body"].read())
    return [
        result
        for file in manifest["ResultFiles"][status]
        for result in json.loads(s3.get_object(Bucket=details["Bucket"], Key=file["Key"])["Body"].read())
    ]


def test_every_object_of_the_prefix_is_in_one_batch_and_no_other(run, s3):
    keys = [f"a/{n:03}.jpg" for n in range(120)]
    put(s3, *keys, "b/other.jpg")
    events = []

    output, told = run(
        {"prefix": "a/"}, lambda event: events.append(event) or {"scored": len(event["Items"])}
    )

    assert sorted(item["Key"] for event in events for item in event["Items"]) == keys
    assert max(len(event["Items"]) for event in events) == 50
    assert all(event["BatchInput"] == {"reader": "prefix", "bucket": "uploads"} for event in events)
    assert told[-1] == {"total": 120, "succeeded": 120, "failed": 0}
    assert sum(result["scored"] for result in written(s3, output, "SUCCEEDED")) == 120


def test_an_item_is_as_documented(run, s3):
    put(s3, "a/x.jpg")
    events = []

    run({"prefix": "a/"}, events.append)

    (item,) = events[0]["Items"]
    assert item.keys() == {"Etag", "Key", "LastModified", "Size", "StorageClass"}
    assert item["Etag"].startswith('"')
    assert isinstance(item["LastModified"], int)


def test_long_keys_make_smaller_batches(definition, run, s3):
    definition["States"]["ScorePrefix"]["ItemBatcher"]["MaxInputBytesPerBatch"] = 3000
    put(s3, *(f"{n:02}{'ü' * 480}.jpg" for n in range(10)))
    sizes = []

    run(
        {"prefix": ""},
        lambda event: sizes.append(len(json.dumps(event["Items"], ensure_ascii=False).encode())),
    )

    assert len(sizes) == 5
    assert max(sizes) < 3000


def test_nothing_there_is_no_failure(run, s3):
    output, told = run({"prefix": "none/"})

    assert told == []
    assert written(s3, output, "SUCCEEDED") == []


def test_no_more_run_at_once_than_was_said(definition, run, s3):
    definition["States"]["ScorePrefix"]["ItemBatcher"]["MaxItemsPerBatch"] = 5
    put(s3, *(f"{n}.jpg" for n in range(40)))
    running, most = set(), []
    lock, both = threading.Lock(), threading.Barrier(2)

    def function(event):
        with lock:
            running.add(event["Items"][0]["Key"])
            most.append(len(running))
        both.wait(timeout=20)  # not one after the other
        with lock:
            running.remove(event["Items"][0]["Key"])

    run({"prefix": "", "concurrency": 2}, function)

    assert max(most) == 2


def test_an_inventory_is_read_from_all_its_files(run, s3):
    for number in range(2):
        rows = io.StringIO()
        csv.writer(rows, quoting=csv.QUOTE_ALL).writerows(
            ("uploads", f"a%2C+{number}{row}.jpg", "7") for row in range(60)
        )
        s3.put_object(
            Bucket="results", Key=f"data/{number}.csv.gz", Body=gzip.compress(rows.getvalue().encode())
        )
    manifest = {"fileSchema": "Bucket, Key, Size", "files": [{"key": f"data/{n}.csv.gz"} for n in range(2)]}
    s3.put_object(Bucket="results", Key="inventory/manifest.json", Body=json.dumps(manifest).encode())
    events = []

    run({"manifest": "inventory/manifest.json"}, events.append)

    assert sum(len(event["Items"]) for event in events) == 120
    assert events[0]["Items"][0] == {"Bucket": "uploads", "Key": "a%2C+00.jpg", "Size": "7"}
    assert events[0]["BatchInput"]["reader"] == "inventory"


def test_a_manifest_that_is_not_there_fails_the_execution(run):
    with pytest.raises(ExecutionFailed, match=r"States.ItemReaderFailed: s3://results/none.json"):
        run({"manifest": "none.json"})


def test_an_input_without_what_is_asked_for_fails_the_execution(run):
    with pytest.raises(ExecutionFailed, match=r"States.Runtime: \$.prefix"):
        run({})


@pytest.mark.parametrize(("error", "calls"), [(FunctionFailed("down"), 4), (NoneIdle(), 7)])
def test_a_failing_batch_is_tried_as_often_as_the_definition_says(run, s3, error, calls):
    put(s3, "a.jpg")
    made = []

    def function(event):
        made.append(event)
        if len(made) < calls:
            raise error

    run({"prefix": ""}, function)
    assert len(made) == calls

    made.clear()

    def broken(event):
        made.append(event)
        raise error

    with pytest.raises(ExecutionFailed, match="ExceedToleratedFailureThreshold"):
        run({"prefix": ""}, broken)
    assert len(made) == calls


def test_few_failures_are_tolerated_and_written_down(definition, run, s3):
    definition["States"]["ScorePrefix"]["ItemBatcher"]["MaxItemsPerBatch"] = 1
    keys = [f"{n:03}.jpg" for n in range(100)]
    put(s3, *keys)

    def function(event):
        if event["Items"][0]["Key"] == keys[0]:
            raise FunctionFailed("Unfinished: 1 of 50 uploads")
        return {"scored": len(event["Items"])}

    output, told = run({"prefix": ""}, function)

    assert told[-1] == {"total": 100, "succeeded": 99, "failed": 1}
    (failed,) = written(s3, output, "FAILED")
    assert failed["Cause"] == "Unfinished: 1 of 50 uploads"
    assert json.loads(failed["Input"])["Items"][0]["Key"] == keys[0]


def test_more_failures_end_the_execution_before_everything_was_tried(definition, run, s3):
    definition["States"]["ScorePrefix"]["ItemBatcher"]["MaxItemsPerBatch"] = 1
    put(s3, *(f"{n}.jpg" for n in range(100)))
    made = []

    def function(event):
        made.append(event)
        raise FunctionFailed("down")

    with pytest.raises(ExecutionFailed, match=r"of 100 items failed; backfill/"):
        run({"prefix": ""}, function)
    assert len(made) < 100 * 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda states: states["ScorePrefix"].update(Catch=[]), "ScorePrefix: Catch of a Map"),
        (lambda states: states["WhichPictures"].update(Type="Wait"), "of a Wait is not known"),
        (
            lambda states: states["WhichPictures"]["Choices"][0].update(IsPresent=False),
            "only `IsPresent: true`",
        ),
        (lambda states: states["ScorePrefix"]["ResultWriter"].pop("WriterConfig"), "form of results"),
        (
            lambda states: states["ScorePrefix"]["ItemProcessor"]["States"]["Score"].update(InputPath="$.x"),
            "Score: InputPath of a Task",
        ),
    ],
)
def test_what_it_does_not_know_is_refused_before_anything_runs(definition, change, says):
    definition = copy.deepcopy(definition)
    change(definition["States"])

    with pytest.raises(InvalidStateMachine, match=says):
        execute(definition, {"prefix": "", "concurrency": 1}, None, None, None)
