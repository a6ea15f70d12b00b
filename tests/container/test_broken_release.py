"""With a release that does not verify, every call fails, and the log says why."""

import json
import shutil
import time

import pytest
import requests

from tests.container.images import IMAGES
from tests.system import ROOT

IMAGE_RELEASE = ROOT / "functions" / "inference" / "model"


def without_a_file(folder):
    (folder / "classifier.tflite").unlink()


def with_other_bytes(folder):
    model = folder / "classifier.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"x")


def with_other_labels(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["labels"] = ["no_mask", "mask", "incorrect"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def without_a_manifest(folder):
    (folder / "manifest.json").unlink()


def intact(folder):
    pass


@pytest.fixture
def answer(docker, tmp_path):
    """Start Predict with a release that `spoil` has altered; return its answer to GET /health and its log."""
    started = []

    def run(spoil):
        folder = tmp_path / "release"
        shutil.copytree(IMAGE_RELEASE, folder)
        spoil(folder)
        tmp_path.chmod(0o755)
        container = docker(
            *("run", "--detach", "--publish", "127.0.0.1::8080", "--volume", f"{folder}:/release:ro"),
            *("--env", "MODEL_URI=/release", IMAGES["PredictFunction"]),
        ).strip()
        started.append(container)
        address = docker("port", container, "8080/tcp").split()[0]
        url = f"http://{address}/2015-03-31/functions/function/invocations"
        event = (ROOT / "events" / "health.json").read_bytes()
        for _ in range(40):
            try:
                stdout = requests.post(url, data=event, timeout=60).text
                break
            except requests.ConnectionError:  # not up yet
                time.sleep(0.25)
        return stdout, docker("logs", container, check=False)

    yield run
    for container in started:
        docker("rm", "--force", container)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without_a_file, "classifier.tflite is named in the manifest but cannot be read"),
        (with_other_bytes, "the manifest says"),
        (with_other_labels, "labels are"),
        (without_a_manifest, "manifest.json is missing"),
    ],
)
def test_it_is_refused_with_the_reason(answer, spoil, reason):
    stdout, log = answer(spoil)

    assert "statusCode" not in stdout
    assert reason in stdout + log


def test_the_same_release_intact_serves(answer):
    stdout, _ = answer(intact)

    assert json.loads(stdout)["statusCode"] == 200
