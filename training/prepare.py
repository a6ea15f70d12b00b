"""Check a folder of pictures and copy what is usable: `python -m training.prepare --data FOLDER --out PREPARED`.

What comes out has the form that training reads (see training/classifier/dataset.py), every picture named by its
content. Left out, and told in `prepared.json`: what cannot be read, what has two labels, copies, and what looks like
a picture of a split that judges. `doubtful.csv` lists pictures of which the serving classifier is sure that they are
something else: either they are hard, or they lie in the wrong folder.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from functions.inference.fetch import open_release
from functions.inference.release import ReleaseError
from functions.shared.contract import LABELS
from training.classifier.dataset import (
    SPLITS,
    DataError,
    Dataset,
    Sample,
    difference_hash,
    find,
    load,
    require_every_label,
    summary,
)
from training.classifier.evaluate import probabilities
from training.disk import full_disk_told, require_space

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from functions.inference.release import Network

REPORT: Final = "prepared.json"
DOUBTFUL: Final = "doubtful.csv"
SURE: Final = 0.95  # of another label, to call a picture's label doubtful
_COLUMNS: Final = ("file", "split", "source", "xmin", "ymin", "xmax", "ymax", "label")


@dataclass(frozen=True)
class Cleaned:
    """What is left of a data set, and what was left out for which reason."""

    dataset: Dataset
    left_out: tuple[tuple[Sample, str], ...]


def clean(dataset: Dataset) -> Cleaned:
    """Leave out whole pictures that have two labels, repeat another, or show a judging split to training.

    Of look-alikes (equal difference hashes) in several splits those of test stay, else those of val.
    """
    whole = [s for s in dataset.samples if s.face is None]
    labels, seen = defaultdict(set), defaultdict(set)
    for sample in whole:
        labels[sample.sha256].add(sample.example.label)
        seen[difference_hash(sample.pixels)].add(sample.example.split)
    kept: dict[str, Sample] = {}
    left_out = []
    for sample in sorted(whole, key=lambda s: -SPLITS.index(s.example.split)):
        judging = max(seen[difference_hash(sample.pixels)], key=SPLITS.index)
        if len(labels[sample.sha256]) > 1:
            left_out.append((sample, f"is there as {' and as '.join(sorted(labels[sample.sha256]))}"))
        elif sample.sha256 in kept:
            left_out.append((sample, f"is a copy of {kept[sample.sha256].example.path}"))
        elif judging != sample.example.split:
            left_out.append((sample, f"looks like a picture of {judging}"))
        else:
            kept[sample.sha256] = sample
    stays = {id(s) for s in kept.values()}
    samples = tuple(s for s in dataset.samples if s.face is not None or id(s) in stays)
    return Cleaned(replace(dataset, samples=samples), tuple(left_out))


def doubtful(samples: Sequence[Sample], judge: Network) -> list[tuple[Sample, str, float]]:
    """Pictures that the classifier is sure show something else, with what and how sure, the surest first."""
    told = probabilities(judge, [s.pixels for s in samples], name="checking labels")
    found = []
    for sample, row in zip(samples, told, strict=True):
        said = LABELS[row.argmax()]
        if said != sample.example.label and row.max() >= SURE:
            found.append((sample, said, float(row.max())))
    return sorted(found, key=lambda one: -one[2])


def swapped_folders(samples: Sequence[Sample], found: Sequence[tuple[Sample, str, float]]) -> list[str]:
    """Sentences about labels of which most pictures are said to be one other label."""
    counts = Counter(s.example.label for s in samples)
    pairs = Counter((s.example.label, said) for s, said, _ in found)
    return [
        f"{number} of {counts[label]} pictures of {label} look like {said}: is the folder named right?"
        for (label, said), number in pairs.items()
        if number > counts[label] / 2
    ]


def write(data: Path, out: Path, cleaned: Cleaned, report: dict[str, Any]) -> None:
    """Copy the pictures to `out`, in one step: until all is there, `out` is as it was.

    Raises:
        DataError: `out` is a folder of something else, or does not fit on the disk.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / REPORT).is_file():
        raise DataError(f"{out} holds something else; choose another folder")
    whole = [s.example for s in cleaned.dataset.samples if s.face is None]
    names = {s.example.path: f"{s.sha256}{s.example.path.suffix.lower()}" for s in cleaned.dataset.samples}
    require_space(out, sum(path.stat().st_size for path in names))
    fresh = out.with_name(f"new-{out.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    for example in whole:
        _copy(example.path, fresh / "crops" / example.split / example.label / names[example.path])
    with (fresh / "crops.csv").open("w", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(["file", "source", "original"])
        rows.writerows([names[e.path], e.source, e.path.relative_to(data)] for e in whole)
    faces = [s.example for s in cleaned.dataset.samples if s.face is not None]
    if faces:
        with (fresh / "frames.csv").open("w", newline="") as lines:
            rows = csv.writer(lines)
            rows.writerow(_COLUMNS)
            for e in faces:
                _copy(e.path, fresh / "frames" / names[e.path])
                rows.writerow([f"frames/{names[e.path]}", e.split, e.source, *(e.face or ()), e.label])
    (fresh / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def prepare(data: Path, out: Path, judge: Network, tell: Callable[[str], None] = print) -> dict[str, Any]:
    """Check `data`, write what is usable to `out`, and return what `prepared.json` says.

    Args:
        data: A folder of pictures.
        out: Replaced, if it is of an earlier call.
        judge: A classifier that doubts labels.
        tell: Takes what a person should read, line by line.

    Raises:
        DataError: Nothing can be trained from this, or it does not fit on the disk; the message says why.
    """
    cleaned = clean(load(find(data), Path(os.devnull)))
    dataset = cleaned.dataset
    tell(summary(dataset))
    for sample, reason in cleaned.left_out:
        tell(f"left out: {sample.example.path} {reason}")
    require_every_label(dataset)
    whole = [s for s in dataset.samples if s.face is None]
    found = doubtful(whole, judge)
    warnings = swapped_folders(whole, found)
    for line in [*warnings, *([f"{len(found)} doubtful labels in {out / DOUBTFUL}"] if found else [])]:
        tell(line)
    report = {
        "fingerprint": dataset.fingerprint,
        "pictures": {
            split: dict(Counter(s.example.label for s in whole if s.example.split == split))
            for split in SPLITS
        },
        "unreadable": {str(path.relative_to(data)): reason for path, reason in dataset.unreadable},
        "left_out": {str(s.example.path.relative_to(data)): reason for s, reason in cleaned.left_out},
        "doubtful_labels": len(found),
        "warnings": warnings,
    }
    write(data, out, cleaned, report)
    with (out / DOUBTFUL).open("w", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(["file", "label", "looks_like", "confidence"])
        rows.writerows(
            [s.example.path.relative_to(data), s.example.label, said, f"{confidence:.4f}"]
            for s, said, confidence in found
        )
    return report


def main() -> None:
    """Prepare from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of pictures (see training/classifier/dataset.py)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write; replaced")
    parser.add_argument(
        "--serving", default="", help="release whose classifier doubts labels: a folder or s3://…"
    )
    options = parser.parse_args()
    try:
        with full_disk_told():
            prepare(options.data, options.out, open_release(options.serving).classifier)
    except (DataError, ReleaseError) as error:
        parser.error(str(error))
    print(f"prepared: {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
