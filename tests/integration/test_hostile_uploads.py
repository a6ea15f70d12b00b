"""Eight hostile uploads among a hundred good ones: each has its result, and the good ones do not wait for the bad."""

import json
import sys

import pytest

from tests.batch import batch_on_moto, context, message, news
from tests.hostile import FAULTY, mixed_uploads


@pytest.fixture
def batch(monkeypatch):
    """The handler, its buckets and queue."""
    monkeypatch.setattr(sys, "path", [str(FAULTY), *sys.path])
    with batch_on_moto(monkeypatch) as loaded:
        yield loaded


def test_each_has_its_result_at_the_first_delivery(batch) -> None:
    module, s3 = batch
    files, messages = mixed_uploads(), []
    for number, (key, file) in enumerate(files.items()):
        etag = s3.put_object(Bucket="uploads", Key=key, Body=file)["ETag"].strip('"')
        messages.append(message(number, news(key, version=None, etag=etag)))

    for start in range(0, len(messages), 10):
        answer = module.handler({"Records": messages[start : start + 10]}, context(300))
        assert answer == {"batchItemFailures": []}

    results = (s3.get_object(Bucket="results", Key=f"{key}.json")["Body"].read() for key in files)
    assert [json.loads(result)["status"] for result in results] == [
        "scored" if key.startswith("good/") else "rejected" for key in files
    ]
