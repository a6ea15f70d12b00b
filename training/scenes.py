"""Scenes: whole pictures with a box around every face, listed in `frames.csv` (see training/tables.py)."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from tqdm import tqdm

from functions.inference.decode import decode
from functions.shared.contract import LABELS
from functions.shared.problem import InputError
from training.errors import TrainingError
from training.tables import IGNORE, SPLITS, boxes_in, read_scenes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.tables import SceneEntry

MIN_FACE: Final = 24.0  # pixels of a face's shorter side from which it counts in figures
UNLABELLED: Final = -1


@dataclass(frozen=True)
class Scene:
    """A decoded picture and the faces in it.

    Attributes:
        path: The file.
        split: train, val or test.
        source: Its source; "" if unknown.
        sha256: SHA-256 of the file.
        pixels: RGB, uint8, (H, W, 3).
        boxes: Left, top, right, bottom of each face in these pixels, float32 (faces, 4).
        labels: Index into `LABELS` of each face, or `UNLABELLED`, (faces,).
        must_find: Whether each must be found, (faces,); the others are ignored.
        not_faces: Boxes of places that look like faces but are not, float32 (places, 4).
    """

    path: Path
    split: str
    source: str
    sha256: str
    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.intp]
    must_find: NDArray[np.bool_]
    not_faces: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))


def load_scenes(folder: Path, splits: Sequence[str] = SPLITS) -> list[Scene]:
    """Load the scenes of the given splits in `folder`/frames.csv, in order.

    Raises:
        TrainingError: The table is missing or malformed, or a picture is unreadable.
    """
    path = folder / "frames.csv"
    if not path.is_file():
        raise TrainingError(f"{path} is missing: the detector needs scenes with a box for each face")
    return load_scenes_if_any(folder, splits)


def load_test_scenes(folder: Path) -> list[Scene]:
    """Load the test scenes in `folder`/frames.csv, of which there must be one.

    Raises:
        TrainingError: See `load_scenes`, or there is none.
    """
    scenes = load_scenes(folder, ("test",))
    if not scenes:
        raise TrainingError(f"{folder} has no scenes of the split test")
    return scenes


def load_scenes_if_any(folder: Path, splits: Sequence[str]) -> list[Scene]:
    """Load scenes as `load_scenes` does; without `frames.csv`, there are none."""
    entries = [entry for entry in read_scenes(folder) if entry.split in splits]
    with ThreadPoolExecutor() as pool:
        read = pool.map(lambda entry: _read(folder / entry.file, entry), entries)
        return list(tqdm(read, total=len(entries), desc="reading scenes", unit="file", disable=not entries))


def _read(path: Path, entry: SceneEntry) -> Scene:
    try:
        data = path.read_bytes()
        picture = decode(data)
    except (InputError, OSError) as error:
        raise TrainingError(f"{path}: {error}") from error
    labels = [face.label for face in entry.faces]
    return Scene(
        path,
        entry.split,
        entry.source,
        hashlib.sha256(data).hexdigest(),
        picture.pixels,
        boxes_in(picture, entry.faces),
        np.array([LABELS.index(label) if label in LABELS else UNLABELLED for label in labels]),
        np.array([label != IGNORE for label in labels]),
        boxes_in(picture, entry.not_faces),
    )


def sides(scene: Scene) -> NDArray[np.float32]:
    """Return the shorter side of each face, in pixels of the scene, (faces,)."""
    return np.asarray((scene.boxes[:, 2:] - scene.boxes[:, :2]).min(axis=1))


def counted_faces(scene: Scene) -> NDArray[np.bool_]:
    """Return a mask (faces,) of the faces that count in figures: of at least `MIN_FACE` pixels, and not ignored."""
    return np.asarray(scene.must_find & (sides(scene) >= MIN_FACE))


def overlaps_any(boxes: NDArray[np.float32], region: tuple[float, float, float, float]) -> bool:
    """Return whether a region (left, top, right, bottom) overlaps any of the boxes (n, 4)."""
    low, high = np.maximum(boxes[:, :2], region[:2]), np.minimum(boxes[:, 2:], region[2:])
    return bool((high > low).all(axis=1).any())


def fingerprint(scenes: Iterable[Scene]) -> str:
    """Return the SHA-256 of content, split, boxes and labels of all scenes, independent of paths and order."""
    lines = sorted(
        f"{scene.sha256} {scene.split} {scene.boxes.tolist()} {scene.labels.tolist()} {scene.must_find.tolist()}"
        f" {scene.not_faces.tolist()}"
        for scene in scenes
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
