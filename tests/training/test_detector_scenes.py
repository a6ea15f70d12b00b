"""Reading scenes, and what a table or picture that cannot be used gets."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from functions.inference.release import LABELS
from training.dataset import UnusableData
from training.detector.scenes import fingerprint, for_training, load_scenes, sides


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
    scenes = load_scenes(folder)
    assert fingerprint(scenes) == fingerprint(scenes[::-1])
    table = folder / "frames.csv"
    table.write_text(
        table.read_text().replace("train.jpg,train,street,320,160,10", "train.jpg,train,street,320,160,11")
    )
    assert fingerprint(load_scenes(folder)) != fingerprint(scenes)


def test_boxes_of_a_known_convention_are_moved_for_training_alone(folder: Path) -> None:
    table = folder / "frames.csv"
    table.write_text(table.read_text().replace("street", "roboflow"))
    scene = load_scenes(folder)[0]
    assert scene.boxes[0].tolist() == [10, 40, 74, 112]
    assert for_training(scene).boxes[0] == pytest.approx([13.84, 47.2, 71.44, 110.56])


def test_boxes_of_any_other_source_stay(folder: Path) -> None:
    scene = load_scenes(folder)[0]
    assert np.array_equal(for_training(scene).boxes, scene.boxes)


def test_a_folder_without_a_table_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match=r"frames\.csv is missing: .* a box for each face"):
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
    with pytest.raises(UnusableData, match=told):
        load_scenes(folder)


def test_a_picture_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "frames" / "train.jpg").write_bytes(b"nothing")
    with pytest.raises(UnusableData, match=r"train\.jpg: .*not a picture"):
        load_scenes(folder)
