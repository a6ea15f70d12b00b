"""Find and load pictures of faces: `python -m training.dataset FOLDER` prints a summary.

A folder has one of two forms: `<split>/<label>/**/*.jpg` with the splits train, val and test, or a flat
`<label>/**/*.jpg`, which is split here, with near-duplicates in the same split. It may also have the tables of
training/tables.py: `crops.csv` with the source of each picture and the box of its face, and `frames.csv` with scenes,
from which training crops faces with random margins.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from tqdm import tqdm

from functions.inference.decode import decode
from functions.shared.contract import LABELS
from functions.shared.problem import InputError
from training.errors import TrainingError, reported
from training.look_alikes import groups
from training.tables import SPLITS, boxes_in, crop_box, read_crops, read_scenes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from training.tables import Box, MarkedBox

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
CONTEXT: Final = 0.8  # margin around a face from a scene, relative to its sides, for augmentation
MIN_TRAINED_FACE: Final = 20  # decoded pixels; smaller faces in scenes show too little of a mask


@dataclass(frozen=True)
class Example:
    """A labelled picture on disk.

    Attributes:
        path: The file.
        split: train, val or test; "" in a flat folder, until it is loaded.
        label: One of `LABELS`.
        source: Its source; "" if unknown.
        face: The box of the face; None for the whole picture.
        in_scene: Whether it is a face in a scene, rather than a portrait.
    """

    path: Path
    split: str
    label: str
    source: str
    face: MarkedBox | None = None
    in_scene: bool = False


@dataclass(frozen=True)
class Sample:
    """A decoded example: RGB uint8 (H, W, 3), with the box `face` in these pixels."""

    example: Example
    sha256: str
    pixels: NDArray[np.uint8]
    face: Box | None

    @property
    def box(self) -> Box:
        """The box of the face, or else of the whole picture."""
        return self.face or (0, 0, *self.pixels.shape[1::-1])

    def crop(self, margin: float) -> NDArray[np.uint8]:
        """Return the face with a margin relative to its sides, as far as the picture reaches."""
        left, top, right, bottom = self.box
        dx, dy = margin * (right - left), margin * (bottom - top)
        rows = slice(round(max(0, top - dy)), round(bottom + dy))
        return self.pixels[rows, round(max(0, left - dx)) : round(right + dx)]


@dataclass(frozen=True)
class Dataset:
    """The samples, and the unreadable files with the reasons."""

    samples: tuple[Sample, ...]
    unreadable: tuple[tuple[Path, str], ...]

    def split(self, name: str, *, scenes: bool = False) -> list[Sample]:
        """Return the portraits of a split; with `scenes`, also the faces from scenes."""
        return [s for s in self.samples if s.example.split == name and (scenes or not s.example.in_scene)]

    @property
    def portraits(self) -> list[Sample]:
        """The samples that are not faces from scenes."""
        return [s for s in self.samples if not s.example.in_scene]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of content, split, label, source and face of all samples, independent of paths and order."""
        lines = sorted(
            f"{s.sha256} {s.example.split} {s.example.label} {s.example.face and s.example.face.box}"
            f" {s.example.source}"
            for s in self.samples
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def crops_root(folder: Path) -> Path:
    """Return the folder of the portraits in a folder of pictures."""
    return folder / "crops" if (folder / "crops").is_dir() else folder


def list_examples(folder: Path) -> list[Example]:
    """List the pictures in `folder`; see the module's docstring for its forms.

    Raises:
        TrainingError: There is no such folder, or it has neither form.
    """
    if not folder.is_dir():
        raise TrainingError(f"there is no folder {folder}")
    root = crops_root(folder)
    in_scenes = list_examples_in_scenes(folder)
    scenes = {folder / scene.file for scene in read_scenes(folder)}
    pictures = (path for path in sorted(root.rglob("*")) if path.suffix.lower() in SUFFIXES)
    files = [path for path in pictures if path not in scenes]
    if scenes and not files:
        return in_scenes
    parts = [path.relative_to(root).parts for path in files]
    if files and all(len(p) >= 3 and p[0] in SPLITS and p[1] in LABELS for p in parts):
        examples = [
            Example(path, split, label, "") for path, (split, label, *_) in zip(files, parts, strict=True)
        ]
    elif files and all(len(p) >= 2 and p[0] in LABELS for p in parts):
        examples = [Example(path, "", label, "") for path, (label, *_) in zip(files, parts, strict=True)]
    else:
        folders = sorted({"/".join(p[:-1]) or "the folder itself" for p in parts})
        raise TrainingError(
            f"{root}: expected <split>/<label>/*.jpg or <label>/*.jpg with the labels {', '.join(LABELS)}"
            f" and the splits {', '.join(SPLITS)}; found pictures in: {', '.join(folders[:12]) or 'nothing'}"
        )
    return _add_crops(examples, folder, root) + in_scenes


def list_examples_in_scenes(folder: Path) -> list[Example]:
    """List the faces in `folder`/frames.csv with a label in `LABELS`; empty without that table."""
    return [
        Example(folder / scene.file, scene.split, face.label, scene.source, face, in_scene=True)
        for scene in read_scenes(folder)
        for face in scene.faces
        if face.label in LABELS
    ]


def _add_crops(examples: Sequence[Example], folder: Path, root: Path) -> list[Example]:
    """Add the sources and boxes in `crops.csv`, whose paths are relative to `folder` or to `root`."""
    rows = read_crops(folder)
    described = []
    known = 0
    for example in examples:
        names = (example.path.relative_to(base).as_posix() for base in (folder, root))
        row = next((rows[name] for name in names if name in rows), None)
        known += row is not None
        source = row.cells.get("source", "") if row else ""
        described.append(replace(example, source=source, face=crop_box(row) if row else None))
    if rows and not known:
        raise TrainingError(
            f"{folder / 'crops.csv'}, column file: names no picture of the folder; the first is {next(iter(rows))},"
            f" but a picture is {examples[0].path.relative_to(folder).as_posix()}"
        )
    return described


def load_examples(examples: Sequence[Example]) -> Dataset:
    """Read all examples with the decoder of serving.

    Raises:
        TrainingError: A box is not in its picture.
    """
    by_path: dict[Path, list[Example]] = defaultdict(list)
    for example in examples:
        by_path[example.path].append(example)
    samples: list[Sample] = []
    unreadable: list[tuple[Path, str]] = []
    with ThreadPoolExecutor() as pool:
        for path, result in tqdm(
            zip(by_path, pool.map(_read, by_path.values()), strict=True),
            total=len(by_path),
            desc="reading pictures",
            unit="file",
        ):
            if isinstance(result, str):
                unreadable.append((path, result))
            else:
                samples.extend(result)
    return Dataset(tuple(_with_splits(samples)), tuple(unreadable))


def load_test(folder: Path) -> Dataset:
    """Load all test pictures of a folder."""
    return load_examples([e for e in list_examples(folder) if e.split in {"test", ""}])


def actual_classes(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """Return the class numbers (N,) of samples."""
    return np.array([LABELS.index(s.example.label) for s in samples], np.int64)


def require_labels(dataset: Dataset) -> tuple[str, ...]:
    """Return the labels of the portraits, of which there must be at least two, each in every split.

    Raises:
        TrainingError: There are fewer, or a split lacks one.
    """
    counts = Counter((s.example.split, s.example.label) for s in dataset.portraits)
    total = Counter(s.example.label for s in dataset.portraits)
    labels = tuple(label for label in LABELS if total[label])
    missing = [f"{split} has no {label}" for split in SPLITS for label in labels if not counts[split, label]]
    if len(labels) < 2:
        missing.append("at least two labels are needed")
    if missing:
        raise TrainingError(
            f"every split needs every label, with at least about 20 pictures: {'; '.join(missing)} (in all, "
            f"{', '.join(f'{total[label]} {label}' for label in LABELS)}; {len(dataset.unreadable)} unreadable)"
        )
    return labels


def _read(examples: list[Example]) -> list[Sample] | str:
    """Return all samples of a file, or the reason why it cannot be read."""
    try:
        data = examples[0].path.read_bytes()
        picture = decode(data)
    except (InputError, OSError) as error:
        return str(error)
    digest = hashlib.sha256(data).hexdigest()
    samples = []
    for example in examples:
        if example.face is None:
            samples.append(Sample(example, digest, picture.pixels, None))
            continue
        left, top, right, bottom = boxes_in(picture, [example.face])[0].tolist()
        face = (left, top, right, bottom)
        if not example.in_scene:
            samples.append(Sample(example, digest, picture.pixels, face))
        elif min(right - left, bottom - top) >= MIN_TRAINED_FACE:
            samples.append(Sample(example, digest, *_cut(picture.pixels, face)))
    return samples


def _cut(pixels: NDArray[np.uint8], face: Box) -> tuple[NDArray[np.uint8], Box]:
    """Return the face with its surroundings, and its box in them."""
    left, top, right, bottom = face
    height, width = pixels.shape[:2]
    dx, dy = CONTEXT * (right - left), CONTEXT * (bottom - top)
    x0, y0 = int(max(0, left - dx)), int(max(0, top - dy))
    x1, y1 = int(min(width, right + dx)), int(min(height, bottom + dy))
    return pixels[y0:y1, x0:x1].copy(), (left - x0, top - y0, right - x0, bottom - y0)


def _with_splits(samples: Sequence[Sample]) -> Iterable[Sample]:
    """Assign splits (70/15/15) to the samples of a flat folder, by the hash that near-duplicates share."""
    flat = [sample for sample in samples if not sample.example.split]
    yield from (sample for sample in samples if sample.example.split)
    for sample, group in zip(flat, groups([sample.pixels for sample in flat]), strict=True):
        share = hashlib.sha256(str(group).encode()).digest()[0] / 256
        split = SPLITS[0] if share < 0.7 else SPLITS[1] if share < 0.85 else SPLITS[2]
        yield replace(sample, example=replace(sample.example, split=split))


def summary(dataset: Dataset) -> str:
    """Return counts, sizes, duplicates and unreadable files as text."""
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
    portraits = dataset.portraits
    copies = len(portraits) - len({s.sha256 for s in portraits})
    splits_of = defaultdict(set)
    for sample, group in zip(portraits, groups([s.pixels for s in portraits]), strict=True):
        splits_of[group].add(sample.example.split)
    across = sum(len(splits) > 1 for splits in splits_of.values())
    lines.append(f"{copies} exact copies; {across} groups of look-alikes across splits")
    lines.append(f"{len(dataset.unreadable)} unreadable")
    lines.extend(f"  {path}: {reason}" for path, reason in dataset.unreadable)
    return "\n".join(lines)


def main() -> None:
    """Print the summary of a data folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    with reported(parser):
        print(summary(load_examples(list_examples(parser.parse_args().folder))))


if __name__ == "__main__":
    main()
