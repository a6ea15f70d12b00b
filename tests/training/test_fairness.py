"""Misses and false alarms by group."""

from pathlib import Path

import pytest
from PIL import Image
from scipy.stats import fisher_exact

from functions.inference.prediction import Box, Classification, Face
from tests.pictures import encode
from training import fairness

BARE = Classification("no_mask", 0.9, {"mask": 0.05, "no_mask": 0.9, "incorrect": 0.05})
MASK = Classification("mask", 0.9, {"mask": 0.9, "no_mask": 0.05, "incorrect": 0.05})


class Scored:
    """Return a prediction with faces; the first gives the label, `BARE` if there is none."""

    def __init__(self, *faces: Face) -> None:
        self.faces, self.classification = faces, faces[0].classification if faces else BARE


def face(left: int, classification: Classification) -> Face:
    return Face(Box(left, 0, 40, 40), 0.9, classification)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three portraits, whose widths determine their fake predictions, and a scene of three faces."""
    widths = {64: Scored(face(0, BARE)), 65: Scored(face(0, MASK)), 66: Scored()}
    widths[200] = Scored(face(5, MASK), face(100, BARE))
    for width in widths:
        (tmp_path / f"{width}.jpg").write_bytes(encode(Image.new("RGB", (width, 64))))
    monkeypatch.setattr(fairness, "score", lambda picture, *_: widths[picture.width])
    rows = ["file,race,gender,age", "64.jpg,A,F,old", "65.jpg,A,M,old", "66.jpg,B,F,old"]
    (tmp_path / "fairface.csv").write_text("\n".join(rows) + "\n")
    rows = ["file,xmin,ymin,xmax,ymax,skin_fitzpatrick,gender,age"]
    rows += ["200.jpg,0,0,40,40,I,F,old", "200.jpg,100,0,140,40,VI,F,old", "200.jpg,150,0,190,40,VI,F,old"]
    (tmp_path / "groups.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_portraits_are_counted_by_every_group(folder: Path) -> None:
    result = fairness.portraits(folder, None)
    assert list(result) == ["race", "gender", "age"]
    assert (result["race"]["A"]["n"], result["race"]["A"]["false_alarm"]["share"]) == (2, 0.5)
    assert result["race"]["B"]["missed"]["share"] == 1.0
    assert result["race"]["B"]["missed"]["p"] == pytest.approx(1 / 3)
    assert result["gender"]["F"]["missed"]["share"] == 0.5
    low, high = result["age"]["old"]["missed"]["interval"]
    assert low < 1 / 3 < high


def test_a_face_of_a_scene_that_is_not_found_is_a_miss_and_no_false_alarm(folder: Path) -> None:
    result = fairness.scenes(folder, None)["skin_fitzpatrick"]
    assert result["I"]["false_alarm"]["share"] == 1.0
    assert result["I"]["missed"]["share"] == 0.0
    assert (result["VI"]["n"], result["VI"]["missed"]["share"]) == (2, 0.5)
    assert result["VI"]["false_alarm"]["share"] == 0.0


def test_a_group_is_compared_with_all_others_although_intervals_overlap() -> None:
    """The 14 of 125 and 8 of 188 faces that are missed have Wilson intervals from 6.8 and up to 8.2%."""
    missed, faces = [14, 1, 1, 1, 9, 3, 8], [125, 159, 124, 152, 113, 139, 188]
    first, *others = fairness.against_others(missed, faces)
    assert first == pytest.approx(7 * fisher_exact([[14, 111], [23, 852]]).pvalue)
    assert first < 0.001
    assert min(others) > 0.05
    assert all(p <= 1 for p in others)


def test_two_groups_are_one_test_and_one_group_has_none_to_differ_from() -> None:
    expected = fisher_exact([[10, 423], [27, 540]]).pvalue
    assert fairness.against_others([10, 27], [433, 567]) == pytest.approx([expected, expected])
    assert fairness.against_others([3], [9]) == [1.0]
