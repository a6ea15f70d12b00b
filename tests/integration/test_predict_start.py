"""What a fresh process of Predict loads, and that a bad release keeps it from starting."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from functions.inference.fetch import BAKED

ROOT = Path(__file__).parents[2]
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


def test_one_answer_loads_nothing_heavy() -> None:
    answer = json.loads(start().stdout.splitlines()[-1])
    assert answer["statusCode"] == 200
    # Powertools looks whether botocore is there, for its user agent: that is one empty package, not the SDK.
    loaded = [module for module in answer["modules"] if module != "botocore"]
    assert [module for module in loaded if module.startswith(HEAVY)] == []


def test_it_answers_with_the_release_it_is_told(tmp_path: Path) -> None:
    folder = shutil.copytree(BAKED, tmp_path / "release")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": "given"}))
    answer = json.loads(start(MODEL_URI=str(folder)).stdout.splitlines()[-1])
    assert json.loads(answer["body"])["model_version"] == "given"


def test_other_sites_may_call_it_as_far_as_it_is_told() -> None:
    answer = json.loads(start(CORS_ORIGIN="https://example.com").stdout.splitlines()[-1])
    assert answer["multiValueHeaders"]["Access-Control-Allow-Origin"] == ["https://example.com"]


def test_it_does_not_start_with_a_release_that_does_not_verify(tmp_path: Path) -> None:
    folder = shutil.copytree(BAKED, tmp_path / "release")
    (folder / "classifier.tflite").write_bytes(b"something else")
    failed = start(MODEL_URI=str(folder))
    assert failed.returncode != 0
    assert "ReleaseError" in failed.stderr
    assert "sha256" in failed.stderr
