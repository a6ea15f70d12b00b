"""Tables of spreadsheets are read; unusable ones are refused with line and column."""

from pathlib import Path

import numpy as np
import pytest

from functions.inference.decode import Picture, decode
from functions.shared.contract import LABELS
from tests.pictures import encode
from tests.training.drawn import draw
from training.errors import TrainingError
from training.tables import boxes_in, read_crops, read_scenes

HEADER = "file,split,source,width,height,xmin,ymin,xmax,ymax,label"
LINES = ["a.jpg,train,gate,320,160,10,40,74,112,mask", "a.jpg,train,gate,320,160,80,40,144,112.5,face"]


def write(folder: Path, text: str, name: str = "frames.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_text(text, encoding=encoding)
    return folder


@pytest.mark.parametrize(
    ("change", "encoding"),
    [
        (lambda text: text, "utf-8"),
        (lambda text: text, "utf-8-sig"),
        (lambda text: text.replace(",", ";").replace("112.5", "112,5"), "utf-8-sig"),
        (lambda text: text.replace(",", "\t"), "utf-8"),
        (lambda text: text.replace("\n", "\r\n") + "\r\n,,,,,,,,,\r\n\r\n", "utf-8"),
        (lambda text: text.replace(",", ", "), "utf-8"),
    ],
    ids=["plain", "byte order mark", "semicolons", "tabs", "empty lines", "spaces"],
)
def test_variants_of_spreadsheets_are_read_the_same(tmp_path: Path, change, encoding: str) -> None:
    text = change("\n".join([HEADER, *LINES]))
    (tmp_path / "frames.csv").write_bytes(text.encode(encoding))
    (scene,) = read_scenes(tmp_path)
    assert (scene.file, scene.split, scene.source) == ("a.jpg", "train", "gate")
    assert [(face.box, face.label) for face in scene.faces] == [
        ((10, 40, 74, 112), "mask"),
        ((80, 40, 144, 112.5), "face"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "result"),
    [
        (
            "xmin",
            "left",
            r"frames.csv has no column xmin. .* it has: file, split, source, width, height, left,",
        ),
        (",train,", ",dev,", r"line 2, column split: is 'dev'; it must be one of train, val, test"),
        (
            ",mask",
            ",masked",
            r"line 2, column label: is 'masked'; it must be one of mask, no_mask, incorrect, face,",
        ),
        (
            ",10,40,74,112,",
            ",74,40,10,112,",
            r"line 2, column xmax: is 10, but must exceed xmin, which is 74",
        ),
        (",10,40,74,112,", ",10,112,74,40,", r"line 2, column ymax: is 40, but must exceed ymin"),
        (
            ",10,40,74,112,",
            ",ten,40,74,112,",
            r"line 2, column xmin: is 'ten'; it must be a number of pixels",
        ),
        (",10,40,74,112,", ",nan,40,74,112,", r"line 2, column xmin: is 'nan'"),
        (",10,40,74,112,", ",,40,74,112,", r"line 2, column xmin: is empty"),
        (",10,40,74,112,mask", "", r"line 2, column xmin: is empty"),
        ("a.jpg,train,gate,320,160,80", ",train,gate,320,160,80", r"line 3, column file: is empty"),
        (
            "a.jpg,train,gate,320,160,80",
            "a.jpg,val,gate,320,160,80",
            r"line 3, .* is val, but train in line 2",
        ),
        (LINES[1], LINES[0], r"line 3, column xmin: repeats the box of line 2"),
        (",10,40,74,112,", ",10,5,40,74,112,5,", r"line 2, has more cells than there are columns"),
        ("source", "label", r"frames.csv names a column twice: label"),
        (HEADER, "", r"frames.csv has no column file, .* it has: nothing"),
    ],
)
def test_an_invalid_line_is_named(tmp_path: Path, before: str, after: str, result: str) -> None:
    text = "\n".join([HEADER, *LINES]).replace(before, after, 1)
    with pytest.raises(TrainingError, match=result):
        read_scenes(write(tmp_path, text))


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="save it as CSV UTF-8"):
        read_scenes(write(tmp_path, "\n".join([HEADER, *LINES]).replace("gate", "Tür"), encoding="cp1252"))


def test_a_place_in_an_unknown_scene_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "\n".join([HEADER, *LINES]))
    write(tmp_path, "file,xmin,ymin,xmax,ymax\nb.jpg,1,2,3,4\n", "not_faces.csv")
    with pytest.raises(TrainingError, match=r"not_faces.csv, line 2, column file: b.jpg is not a scene"):
        read_scenes(tmp_path)


def test_separators_of_windows_are_understood(tmp_path: Path) -> None:
    (tmp_path / "crops.csv").write_text("file,source\nmask\\a.jpg,gate\n")
    assert list(read_crops(tmp_path)) == ["mask/a.jpg"]


def test_a_portrait_that_is_described_in_two_ways_is_refused(tmp_path: Path) -> None:
    same = "file,source\na.jpg,gate\nb.jpg,hall\na.jpg,gate\n"
    assert read_crops(write(tmp_path, same, "crops.csv"))["a.jpg"].cells["source"] == "gate"
    with pytest.raises(TrainingError, match=r"crops.csv, line 5, column file: is described in line 2, too"):
        read_crops(write(tmp_path, f"{same}a.jpg,door\n", "crops.csv"))


def picture(width: int, height: int) -> Picture:
    return decode(encode(draw(LABELS[0], 0, width, height)))


@pytest.mark.parametrize(
    ("before", "after", "result"),
    [
        (",74,112,", ",500,112,", r"line 2, column xmax: is 500, outside the picture of 320x160 pixels"),
        (",10,40,", ",-9,40,", r"line 2, column xmin: is -9, outside"),
        (
            ",10,40,74,112,",
            ",0.1,0.2,0.3,0.9,",
            r"line 2, column xmax: is 0.3, which looks like a share of a side",
        ),
        (",10,40,74,112,", ",320.2,40,321,112,", r"line 2, column xmin: the box lies outside the picture"),
        (",320,160,10", ",640,320,10", r"line 2, column width: is 640, but the picture's is 320"),
    ],
)
def test_a_box_outside_its_picture_is_refused(tmp_path: Path, before: str, after: str, result: str) -> None:
    (scene,) = read_scenes(write(tmp_path, "\n".join([HEADER, *LINES]).replace(before, after, 1)))
    with pytest.raises(TrainingError, match=result):
        boxes_in(picture(320, 160), scene.faces)


def test_a_box_outside_its_picture_by_rounding_is_clipped(tmp_path: Path) -> None:
    (scene,) = read_scenes(write(tmp_path, "\n".join([HEADER, *LINES]).replace(",10,40,", ",-0.5,40,")))
    assert np.array_equal(boxes_in(picture(320, 160), scene.faces)[0], [0, 40, 74, 112])
