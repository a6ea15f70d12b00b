"""Eight hostile uploads among forty good ones each get a result, and do not delay the good ones."""

import json
import sys

import pytest

from tests.batch import answers_in_tens, batch_on_moto
from tests.hostile import FAULTY, mixed_uploads


@pytest.fixture
def batch(monkeypatch):
    """The handler, its buckets and queue."""
    monkeypatch.setattr(sys, "path", [str(FAULTY), *sys.path])
    with batch_on_moto(monkeypatch) as loaded:
        yield loaded


def test_each_upload_has_its_result_at_the_first_delivery(batch) -> None:
    module, s3 = batch
    files = mixed_uploads(40)

    for answer in answers_in_tens(module, s3, files):
        assert answer == {"batchItemFailures": []}

    results = (s3.get_object(Bucket="results", Key=f"{key}.json")["Body"].read() for key in files)
    assert [json.loads(result)["status"] for result in results] == [
        "scored" if key.startswith("good/") else "rejected" for key in files
    ]
