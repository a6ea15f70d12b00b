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
from tests.training.drawn import draw, write_crops
from training.classifier.dataset import (
    EXCLUSIONS,
    DataError,
    Dataset,
    find,
    load,
    read_exclusions,
    summary,
)

NOTHING_EXCLUDED = "sha256,reason\n"


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    path = tmp_path / "none.csv"
    path.write_text(NOTHING_EXCLUDED)
    return path


def flat(folder: Path, count: int) -> Path:
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            (folder / label / f"{number}.png").write_bytes(encode(draw(label, number), "PNG"))
    return folder


def test_splits_and_labels_come_from_the_folders(tmp_path: Path) -> None:
    write_crops(tmp_path, {"train": 2, "test": 1})
    found = find(tmp_path)
    assert len(found) == 9
    assert {(e.split, e.label) for e in found} == {(s, label) for s in ("train", "test") for label in LABELS}
    assert all(e.path.parts[-3:-1] == (e.split, e.label) for e in found)


def test_a_flat_folder_is_split(tmp_path: Path, nothing: Path) -> None:
    samples = load(find(flat(tmp_path / "flat", 60)), nothing).samples
    shares = {
        split: sum(s.example.split == split for s in samples) / 180 for split in ("train", "val", "test")
    }
    assert sum(shares.values()) == pytest.approx(1)
    assert shares == pytest.approx({"train": 0.7, "val": 0.15, "test": 0.15}, abs=0.1)


def test_a_flat_split_stays_when_pictures_are_added(tmp_path: Path, nothing: Path) -> None:
    folder = flat(tmp_path / "flat", 10)
    before = {s.example.path: s.example.split for s in load(find(folder), nothing).samples}
    (folder / "mask" / "another.png").write_bytes(encode(draw("mask", 999), "PNG"))
    after = {s.example.path: s.example.split for s in load(find(folder), nothing).samples}
    assert before.items() <= after.items()


def test_a_flat_split_keeps_near_duplicates_on_one_side(tmp_path: Path, nothing: Path) -> None:
    folder = tmp_path / "flat"
    (folder / "mask").mkdir(parents=True)
    for number in range(60):
        rng = np.random.default_rng(number)
        picture = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
        picture = picture.resize((96, 96), Image.Resampling.BICUBIC)
        (folder / "mask" / f"{number}.jpg").write_bytes(encode(picture, quality=95))
        (folder / "mask" / f"{number}-again.jpg").write_bytes(encode(picture, quality=40))
        (folder / "mask" / f"{number}-small.jpg").write_bytes(encode(picture.resize((72, 72))))
    sides: dict[str, set[str]] = {}
    for sample in load(find(folder), nothing).samples:
        sides.setdefault(sample.example.path.stem.split("-")[0], set()).add(sample.example.split)
    assert [name for name, splits in sides.items() if len(splits) > 1] == []


@pytest.mark.parametrize(
    "path", ["face.jpg", "masked/face.jpg", "train/masked/face.jpg", "dev/mask/face.jpg"]
)
def test_another_form_of_folder_is_refused(tmp_path: Path, path: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encode(draw("mask", 0)))
    with pytest.raises(DataError, match=r"expected <split>/<label>/\*\.jpg or <label>/\*\.jpg"):
        find(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected"):
        find(tmp_path)


def test_sources_come_from_the_table(drawn: Path) -> None:
    crops = [e for e in find(drawn) if e.face is None]
    assert {e.source for e in crops} == {"gate", "ward"}


def test_faces_come_from_the_scenes(drawn: Path, dataset: Dataset) -> None:
    faces = [e for e in find(drawn) if e.face]
    assert [(e.split, e.label) for e in faces] == [(s, label) for s in ("train", "test") for label in LABELS]
    assert len(dataset.split("train", faces=True)) == len(dataset.split("train")) + 3


def test_a_face_keeps_its_surroundings_and_its_place(dataset: Dataset, drawn: Path) -> None:
    scene = decode((drawn / "frames" / "test.jpg").read_bytes()).pixels
    for sample in (s for s in dataset.split("test", faces=True) if s.face):
        assert sample.example.face
        left, top, right, bottom = (round(v) for v in sample.face or ())
        height, width = sample.pixels.shape[:2]
        assert (right - left, bottom - top) == (64, 72)
        assert width > 64
        assert height > 72
        x, y = (int(v) for v in sample.example.face[:2])
        face = sample.pixels[top:bottom, left:right]
        assert np.array_equal(face, scene[y : y + 72, x : x + 64])


def test_pixels_are_those_that_serving_decodes(dataset: Dataset) -> None:
    sample = dataset.split("val")[0]
    data = sample.example.path.read_bytes()
    assert np.array_equal(sample.pixels, decode(data).pixels)
    assert sample.sha256 == hashlib.sha256(data).hexdigest()


def test_what_cannot_be_read_is_told_with_the_reason(tmp_path: Path, nothing: Path) -> None:
    write_crops(tmp_path, {"train": 1})
    good = tmp_path / "train" / "mask" / "train_0.jpg"
    (tmp_path / "train" / "mask" / "cut.jpg").write_bytes(good.read_bytes()[:300])
    (tmp_path / "train" / "mask" / "text.jpg").write_text("no picture")
    (tmp_path / "train" / "mask" / "tiny.png").write_bytes(encode(draw("mask", 1, 16, 16), "PNG"))
    read = load(find(tmp_path), nothing)
    assert len(read.samples) == 3
    reasons = {path.name: reason for path, reason in read.unreadable}
    assert reasons.keys() == {"cut.jpg", "text.jpg", "tiny.png"}
    assert "16x16" in reasons["tiny.png"]
    assert "tiny.png" in summary(read)


def test_exclusions_go_by_content_not_by_name(tmp_path: Path) -> None:
    write_crops(tmp_path / "pictures", {"train": 3})
    victim = tmp_path / "pictures" / "train" / "mask" / "train_1.jpg"
    digest = hashlib.sha256(victim.read_bytes()).hexdigest()
    renamed = victim.rename(victim.with_name("renamed.jpg"))
    exclusions = tmp_path / "exclusions.csv"
    exclusions.write_text(f"{NOTHING_EXCLUDED}{digest},a scarf\n")
    read = load(find(tmp_path / "pictures"), exclusions)
    assert read.excluded == (renamed,)
    assert len(read.samples) == 8
    assert "1 excluded" in summary(read)


def test_the_fingerprint_knows_content_and_labels_not_paths(tmp_path: Path, nothing: Path) -> None:
    write_crops(tmp_path / "a", {"train": 2, "val": 1})
    before = load(find(tmp_path / "a"), nothing).fingerprint
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "train" / "mask" / "train_0.jpg").rename(tmp_path / "b" / "train" / "mask" / "x.jpg")
    assert load(find(tmp_path / "b"), nothing).fingerprint == before
    moved = tmp_path / "b" / "train" / "mask" / "x.jpg"
    moved.rename(tmp_path / "b" / "train" / "no_mask" / "x.jpg")
    assert load(find(tmp_path / "b"), nothing).fingerprint != before


def test_the_summary_counts(tmp_path: Path, nothing: Path) -> None:
    write_crops(tmp_path, {"train": 2, "val": 2})
    shutil.copy(tmp_path / "train" / "mask" / "train_0.jpg", tmp_path / "val" / "mask" / "same.jpg")
    told = summary(load(find(tmp_path), nothing))
    assert "13 samples" in told
    assert "1 exact copies; 1 groups of look-alikes across splits" in told
    assert "0 excluded, 0 unreadable" in told


def test_the_shipped_exclusions_are_readable() -> None:
    listed = read_exclusions(EXCLUSIONS)
    assert all(len(digest) == 64 and reason for digest, reason in listed.items())
