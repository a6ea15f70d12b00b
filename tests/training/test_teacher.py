"""Boxes for portraits that have none."""

from pathlib import Path

import numpy as np
import pytest

from training.tables import crop_box, read_crops

teacher = pytest.importorskip("training.detector.teacher", reason="needs the extra `peers`")


class Finds:
    """A fake teacher that finds a face in the middle half of a picture, but none in a wide one."""

    def __init__(self, **_: object) -> None:
        self.shapes = []

    def __call__(self, pixels: np.ndarray, threshold: float) -> tuple[np.ndarray, None]:  # noqa: ARG002
        height, width = pixels.shape[:2]
        self.shapes.append(self.in_shape)
        if width > height:
            return np.zeros((0, 5)), None
        return np.array([[0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height, 0.9]]), None


def test_a_box_is_in_pixels_of_the_portrait_and_shifted_to_the_convention() -> None:
    left, top, right, bottom = teacher.find_face(Finds(), np.zeros((100, 100, 3), np.uint8))
    assert (left, right) == (pytest.approx(7.5 - 2.295, abs=0.06), pytest.approx(92.5 + 3.315, abs=0.06))
    assert (top, bottom) == (pytest.approx(7.5 + 9.35, abs=0.06), pytest.approx(92.5 + 4.93, abs=0.06))


def test_if_no_face_is_found_a_larger_size_is_tried() -> None:
    finds = Finds()
    assert teacher.find_face(finds, np.zeros((60, 100, 3), np.uint8)) is None
    assert [max(shape) for shape in finds.shapes] == list(teacher.SIZES)


def test_the_table_is_crops_csv_with_boxes(
    drawn: Path, tmp_path: Path, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "CenterFace", Finds)
    assert command(teacher, "--data", drawn, "--out", tmp_path / "crops.csv") == 0
    rows = read_crops(tmp_path)
    assert len(rows) == 84
    boxed = {file for file, row in rows.items() if crop_box(row)}
    assert {rows[file].cells["split"] for file in boxed} == {"train", "val"}
    assert "crops/train/mask/train_0.jpg" in boxed
    assert "crops/train/mask/train_1.jpg" not in boxed  # it is wide
    assert {row.cells["source"] for row in rows.values()} == {"gate", "ward"}


def test_a_folder_without_the_table_is_reported_in_one_line(
    tmp_path: Path, command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(teacher, "--data", tmp_path, "--out", tmp_path / "crops.csv")
    assert f"error: there is no crops.csv with pictures in {tmp_path}" in capsys.readouterr().err
    assert not (tmp_path / "crops.csv").exists()
