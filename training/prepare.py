"""Check a folder of pictures, and copy the usable ones: `python -m training.prepare --data FOLDER --out PREPARED`.

The result has the form that training reads (see training/dataset.py), with every picture named by its
hash. Left out, with the reason in `prepared.json`: unreadable pictures, pictures with two labels, copies, and
near-duplicates of validation and test pictures. `doubtful.csv` lists pictures to which the serving classifier
confidently gives another label: they are either difficult, or in the wrong folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from functions.inference.decode import decode
from functions.shared.contract import LABELS
from functions.shared.problem import InputError
from training.answers import probabilities
from training.candidate import open_serving
from training.dataset import (
    SUFFIXES,
    Dataset,
    Example,
    Sample,
    crops_root,
    list_examples,
    load_examples,
    require_labels,
    summary,
)
from training.disk import locked, require_apart, require_space
from training.errors import TrainingError, reported
from training.gate import MIN_PICTURES
from training.look_alikes import groups, last_splits, thumbnail
from training.tables import EDGES, IGNORE, SPLITS, boxes_in, read_crops, read_scenes, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from functions.inference.release import Network
    from training.tables import SceneEntry

PREPARED: Final = "prepared.json"
DOUBTFUL: Final = "doubtful.csv"
SURE: Final = 0.95  # probability of another label from which a picture's label is doubtful


@dataclass(frozen=True)
class CheckedScene:
    """A readable scene: its entry in the tables, its file's SHA-256, and a thumbnail, RGB (h, w, 3)."""

    entry: SceneEntry
    path: Path
    sha256: str
    thumbnail: NDArray[np.uint8]


def clean(dataset: Dataset) -> tuple[Dataset, list[tuple[Path, str]]]:
    """Leave out portraits with two labels, copies, and near-duplicates of a later split; return them with reasons.

    Of near-duplicates in several splits, those in test stay, else those in val.
    """
    portraits = dataset.portraits
    last = last_splits([s.example.split for s in portraits], groups([s.pixels for s in portraits]))
    labels = defaultdict(set)
    for sample in portraits:
        labels[sample.sha256].add(sample.example.label)
    kept: dict[str, Sample] = {}
    left_out = []
    in_turn = sorted(zip(portraits, last, strict=True), key=lambda pair: -SPLITS.index(pair[0].example.split))
    for sample, split in in_turn:
        path = sample.example.path
        if len(labels[sample.sha256]) > 1:
            left_out.append((path, f"has two labels: {' and '.join(sorted(labels[sample.sha256]))}"))
        elif sample.sha256 in kept:
            left_out.append((path, f"is a copy of {kept[sample.sha256].example.path}"))
        elif split != sample.example.split:
            left_out.append((path, f"looks like a picture of {split}"))
        else:
            kept[sample.sha256] = sample
    samples = tuple(s for s in dataset.samples if s.example.in_scene or kept.get(s.sha256) is s)
    return replace(dataset, samples=samples), left_out


def check_scenes(data: Path) -> tuple[list[CheckedScene], list[tuple[Path, str]], list[tuple[Path, str]]]:
    """Return the usable scenes of `data`, the unreadable ones, and those left out, with the reasons.

    Of near-duplicates in several splits, those in test stay, else those in val.

    Raises:
        TrainingError: A table is malformed, or a box is not in its picture.
    """
    readable: list[CheckedScene] = []
    unreadable = []
    with ThreadPoolExecutor() as pool:
        for scene in pool.map(lambda entry: _check(data / entry.file, entry), read_scenes(data)):
            if isinstance(scene, CheckedScene):
                readable.append(scene)
            else:
                unreadable.append(scene)
    last = last_splits([s.entry.split for s in readable], groups([s.thumbnail for s in readable]))
    kept, left_out = [], []
    for scene, split in zip(readable, last, strict=True):
        if scene.entry.split == split:
            kept.append(scene)
        else:
            left_out.append((scene.path, f"looks like a scene of {split}"))
    return kept, unreadable, left_out


def _check(path: Path, entry: SceneEntry) -> CheckedScene | tuple[Path, str]:
    try:
        data = path.read_bytes()
        picture = decode(data)
    except (InputError, OSError) as error:
        return path, str(error)
    boxes_in(picture, [*entry.faces, *entry.not_faces])
    return CheckedScene(entry, path, hashlib.sha256(data).hexdigest(), thumbnail(picture.pixels))


def doubtful(samples: Sequence[Sample], checker: Network) -> list[tuple[Sample, str, float]]:
    """Return pictures to which the classifier gives another label with confidence, most confident first."""
    result = probabilities(checker, [s.pixels for s in samples], name="checking labels")
    doubts = []
    for sample, row in zip(samples, result, strict=True):
        predicted = LABELS[row.argmax()]
        if predicted != sample.example.label and row.max() >= SURE:
            doubts.append((sample, predicted, float(row.max())))
    return sorted(doubts, key=lambda entry: -entry[2])


def swapped_folders(samples: Sequence[Sample], doubts: Sequence[tuple[Sample, str, float]]) -> list[str]:
    """Return a warning for each label for most of whose pictures the classifier is sure of one other label."""
    counts = Counter(s.example.label for s in samples)
    pairs = Counter((s.example.label, predicted) for s, predicted, _ in doubts)
    return [
        f"{number} of {counts[label]} pictures of {label} look like {predicted}: is the folder named right?"
        for (label, predicted), number in pairs.items()
        if number > counts[label] / 2
    ]


def unused(data: Path, examples: Sequence[Example]) -> list[str]:
    """Return a warning for each kind of file that is no picture, and for rows of `crops.csv` without a picture."""
    root = crops_root(data)
    others = Counter(
        path.suffix
        for label in LABELS
        for path in {*root.glob(f"{label}/**/*"), *root.glob(f"*/{label}/**/*")}
        if path.is_file() and path.suffix.lower() not in SUFFIXES and not path.name.startswith(".")
    )
    warnings = [
        f"{number} files *{suffix} are not used: pictures are {', '.join(sorted(SUFFIXES))}"
        for suffix, number in sorted(others.items())
    ]
    pictures = {example.path for example in examples}
    rows = [name for name in read_crops(data) if not {data / name, root / name} & pictures]
    if rows:
        warnings.append(f"{len(rows)} rows of crops.csv name no picture, such as {', '.join(rows[:3])}")
    return warnings


def write(
    data: Path, out: Path, portraits: Sequence[Sample], scenes: Sequence[CheckedScene], report: dict[str, Any]
) -> None:
    """Copy the pictures to `out`, which is replaced only once the copy is complete.

    Raises:
        TrainingError: `out` contains something else, or the disk is too small.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / PREPARED).is_file():
        raise TrainingError(f"{out} contains something else; choose another folder")
    crops = {
        sample.example.path: Path(
            "crops",
            sample.example.split,
            sample.example.label,
            f"{sample.sha256}{sample.example.path.suffix.lower()}",
        )
        for sample in portraits
    }
    frames = {scene.path: Path("frames", f"{scene.sha256}{scene.path.suffix.lower()}") for scene in scenes}
    require_space(out, sum(path.stat().st_size for path in crops | frames))
    out = Path(os.path.realpath(out))  # a link to a folder stays
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f".{out.name}-unfinished")
    shutil.rmtree(fresh, ignore_errors=True)  # of a call that was killed
    try:
        for source, target in (crops | frames).items():
            (fresh / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, fresh / target)
        write_table(
            fresh / "crops.csv",
            ("file", "source", "original", *EDGES),
            (
                (crops[e.path], e.source, e.path.relative_to(data), *(e.face.box if e.face else ("",) * 4))
                for e in (sample.example for sample in portraits)
            ),
        )
        if scenes:
            _write_scenes(fresh, scenes, frames)
        (fresh / PREPARED).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write_scenes(folder: Path, scenes: Sequence[CheckedScene], frames: dict[Path, Path]) -> None:
    """Write `frames.csv` and `not_faces.csv` with all lines for these scenes."""
    entries = [(frames[scene.path], scene.entry) for scene in scenes]
    write_table(
        folder / "frames.csv",
        ("file", "split", "source", *EDGES, "label"),
        (
            (file, entry.split, entry.source, *face.box, face.label)
            for file, entry in entries
            for face in entry.faces
        ),
    )
    write_table(
        folder / "not_faces.csv",
        ("file", *EDGES),
        ((file, *place.box) for file, entry in entries for place in entry.not_faces),
    )


def prepare(data: Path, out: Path, checker: Network) -> dict[str, Any]:
    """Check `data`, write the usable pictures to `out`, and return the content of `prepared.json`.

    Args:
        data: A folder of pictures.
        out: Folder to write; replaced if it is from an earlier call.
        checker: A classifier that finds doubtful labels.

    Raises:
        TrainingError: The pictures are not enough for training, the disk is too small, `out` contains something
            else, or one folder contains the other.
    """
    require_apart(data, out)
    examples = list_examples(data)
    cleaned, portraits_left_out = clean(load_examples(examples))
    scenes, unreadable_scenes, scenes_left_out = check_scenes(data)
    usable = {scene.path for scene in scenes}
    dataset = replace(
        cleaned,
        samples=tuple(s for s in cleaned.samples if not s.example.in_scene or s.example.path in usable),
        unreadable=tuple({*cleaned.unreadable, *unreadable_scenes}),
    )
    left_out = [*portraits_left_out, *scenes_left_out]
    print(summary(dataset))
    for path, reason in left_out:
        print(f"left out: {path} {reason}")
    labels = require_labels(dataset) if dataset.portraits or not scenes else LABELS
    portraits = dataset.portraits
    doubts = doubtful(portraits, checker)
    warnings = [*unused(data, examples), *swapped_folders(portraits, doubts)]
    if missing := [label for label in LABELS if label not in labels]:
        warnings.append(
            f"there are no pictures of {', '.join(missing)}: training uses the serving model's answers instead,"
            " and no figure shows how well these labels are recognised"
        )
    faces = [face for scene in scenes if scene.entry.split == "test" for face in scene.entry.faces]
    tests = (
        ("test pictures", portraits, len(dataset.split("test"))),
        ("faces in test scenes", scenes, sum(face.label != IGNORE for face in faces)),
    )
    warnings += [
        f"{number} {what}: the gate needs at least {MIN_PICTURES}, so no release can pass"
        for what, given, number in tests
        if given and number < MIN_PICTURES
    ]
    for line in [*warnings, *([f"{len(doubts)} doubtful labels in {out / DOUBTFUL}"] if doubts else [])]:
        print(line)
    report = {
        "fingerprint": dataset.fingerprint,
        "pictures": {
            split: dict(Counter(s.example.label for s in portraits if s.example.split == split))
            for split in SPLITS
        },
        "scenes": dict(Counter(scene.entry.split for scene in scenes)),
        "unreadable": {str(path.relative_to(data)): reason for path, reason in dataset.unreadable},
        "left_out": {str(path.relative_to(data)): reason for path, reason in left_out},
        "doubtful_labels": len(doubts),
        "warnings": warnings,
    }
    write(data, out, portraits, scenes, report)
    write_table(
        out / DOUBTFUL,
        ("file", "label", "looks_like", "confidence"),
        (
            (s.example.path.relative_to(data), s.example.label, predicted, f"{confidence:.4f}")
            for s, predicted, confidence in doubts
        ),
    )
    return report


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures (see dataset.py)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; replaced")
    parser.add_argument(
        "--serving", default="", help="release whose classifier finds doubtful labels: a folder or s3://…"
    )
    options = parser.parse_args()
    out = Path(os.path.realpath(options.out))
    with reported(parser), locked(out.with_name(f".{out.name}-lock")):
        prepare(options.data, options.out, open_serving(options.serving).classifier)
    print(f"prepared: {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
