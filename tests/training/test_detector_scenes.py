"""Scenes are read; unusable tables and pictures are refused."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from functions.shared.contract import LABELS
from tests.pictures import encode
from training.errors import TrainingError
from training.scenes import UNLABELLED, counted_faces, fingerprint, load_scenes, sides


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    shutil.copytree(drawn / "frames", tmp_path / "frames")
    shutil.copyfile(drawn / "frames.csv", tmp_path / "frames.csv")
    return tmp_path


def test_every_box_of_the_table_is_read(folder: Path) -> None:
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


def test_the_fingerprint_depends_on_pictures_and_boxes_not_on_their_order(folder: Path) -> None:
    read = load_scenes(folder)
    assert fingerprint(read) == fingerprint(read[::-1])
    table = folder / "frames.csv"
    table.write_text(
        table.read_text().replace("train.jpg,train,street,320,160,10", "train.jpg,train,street,320,160,11")
    )
    assert fingerprint(load_scenes(folder)) != fingerprint(read)


def test_a_face_of_unknown_class_is_to_be_found_and_an_ignored_one_is_not(folder: Path) -> None:
    table = folder / "frames.csv"
    table.write_text(table.read_text().replace("112,mask", "112,face").replace("112,no_mask", "112,ignore"))
    scene = load_scenes(folder)[0]
    assert scene.labels.tolist() == [UNLABELLED, UNLABELLED, LABELS.index("incorrect"), 0]
    assert scene.must_find.tolist() == [True, False, True, True]
    assert counted_faces(scene).tolist() == [True, False, True, False]  # the last is too small


def test_places_that_are_not_faces_belong_to_their_scene(folder: Path) -> None:
    (folder / "not_faces.csv").write_text("file,xmin,ymin,xmax,ymax\nframes/test.jpg,200,10,240,39.5\n")
    train, test = load_scenes(folder)
    assert train.not_faces.shape == (0, 4)
    assert test.not_faces.tolist() == [[200, 10, 240, 39.5]]
    before = fingerprint([train, test])
    (folder / "not_faces.csv").unlink()
    assert fingerprint(load_scenes(folder)) != before


@pytest.mark.parametrize("size", [(1920, 1080), (4000, 3000)])
def test_boxes_of_a_reduced_scene_are_in_its_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "large.jpg").write_bytes(encode(Image.new("RGB", size)))
    (tmp_path / "frames.csv").write_text(
        f"file,split,xmin,ymin,xmax,ymax,label\nlarge.jpg,train,0,0,{size[0] / 2},{size[1] / 2},mask\n"
    )
    (scene,) = load_scenes(tmp_path)
    height, width = scene.pixels.shape[:2]
    assert width < size[0]
    assert scene.boxes[0] == pytest.approx([0, 0, width / 2, height / 2], abs=0.5)


def test_a_folder_without_a_table_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"frames\.csv is missing: .* a box for each face"):
        load_scenes(tmp_path)


def test_a_picture_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "frames" / "train.jpg").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match=r"train\.jpg: .*not a picture"):
        load_scenes(folder)
