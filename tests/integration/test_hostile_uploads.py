"""Eight hostile uploads among a hundred good ones: each has its result, and the good ones do not wait for the bad."""

import json
import struct
import sys
import zlib

import pytest

from tests.batch import batch_on_moto, context, message, news
from tests.forged import jpeg_of_scans, segment
from tests.pictures import chunk, draw_face, encode
from tests.unit.test_decode_process import FAULTY

GOOD = 100
FACE = encode(draw_face())
PNG = encode(draw_face(), "PNG")
HOSTILE = {
    "endless scans": jpeg_of_scans(640, 480, 20_000),
    "endless scans behind fill bytes": jpeg_of_scans(640, 480, 20_000, fill=b"\xff\xff"),
    "markers without a length": FACE[:2] + b"\xff\xd0\xff\x01" * 1_000_000 + FACE[2:],
    "empty segments": FACE[:2] + segment(0xE1, b"") * 1_000_000 + FACE[2:],
    "a flood of iCCP": PNG[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(99))) * 150_000 + PNG[33:],
    "40 gigapixels": PNG[:16] + struct.pack(">II", 200_000, 200_000) + PNG[24:],
    "a decoder that hangs": b"endless",
    "a decoder that crashes": b"crash",
}


@pytest.fixture
def batch(tmp_path, monkeypatch):
    """The handler, its buckets and queue; the last two files stand for faults of a decoder yet to be found."""
    (tmp_path / "sitecustomize.py").write_text(FAULTY)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with batch_on_moto(monkeypatch) as loaded:
        yield loaded


def test_each_has_its_result_at_the_first_delivery(batch) -> None:
    module, s3 = batch
    files = {f"good/{number}.jpg": FACE for number in range(GOOD)}
    files |= {f"bad/{name}.jpg": data for name, data in HOSTILE.items()}
    keys = sorted(files, key=lambda key: zlib.crc32(key.encode()))  # mixed
    messages = []
    for number, key in enumerate(keys):
        etag = s3.put_object(Bucket="uploads", Key=key, Body=files[key])["ETag"].strip('"')
        messages.append(message(number, news(key, version=None, etag=etag)))

    for start in range(0, len(messages), 10):
        answer = module.handler({"Records": messages[start : start + 10]}, context(300))
        assert answer == {"batchItemFailures": []}

    status = {}
    for key in keys:
        result = json.loads(s3.get_object(Bucket="results", Key=f"{key}.json")["Body"].read())
        status[key] = result["status"]
    assert [key for key in keys if status[key] == "scored"] == [
        key for key in keys if key.startswith("good/")
    ]
    assert sum(output == "rejected" for output in status.values()) == len(HOSTILE) == 8
