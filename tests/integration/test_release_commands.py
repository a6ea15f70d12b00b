"""The operator's commands change which release answers in the running system."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from functions.shared.release_files import BAKED
from tests.pictures import draw_face, encode
from tests.releases import copy_release
from tests.system import eventually, running

PICTURE = encode(draw_face())
MANIFEST = json.loads((BAKED / "manifest.json").read_text())


@pytest.fixture(scope="module")
def own():
    """A system for these tests alone, because they change its releases."""
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def publish(own, tmp_path_factory):
    """Return a function that publishes the image's release under another version, with changes to its manifest."""

    def make(version, **changes):
        folder = copy_release(tmp_path_factory.mktemp("release"), version=version, **changes)
        done = own.operate("publish-model", str(folder), "--stack", "maskwatch")
        assert done.returncode == 0, done.stderr

    return make


def answers(own, sources):
    """Return the release that answers each source."""
    return {
        source: own.predict(PICTURE, "image/jpeg", params={"source": source}).json()["model_version"]
        for source in sources
    }


def health(own):
    return requests.get(f"{own.url}/health", timeout=60).json()


def loaded(own):
    """Wait until the challenger is loaded; before that, the serving release answers."""
    eventually(lambda: health(own)["challenger"]["status"] == "ok")


def operate(own, *arguments):
    done = own.operate(*arguments, "--stack", "maskwatch")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_change_the_release_that_answers(own, publish):
    baked = health(own)["model_version"]
    publish("tried")
    sources = [f"gate-{number}" for number in range(12)]

    operate(own, "shadow", "--release", "tried")
    assert set(answers(own, sources).values()) == {baked}
    loaded(own)
    assert health(own)["challenger"] == {
        "status": "ok",
        "model_version": "tried",
        "share": 0.0,
        "shadow": True,
    }

    operate(own, "challenge", "50", "--release", "tried")
    loaded(own)
    first = answers(own, sources)
    assert set(first.values()) == {baked, "tried"}
    assert answers(own, sources) == first

    operate(own, "promote", "tried")
    assert set(answers(own, sources).values()) == {"tried"}
    assert "challenger" not in health(own)

    assert "The release in the image serves" in operate(own, "rollback")
    assert set(answers(own, sources).values()) == {baked}


def test_a_release_that_fails_in_the_canary_is_rolled_back(own, publish):
    """The release scores the picture of the verification, but fails on small faces."""
    baked = health(own)["model_version"]
    publish(
        "fails", small_classifier={"file": "detector.tflite", "input": MANIFEST["small_classifier"]["input"]}
    )
    picture = encode(draw_face(60, 75))

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(own.operate, "promote", "fails", "--stack", "maskwatch")
        while not done.done():
            own.predict(picture, "image/jpeg", params={"detect": "false"})
            time.sleep(0.1)  # leaves processor time to the update

    assert done.result().returncode == 1
    assert "rolled back" in done.result().stderr
    assert "answered 500" in done.result().stderr
    assert {own.predict(picture, "image/jpeg").json()["model_version"] for _ in range(20)} == {baked}


@pytest.mark.parametrize("command", [("challenge", "10"), ("shadow",)])
def test_an_invalid_release_cannot_be_a_challenger(own, command):
    done = own.operate(*command, "--release", "nowhere", "--stack", "maskwatch")

    assert done.returncode == 1
    assert "Release nowhere must not serve" in done.stderr
    assert "challenger" not in health(own)
