"""Objects that were in the bucket before anybody listened are scored by the backfill of the running system."""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from PIL import Image

from tests.pictures import encode

PROJECT = Path(__file__).parents[2]
# S3 sends news of .jpg and .JPG alone, so what is called .Jpg lies there unscored.
GOOD = [f"before/{n % 7}/ünï {n}+%20.Jpg" for n in range(130)]
DAMAGED = [f"before/damaged/{n}.Jpg" for n in range(10)]
OTHERS = [*(f"before/{n}/" for n in range(5)), *(f"before/notes-{n}.txt" for n in range(5))]


@pytest.fixture
def bucket(system):
    names = [bucket["Name"] for bucket in system.client("s3").list_buckets()["Buckets"]]
    return lambda kind: next(name for name in names if f"-{kind}bucket-" in name)


@pytest.fixture
def backfill(system):
    """`make backfill`: what it printed, and its exit status."""

    def run(*arguments):
        environment = os.environ | {
            "AWS_ENDPOINT_URL": system.moto,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        return subprocess.run(
            [sys.executable, "-m", "infra.ops", "backfill", "--stack", "maskwatch", *arguments],
            cwd=PROJECT,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run


def counted(said):
    return {
        name: int(number.replace(",", ""))
        for name, number in re.findall(r"^(\w+) +([\d,]+)$", said, re.MULTILINE)
    }


def versions(s3, bucket, prefix):
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    return [version["Key"] for page in pages for version in page.get("Versions", [])]


def test_each_of_150_gets_one_result_and_none_a_second(system, bucket, backfill):
    s3 = system.client("s3")
    pictures = [encode(Image.effect_noise((64, 48), 20 + n).convert("RGB")) for n in range(10)]
    bodies = {key: pictures[n % 10] for n, key in enumerate(GOOD)}
    bodies |= dict.fromkeys(DAMAGED, pictures[0][:200]) | dict.fromkeys(OTHERS, b"")
    assert len(bodies) == 150
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: s3.put_object(Bucket=bucket("uploads"), Key=k, Body=bodies[k]), bodies))

    done = backfill("--prefix", "before/", "--concurrency", "2")

    assert done.returncode == 0, done.stderr
    assert counted(done.stdout) == {"scored": 130, "rejected": 10}
    written = versions(s3, bucket("results"), "before/")
    assert sorted(written) == sorted(f"{key}.json" for key in (*GOOD, *DAMAGED))
    for key in (*GOOD[:5], *DAMAGED[:5]):
        result = json.loads(s3.get_object(Bucket=bucket("results"), Key=f"{key}.json")["Body"].read())
        assert result["upload"]["key"] == key
        assert result["status"] == ("rejected" if key in DAMAGED else "scored")

    again = backfill("--prefix", "before/", "--concurrency", "2")

    assert counted(again.stdout) == {"skipped": 140}
    assert versions(s3, bucket("results"), "before/") == written


def test_an_inventory_names_what_to_score(system, bucket, backfill, picture):
    s3 = system.client("s3")
    keys = [f"inventory test/ü+%20-{n}.Jpg" for n in range(3)]
    for key in keys:
        s3.put_object(Bucket=bucket("uploads"), Key=key, Body=picture)
    rows = io.StringIO()
    csv.writer(rows, quoting=csv.QUOTE_ALL).writerows(
        (bucket("uploads"), quote_plus(k), "1") for k in keys[:2]
    )
    manifest = {"fileSchema": "Bucket, Key, Size", "files": [{"key": "inventory/data/1.csv.gz"}]}
    s3.put_object(
        Bucket=bucket("results"), Key="inventory/data/1.csv.gz", Body=gzip.compress(rows.getvalue().encode())
    )
    s3.put_object(Bucket=bucket("results"), Key="inventory/manifest.json", Body=json.dumps(manifest).encode())

    done = backfill("--manifest", "inventory/manifest.json")

    assert done.returncode == 0, done.stderr
    assert counted(done.stdout) == {"scored": 2}
    assert sorted(versions(s3, bucket("results"), "inventory test/")) == [f"{key}.json" for key in keys[:2]]


def test_an_execution_that_fails_says_why(backfill):
    done = backfill("--manifest", "inventory/none.json")

    assert done.returncode == 1
    assert "FAILED: States.ItemReaderFailed" in done.stderr
