"""Read and write the tables beside the pictures: `crops.csv`, `frames.csv` and `not_faces.csv`.

Columns are separated by commas, semicolons or tabs, in any order; other columns are ignored. Errors name the table,
the line and the column.

    crops.csv      file; optional: source, and xmin, ymin, xmax, ymax of the face in a portrait
    frames.csv     file, split, xmin, ymin, xmax, ymax, label; optional: source. A line for each face in a scene
    not_faces.csv  file, xmin, ymin, xmax, ymax: places in scenes of frames.csv that look like faces but are not

Boxes are in pixels of the upright picture. In scenes, a label may also be `face` (to be found, class unknown) or
`ignore` (a detection is neither right nor wrong, like COCO's crowds).
"""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.shared.contract import LABELS
from training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from functions.inference.decode import Picture

SPLITS: Final = ("train", "val", "test")
FACE, IGNORE = "face", "ignore"
SCENE_LABELS: Final = (*LABELS, FACE, IGNORE)
EDGES: Final = ("xmin", "ymin", "xmax", "ymax")
DELIMITERS: Final = ",;\t"
ROUNDING: Final = 1.0  # pixels by which a box may exceed its picture

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class Row:
    """A row of a table: its line number in the file, and its cells by column."""

    table: Path
    line: int
    cells: Mapping[str, str]

    def error(self, column: str, problem: str) -> TrainingError:
        """Return an error that names table, line and column."""
        return TrainingError(f"{self.table}, line {self.line}, column {column}: {problem}")

    def text(self, column: str) -> str:
        """Return a cell that must not be empty."""
        if not self.cells[column]:
            raise self.error(column, "is empty")
        return self.cells[column]

    def file(self) -> str:
        """Return the path in the column `file`, which may have the separators of Windows."""
        return self.text("file").replace("\\", "/")

    def choice(self, column: str, choices: Sequence[str]) -> str:
        """Return a cell that must be one of several words."""
        if self.cells[column] not in choices:
            raise self.error(column, f"is {self.cells[column]!r}; it must be one of {', '.join(choices)}")
        return self.cells[column]

    def number(self, column: str) -> float:
        """Return a cell that must be a number."""
        try:
            value = float(self.text(column).replace(",", "."))  # a decimal comma, in tables with semicolons
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(column, f"is {self.cells[column]!r}; it must be a number of pixels")
        return value

    def box(self) -> Box:
        """Return the row's box."""
        left, top, right, bottom = (self.number(edge) for edge in EDGES)
        for low, high, first, last in (("xmin", "xmax", left, right), ("ymin", "ymax", top, bottom)):
            if last <= first:
                raise self.error(high, f"is {last:g}, but must exceed {low}, which is {first:g}")
        return left, top, right, bottom


@dataclass(frozen=True)
class MarkedBox:
    """A box in a picture, its label ("" in tables without labels), and its row."""

    box: Box
    label: str
    row: Row


@dataclass(frozen=True)
class SceneEntry:
    """The rows of `frames.csv` and `not_faces.csv` for one scene."""

    file: str
    split: str
    source: str
    faces: tuple[MarkedBox, ...]
    not_faces: tuple[MarkedBox, ...]


def read_table(path: Path, required: Collection[str]) -> list[Row]:
    """Read a table with a header. Empty lines are skipped; cells and column names are stripped.

    `infra.ops.files.read_table` reads the same tables. Neither can use the other: a SageMaker job gets no `infra/`
    (see `staged_code`), and `infra` does not import `training`.

    Args:
        path: A UTF-8 file, with or without a byte order mark.
        required: Required columns.

    Raises:
        TrainingError: The file is missing or malformed, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            header = lines.readline()
            delimiter = max(DELIMITERS, key=header.count)
            columns = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
            if missing := [name for name in required if name not in columns]:
                raise TrainingError(
                    f"{path} has no column {', '.join(missing)}. Its first line must name the columns; "
                    f"it has: {', '.join(columns) or 'nothing'}"
                )
            if repeated := [name for name, times in Counter(filter(None, columns)).items() if times > 1]:
                raise TrainingError(f"{path} names a column twice: {', '.join(repeated)}")
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            rows = []
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped[len(columns) :]):
                    raise TrainingError(
                        f"{path}, line {reader.line_num + 1}, has more cells than there are columns; "
                        "with decimal commas, separate columns by semicolons"
                    )
                if any(stripped):
                    padded = dict.fromkeys(columns, "") | dict(zip(columns, stripped, strict=False))
                    rows.append(Row(path, reader.line_num + 1, padded))
    except FileNotFoundError as error:
        raise TrainingError(f"{path} is missing") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path} is not UTF-8; save it as CSV UTF-8") from error
    except csv.Error as error:
        raise TrainingError(f"{path} is not a table: {error}") from error
    return rows


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; bytes of file names that are not UTF-8 are written as escapes."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(columns)
        table.writerows(rows)


def read_crops(folder: Path) -> dict[str, Row]:
    """Return the rows of `folder`/crops.csv by file; empty without such a table.

    Raises:
        TrainingError: The table is malformed.
    """
    path = folder / "crops.csv"
    rows: dict[str, Row] = {}
    for row in read_table(path, ["file"]) if path.is_file() else ():
        first = rows.setdefault(row.file(), row)
        if first.cells != row.cells:
            raise row.error("file", f"is described in line {first.line}, too, and differently")
    return rows


def crop_box(row: Row) -> MarkedBox | None:
    """Return the box of the face in a row of `crops.csv`, or None."""
    if not any(row.cells.get(edge) for edge in EDGES):
        return None
    if missing := [edge for edge in EDGES if edge not in row.cells]:
        raise TrainingError(f"{row.table} has no column {', '.join(missing)}, but other edges of a box")
    return MarkedBox(row.box(), "", row)


def read_scenes(folder: Path) -> list[SceneEntry]:
    """Return the scenes in `folder`/frames.csv, in order, with the places in `not_faces.csv`; none without the table.

    Raises:
        TrainingError: A table is malformed.
    """
    path = folder / "frames.csv"
    if not path.is_file():
        return []
    by_file: dict[str, list[Row]] = defaultdict(list)
    for row in read_table(path, ["file", "split", *EDGES, "label"]):
        by_file[row.file()].append(row)
    places: dict[str, list[MarkedBox]] = defaultdict(list)
    table = folder / "not_faces.csv"
    for row in read_table(table, ["file", *EDGES]) if table.is_file() else ():
        if row.file() not in by_file:
            raise row.error("file", f"{row.cells['file']} is not a scene of frames.csv")
        places[row.file()].append(MarkedBox(row.box(), "", row))
    return [_scene(file, rows, places[file]) for file, rows in by_file.items()]


def _scene(file: str, rows: Sequence[Row], places: Sequence[MarkedBox]) -> SceneEntry:
    split = rows[0].choice("split", SPLITS)
    for row in rows:
        if row.choice("split", SPLITS) != split:
            raise row.error("split", f"is {row.cells['split']}, but {split} in line {rows[0].line}")
    faces = tuple(MarkedBox(row.box(), row.choice("label", SCENE_LABELS), row) for row in rows)
    for face, other in combinations(faces, 2):
        if face.box == other.box:
            raise other.row.error("xmin", f"repeats the box of line {face.row.line}")
    return SceneEntry(file, split, rows[0].cells.get("source", ""), faces, tuple(places))


def boxes_in(picture: Picture, marked: Sequence[MarkedBox]) -> NDArray[np.float32]:
    """Return boxes (n, 4) in the decoded pixels of a picture, which may be fewer than those of the original.

    Raises:
        TrainingError: A box lies outside the picture or is not in pixels, or its row has another picture size.
    """
    for mark in marked:
        size = (picture.width, picture.height)
        for column, pixels in zip(("width", "height"), size, strict=True):
            if mark.row.cells.get(column) and mark.row.number(column) != pixels:
                raise mark.row.error(column, f"is {mark.row.cells[column]}, but the picture's is {pixels}")
        for edge, value, end in zip(EDGES, mark.box, size * 2, strict=True):
            if not -ROUNDING <= value <= end + ROUNDING:
                raise mark.row.error(edge, f"is {value:g}, outside the picture of {size[0]}x{size[1]} pixels")
        left, top, right, bottom = mark.box
        if max(mark.box) <= 1:
            raise mark.row.error(
                "xmax", f"is {right:g}, which looks like a share of a side; boxes are in pixels"
            )
        if min(right, size[0]) <= max(left, 0) or min(bottom, size[1]) <= max(top, 0):
            raise mark.row.error("xmin", f"the box lies outside the picture of {size[0]}x{size[1]} pixels")
    height, width = picture.pixels.shape[:2]
    scale = np.array([width / picture.width, height / picture.height] * 2)
    boxes = np.array([mark.box for mark in marked], float).reshape(-1, 4) * scale
    return np.asarray(boxes.clip(0, (width, height, width, height)), np.float32)
