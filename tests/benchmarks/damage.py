"""How much damage is noticed, and what that costs: `python -m tests.benchmarks.damage` prints two tables.

Test pictures of DATA (drawn ones if it has none) are saved in each format, and damaged at random places in six ways.
Pillow alone is compared with `decode`. For damage that is not noticed, the table counts how often the label
differs from that of the undamaged picture.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from functions.inference.decode import decode
from functions.inference.fetch import open_release
from functions.inference.prediction import PredictOptions
from functions.inference.score import load_models, score
from functions.shared.problem import InputError
from tests.pictures import draw_face, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DATA: Final = Path(os.environ.get("DATA", "../shared/data"))
FILES: Final = 2160
PACKET: Final = 1460  # bytes
MIN_WIDTH: Final = 160  # pixels; smaller pictures are hardly more than a packet
FORMS: Final[Mapping[str, tuple[str, dict[str, object]]]] = {
    "baseline JPEG": ("JPEG", {"quality": 85}),
    "JPEG with restart markers": ("JPEG", {"quality": 85, "restart_marker_rows": 1}),
    "progressive JPEG": ("JPEG", {"quality": 85, "progressive": True}),
    "PNG": ("PNG", {}),
    "lossy WebP": ("WEBP", {"quality": 85}),
    "lossless WebP": ("WEBP", {"lossless": True}),
}
SIZES: Final = {"640x480": (640, 480), "12 MP": (4032, 3024)}
CALLS: Final = 60


def _overwrite(data: bytes, place: int, junk: bytes) -> bytes:
    return (data[:place] + junk + data[place + len(junk) :])[: len(data)]


DAMAGES: Final[Mapping[str, Callable[[bytes, int, np.random.Generator], bytes]]] = {
    "a packet lost": lambda data, place, _: data[:place] + data[place + PACKET :],
    "a packet of zeros": lambda data, place, _: _overwrite(data, place, bytes(PACKET)),
    "3 bytes lost": lambda data, place, _: data[:place] + data[place + 3 :],
    "cut short": lambda data, place, _: data[:place],
    "16 random bytes": lambda data, place, rng: _overwrite(data, place, rng.bytes(16)),
    "one bit": lambda data, place, rng: _overwrite(
        data, place, bytes([data[place] ^ 1 << int(rng.integers(8))])
    ),
}


def pictures() -> list[Image.Image]:
    """Return faces to damage: test crops of DATA at their size, or drawn ones."""
    table = DATA / "crops.csv"
    if not table.exists():
        return [draw_face(320 + 8 * number, 400) for number in range(25)]
    with table.open(newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if row["split"] == "test" and int(row["width"]) >= MIN_WIDTH
        ]
    chosen = np.random.default_rng(0).choice(len(rows), 200, replace=False)
    return [Image.open(DATA / rows[number]["file"]).convert("RGB") for number in chosen]


def pillow(data: bytes) -> Image.Image:
    """Decode with Pillow alone."""
    image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
    width, height = image.size
    scale = max(min(width, height) // 448, 1)
    image.draft(None, (width // scale, height // scale))
    image.load()
    return image.convert("RGB")


def damage() -> str:
    """Return the table of noticed damage."""
    rng = np.random.default_rng(0)
    models = load_models(open_release(""), threads=1)
    originals = pictures()
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*FORMS, *DAMAGES, "all")}
    combinations = [(form, way) for form in FORMS for way in DAMAGES]
    labels: dict[bytes, str] = {}

    def label(file: bytes) -> str:
        if file not in labels:
            labels[file] = score(decode(file), models, PredictOptions(detect=False)).classification.label
        return labels[file]

    files = [
        {form: encode(image, kind, **options) for form, (kind, options) in FORMS.items()}
        for image in originals
    ]
    for number in range(FILES):
        form, way = combinations[number % len(combinations)]
        file = files[int(rng.integers(len(files)))][form]
        damaged = DAMAGES[way](file, int(rng.integers(len(file))), rng)
        seen = Counter(damaged=1)
        try:
            pillow(damaged)
        except Exception:  # noqa: BLE001 -- Pillow has many
            seen["by Pillow"] += 1
        try:
            decode(damaged)
        except InputError:
            seen["noticed"] += 1
        else:
            seen["changed"] += label(damaged) != label(file)
        for name in (form, way, "all"):
            counts[name] += seen
    lines = [
        "| damaged | files | noticed by Pillow alone | noticed by MaskWatch | label changed, of those not noticed |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, count in counts.items():
        rest = count["damaged"] - count["noticed"]
        shares = [f"{count[key] / count['damaged']:.1%}" for key in ("by Pillow", "noticed")]
        changed = f"{count['changed']} of {rest}"
        lines.append(f"| {name} | {count['damaged']:,} | {' | '.join(shares)} | {changed} |")
    return "\n".join(lines)


def cost() -> str:
    """Return the table of costs: milliseconds of processor time, alternating."""
    lines = ["| JPEG | Pillow alone, median ms | MaskWatch, median ms | ratio |", "|---|--:|--:|--:|"]
    for name, size in SIZES.items():
        file = encode(pictures()[0].resize(size, Image.Resampling.BICUBIC), quality=90)
        taken = np.zeros((CALLS, 2))
        for call in range(CALLS):
            for way, function in enumerate((pillow, decode)):
                started = time.process_time()
                np.asarray(function(file)) if function is pillow else function(file)
                taken[call, way] = (time.process_time() - started) * 1e3
        old, new = np.median(taken, axis=0)
        lines.append(f"| {name} | {old:.2f} | {new:.2f} | {new / old:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(cost(), damage(), sep="\n\n")  # noqa: T201
