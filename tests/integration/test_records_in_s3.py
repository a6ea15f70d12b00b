"""Records are stored in S3 as on AWS: lines of JSON by day, with the columns of the Athena table."""

import gzip
import json
import re
from datetime import UTC, datetime

import pytest

from tests.system import eventually
from tests.template import stack_template

SCALARS = {"string": (str, type(None)), "int": int, "double": (int, float)}


@pytest.fixture(scope="module")
def stored(system):
    """Return the lines of every object in the records bucket by the object's key."""
    s3 = system.client("s3")

    def look():
        listed = s3.list_objects_v2(Bucket=system.outputs["RecordsBucket"]).get("Contents", [])
        return {
            o["Key"]: gzip.decompress(
                s3.get_object(Bucket=system.outputs["RecordsBucket"], Key=o["Key"])["Body"].read()
            )
            for o in listed
        }

    return look


@pytest.fixture(scope="module")
def table():
    resources = stack_template()["Resources"]
    return resources["RecordsTable"]["Properties"]["TableInput"]


def records(stored, what):
    """Return the records whose line contains `what`."""
    return [
        json.loads(line) for body in stored().values() for line in body.splitlines() if what.encode() in line
    ]


def test_a_prediction_is_stored_once_under_its_day(system, picture, stored):
    before = datetime.now(UTC)
    answer = system.predict(picture, "image/jpeg", params={"source": "records-gate"}).json()

    (record,) = eventually(lambda: records(stored, answer["prediction_id"]))

    assert (record["source"], record["label"], record["route"]) == (
        "records-gate",
        answer["label"],
        "/predict",
    )
    (key,) = [key for key, body in stored().items() if answer["prediction_id"].encode() in body]
    day, name = key.split("/")
    assert day in {f"dt={when:%Y-%m-%d}" for when in (before, datetime.now(UTC))}
    assert re.fullmatch(r"maskwatch-records-1-[-0-9]{19}-[-0-9a-f]{36}\.gz", name)


def test_an_upload_s_prediction_is_stored(system, picture, stored):
    system.client("s3").put_object(
        Bucket=system.outputs["UploadsBucket"],
        Key="records/face.jpg",
        Body=picture,
        Metadata={"source": "records-upload"},
    )

    (record,) = eventually(lambda: records(stored, '"source":"records-upload"'))

    assert record["route"] == "batch"
    assert record["label"]


def test_a_refusal_is_stored(system, stored):
    problem = system.predict(b"no picture", "image/jpeg").json()

    (record,) = eventually(lambda: records(stored, problem["instance"].rpartition(":")[2]))

    assert record["rejected"] == problem["type"].rpartition(":")[2]


def test_only_records_are_stored(system, picture, stored):
    system.predict(picture, "image/jpeg")
    eventually(stored)

    for body in stored().values():
        assert body.endswith(b"\n")
        assert all(json.loads(line)["route"] in {"/predict", "batch"} for line in body.splitlines())


def test_the_table_has_a_column_for_every_field_of_a_record(system, picture, stored, table):
    answer = system.predict(picture, "image/jpeg").json()
    system.predict(b"no picture", "image/jpeg")
    scored = eventually(lambda: records(stored, answer["prediction_id"]))[0]
    refused = eventually(lambda: records(stored, '"rejected"'))[0]

    columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    serde = table["StorageDescriptor"]["SerdeInfo"]["Parameters"]
    keys = {name: serde.get(f"mapping.{name}", name) for name in columns}
    assert {key for key in scored | refused if key[0].islower()} <= keys.keys()
    # Fields of challengers, tracks and uploads.
    optional = {"shadow_of", "live", "track", "uploaded", "rescored"}
    missing = (columns.keys() - optional) ^ {name for name, key in keys.items() if key in scored | refused}
    assert missing == set(), "RecordsTable and the record differ"
    for record in (scored, refused):
        for name, column_type in columns.items():
            if keys[name] in record:
                check(record[keys[name]], column_type, name)


def check(value, column_type, name):
    """Fail if a value does not have its Hive type, or has fields that the type lacks."""
    if inner := re.fullmatch(r"array<(.*)>", column_type):
        for item in value:
            check(item, inner[1], name)
    elif inner := re.fullmatch(r"struct<(.*)>", column_type):
        fields = dict(field.split(":") for field in inner[1].split(","))
        assert fields.keys() ^ value.keys() == set(), f"RecordsTable and the record differ in {name}"
        for field, field_type in fields.items():
            check(value[field], field_type, f"{name}.{field}")
    else:
        assert isinstance(value, SCALARS[column_type]), f"{name}: {value!r} is no {column_type}"
