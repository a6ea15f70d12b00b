"""`make score` scores a folder with the running system, and writes a table and a CSV file."""

import csv

import pytest

from maskwatch.output import COLUMNS


@pytest.fixture
def score(system, tmp_path):
    def run(url, *arguments):
        out = tmp_path / "scores.csv"
        done = system.operate("score", *arguments, "--url", f"{url}/", "--out", str(out))
        return done, list(csv.DictReader(out.open(encoding="utf-8-sig"))) if out.exists() else None

    return run


@pytest.fixture
def folder(tmp_path, picture):
    folder = tmp_path / "photos"
    (folder / "gate 3").mkdir(parents=True)
    for name in ("a.jpg", "b.JPEG", "gate 3/ünï, %20.jpg"):
        (folder / name).write_bytes(picture)
    (folder / "damaged.jpg").write_bytes(picture[:300])
    (folder / "notes.txt").write_bytes(b"not a picture")
    (folder / "folder.jpg").mkdir()
    return folder


def test_every_picture_has_a_line_and_the_table_has_totals(system, score, folder):
    done, rows = score(system.url, str(folder), "--source", "Tür 3")

    assert done.returncode == 0, done.stderr
    assert [row["file"] for row in rows] == [
        str(folder / name) for name in ("a.jpg", "b.JPEG", "damaged.jpg", "gate 3/ünï, %20.jpg")
    ]
    assert tuple(rows[0]) == (*COLUMNS, "key")
    assert [row["status"] for row in rows] == ["scored", "scored", "rejected", "scored"]
    assert rows[0]["label"] == rows[1]["label"] == rows[3]["label"]
    assert "damaged" in rows[2]["detail"]
    assert "total" in done.stdout
    assert "rejected             1  The JPEG picture is damaged" in done.stdout
    assert "uploaded: 100%" in done.stderr
    assert "results: 100%" in done.stderr


def test_a_file_that_is_too_large_is_refused_and_the_others_are_scored(system, score, folder):
    with (folder / "a.jpg").open("r+b") as file:
        file.truncate(25_000_001)

    done, rows = score(system.url, str(folder))

    assert done.returncode == 1
    assert [row["status"] for row in rows] == ["refused", "scored", "rejected", "scored"]
    assert "25,000,001 bytes; at most 25,000,000" in rows[0]["detail"]


def test_a_wrong_key_is_reported(system, score, folder):
    done, rows = score(system.url, str(folder), "--key", "other")

    assert done.returncode == 1
    assert "x-api-key" in done.stderr
    assert rows is None


def test_an_unreachable_service_is_reported(score, folder):
    done, rows = score("http://127.0.0.1:9", str(folder))

    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert rows is None


def test_a_folder_without_pictures_is_reported(system, score, tmp_path):
    done, rows = score(system.url, str(tmp_path))

    assert done.returncode == 1
    assert "has no files named *.jpg" in done.stderr
    assert rows is None
