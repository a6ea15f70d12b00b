"""In the local stack, a file in the uploads bucket gets its result within seconds."""

import json
from contextlib import suppress

import pytest

from tests.pictures import draw_face, encode
from tests.system import eventually


def result(system, key):
    s3 = system.client("s3")

    def look():
        with suppress(s3.exceptions.NoSuchKey):
            return s3.get_object(Bucket=system.outputs["ResultsBucket"], Key=f"{key}.json")["Body"].read()

    return json.loads(eventually(look))


@pytest.mark.parametrize("key", ["face.jpg", "gate 3/a+b %20 é 漢字 😀.JPG"])
def test_its_result_equals_the_api_s_answer(key, system):
    face = encode(draw_face(400, 500))
    system.client("s3").put_object(
        Bucket=system.outputs["UploadsBucket"], Key=key, Body=face, Metadata={"source": "gate-3"}
    )

    found = result(system, key)

    answer = system.predict(face, "image/jpeg").json()
    assert found["status"] == "scored"
    assert found["source"] == "gate-3"
    assert found["upload"]["key"] == key
    assert found["prediction"] | {"prediction_id": answer["prediction_id"]} == answer


def test_an_unusable_file_has_a_result_with_the_api_s_problem(system):
    system.client("s3").put_object(Bucket=system.outputs["UploadsBucket"], Key="bad.png", Body=b"text")

    found = result(system, "bad.png")

    refused = system.predict(b"text", "image/png").json()
    assert found["status"] == "rejected"
    assert found["problem"] == {k: v for k, v in refused.items() if k != "instance"}


def test_the_output_at_the_start_has_the_upload_command(system):
    assert f"s3 cp face.jpg s3://{system.outputs['UploadsBucket']}/" in system.printed
