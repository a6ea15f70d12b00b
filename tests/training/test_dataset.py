"""Finding, checking and loading pictures."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from functions.inference.decode import decode
from functions.shared.contract import LABELS
from tests.pictures import encode
from tests.training.drawn import draw, write_crops, write_tables
from training.dataset import Dataset, list_examples, load_examples, summary
from training.errors import TrainingError


def flat(folder: Path, count: int) -> Path:
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            (folder / label / f"{number}.png").write_bytes(encode(draw(label, number), "PNG"))
    return folder


def test_splits_and_labels_come_from_the_folders(tmp_path: Path) -> None:
    write_crops(tmp_path, {"train": 2, "test": 1})
    found = list_examples(tmp_path)
    assert len(found) == 9
    assert {(e.split, e.label) for e in found} == {(s, label) for s in ("train", "test") for label in LABELS}
    assert all(e.path.parts[-3:-1] == (e.split, e.label) for e in found)


def test_a_flat_folder_is_split(tmp_path: Path) -> None:
    samples = load_examples(list_examples(flat(tmp_path / "flat", 60))).samples
    shares = {
        split: sum(s.example.split == split for s in samples) / 180 for split in ("train", "val", "test")
    }
    assert sum(shares.values()) == pytest.approx(1)
    assert shares == pytest.approx({"train": 0.7, "val": 0.15, "test": 0.15}, abs=0.1)


def test_a_flat_split_does_not_change_when_pictures_are_added(tmp_path: Path) -> None:
    folder = flat(tmp_path / "flat", 10)
    before = {s.example.path: s.example.split for s in load_examples(list_examples(folder)).samples}
    (folder / "mask" / "another.png").write_bytes(encode(draw("mask", 999), "PNG"))
    after = {s.example.path: s.example.split for s in load_examples(list_examples(folder)).samples}
    assert before.items() <= after.items()


def test_a_flat_split_keeps_near_duplicates_together(tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    (folder / "mask").mkdir(parents=True)
    for number in range(60):
        rng = np.random.default_rng(number)
        picture = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
        picture = picture.resize((96, 96), Image.Resampling.BICUBIC)
        (folder / "mask" / f"{number}.jpg").write_bytes(encode(picture, quality=95))
        (folder / "mask" / f"{number}-again.jpg").write_bytes(encode(picture, quality=40))
        (folder / "mask" / f"{number}-small.jpg").write_bytes(encode(picture.resize((72, 72))))
        mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        (folder / "mask" / f"{number}-mirrored.jpg").write_bytes(encode(mirrored, quality=60))
    sides: dict[str, set[str]] = {}
    for sample in load_examples(list_examples(folder)).samples:
        sides.setdefault(sample.example.path.stem.split("-")[0], set()).add(sample.example.split)
    assert [name for name, splits in sides.items() if len(splits) > 1] == []


@pytest.mark.parametrize(
    "path", ["face.jpg", "masked/face.jpg", "train/masked/face.jpg", "dev/mask/face.jpg"]
)
def test_another_structure_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encode(draw("mask", 0)))
    with pytest.raises(TrainingError, match=r"expected <split>/<label>/\*\.jpg or <label>/\*\.jpg"):
        list_examples(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="expected"):
        list_examples(tmp_path)


def test_sources_come_from_the_table(drawn: Path) -> None:
    crops = [e for e in list_examples(drawn) if not e.in_scene]
    assert {e.source for e in crops} == {"gate", "ward"}


def test_faces_come_from_the_scenes(drawn: Path, dataset: Dataset) -> None:
    faces = [e for e in list_examples(drawn) if e.face and e.face.box[2] > 12]
    assert [(e.split, e.label) for e in faces] == [(s, label) for s in ("train", "test") for label in LABELS]
    assert len(dataset.split("train", scenes=True)) == len(dataset.split("train")) + 3


def test_a_face_has_its_surroundings_and_its_box(dataset: Dataset, drawn: Path) -> None:
    scene = decode((drawn / "frames" / "test.jpg").read_bytes()).pixels
    for sample in (s for s in dataset.split("test", scenes=True) if s.face):
        left, top, right, bottom = (round(v) for v in sample.face or ())
        height, width = sample.pixels.shape[:2]
        assert (right - left, bottom - top) == (64, 72)
        assert width > 64
        assert height > 72
        assert sample.example.face
        x, y = (int(v) for v in sample.example.face.box[:2])
        face = sample.pixels[top:bottom, left:right]
        assert np.array_equal(face, scene[y : y + 72, x : x + 64])


def test_pixels_are_decoded_as_in_serving(dataset: Dataset) -> None:
    sample = dataset.split("val")[0]
    data = sample.example.path.read_bytes()
    assert np.array_equal(sample.pixels, decode(data).pixels)
    assert sample.sha256 == hashlib.sha256(data).hexdigest()


def test_unreadable_files_are_reported_with_the_reason(tmp_path: Path) -> None:
    write_crops(tmp_path, {"train": 1})
    good = tmp_path / "train" / "mask" / "train_0.jpg"
    (tmp_path / "train" / "mask" / "cut.jpg").write_bytes(good.read_bytes()[:300])
    (tmp_path / "train" / "mask" / "text.jpg").write_text("no picture")
    (tmp_path / "train" / "mask" / "tiny.png").write_bytes(encode(draw("mask", 1, 16, 16), "PNG"))
    read = load_examples(list_examples(tmp_path))
    assert len(read.samples) == 3
    reasons = {path.name: reason for path, reason in read.unreadable}
    assert reasons.keys() == {"cut.jpg", "text.jpg", "tiny.png"}
    assert "16x16" in reasons["tiny.png"]
    assert "tiny.png" in summary(read)


def test_the_fingerprint_depends_on_content_and_labels_not_paths(tmp_path: Path) -> None:
    write_crops(tmp_path / "a", {"train": 2, "val": 1})
    before = load_examples(list_examples(tmp_path / "a")).fingerprint
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "train" / "mask" / "train_0.jpg").rename(tmp_path / "b" / "train" / "mask" / "x.jpg")
    assert load_examples(list_examples(tmp_path / "b")).fingerprint == before
    moved = tmp_path / "b" / "train" / "mask" / "x.jpg"
    moved.rename(tmp_path / "b" / "train" / "no_mask" / "x.jpg")
    assert load_examples(list_examples(tmp_path / "b")).fingerprint != before


def test_the_fingerprint_depends_on_sources_by_which_training_samples(tmp_path: Path) -> None:
    write_crops(tmp_path, {"train": 2, "val": 1})
    before = load_examples(list_examples(tmp_path)).fingerprint
    (tmp_path / "crops.csv").write_text("file,source\ntrain/mask/train_0.jpg,gate\n")
    assert load_examples(list_examples(tmp_path)).fingerprint != before


def test_the_summary_counts(tmp_path: Path) -> None:
    write_crops(tmp_path, {"train": 2, "val": 2})
    shutil.copy(tmp_path / "train" / "mask" / "train_0.jpg", tmp_path / "val" / "mask" / "same.jpg")
    result = summary(load_examples(list_examples(tmp_path)))
    assert "13 samples" in result
    assert "1 exact copies; 1 groups of look-alikes across splits" in result
    assert "0 unreadable" in result


def test_subfolders_inside_a_label_are_read(tmp_path: Path) -> None:
    for place in ("train/mask/gate/monday", "train/no_mask", "flat/mask/gate"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "1.jpg").write_bytes(encode(draw("mask", 0)))
    (tmp_path / "flat" / "mask" / "2.jpg").write_bytes(encode(draw("mask", 0)))
    assert [(e.split, e.label) for e in list_examples(tmp_path / "flat")] == [("", "mask")] * 2
    shutil.rmtree(tmp_path / "flat")
    assert [(e.split, e.label) for e in list_examples(tmp_path)] == [("train", "mask"), ("train", "no_mask")]


def test_a_portrait_may_have_a_box(tmp_path: Path) -> None:
    write_crops(tmp_path / "crops", {"train": 3})
    (tmp_path / "crops.csv").write_text(
        "file,source,xmin,ymin,xmax,ymax\ncrops/train/mask/train_2.jpg,gate,10,12,50,60\n"
        "train/no_mask/train_2.jpg,ward,,,,\n"
    )
    faces = {
        (s.example.label, s.example.source): s.face
        for s in load_examples(list_examples(tmp_path)).split("train")
    }
    assert faces["mask", "gate"] == (10, 12, 50, 60)
    assert faces["no_mask", "ward"] is None


def test_two_pictures_with_the_same_name_keep_their_sources(tmp_path: Path) -> None:
    write_crops(tmp_path, {"train": 1})
    rows = [f"train/{label}/train_0.jpg,{label}-camera" for label in LABELS]
    (tmp_path / "crops.csv").write_text("\n".join(["file,source", *rows]))
    assert {(e.label, e.source) for e in list_examples(tmp_path)} == {(x, f"{x}-camera") for x in LABELS}


def test_a_table_about_other_pictures_is_refused(tmp_path: Path) -> None:
    write_crops(tmp_path, {"train": 1})
    (tmp_path / "crops.csv").write_text("file,source\nelsewhere/1.jpg,gate\n")
    with pytest.raises(TrainingError, match=r"names no picture of the folder; the first is elsewhere/1\.jpg"):
        list_examples(tmp_path)


@pytest.mark.parametrize("size", [(1920, 1080), (4000, 3000)])
def test_a_face_of_a_scene_reduced_by_decoding_is_cropped_at_its_place(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """A red face in a grey scene: the crop must contain it, and `face` must be exactly the red part."""
    left, top, side = size[0] // 3, size[1] // 2, size[1] // 5
    scene = Image.new("RGB", size, (90, 90, 90))
    scene.paste((255, 0, 0), (left, top, left + side, top + side))
    write_crops(tmp_path / "crops", {"train": 1})
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "large.jpg").write_bytes(encode(scene))
    (tmp_path / "frames.csv").write_text(
        "file,split,source,xmin,ymin,xmax,ymax,label\n"
        f"frames/large.jpg,train,street,{left},{top},{left + side},{top + side},mask\n"
    )
    (sample,) = (s for s in load_examples(list_examples(tmp_path)).samples if s.example.in_scene)
    assert decode(encode(scene)).pixels.shape[1] < size[0]
    assert sample.face
    x0, y0, x1, y1 = (round(edge) for edge in sample.face)
    red = (sample.pixels[..., 0] > 200) & (sample.pixels[..., 1] < 60)
    assert red[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].all()
    assert red.sum() == pytest.approx((x1 - x0) * (y1 - y0), rel=0.1)


def test_faces_without_a_class_are_not_used(tmp_path: Path) -> None:
    write_crops(tmp_path / "crops", {"train": 1})
    write_tables(tmp_path)
    table = tmp_path / "frames.csv"
    table.write_text(table.read_text().replace("112,mask", "112,face").replace("112,no_mask", "112,ignore"))
    assert {e.label for e in list_examples(tmp_path) if e.in_scene and e.face and e.face.box[2] > 12} == {
        "incorrect"
    }


def test_a_folder_with_only_scenes_gives_their_faces(tmp_path: Path) -> None:
    write_crops(tmp_path / "crops", {"train": 1})
    write_tables(tmp_path)
    shutil.rmtree(tmp_path / "crops")
    (tmp_path / "crops.csv").unlink()
    assert {(e.label, e.in_scene) for e in list_examples(tmp_path)} == {(label, True) for label in LABELS}
