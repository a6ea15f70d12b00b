"""Read the scenes: whole pictures with a box around every face, listed in `frames.csv`."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from tqdm import tqdm

from functions.inference.decode import decode
from functions.inference.release import LABELS
from functions.problem import Rejected
from training.dataset import SPLITS, UnusableData

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MIN_FACE: Final = 24.0  # pixels of its scene that a face's shorter side must have for figures to be about it
_EDGES: Final = ("xmin", "ymin", "xmax", "ymax")

# What a box bounds differs between the public sets: brow to chin, or the head with its hair, which is twice the area.
# The set that stands at one end is moved towards the others for training, by these shares of a box's sides (left,
# top, right, bottom; positive is right and down), so that a box of one kind overlaps one of the other by half.
CONVENTIONS: Final[Mapping[str, tuple[float, float, float, float]]] = {
    "roboflow": (0.06, 0.10, -0.04, -0.02),
}


@dataclass(frozen=True)
class Scene:
    """A decoded picture and the faces in it.

    Attributes:
        path: Of the file.
        split: train, val or test.
        source: The set that it comes from.
        sha256: Of the file.
        pixels: RGB, uint8, (H, W, 3).
        boxes: Left, top, right, bottom of each face in these pixels, float32 (faces, 4).
        labels: Index into `LABELS` of each face, (faces,).
    """

    path: Path
    split: str
    source: str
    sha256: str
    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.intp]


def load_scenes(folder: Path, splits: Sequence[str] = SPLITS) -> list[Scene]:
    """Read the scenes that `folder`/frames.csv lists, in its order.

    The table has one row a face: file, split, source, xmin, ymin, xmax, ymax (pixels), label.

    Raises:
        UnusableData: There is no such table, or a row or a picture of it cannot be used; the message says which.
    """
    table = folder / "frames.csv"
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    try:
        with table.open(newline="") as lines:
            for row in csv.DictReader(lines):
                if row["split"] in splits:
                    rows[row["file"]].append(row)
    except FileNotFoundError as error:
        raise UnusableData(
            f"{table} is missing: the detector needs scenes with a box for each face"
        ) from error
    except KeyError as error:
        raise UnusableData(f"{table} has no column {error}") from error
    with ThreadPoolExecutor() as pool:
        read = pool.map(lambda item: _read(folder / item[0], item[1]), rows.items())
        return list(tqdm(read, total=len(rows), desc="reading scenes", unit="file"))


def for_training(scene: Scene) -> Scene:
    """The scene with its boxes moved as `CONVENTIONS` says; one may reach out of the picture."""
    moves = np.array(CONVENTIONS.get(scene.source, (0.0,) * 4), np.float32)
    extents = np.tile(scene.boxes[:, 2:] - scene.boxes[:, :2], 2)
    return replace(scene, boxes=scene.boxes + moves * extents)


def sides(scene: Scene) -> NDArray[np.float32]:
    """The shorter side of each face, in pixels of the scene, (faces,)."""
    return np.asarray((scene.boxes[:, 2:] - scene.boxes[:, :2]).min(axis=1))


def fingerprint(scenes: Iterable[Scene]) -> str:
    """SHA-256 over content, split, boxes and labels of every scene; independent of paths and order."""
    lines = sorted(
        f"{scene.sha256} {scene.split} {scene.boxes.tolist()} {scene.labels.tolist()}" for scene in scenes
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read(path: Path, rows: Sequence[dict[str, str]]) -> Scene:
    try:
        data = path.read_bytes()
        picture = decode(data)
        boxes = np.array([[float(row[edge]) for edge in _EDGES] for row in rows], np.float32)
    except (Rejected, OSError, KeyError, ValueError) as error:
        raise UnusableData(f"{path}: {error}") from error
    if unknown := {row["label"] for row in rows} - set(LABELS):
        raise UnusableData(
            f"{path}: no such label: {', '.join(sorted(unknown))}; there are {', '.join(LABELS)}"
        )
    if not (boxes[:, 2:] > boxes[:, :2]).all():
        raise UnusableData(f"{path}: a face has no area; xmax must exceed xmin, and ymax ymin")
    height, width = picture.pixels.shape[:2]
    boxes *= np.array([width / picture.width, height / picture.height] * 2, np.float32)
    labels = np.array([LABELS.index(row["label"]) for row in rows])
    digest = hashlib.sha256(data).hexdigest()
    return Scene(path, rows[0]["split"], rows[0]["source"], digest, picture.pixels, boxes, labels)
