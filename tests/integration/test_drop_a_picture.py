"""With `make run`, a file that is dropped into the uploads bucket has its result within seconds."""

import json
import time

import pytest

from tests.pictures import draw_face, encode


@pytest.fixture(scope="module")
def bucket(system):
    """Name the bucket that the template calls so."""
    names = [found["Name"] for found in system.client("s3").list_buckets()["Buckets"]]
    return lambda logical_id: next(name for name in names if logical_id.lower() in name)


def result(system, bucket, key):
    s3 = system.client("s3")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return json.loads(s3.get_object(Bucket=bucket("ResultsBucket"), Key=f"{key}.json")["Body"].read())
        except s3.exceptions.NoSuchKey:
            time.sleep(0.2)
    raise AssertionError(f"no result of {key}")


@pytest.mark.parametrize("key", ["face.jpg", "gate 3/a+b %20 é 漢字 😀.JPG"])
def test_its_result_is_what_the_api_says(key, system, bucket):
    face = encode(draw_face(400, 500))
    system.client("s3").put_object(
        Bucket=bucket("UploadsBucket"), Key=key, Body=face, Metadata={"source": "gate-3"}
    )

    found = result(system, bucket, key)

    answer = system.predict(face, "image/jpeg").json()
    assert found["status"] == "scored"
    assert found["source"] == "gate-3"
    assert found["upload"]["key"] == key
    assert found["prediction"] | {"prediction_id": answer["prediction_id"]} == answer


def test_a_bad_one_has_a_result_in_the_words_of_the_api(system, bucket):
    system.client("s3").put_object(Bucket=bucket("UploadsBucket"), Key="bad.png", Body=b"text")

    found = result(system, bucket, "bad.png")

    refused = system.predict(b"text", "image/png").json()
    assert found["status"] == "rejected"
    assert found["problem"] == {k: v for k, v in refused.items() if k != "instance"}


def test_the_start_says_where_to_drop_them(system, bucket):
    assert f"s3 cp face.jpg s3://{bucket('UploadsBucket')}/" in system.said
