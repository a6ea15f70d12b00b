"""Measure Drift on a window of a million records: `python -m tests.benchmarks.drift_records` prints a table.

The handler has one processor to itself; S3 (moto) is on another, where there is one.
"""

import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import boto3
import numpy as np

from infra.local.aws import moto_server
from tests.benchmarks.worker import peak
from tests.records import drawn

ROOT = Path(__file__).parents[2]
RECORDS = 1_000_000
OBJECT = 5_000  # records, some 7 MB before compression
LABELLED = 1_000  # records with feedback
DRAWN = 5_000  # the other records are copies of these with other ids and times
SOURCES = 12
END = datetime(2026, 11, 21, 9, tzinfo=UTC)
BASELINE = "baseline/usual.json"


def fill(s3: object, records: int) -> int:
    """Put records into S3 as Firehose would, with duplicates and a baseline, and return their size in bytes."""
    from functions.drift import baseline  # noqa: PLC0415
    from functions.drift.sample import Sampler  # noqa: PLC0415
    from functions.shared.record import parse_record  # noqa: PLC0415

    rng = np.random.default_rng(0)
    pool = [
        drawn(rng, END, source=f"gate-{rng.integers(SOURCES)}", faces=int(rng.integers(0, 4)))
        for _ in range(DRAWN)
    ]
    sampler = Sampler()
    for day in range(10, 15):
        for number, line in enumerate(pool):
            when = END - timedelta(days=day, seconds=17 * number)
            sampler.add(replace(parse_record(json.loads(line)), taken=when.timestamp()))
    text = baseline.build("1.0.0", list(sampler.days().values())).to_json()
    s3.put_object(Bucket="insights", Key=BASELINE, Body=text.encode())
    step, size = timedelta(hours=24) / records, 0
    for start in range(0, records, OBJECT):
        made = []
        for number in range(start, min(start + OBJECT, records)):
            record = json.loads(pool[number % DRAWN])
            when = END - step * (number + 1)
            record["time"] = when.isoformat(timespec="milliseconds")
            record["prediction_id"] = str(uuid.UUID(int=number, version=4))
            if number < LABELLED:
                _give_feedback(s3, record)
            made.append(json.dumps(record, separators=(",", ":")))
        body = gzip.compress(("\n".join(made) + "\n").encode(), 6)
        size += len(body)
        s3.put_object(Bucket="records", Key=f"dt={when:%Y-%m-%d}/stream-{start:08}.gz", Body=body)
    # Firehose delivers at least once.
    s3.put_object(Bucket="records", Key=f"dt={when:%Y-%m-%d}/again.gz", Body=body)
    return size


def _give_feedback(s3: object, record: dict) -> None:
    feedback = {"prediction_id": record["prediction_id"], "label": record["label"], "time": END.isoformat()}
    key = f"feedback/dt={END:%Y-%m-%d}/{record['prediction_id']}.json"
    s3.put_object(Bucket="insights", Key=key, Body=json.dumps(feedback).encode())


def work() -> dict[str, object]:
    """Invoke the handler once, as Lambda does."""
    with contextlib.suppress(AttributeError):
        os.sched_setaffinity(0, {0})
    from functions.drift.app import handler  # noqa: PLC0415

    started, worked = time.perf_counter(), time.process_time()
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
    answer = handler({"to": END.isoformat()}, context)
    return {
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - worked,
        "megabytes": peak(),
        "evidently": "evidently" in sys.modules,
        **{name: answer[name] for name in ("verdict", "counts")},
    }


def measure(records: int = RECORDS) -> dict[str, object]:
    """Run `work` in a process of its own, and return its result with the size of the records."""
    with moto_server() as endpoint:
        s3 = boto3.Session("local", "local", region_name="us-east-1").client("s3", endpoint_url=endpoint)
        for bucket in ("records", "insights"):
            s3.create_bucket(Bucket=bucket)
        size = fill(s3, records)
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
            "RECORDS_BUCKET": "records",
            "INSIGHTS_BUCKET": "insights",
            "BASELINE_URI": f"s3://insights/{BASELINE}",
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "tests.benchmarks.drift_records", "worker"]
        found = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    return {"stored": size, **json.loads(found.stdout)}


def render(found: dict) -> str:
    """The Markdown table."""
    counts = found["counts"]
    return (
        "| Drift, one processor | records | stored | seconds | of the processor | most memory |\n"
        "|---|--:|--:|--:|--:|--:|\n"
        f"| a window read, joined, compared, reported | {counts['records']:,} | {found['stored'] / 1e6:.0f} MB "
        f"| {found['seconds']:.0f} | {found['processor_seconds']:.0f} | {found['megabytes']:.0f} MB |\n"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        with contextlib.redirect_stdout(io.StringIO()):  # the handler writes metrics
            results = work()
        print(json.dumps(results))  # noqa: T201
    else:
        found = measure(int(sys.argv[1]) if sys.argv[1:] else RECORDS)
        print(found, file=sys.stderr)  # noqa: T201
        print(render(found))  # noqa: T201
