"""A batch of ten of the largest pictures fits into the minimum memory that the template allows for Batch."""

import json
import os
import subprocess
import sys

import boto3
import numpy as np
import pytest
from PIL import Image
from samtranslator.yaml_helper import yaml_parse

from infra.local.template import REGION
from tests.pictures import encode
from tests.system import CREDENTIALS, ROOT

PROGRAM = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from functions.inference.batch import handler

context = SimpleNamespace(aws_request_id="r", get_remaining_time_in_millis=lambda: 300_000)
answer = handler(json.load(sys.stdin), context)
lists = Path("/proc/self/task").glob("*/children")  # by the thread that started them: decoders
children = [process for each in lists for process in each.read_text().split()]
statuses = [Path("/proc", process, "status").read_text().splitlines() for process in ("self", *children)]
peaks = [int(line.split()[1]) for status in statuses for line in status if line.startswith("VmHWM")]
assert len(peaks) == 2
print(json.dumps({"answer": answer, "peak": sum(peaks) / 1024}))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")


def pictures():
    """Pictures of 40 megapixels each, in the most expensive formats: 25 MB of file, of coefficients or of pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (500, 800, 3), np.uint8)
    image = Image.fromarray(noise).resize((8000, 5000), Image.Resampling.NEAREST)
    baseline = encode(image, quality=50)
    heavy = baseline + bytes(24_900_000 - len(baseline))
    progressive = encode(image, quality=50, progressive=True, subsampling=2)
    png = encode(image.convert("RGBA"), "PNG", compress_level=1)
    return [heavy] * 4 + [progressive] * 3 + [png] * 3


def test_ten_pictures_of_40_megapixels_fit(moto):
    least = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]["BatchMemory"]["MinValue"]
    environment = os.environ | {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": moto,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(least),
        "DEAD_LETTERS_URL": "unused",
        "MAX_RECEIVES": "5",
        "OPENBLAS_NUM_THREADS": "1",
        "RESULTS_BUCKET": "results",
        "UPLOADS_BUCKET": "uploads",
    }
    s3 = boto3.Session("local", "local", region_name=REGION).client("s3", endpoint_url=moto)
    records = []
    for bucket in ("uploads", "results"):
        s3.create_bucket(Bucket=bucket)
    for number, data in enumerate(pictures()):
        s3.put_object(Bucket="uploads", Key=f"{number}.jpg", Body=data)
        notification = {"bucket": {"name": "uploads"}, "object": {"key": f"{number}.jpg"}}
        attributes = {"ApproximateReceiveCount": "1"}
        body = json.dumps({"Records": [{"s3": notification}]})
        records.append({"messageId": str(number), "body": body, "attributes": attributes})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        input=json.dumps({"Records": records}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    results = [
        json.loads(s3.get_object(Bucket="results", Key=f"{number}.jpg.json")["Body"].read())
        for number in range(10)
    ]

    assert measured["answer"] == {"batchItemFailures": []}
    sizes = [result["prediction"]["image"] for result in results]
    assert sizes == [{"width": 8000, "height": 5000}] * 10
    print(f"\npeak: {measured['peak']:.0f} MB")  # noqa: T201 -- `pytest -s` shows it
    assert measured["peak"] < 0.9 * least
