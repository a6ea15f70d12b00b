"""Measure Batch against the sum of its parts: `python -m tests.benchmarks.batch` prints a table.

The handler has one processor to itself, as on Lambda with 1,769 MB; S3 (moto) is on another, if there is one. All
contenders run in one process and alternate on the same pictures, whose results are deleted in between.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from types import SimpleNamespace

import boto3
import numpy as np
from PIL import Image

from infra.local.aws import moto_server
from tests.pictures import draw_scene, encode
from tests.system import CREDENTIALS, ROOT

SIZES = {"12 MP": (4032, 3024), "1080p": (1920, 1080), "thumbnail": (320, 240)}
BATCH = 10
ROUNDS = 8
PARTS = ("fetch", "decode", "score")
CONTENDERS = {
    "batch": "handler, a batch of ten",
    "single": "handler, one picture per invocation",
    **{part: f"{part} alone" for part in PARTS},
}


def picture(width: int, height: int, number: int) -> bytes:
    rng = np.random.default_rng(number)
    scene = draw_scene((height // 3,), width, height)
    drawn = np.asarray(scene) + rng.normal(0, 4, (height, width, 3))  # grain, as cameras make it
    return encode(Image.fromarray(drawn.clip(0, 255).astype(np.uint8)), quality=85)


def measure(rounds: int = ROUNDS, sizes: Sequence[str] = tuple(SIZES)) -> dict[str, dict[str, float]]:
    """Run the worker against a moto server of its own, and return milliseconds per picture by size and contender."""
    with moto_server() as endpoint:
        environment = os.environ | {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": endpoint,
            "DEAD_LETTERS_URL": "unused",
            "MAX_RECEIVES": "5",
            "OPENBLAS_NUM_THREADS": "1",
            "RESULTS_BUCKET": "results",
            "UPLOADS_BUCKET": "uploads",
        }
        worker = [sys.executable, "-m", "tests.benchmarks.batch", "worker", str(rounds), *sizes]
        done = subprocess.run(
            worker, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    return json.loads(done.stdout)


def work(rounds: int, sizes: Sequence[str]) -> dict[str, dict[str, float]]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from functions.inference import batch  # noqa: PLC0415 -- reads the environment
    from functions.inference.decode import decode  # noqa: PLC0415
    from functions.inference.fetch import open_release  # noqa: PLC0415
    from functions.inference.prediction import PredictOptions  # noqa: PLC0415
    from functions.inference.score import load_models, score  # noqa: PLC0415

    s3, models = boto3.client("s3"), load_models(open_release(""), threads=1)
    for bucket in ("uploads", "results"):
        s3.create_bucket(Bucket=bucket)
    context = SimpleNamespace(aws_request_id="bench", get_remaining_time_in_millis=lambda: 60_000)
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for size in sizes:
        width, height = SIZES[size]
        files = {f"{size}/{n}.jpg": picture(width, height, n) for n in range(BATCH)}
        for key, data in files.items():
            s3.put_object(Bucket="uploads", Key=key, Body=data)
        messages = [_message(key) for key in files]
        pictures = [decode(data) for data in files.values()]
        calls = {
            "batch": lambda m=messages: batch.handler({"Records": m}, context),
            "single": lambda m=messages: [batch.handler({"Records": [one]}, context) for one in m],
            "fetch": lambda f=files: [s3.get_object(Bucket="uploads", Key=key)["Body"].read() for key in f],
            "decode": lambda f=files: [decode(data) for data in f.values()],
            "score": lambda p=pictures: [score(one, models, PredictOptions()) for one in p],
        }
        for number in range(rounds + 1):
            for name, call in calls.items():
                for key in files:
                    s3.delete_object(Bucket="results", Key=f"{key}.json")
                started = time.perf_counter()
                call()
                took = (time.perf_counter() - started) / BATCH * 1e3
                if name in {"batch", "single"}:
                    assert s3.list_objects_v2(Bucket="results")["KeyCount"] == BATCH
                times[size][name] += [took] if number else []  # the first round warms up
    return {size: {name: median(measured) for name, measured in rows.items()} for size, rows in times.items()}


def _message(key: str) -> dict[str, object]:
    body = {"Records": [{"s3": {"bucket": {"name": "uploads"}, "object": {"key": key.replace(" ", "+")}}}]}
    return {
        "messageId": key,
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSource": "aws:sqs",
    }


def render(times: dict[str, dict[str, float]]) -> str:
    """Return the Markdown table; the floor is the time of fetching, decoding and scoring one after the other."""
    lines = [
        "| Batch, one processor | ms per picture | pictures per second | share of the floor |",
        "|---|--:|--:|--:|",
    ]
    for size, rows in times.items():
        floor = sum(rows[part] for part in PARTS)
        lines.append(f"| **{size} JPEG** | | | |")
        for name, title in (*CONTENDERS.items(), ("floor", "the floor: these three, one after the other")):
            took = rows.get(name, floor)
            share = "" if name in PARTS else f"{floor / took:.2f}"
            lines.append(f"| {title} | {took:.1f} | {1e3 / took:.0f} | {share} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        with contextlib.redirect_stdout(io.StringIO()):  # the handler writes records
            results = work(int(sys.argv[2]), sys.argv[3:])
        print(json.dumps(results))  # noqa: T201
    else:
        print(render(measure()))  # noqa: T201
