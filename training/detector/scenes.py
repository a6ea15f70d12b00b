"""Read the scenes: whole pictures with a box around every face, listed in `frames.csv`.

The public sets disagree about what a box bounds, and they leave faces out. Unless a caller asks for them as labelled,
boxes are moved to one convention, from the brows to the chin and between the ears, and what `corrections.csv` says of
a scene is heeded. It was made by looking: the detector named what it took for faces where no label was, from half
(train) or three tenths (val, test) of certainty on, and an eye decided.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from tqdm import tqdm

from functions.inference.decode import decode
from functions.shared.contract import LABELS
from functions.shared.problem import InputError
from training.classifier.dataset import SPLITS, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

MIN_FACE: Final = 24.0  # pixels of its scene that a face's shorter side must have for figures to be about it
_EDGES: Final = ("xmin", "ymin", "xmax", "ymax")

UNLABELLED: Final = -1
CORRECTIONS: Final = Path(__file__).with_name("corrections.csv")
MISPLACED, FACE = "misplaced", "face"  # the boxes belong to another picture; a face that has no label

# How far the boxes of a set are from that convention, which is andrewmvd's, in shares of their sides (left, top,
# right, bottom; positive is right and down): medians over the validation scenes, with one detector for a ruler.
CONVENTIONS: Final[Mapping[str, tuple[float, float, float, float]]] = {
    "jolignier": (-0.007, 0.034, 0.046, 0.046),
    "macwinwin": (0.049, 0.159, -0.042, 0.004),
    "roboflow": (0.158, 0.334, -0.119, -0.045),  # whole heads, with their hair
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
        labels: Index into `LABELS` of each face, or `UNLABELLED`, (faces,).
        sought: Whether each is to be found, (faces,); to find another is neither right nor wrong.
    """

    path: Path
    split: str
    source: str
    sha256: str
    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.intp]
    sought: NDArray[np.bool_]


def load_scenes(folder: Path, splits: Sequence[str] = SPLITS, *, as_labelled: bool = False) -> list[Scene]:
    """Read the scenes that `folder`/frames.csv lists, in its order.

    The table has one row a face: file, split, source, xmin, ymin, xmax, ymax (pixels), label. `as_labelled` gives its
    boxes as they are, and no others.

    Raises:
        DataError: There is no such table, or a row or a picture of it cannot be used; the message says which.
    """
    table = folder / "frames.csv"
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    try:
        with table.open(newline="") as lines:
            for row in csv.DictReader(lines):
                if row["split"] in splits:
                    rows[row["file"]].append(row)
    except FileNotFoundError as error:
        raise DataError(f"{table} is missing: the detector needs scenes with a box for each face") from error
    except KeyError as error:
        raise DataError(f"{table} has no column {error}") from error
    with ThreadPoolExecutor() as pool:
        read = pool.map(lambda item: _read(folder / item[0], item[1]), rows.items())
        scenes = list(tqdm(read, total=len(rows), desc="reading scenes", unit="file"))
    if as_labelled:
        return scenes
    corrections = _corrections()
    return [
        _corrected(scene, corrections[scene.sha256])
        for scene in scenes
        if all(row["kind"] != MISPLACED for row in corrections[scene.sha256])
    ]


def _corrections() -> Mapping[str, list[dict[str, str]]]:
    told: dict[str, list[dict[str, str]]] = defaultdict(list)
    with CORRECTIONS.open(newline="") as lines:
        for row in csv.DictReader(lines):
            told[row["sha256"]].append(row)
    return told


def _corrected(scene: Scene, corrections: Sequence[Mapping[str, str]]) -> Scene:
    """The scene by our convention, with the faces that its labels leave out.

    Those are to be learned, but in a scene that is judged neither right nor wrong to find: they are there because a
    detector found them, and would flatter it.
    """
    moves = np.array(CONVENTIONS.get(scene.source, (0.0,) * 4), np.float32)
    extents = np.tile(scene.boxes[:, 2:] - scene.boxes[:, :2], 2)
    added = np.array([[float(row[edge]) for edge in _EDGES] for row in corrections], np.float32).reshape(
        -1, 4
    )
    learned = [scene.split == "train" and row["kind"] == FACE for row in corrections]
    height, width = scene.pixels.shape[:2]
    moved = (scene.boxes + moves * extents).clip(0, (width, height, width, height))
    return replace(
        scene,
        boxes=np.concatenate([moved, added]).astype(np.float32),
        labels=np.concatenate([scene.labels, np.full(len(added), UNLABELLED)]),
        sought=np.concatenate([scene.sought, np.array(learned, bool)]),
    )


def sides(scene: Scene) -> NDArray[np.float32]:
    """The shorter side of each face, in pixels of the scene, (faces,)."""
    return np.asarray((scene.boxes[:, 2:] - scene.boxes[:, :2]).min(axis=1))


def to_find(scene: Scene) -> NDArray[np.bool_]:
    """Which faces figures are about, (faces,): those sought that have `MIN_FACE` pixels."""
    return np.asarray(scene.sought & (sides(scene) >= MIN_FACE))


def fingerprint(scenes: Iterable[Scene]) -> str:
    """SHA-256 over content, split, boxes and labels of every scene; independent of paths and order."""
    lines = sorted(
        f"{scene.sha256} {scene.split} {scene.boxes.tolist()} {scene.labels.tolist()} {scene.sought.tolist()}"
        for scene in scenes
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read(path: Path, rows: Sequence[dict[str, str]]) -> Scene:
    try:
        data = path.read_bytes()
        picture = decode(data)
        boxes = np.array([[float(row[edge]) for edge in _EDGES] for row in rows], np.float32)
    except (InputError, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error
    if unknown := {row["label"] for row in rows} - set(LABELS):
        raise DataError(f"{path}: no such label: {', '.join(sorted(unknown))}; there are {', '.join(LABELS)}")
    if not (boxes[:, 2:] > boxes[:, :2]).all():
        raise DataError(f"{path}: a face has no area; xmax must exceed xmin, and ymax ymin")
    height, width = picture.pixels.shape[:2]
    boxes *= np.array([width / picture.width, height / picture.height] * 2, np.float32)
    labels = np.array([LABELS.index(row["label"]) for row in rows])
    digest = hashlib.sha256(data).hexdigest()
    sought = np.ones(len(rows), bool)
    return Scene(path, rows[0]["split"], rows[0]["source"], digest, picture.pixels, boxes, labels, sought)
