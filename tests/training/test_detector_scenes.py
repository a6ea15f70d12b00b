"""Reading scenes, and what a table or picture that cannot be used gets."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from functions.shared.contract import LABELS
from training.classifier.dataset import DataError
from training.detector import scenes
from training.detector.scenes import fingerprint, load_scenes, sides


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    shutil.copytree(drawn / "frames", tmp_path / "frames")
    shutil.copyfile(drawn / "frames.csv", tmp_path / "frames.csv")
    return tmp_path


def test_every_box_of_the_table_is_there(folder: Path) -> None:
    train, test = load_scenes(folder)
    assert (train.split, test.split) == ("train", "test")
    assert train.boxes.tolist() == [
        [10, 40, 74, 112],
        [115, 40, 179, 112],
        [220, 40, 284, 112],
        [0, 0, 12, 15],
    ]
    assert train.labels.tolist() == [*range(len(LABELS)), 0]
    assert train.pixels.shape == (160, 320, 3)
    assert sides(train).tolist() == [64, 64, 64, 12]


def test_one_split_can_be_read_alone(folder: Path) -> None:
    assert [scene.split for scene in load_scenes(folder, ("test",))] == ["test"]


def test_the_fingerprint_is_of_pictures_and_boxes_not_of_their_order(folder: Path) -> None:
    read = load_scenes(folder)
    assert fingerprint(read) == fingerprint(read[::-1])
    table = folder / "frames.csv"
    table.write_text(
        table.read_text().replace("train.jpg,train,street,320,160,10", "train.jpg,train,street,320,160,11")
    )
    assert fingerprint(load_scenes(folder)) != fingerprint(read)


def test_boxes_of_a_known_convention_are_moved_to_ours(folder: Path) -> None:
    table = folder / "frames.csv"
    table.write_text(table.read_text().replace("street", "roboflow"))
    scene = load_scenes(folder)[0]
    assert scene.boxes[0] == pytest.approx([20.112, 64.048, 66.384, 108.76])
    assert load_scenes(folder, as_labelled=True)[0].boxes[0].tolist() == [10, 40, 74, 112]


def test_a_moved_box_ends_where_the_picture_does(folder: Path) -> None:
    table = folder / "frames.csv"
    table.write_text(table.read_text().replace("street", "jolignier").replace("0,0,12,15", "300,140,320,160"))
    assert load_scenes(folder)[0].boxes[3] == pytest.approx([299.86, 140.68, 320, 160])


def test_boxes_of_any_other_source_stay(folder: Path) -> None:
    scene, labelled = load_scenes(folder)[0], load_scenes(folder, as_labelled=True)[0]
    assert np.array_equal(scene.boxes, labelled.boxes)


@pytest.fixture
def correct(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    def write(*rows: str) -> None:
        table = tmp_path / "corrections.csv"
        table.write_text("\n".join(["sha256,kind,xmin,ymin,xmax,ymax", *rows]))
        monkeypatch.setattr(scenes, "CORRECTIONS", table)

    return write


def test_a_face_that_the_labels_leave_out_is_learned_but_not_judged(
    folder: Path, correct: Callable[..., None]
) -> None:
    digests = [scene.sha256 for scene in load_scenes(folder)]
    correct(*[f"{digest},face,200,10,240,60" for digest in digests])
    train, test = load_scenes(folder)
    for scene in (train, test):
        assert scene.boxes[-1].tolist() == [200, 10, 240, 60]
        assert scene.labels[-1] == scenes.UNLABELLED
    assert train.sought.all()
    assert not test.sought[-1]
    assert not scenes.to_find(test)[-1]
    assert test.sought[:-1].all()


def test_what_may_be_a_face_is_neither_learned_nor_judged(folder: Path, correct: Callable[..., None]) -> None:
    correct(f"{load_scenes(folder)[0].sha256},doubtful,200,10,240,60")
    train, _ = load_scenes(folder)
    assert train.sought.tolist() == [True] * 4 + [False]


def test_a_scene_with_the_boxes_of_another_is_left_out(folder: Path, correct: Callable[..., None]) -> None:
    correct(f"{load_scenes(folder)[0].sha256},misplaced,,,,")
    assert [scene.split for scene in load_scenes(folder)] == ["test"]
    assert len(load_scenes(folder, as_labelled=True)) == 2


def test_a_folder_without_a_table_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"frames\.csv is missing: .* a box for each face"):
        load_scenes(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("xmin", "left", "xmin"),
        ("split,", "part,", "no column 'split'"),
        (",10,40,74,112,", ",74,40,10,112,", "has no area"),
        (",10,40,74,112,", ",ten,40,74,112,", "could not convert"),
        (",mask", ",masked", "no such label: masked; there are mask,"),
        ("frames/train.jpg", "frames/nowhere.jpg", "nowhere"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(folder: Path, before: str, after: str, told: str) -> None:
    table = folder / "frames.csv"
    table.write_text(table.read_text().replace(before, after, 1))
    with pytest.raises(DataError, match=told):
        load_scenes(folder)


def test_a_picture_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "frames" / "train.jpg").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"train\.jpg: .*not a picture"):
        load_scenes(folder)
