"""Fairness: misses and false alarms on bare faces by group of people, with 95% intervals and tests.

`fairface.csv` (file, race, gender, age) lists portraits; `groups.csv` (file, box, skin_fitzpatrick, gender, age)
lists faces in scenes. Nobody in them wears a mask: a miss is a face that is not found, a false alarm is one with a
label other than `no_mask`. Masked faces cannot be compared by group, since no data set names the groups of masked
people.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import fisher_exact
from tqdm import tqdm

from functions.inference.decode import decode
from functions.inference.detect import Detections
from functions.inference.prediction import MAX_FACES, PredictOptions
from functions.inference.score import score
from functions.shared.statistics import holm
from training.detector.metrics import NONE, assign
from training.metrics import wilson_interval
from training.tables import EDGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from functions.inference.prediction import Face
    from functions.inference.score import Models

SAME: Final = 0.3  # intersection over union; low, since the boxes of groups.csv follow another convention

Outcome = tuple[bool, bool]  # whether the face was found, and whether it got a label other than no_mask


def portraits(folder: Path, models: Models) -> dict[str, Any]:
    """Return figures by the groups of `fairface.csv`; if no face is found, the whole picture's label counts."""
    outcomes = []
    for row in tqdm(_rows(folder / "fairface.csv"), desc="scoring", unit=" portraits"):
        prediction = score(decode((folder / row["file"]).read_bytes()), models, PredictOptions())
        outcomes.append((row, (bool(prediction.faces), prediction.classification.label != "no_mask")))
    return by_group(outcomes, ("race", "gender", "age"))


def scenes(folder: Path, models: Models) -> dict[str, Any]:
    """Return figures by the groups of `groups.csv`; a face that is not found is no false alarm."""
    rows = defaultdict(list)
    for row in _rows(folder / "groups.csv"):
        rows[row["file"]].append(row)
    outcomes = []
    for file, some in tqdm(rows.items(), desc="scoring", unit=" scenes"):
        prediction = score(decode((folder / file).read_bytes()), models, PredictOptions(max_faces=MAX_FACES))
        boxes = np.array([[float(row[edge]) for edge in EDGES] for row in some], np.float32)
        numbers = assign(detections(prediction.faces), boxes, np.ones(len(some), bool), SAME)
        labels = {
            number: face.classification.label
            for number, face in zip(numbers, prediction.faces, strict=True)
            if number != NONE
        }
        for number, row in enumerate(some):
            outcomes.append((row, (number in labels, labels.get(number, "no_mask") != "no_mask")))
    return by_group(outcomes, ("skin_fitzpatrick", "gender", "age"))


def by_group(
    outcomes: Iterable[tuple[Mapping[str, str], Outcome]], columns: tuple[str, ...]
) -> dict[str, Any]:
    """Return, by column and group, the number of faces and the shares of misses and false alarms; see `_shares`."""
    result: dict[str, dict[str, list[Outcome]]] = {column: defaultdict(list) for column in columns}
    for row, outcome in outcomes:
        for column in columns:
            result[column][row[column]].append(outcome)
    return {column: _figures(groups) for column, groups in result.items()}


def _figures(groups: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
    counts = [len(some) for some in groups.values()]
    missed = _shares([sum(not found for found, _ in some) for some in groups.values()], counts)
    false_alarm = _shares([sum(alarm for _, alarm in some) for some in groups.values()], counts)
    rows = zip(groups, counts, missed, false_alarm, strict=True)
    return {
        group: {"n": n, "missed": misses, "false_alarm": alarms} for group, n, misses, alarms in sorted(rows)
    }


def _shares(hits: Sequence[int], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Return the share of each group with its interval, and the p-value of its difference from all other groups."""
    return [
        {"share": hit / n, "interval": wilson_interval(hit, n), "p": p}
        for hit, n, p in zip(hits, counts, against_others(hits, counts), strict=True)
    ]


def against_others(hits: Sequence[int], counts: Sequence[int]) -> list[float]:
    """Return the p-value of each group's share against that of all other groups together.

    Fisher's exact test, corrected for the number of groups (Holm); two groups are one test.
    """
    hit_all, all_ = sum(hits), sum(counts)
    ps = [
        fisher_exact([[hit, n - hit], [hit_all - hit, all_ - n - (hit_all - hit)]]).pvalue
        for hit, n in zip(hits, counts, strict=True)
    ]
    return holm(ps) if len(ps) > 2 else ps


def detections(faces: Sequence[Face]) -> Detections:
    """Return the faces of a prediction as detections, in pixels of the picture."""
    boxes = [(f.box.left, f.box.top, f.box.left + f.box.width, f.box.top + f.box.height) for f in faces]
    scores = [face.detection_confidence for face in faces]
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
