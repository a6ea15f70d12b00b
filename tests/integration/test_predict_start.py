"""A fresh process of Predict imports only what it needs, and does not start with an invalid release."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.releases import copy_release
from tests.system import ROOT

HEAVY = (
    "boto3",
    "botocore",
    "pydantic",
    "aws_xray_sdk",
    "tensorflow",
    "keras",
    "google",
    "email.parser",
    "requests",
)
ANSWER = """
import json, sys
from functions.inference.predict import handler
event = json.load(open("events/predict-multipart.json"))
event["multiValueHeaders"]["Origin"] = ["https://example.com"]
answer = handler(event, None)
print(json.dumps({**answer, "modules": sorted(sys.modules)}))
"""


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(
        [sys.executable, "-c", ANSWER], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_one_answer_imports_no_heavy_modules() -> None:
    answer = json.loads(start().stdout.splitlines()[-1])
    assert answer["statusCode"] == 200
    # Powertools imports botocore's top-level package for its user agent; that does not load the SDK.
    loaded = [module for module in answer["modules"] if module != "botocore"]
    assert [module for module in loaded if module.startswith(HEAVY)] == []


def test_it_answers_with_the_configured_release(tmp_path: Path) -> None:
    folder = copy_release(tmp_path / "release", version="given")
    answer = json.loads(start(MODEL_URI=str(folder)).stdout.splitlines()[-1])
    assert json.loads(answer["body"])["model_version"] == "given"


def test_other_origins_may_call_it_as_configured() -> None:
    answer = json.loads(start(CORS_ORIGIN="https://example.com").stdout.splitlines()[-1])
    assert answer["multiValueHeaders"]["Access-Control-Allow-Origin"] == ["https://example.com"]


def test_it_does_not_start_with_an_invalid_release(tmp_path: Path) -> None:
    folder = copy_release(tmp_path / "release")
    (folder / "classifier.tflite").write_bytes(b"something else")
    failed = start(MODEL_URI=str(folder))
    assert failed.returncode != 0
    assert "ReleaseError" in failed.stderr
    assert "sha256" in failed.stderr
