"""Hostile uploads among good ones each get a result, through S3, the queue and Batch.

tests/integration/test_hostile_uploads.py has all of them.
"""

import json
import uuid

from tests.emulator.stack import wait_for
from tests.hostile import mixed_uploads


def test_each_upload_has_its_result_and_there_is_no_dead_letter(stack):
    s3, sqs, folder = stack.client("s3"), stack.client("sqs"), uuid.uuid4()
    uploads, results = stack.outputs["UploadsBucket"], stack.outputs["ResultsBucket"]
    files = mixed_uploads(10, ("a flood of iCCP", "a decoder that hangs", "a decoder that crashes"))
    for key, file in files.items():
        s3.put_object(Bucket=uploads, Key=f"{folder}/{key}", Body=file)

    wait_for(lambda: s3.list_objects_v2(Bucket=results, Prefix=f"{folder}/").get("KeyCount") == len(files))

    found = (s3.get_object(Bucket=results, Key=f"{folder}/{key}.json")["Body"].read() for key in files)
    assert [json.loads(result)["status"] for result in found] == [
        "scored" if key.startswith("good/") else "rejected" for key in files
    ]
    assert "Messages" not in sqs.receive_message(QueueUrl=stack.outputs["UploadsDeadLetters"])
