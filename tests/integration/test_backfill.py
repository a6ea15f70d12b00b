"""A backfill in the running system scores existing objects of the bucket."""

import csv
import gzip
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote_plus

import pytest
from PIL import Image

from tests.pictures import encode

GOOD = [f"before/{n % 7}/ünï {n}+%20.jpg" for n in range(60)]
DAMAGED = [f"before/damaged/{n}.jpg" for n in range(5)]
NOTES = [f"before/notes-{n}.txt" for n in range(3)]
FOLDERS = [f"before/{n}/" for n in range(2)]


@pytest.fixture
def buckets(system):
    """An S3 client, the uploads bucket with its notifications off, and the results bucket."""
    s3, uploads = system.client("s3"), system.outputs["UploadsBucket"]
    configuration = s3.get_bucket_notification_configuration(Bucket=uploads)
    configuration.pop("ResponseMetadata")
    s3.put_bucket_notification_configuration(Bucket=uploads, NotificationConfiguration={})
    yield s3, uploads, system.outputs["ResultsBucket"]
    s3.put_bucket_notification_configuration(Bucket=uploads, NotificationConfiguration=configuration)


def backfill(system, *arguments):
    return system.operate("backfill", "--stack", "maskwatch", *arguments)


def counted(printed):
    return {
        name: int(number.replace(",", ""))
        for name, number in re.findall(r"^(\w+) +([\d,]+)$", printed, re.MULTILINE)
    }


def versions(s3, bucket, prefix):
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    return [version["Key"] for page in pages for version in page.get("Versions", [])]


def test_each_of_70_objects_gets_one_result(system, buckets):
    s3, uploads, results = buckets
    pictures = [encode(Image.effect_noise((64, 48), 20 + n).convert("RGB")) for n in range(10)]
    bodies = {key: pictures[n % 10] for n, key in enumerate(GOOD)}
    bodies |= dict.fromkeys(DAMAGED, pictures[0][:200]) | dict.fromkeys((*NOTES, *FOLDERS), b"")
    assert len(bodies) == 70  # more than one batch
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: s3.put_object(Bucket=uploads, Key=k, Body=bodies[k]), bodies))

    done = backfill(system, "--prefix", "before/", "--concurrency", "2")

    assert done.returncode == 0, done.stderr
    assert counted(done.stdout) == {"scored": 60, "rejected": 8, "skipped": 2}
    written = versions(s3, results, "before/")
    assert sorted(written) == sorted(f"{key}.json" for key in (*GOOD, *DAMAGED, *NOTES))
    for key in (*GOOD[:5], *DAMAGED[:5]):
        result = json.loads(s3.get_object(Bucket=results, Key=f"{key}.json")["Body"].read())
        assert result["upload"]["key"] == key
        assert result["status"] == ("rejected" if key in DAMAGED else "scored")

    again = backfill(system, "--prefix", "before/", "--concurrency", "2")

    assert counted(again.stdout) == {"skipped": 70}
    assert versions(s3, results, "before/") == written


def test_objects_of_an_inventory_are_scored(system, buckets, picture):
    s3, uploads, results = buckets
    keys = [f"inventory test/ü+%20-{n}.jpg" for n in range(3)]
    for key in keys:
        s3.put_object(Bucket=uploads, Key=key, Body=picture)
    rows = io.StringIO()
    csv.writer(rows, quoting=csv.QUOTE_ALL).writerows((uploads, quote_plus(k), "1") for k in keys[:2])
    manifest = {"fileSchema": "Bucket, Key, Size", "files": [{"key": "inventory/data/1.csv.gz"}]}
    s3.put_object(Bucket=results, Key="inventory/data/1.csv.gz", Body=gzip.compress(rows.getvalue().encode()))
    s3.put_object(Bucket=results, Key="inventory/manifest.json", Body=json.dumps(manifest).encode())

    done = backfill(system, "--manifest", "inventory/manifest.json")

    assert done.returncode == 0, done.stderr
    assert counted(done.stdout) == {"scored": 2}
    assert sorted(versions(s3, results, "inventory test/")) == [f"{key}.json" for key in keys[:2]]


def test_a_failed_execution_has_a_cause(system):
    done = backfill(system, "--manifest", "inventory/none.json")

    assert done.returncode == 1
    assert "FAILED: States.ItemReaderFailed" in done.stderr
