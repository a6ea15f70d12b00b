"""`prepare` reports the problems of a folder, and copies the usable pictures."""

import csv
import errno
import json
import os
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from functions.inference.fetch import open_release
from functions.inference.release import Network
from functions.shared.contract import LABELS
from tests.pictures import encode
from tests.system import python
from tests.training.drawn import draw, write_crops, write_tables
from training import prepare as module
from training.dataset import list_examples, load_examples
from training.errors import TrainingError
from training.prepare import DOUBTFUL, PREPARED, prepare, swapped_folders
from training.scenes import fingerprint, load_scenes


@pytest.fixture(scope="module")
def checker() -> Network:
    return open_release("").classifier


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    write_crops(folder / "crops", {"train": 4, "val": 3, "test": 3})
    write_tables(folder)
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def content(folder: Path) -> list[tuple]:
    """Return everything that training reads, except file names."""
    samples = load_examples(list_examples(folder)).samples
    return sorted(
        (s.sha256, s.example.split, s.example.label, s.example.source, str(s.face)) for s in samples
    )


def test_good_pictures_are_copied_unchanged(pictures: Path, tmp_path: Path, checker: Network) -> None:
    report = prepare(pictures, tmp_path / "out", checker)
    assert content(tmp_path / "out") == content(pictures)
    assert report["fingerprint"] == load_examples(list_examples(tmp_path / "out")).fingerprint
    assert report["pictures"]["train"] == dict.fromkeys(LABELS, 4)
    assert json.loads((tmp_path / "out" / PREPARED).read_text()) == report


def test_preparing_what_is_prepared_changes_nothing(pictures: Path, tmp_path: Path, checker: Network) -> None:
    prepare(pictures, tmp_path / "once", checker)
    prepare(tmp_path / "once", tmp_path / "twice", checker)
    assert names(tmp_path / "twice") == names(tmp_path / "once")


def test_a_flat_folder_gets_its_splits(tmp_path: Path, checker: Network) -> None:
    for label in LABELS:
        (tmp_path / "flat" / label).mkdir(parents=True)
        for number in range(40):
            picture = encode(draw(label, number), "PNG")
            (tmp_path / "flat" / label / f"{number}.png").write_bytes(picture)
    prepare(tmp_path / "flat", tmp_path / "out", checker)
    assert {e.split for e in list_examples(tmp_path / "out")} == {"train", "val", "test"}


def test_unreadable_files_are_left_out_and_reported(
    pictures: Path, tmp_path: Path, checker: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "crops" / "train" / "mask" / "cut.jpg").write_bytes(encode(draw("mask", 9))[:200])
    (pictures / "crops" / "train" / "mask" / "notes.jpg").write_text("not a picture")
    report = prepare(pictures, tmp_path / "out", checker)
    assert {Path(name).name for name in report["unreadable"]} == {"cut.jpg", "notes.jpg"}
    assert "cut.jpg: " in capsys.readouterr().out
    assert content(tmp_path / "out") == content(pictures)


def test_other_files_and_rows_without_a_picture_are_reported(
    pictures: Path, tmp_path: Path, checker: Network
) -> None:
    folder = pictures / "crops" / "train" / "mask"
    for name in ("a.bmp", "b.bmp", "c.HEIC", ".DS_Store"):
        (folder / name).write_bytes(b"")
    with (pictures / "crops.csv").open("a") as table:
        table.write("mask/gone.jpg,gate\n")
    warnings = prepare(pictures, tmp_path / "out", checker)["warnings"]
    assert [line for line in warnings if "files" in line] == [
        "1 files *.HEIC are not used: pictures are .jpeg, .jpg, .png, .webp",
        "2 files *.bmp are not used: pictures are .jpeg, .jpg, .png, .webp",
    ]
    assert "1 rows of crops.csv name no picture, such as mask/gone.jpg" in warnings


def test_what_a_killed_call_left_is_removed(pictures: Path, tmp_path: Path, checker: Network) -> None:
    left = tmp_path / ".out-unfinished" / "crops"
    left.mkdir(parents=True)
    (left / "old.jpg").write_bytes(b"")
    prepare(pictures, tmp_path / "out", checker)
    assert set(tmp_path.iterdir()) == {pictures, tmp_path / "out"}
    assert not [*(tmp_path / "out").rglob("old.jpg")]


def test_a_duplicate_in_two_splits_is_kept_in_test(
    pictures: Path, tmp_path: Path, checker: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    crops = pictures / "crops"
    shutil.copy(crops / "test" / "mask" / "test_2.jpg", crops / "train" / "mask" / "leak.jpg")
    report = prepare(pictures, tmp_path / "out", checker)
    assert list(report["left_out"]) == ["crops/train/mask/leak.jpg"]
    assert "leak.jpg is a copy of" in capsys.readouterr().out
    assert report["pictures"]["test"]["mask"] == 3


def test_a_re_encoded_duplicate_is_noticed(pictures: Path, tmp_path: Path, checker: Network) -> None:
    crops = pictures / "crops"
    (crops / "train" / "no_mask" / "leak.jpg").write_bytes(encode(draw("no_mask", 1002), quality=95))
    report = prepare(pictures, tmp_path / "out", checker)
    assert report["left_out"] == {"crops/train/no_mask/leak.jpg": "looks like a picture of val"}


@pytest.mark.parametrize("change", ["resized", "mirrored"])
def test_a_resized_or_mirrored_duplicate_is_noticed(
    pictures: Path, tmp_path: Path, checker: Network, change: str
) -> None:
    picture = draw("no_mask", 2002)
    turned = (
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if change == "mirrored"
        else picture.resize((48, 54))
    )
    (pictures / "crops" / "train" / "no_mask" / "leak.jpg").write_bytes(encode(turned, quality=60))
    report = prepare(pictures, tmp_path / "out", checker)
    assert report["left_out"] == {"crops/train/no_mask/leak.jpg": "looks like a picture of test"}


def test_every_line_about_a_scene_is_kept(pictures: Path, tmp_path: Path, checker: Network) -> None:
    """Small faces and faces without a class are kept, because faces missing in the table train as background."""
    table = pictures / "frames.csv"
    table.write_text(
        table.read_text().replace("112,no_mask", "112,face").replace("112,incorrect", "112,ignore")
    )
    (pictures / "not_faces.csv").write_text("file,xmin,ymin,xmax,ymax\nframes/test.jpg,200,10,240,39.5\n")
    prepare(pictures, tmp_path / "out", checker)
    before, after = load_scenes(pictures), load_scenes(tmp_path / "out")
    assert fingerprint(after) == fingerprint(before)
    assert [len(scene.boxes) for scene in after] == [4, 4]


def test_a_scene_that_looks_like_one_of_another_split_is_left_out(
    pictures: Path, tmp_path: Path, checker: Network
) -> None:
    with Image.open(pictures / "frames" / "test.jpg") as scene:
        (pictures / "frames" / "leak.jpg").write_bytes(
            encode(scene.convert("RGB").resize((300, 150)), quality=60)
        )
    with (pictures / "frames.csv").open("a") as table:
        table.write("frames/leak.jpg,train,street,300,150,10,40,70,105,mask\n")
    report = prepare(pictures, tmp_path / "out", checker)
    assert report["left_out"] == {"frames/leak.jpg": "looks like a scene of test"}
    assert report["scenes"] == {"train": 1, "test": 1}


def test_an_unreadable_scene_is_left_out_and_reported(
    pictures: Path, tmp_path: Path, checker: Network
) -> None:
    (pictures / "frames" / "train.jpg").write_bytes(b"nothing")
    report = prepare(pictures, tmp_path / "out", checker)
    assert list(report["unreadable"]) == ["frames/train.jpg"]
    assert [scene.split for scene in load_scenes(tmp_path / "out")] == ["test"]


def test_the_boxes_of_portraits_are_kept(pictures: Path, tmp_path: Path, checker: Network) -> None:
    (pictures / "crops.csv").write_text(
        "file,source,xmin,ymin,xmax,ymax\ncrops/train/mask/train_2.jpg,gate,10,12,50,60\n"
    )
    prepare(pictures, tmp_path / "out", checker)
    assert content(tmp_path / "out") == content(pictures)
    assert sum(s.face is not None for s in load_examples(list_examples(tmp_path / "out")).portraits) == 1


def test_a_picture_with_two_labels_is_in_neither(pictures: Path, tmp_path: Path, checker: Network) -> None:
    crops = pictures / "crops"
    shutil.copy(crops / "train" / "mask" / "train_2.jpg", crops / "train" / "no_mask" / "other.jpg")
    report = prepare(pictures, tmp_path / "out", checker)
    assert set(report["left_out"].values()) == {"has two labels: mask and no_mask"}
    assert len(report["left_out"]) == 2


def test_a_label_that_is_missing_is_refused_with_the_counts(
    pictures: Path, tmp_path: Path, checker: Network
) -> None:
    for path in (pictures / "crops" / "val" / "incorrect").iterdir():
        path.unlink()
    with pytest.raises(
        TrainingError, match=r"val has no incorrect \(in all, 10 mask, 10 no_mask, 7 incorrect"
    ):
        prepare(pictures, tmp_path / "out", checker)
    assert not (tmp_path / "out").exists()


def test_one_class_alone_is_refused(tmp_path: Path, checker: Network) -> None:
    (tmp_path / "flat" / "mask").mkdir(parents=True)
    for number in range(30):
        (tmp_path / "flat" / "mask" / f"{number}.jpg").write_bytes(encode(draw("mask", number)))
    with pytest.raises(TrainingError, match=r"at least two labels are needed \(in all, 30 mask, 0 no_mask"):
        prepare(tmp_path / "flat", tmp_path / "out", checker)


def test_two_labels_are_enough_with_a_note(
    pictures: Path, tmp_path: Path, checker: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val", "test"):
        shutil.rmtree(pictures / "crops" / split / "incorrect")
    report = prepare(pictures, tmp_path / "out", checker)
    assert report["pictures"]["train"] == {"mask": 4, "no_mask": 4}
    assert (
        "there are no pictures of incorrect: training uses the serving model's answers instead"
        in capsys.readouterr().out
    )


def test_too_few_test_pictures_for_the_gate_are_reported(
    pictures: Path, tmp_path: Path, checker: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    report = prepare(pictures, tmp_path / "out", checker)
    warning = "9 test pictures: the gate needs at least 25, so no release can pass"
    assert warning in report["warnings"]
    assert warning in capsys.readouterr().out


def test_enough_test_pictures_give_no_warning(tmp_path: Path, checker: Network) -> None:
    write_crops(tmp_path / "pictures" / "crops", {"train": 1, "val": 1, "test": 9})
    report = prepare(tmp_path / "pictures", tmp_path / "out", checker)
    assert report["pictures"]["test"] == {"mask": 9, "no_mask": 9, "incorrect": 9}
    assert report["warnings"] == []


def test_folders_with_other_names_are_named(tmp_path: Path, checker: Network) -> None:
    for name in ("with_mask", "without_mask"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / "1.jpg").write_bytes(encode(draw("mask", 1)))
    with pytest.raises(TrainingError, match="found pictures in: with_mask, without_mask"):
        prepare(tmp_path / "pictures", tmp_path / "out", checker)


def test_labels_that_the_serving_model_doubts_are_listed(
    pictures: Path,
    tmp_path: Path,
    checker: Network,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stand_in(_: Network, shown: list[np.ndarray], **__: str) -> np.ndarray:
        result = np.tile([0.5, 0.3, 0.2], (len(shown), 1))
        result[0] = (0.98, 0.01, 0.01)
        return result

    monkeypatch.setattr(module, "probabilities", stand_in)
    report = prepare(pictures, tmp_path / "out", checker)
    with (tmp_path / "out" / DOUBTFUL).open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["label"], row["looks_like"], row["confidence"]) == ("incorrect", "mask", "0.9800")
    assert (pictures / row["file"]).is_file()
    assert report["doubtful_labels"] == 1
    assert "1 doubtful labels in" in capsys.readouterr().out


def test_folders_whose_names_were_swapped_are_suspected(
    tmp_path: Path, checker: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    write_crops(tmp_path / "p", {"train": 8, "val": 3, "test": 3})
    for split in ("train", "val", "test"):
        folder = tmp_path / "p" / split
        (folder / "mask").rename(folder / "away")
        (folder / "no_mask").rename(folder / "mask")
        (folder / "away").rename(folder / "no_mask")
    report = prepare(tmp_path / "p", tmp_path / "out", checker)
    assert any(
        "pictures of no_mask look like mask: is the folder named right?" in w for w in report["warnings"]
    )
    assert "is the folder named right?" in capsys.readouterr().out


def test_a_few_doubtful_labels_give_no_warning(pictures: Path) -> None:
    samples = load_examples(list_examples(pictures)).split("train")
    assert swapped_folders(samples, [(samples[0], "no_mask", 0.99)]) == []


def test_a_folder_of_something_else_is_not_overwritten(
    pictures: Path, tmp_path: Path, checker: Network
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("my only copy")
    with pytest.raises(TrainingError, match="thesis contains something else"):
        prepare(pictures, tmp_path / "thesis", checker)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "my only copy"


def test_folders_beside_the_output_are_kept(pictures: Path, tmp_path: Path, checker: Network) -> None:
    data = pictures.rename(tmp_path / "new-out")
    (tmp_path / "linked").mkdir()
    (tmp_path / "new-linked").mkdir()
    (tmp_path / "link").symlink_to("linked")
    before = names(data)
    for out in ("out", "link"):
        prepare(data, tmp_path / out, checker)
        assert content(tmp_path / out) == content(data)
    assert names(data) == before
    assert {path.name for path in tmp_path.iterdir()} == {"new-out", "out", "linked", "new-linked", "link"}


@pytest.mark.parametrize("out", ["prepared", "prepared/clean", ".", "link"])
def test_the_output_and_the_pictures_must_be_apart(
    pictures: Path, tmp_path: Path, checker: Network, out: str
) -> None:
    prepare(pictures, tmp_path / "prepared", checker)
    (tmp_path / "link").symlink_to("prepared")
    (tmp_path / PREPARED).touch()
    before = names(tmp_path)
    with pytest.raises(TrainingError, match="choose another folder to write"):
        prepare(tmp_path / "prepared", tmp_path / out, checker)
    assert names(tmp_path) == before


def test_a_data_set_that_does_not_fit_on_the_disk_is_refused_at_the_start(
    pictures: Path, tmp_path: Path, checker: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 -- as shutil's
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**9, 10**9, 10))
    with pytest.raises(TrainingError, match=r"out needs \d+ MB, 0 MB are free"):
        prepare(pictures, tmp_path / "out", checker)
    assert not (tmp_path / "out").exists()


def test_if_the_disk_fills_up_the_previous_output_is_kept(
    pictures: Path, tmp_path: Path, checker: Network, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pictures, tmp_path / "out", checker)
    before = names(tmp_path / "out")
    copies = 0

    def full(*_: object) -> None:
        nonlocal copies
        copies += 1
        if copies == 5:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    assert command(module, "--data", pictures, "--out", tmp_path / "out")
    assert names(tmp_path / "out") == before
    assert set(tmp_path.iterdir()) == {pictures, tmp_path / "out", tmp_path / ".out-lock"}


@pytest.mark.skipif(sys.platform == "darwin", reason="its disks refuse names that are not UTF-8")
def test_pictures_whose_names_are_not_utf_8_are_copied_and_printed(pictures: Path, tmp_path: Path) -> None:
    train = pictures / "crops" / "train" / "mask"
    portrait, cut = (train / os.fsdecode(name) for name in (b"caf\xe9.jpg", b"cut\xe9.jpg"))
    (train / "train_2.jpg").rename(portrait)
    cut.write_bytes(b"not a picture")
    done = python("-m", "training.prepare", "--data", pictures, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert r"cut\udce9.jpg: " in done.stdout
    with (tmp_path / "out" / "crops.csv").open(encoding="utf-8", newline="") as lines:
        assert r"crops/train/mask/caf\udce9.jpg" in {row["original"] for row in csv.DictReader(lines)}
    assert content(tmp_path / "out") == content(train.parents[2])


@pytest.mark.parametrize(
    ("folder", "reason"), [("empty", "expected <split>/<label>/*.jpg"), ("absent", "there is no folder")]
)
def test_errors_are_reported_in_one_line(
    folder: str, reason: str, tmp_path: Path, command, capsys: pytest.CaptureFixture[str]
) -> None:
    if folder == "empty":
        (tmp_path / "empty").mkdir()
    assert command(module, "--data", tmp_path / folder, "--out", tmp_path / "out") == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]
