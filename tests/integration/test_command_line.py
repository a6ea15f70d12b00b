"""The command line, installed in its own environment, with the running system."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import pytest

from functions.shared.contract import MAX_PREDICT_BYTES
from tests.pictures import draw_face, draw_scene, encode
from tests.system import ROOT


def pip(python):
    """The command that runs this environment's pip for another's Python."""
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--python", python]


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The command in a virtual environment with only the installed project."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "maskwatch", source / "maskwatch", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    install = [*pip(folder / "venv" / "bin" / "python"), "install", "--quiet", "--no-compile", source]
    done = subprocess.run(install, check=False, capture_output=True, text=True)
    if "No matching distribution" in done.stderr:
        pytest.skip("needs a package index that pip can reach")
    assert done.returncode == 0, done.stderr
    return folder / "venv" / "bin" / "maskwatch"


@pytest.fixture
def maskwatch(installed, system, tmp_path):
    def run(*arguments, **options):
        environment = {"MASKWATCH_URL": system.url, "MASKWATCH_KEY": "local", "PATH": os.defpath}
        return subprocess.run(
            [installed, *arguments],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            timeout=120,
            **options,
        )

    return run


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "face.jpg").write_bytes(encode(draw_face()))
    (folder / "scene.png").write_bytes(encode(draw_scene(), "PNG"))
    (folder / "broken.webp").write_bytes(b"RIFF")
    return folder


def test_it_has_few_dependencies_and_none_of_aws(installed):
    listed = subprocess.run(
        [*pip(installed.parent / "python"), "list", "--format", "json"], check=True, capture_output=True
    )

    packages = {package["name"] for package in json.loads(listed.stdout)}
    assert packages <= {"maskwatch", "numpy", "pillow", "simplejpeg", "tqdm", "urllib3"}


def test_a_folder_is_scored_drawn_and_printed_as_csv(maskwatch, photos, tmp_path):
    done = maskwatch("predict", "photos", "--format", "csv", "--draw", "drawn", "--source", "gate-3")

    assert (done.returncode, done.stderr) == (1, b"")
    rows = {row["file"]: row for row in csv.DictReader(io.StringIO(done.stdout.decode("utf-8-sig")))}
    assert {name: row["status"] for name, row in rows.items()} == {
        "photos/broken.webp": "refused",
        "photos/face.jpg": "scored",
        "photos/scene.png": "scored",
    }
    assert int(rows["photos/scene.png"]["faces"]) >= 1
    assert "picture" in rows["photos/broken.webp"]["detail"]
    assert sorted(file.name for file in (tmp_path / "drawn").iterdir()) == ["face.jpg", "scene.png"]
    assert (tmp_path / "drawn" / "scene.png").read_bytes() != (photos / "scene.png").read_bytes()


def test_standard_input_is_scored_like_a_file(maskwatch, photos):
    face = photos / "face.jpg"

    piped = maskwatch("predict", "-", "--no-detect", "--format", "json", input=face.read_bytes())
    named = maskwatch("predict", "photos/face.jpg", "--no-detect", "--format", "json")

    answers = [json.loads(done.stdout) for done in (piped, named)]
    assert answers[0]["probabilities"] == answers[1]["probabilities"]
    assert answers[0]["faces"] == []


def test_a_picture_over_the_limit_is_scored(maskwatch, tmp_path):
    scene = encode(draw_scene().resize((4000, 2000)), "PNG", compress_level=0)
    assert len(scene) > MAX_PREDICT_BYTES
    (tmp_path / "large.png").write_bytes(scene)

    done = maskwatch("predict", "large.png", "--format", "json")

    answer = json.loads(done.stdout)
    assert answer["image"] == {"width": 4000, "height": 2000}
    assert max(face["box"]["left"] for face in answer["faces"]) > 500  # in pixels of the original


@pytest.mark.usefixtures("photos")
def test_feedback_is_stored(maskwatch):
    prediction_id = json.loads(maskwatch("predict", "photos/face.jpg", "--format", "json").stdout)[
        "prediction_id"
    ]
    done = maskwatch("feedback", prediction_id, "mask")

    assert (done.returncode, done.stdout.decode()) == (0, f"Stored: {prediction_id} is mask\n")


def test_compliance_is_a_table_and_too_long_a_range_is_refused(maskwatch):
    table = maskwatch("compliance", "--from", "2026-09-01", "--to", "2026-09-02")
    too_long = maskwatch("compliance", "--from", "2020-01-01")

    assert (table.returncode, table.stdout[:4]) == (0, b"time")
    assert too_long.returncode == 1
    assert b"at most 366 days" in too_long.stderr


@pytest.mark.usefixtures("photos")
def test_a_wrong_key_is_reported_once(maskwatch):
    done = maskwatch("predict", "photos", "--key", "other")

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"maskwatch: The x-api-key header is missing")
    assert done.stderr.count(b"\n") == 1
