"""`make bench` on a small scale."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from infra.ops.cost import measured
from tests.benchmarks.__main__ import TABLES, Row, alternate, measure_starts, release_in_s3, render
from tests.benchmarks.models import write_scenes
from tests.make_events import api_event
from tests.pictures import draw_face, encode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    picture = encode(draw_face(640, 480))
    (tmp_path / "picture.jpg").write_bytes(picture)
    event = api_event("POST", "/predict", content_type="image/jpeg", body=picture)
    (tmp_path / "event.json").write_text(json.dumps(event))
    return tmp_path


def test_the_parts_of_serving_are_measured_alternately(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.__main__.ROUNDS", 2)
    rows = [replace(row, times=[]) for row in TABLES["A 640x480 JPEG"][:4]]
    alternate(rows, folder)
    for row in rows:
        assert 0 < row.p50 <= row.p95
        assert 10 < row.peak < 500


def test_each_scene_has_as_many_faces_as_its_row_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker raises an error if the number of faces differs."""
    monkeypatch.setattr("tests.benchmarks.__main__.ROUNDS", 1)
    write_scenes(tmp_path, np.random.default_rng(0))
    rows = [replace(row, times=[]) for row in TABLES["Handler, end to end, by size and faces judged"]]
    assert len(rows) == 6
    alternate(rows, tmp_path)


def test_a_fresh_process_is_measured_to_its_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.__main__.STARTS", 1)
    rows = [replace(row, times=[]) for row in TABLES["A fresh process to its first answer"][:2]]
    with release_in_s3() as s3:
        measure_starts(rows, folder, s3)
    assert [row.from_s3 for row in rows] == [False, True]
    for row in rows:
        assert len(row.times) == 1
        assert row.peak > 10


def test_a_contender_that_fails_is_reported(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="ended before it printed"):
        alternate([Row("nothing", "int8", Path(sys.executable))], folder)


def test_the_cost_command_can_read_the_table() -> None:
    rows = [
        Row("handler, end to end", "", times=[4.0, 6.0, 8.0], peak=78.2),
        Row("other", "", times=[60.0] * 3),
    ]
    table = render({"A 640x480 JPEG": rows}, "a machine", "Python")
    assert measured(table) == (6.0, 78.0)
    assert "| other | 60.0 | 60.0 | 0 | 10.0 times |" in table
