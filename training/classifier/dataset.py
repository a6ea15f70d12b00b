"""Find, check and load the pictures: `python -m training.classifier.dataset FOLDER` says what is there.

Two folder forms are read: `<split>/<label>/*.jpg` with the splits train, val and test, and a flat
`<label>/*.jpg`, which is split here, near-duplicates kept on one side. Beside the pictures there may be a
`crops.csv` (columns file and source) that says where each came from, and a `frames.csv` (columns file, split,
source, label, xmin, ymin, xmax, ymax) with the faces of whole scenes, from which training cuts faces at random
margins.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from tqdm import tqdm

from functions.inference.decode import decode
from functions.shared.contract import LABELS
from functions.shared.problem import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

SPLITS: Final = ("train", "val", "test")
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
EXCLUSIONS: Final = Path(__file__).with_name("exclusions.csv")
CONTEXT: Final = 0.8  # of a face's side, kept around a face cut from a scene, so that margins can vary
NEAR: Final = 4  # of the 64 bits of a difference hash, between near-duplicates
MIN_FACE: Final = 20  # pixels; a smaller face in a scene says little about its mask

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


class DataError(Exception):
    """The folder cannot be worked with; the message says why."""


@dataclass(frozen=True)
class Example:
    """A picture on disk and what it shows; `face` is where in it, None for the whole picture."""

    path: Path
    split: str
    label: str
    source: str
    face: Box | None = None


@dataclass(frozen=True)
class Sample:
    """A decoded example: RGB uint8 (H, W, 3), with `face` in pixels of exactly these pixels."""

    example: Example
    sha256: str
    pixels: NDArray[np.uint8]
    face: Box | None


@dataclass(frozen=True)
class Dataset:
    """What could be read, and every file that could not, with the reason."""

    samples: tuple[Sample, ...]
    unreadable: tuple[tuple[Path, str], ...]
    excluded: tuple[Path, ...]

    def split(self, name: str, *, faces: bool = False) -> list[Sample]:
        """The samples of one split; with `faces`, those cut from scenes as well."""
        return [s for s in self.samples if s.example.split == name and (faces or s.example.face is None)]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over content, split, label and face of every sample; independent of paths and order."""
        lines = sorted(
            f"{s.sha256} {s.example.split} {s.example.label} {s.example.face}" for s in self.samples
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def find(folder: Path) -> list[Example]:
    """List the pictures below `folder` (see the module's text for its forms).

    Raises:
        DataError: The folder has neither form.
    """
    root = folder / "crops" if (folder / "crops").is_dir() else folder
    sources = _sources(folder)
    files = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in SUFFIXES]
    found = [path.relative_to(root).parts for path in files]
    if files and all(len(p) == 3 and p[0] in SPLITS and p[1] in LABELS for p in found):
        examples = [
            Example(path, split, label, sources.get(name, ""))
            for path, (split, label, name) in zip(files, found, strict=True)
        ]
    elif files and all(len(p) == 2 and p[0] in LABELS for p in found):
        examples = [
            Example(path, "", label, sources.get(name, ""))
            for path, (label, name) in zip(files, found, strict=True)
        ]
    else:
        folders = sorted({"/".join(p[:-1]) or "the folder itself" for p in found})
        raise DataError(
            f"{root}: expected <split>/<label>/*.jpg or <label>/*.jpg with the labels {', '.join(LABELS)}"
            f" and the splits {', '.join(SPLITS)}; found pictures in: {', '.join(folders[:12]) or 'nothing'}"
        )
    return examples + _faces(folder)


def load(examples: Sequence[Example], exclusions: Path = EXCLUSIONS) -> Dataset:
    """Read every example through the decode step that serves, leaving out what `exclusions` lists."""
    excluded_hashes = read_exclusions(exclusions)
    by_path: dict[Path, list[Example]] = defaultdict(list)
    for example in examples:
        by_path[example.path].append(example)
    samples: list[Sample] = []
    unreadable: list[tuple[Path, str]] = []
    excluded: list[Path] = []
    with ThreadPoolExecutor() as pool:
        for path, result in tqdm(
            zip(by_path, pool.map(_read, by_path.values()), strict=True),
            total=len(by_path),
            desc="reading pictures",
            unit="file",
        ):
            if isinstance(result, str):
                unreadable.append((path, result))
            elif result and result[0].sha256 in excluded_hashes:
                excluded.append(path)
            else:
                samples.extend(result)
    return Dataset(tuple(_with_splits(samples)), tuple(unreadable), tuple(excluded))


def require_every_label(dataset: Dataset) -> None:
    """See to it that every label can be learned, chosen by and judged.

    Raises:
        DataError: A split has no picture of some label.
    """
    counts = Counter((s.example.split, s.example.label) for s in dataset.samples if s.face is None)
    missing = [f"{split} has no {label}" for split in SPLITS for label in LABELS if not counts[split, label]]
    if missing:
        total = Counter(label for _, label in counts.elements())
        raise DataError(
            f"every label is needed in every split, some twenty pictures at least: {'; '.join(missing)} (in all, "
            f"{', '.join(f'{total[label]} {label}' for label in LABELS)}; {len(dataset.unreadable)} unreadable)"
        )


def read_exclusions(path: Path) -> dict[str, str]:
    """SHA-256 of each excluded file → why it is excluded."""
    with path.open(newline="") as lines:
        return {row["sha256"]: row["reason"] for row in csv.DictReader(lines)}


def difference_hash(pixels: NDArray[np.uint8]) -> int:
    """64-bit dHash (neighbouring grey values of a 9x8 thumbnail): near-duplicates differ in few."""
    grey = np.asarray(Image.fromarray(pixels).convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes())


def _sources(folder: Path) -> dict[str, str]:
    table = folder / "crops.csv"
    if not table.is_file():
        return {}
    with table.open(newline="") as lines:
        return {Path(row["file"]).name: row["source"] for row in csv.DictReader(lines)}


def _faces(folder: Path) -> list[Example]:
    table = folder / "frames.csv"
    if not table.is_file():
        return []
    examples = []
    with table.open(newline="") as lines:
        for row in csv.DictReader(lines):
            left, top, right, bottom = (float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax"))
            if min(right - left, bottom - top) >= MIN_FACE:
                face = (left, top, right, bottom)
                examples.append(
                    Example(folder / row["file"], row["split"], row["label"], row["source"], face)
                )
    return examples


def _read(examples: list[Example]) -> list[Sample] | str:
    """All samples of one file, or why it cannot be read."""
    try:
        data = examples[0].path.read_bytes()
        pixels = decode(data).pixels
    except (InputError, OSError) as error:
        return str(error)
    digest = hashlib.sha256(data).hexdigest()
    return [Sample(example, digest, *_cut(pixels, example.face)) for example in examples]


def _cut(pixels: NDArray[np.uint8], face: Box | None) -> tuple[NDArray[np.uint8], Box | None]:
    """The face with its surroundings, and where in them it is."""
    if face is None:
        return pixels, None
    left, top, right, bottom = face
    height, width = pixels.shape[:2]
    dx, dy = CONTEXT * (right - left), CONTEXT * (bottom - top)
    x0, y0 = int(max(0, left - dx)), int(max(0, top - dy))
    x1, y1 = int(min(width, right + dx)), int(min(height, bottom + dy))
    return pixels[y0:y1, x0:x1].copy(), (left - x0, top - y0, right - x0, bottom - y0)


def _with_splits(samples: Sequence[Sample]) -> Iterable[Sample]:
    """Give samples of a flat folder a split, 70/15/15, by the hash of what near-duplicates share."""
    kept_together = _look_alikes([s for s in samples if not s.example.split])
    for sample in samples:
        if sample.example.split:
            yield sample
            continue
        shared = kept_together[difference_hash(sample.pixels)]
        share = hashlib.sha256(str(shared).encode()).digest()[0] / 256
        split = SPLITS[0] if share < 0.7 else SPLITS[1] if share < 0.85 else SPLITS[2]
        yield replace(sample, example=replace(sample.example, split=split))


def _look_alikes(samples: Iterable[Sample]) -> dict[int, int]:
    """Difference hash of each sample → the lowest that is joined to it by steps of at most `NEAR` bits.

    Saving a JPEG anew keeps the hash itself in two of three cases only, but moves it hardly ever by more.
    """
    hashes = np.unique(np.array([difference_hash(s.pixels) for s in samples], np.uint64))
    lowest = hashes.copy()
    for number, own in enumerate(hashes):
        near = number + np.flatnonzero(np.bitwise_count(hashes[number:] ^ own) <= NEAR)
        joined = np.unique(lowest[near])
        lowest[np.isin(lowest, joined)] = joined[0]
    return dict(zip(hashes.tolist(), lowest.tolist(), strict=True))


def summary(dataset: Dataset) -> str:
    """Counts, sizes, duplicates and unreadable files as text."""
    lines = [f"{len(dataset.samples)} samples, fingerprint {dataset.fingerprint[:12]}"]
    counts = Counter((s.example.source, s.example.split, s.example.label) for s in dataset.samples)
    lines.append(f"{'source':16}{'split':7}" + "".join(f"{label:>11}" for label in LABELS))
    for source, split in sorted({key[:2] for key in counts}, key=lambda k: (k[0], SPLITS.index(k[1]))):
        cells = "".join(f"{counts[source, split, label]:>11}" for label in LABELS)
        lines.append(f"{source or '-':16}{split:7}{cells}")
    sides = np.array([max(s.pixels.shape[:2]) for s in dataset.samples])
    if len(sides):
        low, middle, high = np.percentile(sides, [5, 50, 95])
        lines.append(f"longest side: 5% {low:.0f}, median {middle:.0f}, 95% {high:.0f} px")
    whole = [s for s in dataset.samples if s.face is None]
    copies = len(whole) - len({s.sha256 for s in whole})
    hashes = defaultdict(set)
    for sample in whole:
        hashes[difference_hash(sample.pixels)].add(sample.example.split)
    across = sum(len(splits) > 1 for splits in hashes.values())
    lines.append(f"{copies} exact copies; {across} groups of look-alikes across splits")
    lines.append(f"{len(dataset.excluded)} excluded, {len(dataset.unreadable)} unreadable")
    lines.extend(f"  {path}: {reason}" for path, reason in dataset.unreadable)
    return "\n".join(lines)


def main() -> None:
    """Print what a data folder holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    try:
        print(summary(load(find(parser.parse_args().folder))))
    except DataError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
