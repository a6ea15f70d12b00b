"""The image scores objects in S3 for messages of the queue."""

import json

import pytest

from tests.pictures import draw_face, encode
from tests.system import ROOT


@pytest.fixture(scope="module")
def s3(moto):
    for bucket in ("uploads", "results"):
        moto[1].create_bucket(Bucket=bucket)
    return moto[1]


@pytest.fixture(scope="module")
def invoke(start, s3):  # noqa: ARG001 -- the buckets that it needs
    environment = {
        "RESULTS_BUCKET": "results",
        "UPLOADS_BUCKET": "uploads",
        "DEAD_LETTERS_URL": "unused",
        "MAX_RECEIVES": "5",
    }
    return start("BatchFunction", "functions.inference.batch.handler", 1024, 60, **environment)


def result(s3, key):
    return json.loads(s3.get_object(Bucket="results", Key=f"{key}.json")["Body"].read())


def test_the_sample_event_gets_its_results(invoke, s3):
    s3.put_object(Bucket="uploads", Key="gate 3/face é.jpg", Body=encode(draw_face(400, 500)))
    s3.put_object(Bucket="uploads", Key="damaged.jpg", Body=b"\xff\xd8\xff")

    answer = invoke(json.loads((ROOT / "events" / "batch-pictures.json").read_text()))

    assert answer == {"batchItemFailures": []}
    assert result(s3, "gate 3/face é.jpg")["status"] == "scored"
    assert result(s3, "damaged.jpg")["problem"]["status"] == 422


def test_a_message_for_an_unreadable_object_returns(invoke):
    event = json.loads((ROOT / "events" / "batch-pictures.json").read_text())
    for record in event["Records"]:
        record["body"] = record["body"].replace('"name": "uploads"', '"name": "no-such-bucket"')

    failures = invoke(event)["batchItemFailures"]

    assert sorted(f["itemIdentifier"] for f in failures) == sorted(r["messageId"] for r in event["Records"])
