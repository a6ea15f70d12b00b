"""The image of Drift reads records and writes its report within Lambda's memory and on its read-only disk."""

import gzip
import json

import pytest

from tests.container.images import IMAGES
from tests.system import ROOT

EVENT = ROOT / "events" / "drift.json"  # a window that ends on 2026-11-21 at 09:00


@pytest.fixture(scope="module")
def s3(moto):
    """S3 with six hundred records of one day."""
    for bucket in ("records", "insights"):
        moto[1].create_bucket(Bucket=bucket)
    lines = "".join(f"{json.dumps(record(number))}\n" for number in range(600))
    moto[1].put_object(Bucket="records", Key="dt=2026-11-21/one.gz", Body=gzip.compress(lines.encode()))
    return moto[1]


def record(number):
    """A prediction of the release in the image."""
    manifest = json.loads((ROOT / "functions" / "inference" / "model" / "manifest.json").read_text())
    share = number / 600
    appearance = ("brightness", "contrast", "sharpness", "saturation", "noise", "blockiness")
    return {
        "time": f"2026-11-21T08:{number % 60:02}:00.000+00:00",
        "request_id": str(number),
        "route": "/predict",
        "model_version": manifest["version"],
        "prediction_id": f"00000000-0000-4000-8000-{number:012}",
        "source": "gate-3",
        "label": "mask",
        "probabilities": {"mask": 0.9 + share / 20, "no_mask": 0.05, "incorrect": 0.05 - share / 20},
        "faces": [
            {"side": 80, "detection_confidence": 0.99, "label": "mask", "confidence": 0.9 + share / 20}
        ],
        "image": {"width": 640, "height": 480, **dict.fromkeys(appearance, share)},
        "projection": [share] * 16,
    }


@pytest.fixture(scope="module")
def invoke(start, s3):  # noqa: ARG001 -- the buckets that it needs
    environment = {"RECORDS_BUCKET": "records", "INSIGHTS_BUCKET": "insights"}
    return start("DriftFunction", "functions.drift.app.handler", 3008, 900, **environment)


def test_the_sample_event_gets_its_report(invoke, s3):
    answer = invoke(json.loads(EVENT.read_text()))

    assert answer.get("counts", answer)["records"] == 600
    assert answer["verdict"] in {"drift", "ok"}  # it has a baseline, and enough to compare
    html = s3.get_object(Bucket="insights", Key="drift/20261121T090000Z/report.html")["Body"].read()
    assert b"gate-3" in html
    latest = json.loads(s3.get_object(Bucket="insights", Key="drift/latest.json")["Body"].read())
    assert latest["verdict"] == answer["verdict"]
    compliance = json.loads(
        s3.get_object(Bucket="insights", Key="compliance/dt=2026-11-21.json")["Body"].read()
    )
    assert compliance["rows"][0]["mask"] == 600


def test_an_invalid_window_is_an_error(invoke):
    assert "`hours` must be" in invoke({"hours": -1})["errorMessage"]


def test_evidently_is_not_imported_before_the_first_event(docker):
    stdout = docker(
        *("run", "--rm", "--read-only", "--tmpfs=/tmp", "--user=993:990", "--network=none"),
        *(
            "--env=RECORDS_BUCKET=records",
            "--env=INSIGHTS_BUCKET=insights",
            "--env=AWS_DEFAULT_REGION=us-east-1",
        ),
        *("--entrypoint=python", IMAGES["DriftFunction"], "-c"),
        "import sys, functions.drift.app; print([m for m in ('evidently', 'pandas', 'scipy') if m in sys.modules])",
    )

    assert stdout.splitlines()[-1] == "[]"
