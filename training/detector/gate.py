"""The detector's gate: compares a run with the serving release.

Both run on the same test scenes; the bootstrap draws scenes. Overall figures are average precision, and recall and
false detections at each network's threshold; the recall of each label and source follows. See `training.gate` for the
conditions. The result goes to `gate.json` in the run's folder.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.inference.detect import Detector
from functions.inference.release import Network
from functions.shared.contract import LABELS
from training.candidate import answer, candidate_release
from training.classifier.evaluate import actual_classes, load_test
from training.classifier.gate import compare_served
from training.commit import git_commit
from training.detector.evaluate import LOWEST_SCORE, certain
from training.detector.metrics import ON_FACE, Matches, average_precisions, match, resamples, served_in
from training.detector.scenes import MIN_FACE, Scene, fingerprint, load_scenes, to_find
from training.errors import TrainingError
from training.files import CONVERSION, DETECTOR, GATE
from training.gate import (
    ALPHA,
    FEWEST,
    MARGIN,
    Comparison,
    against_floor,
    comparison,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from functions.inference.detect import Detections
    from functions.inference.release import Release

    Floats = NDArray[np.float64]

DRAWS: Final = 2_000
PRECISION_DRAWS: Final = 500
FALSE_MARGIN: Final = 0.05  # largest increase in false detections a scene


def compare_overall(
    candidate: tuple[Sequence[Detections], float],
    serving: tuple[Sequence[Detections], float],
    scenes: Sequence[Scene],
) -> list[Comparison]:
    """Compare average precision, recall and false detections, with non-inferiority tests.

    Args:
        candidate: The run's detections in each scene, and its threshold.
        serving: The serving release's detections and threshold.
        scenes: The test scenes.
    """
    boxes, sought = [scene.boxes for scene in scenes], [to_find(scene) for scene in scenes]
    times = np.concatenate([np.ones((1, len(scenes))), resamples(len(scenes), PRECISION_DRAWS)])
    first, second = (
        average_precisions(match(found, boxes, sought, MIN_FACE), times) for found, _ in (candidate, serving)
    )
    n = int(sum(one.sum() for one in sought))
    return [
        comparison(
            "face: ap50", n, (float(first[0]), float(second[0])), first[1:] - second[1:], margin=MARGIN
        ),
        *_as_served("face", candidate, serving, scenes, sought),
    ]


def _as_served(
    name: str,
    candidate: tuple[Sequence[Detections], float],
    serving: tuple[Sequence[Detections], float],
    scenes: Sequence[Scene],
    sought: Sequence[NDArray[np.bool_]],
    alpha: float | None = None,
) -> list[Comparison]:
    """Compare recall, and for the whole test set (without `alpha`) also false detections."""
    boxes = [scene.boxes for scene in scenes]
    both = [
        match([certain(one, score) for one in found], boxes, sought, MIN_FACE, ON_FACE)
        for found, score in (candidate, serving)
    ]
    times = np.concatenate([np.ones((1, len(scenes))), resamples(len(scenes), DRAWS)])
    (recall, false), (other_recall, other_false) = (served_in(matches, times) for matches in both)
    n = int(both[0].faces.sum())
    recalls = (float(recall[0]), float(other_recall[0]))
    if alpha:
        return [comparison(f"{name}: recall", n, recalls, recall[1:] - other_recall[1:], alpha=alpha)]
    doubt = _doubt(both[0], both[1], n)
    return [
        comparison(f"{name}: recall", n, recalls, recall[1:] - other_recall[1:] + doubt, margin=MARGIN),
        comparison(
            f"{name}: false detections a scene",
            n,
            (float(false[0]), float(other_false[0])),
            false[1:] - other_false[1:],
            margin=FALSE_MARGIN,
            less_is_better=True,
        ),
    ]


def _doubt(candidate: Matches, serving: Matches, faces: int) -> Floats:
    """Return the effect on recall of half a face that only one finds; `training.classifier.gate` says why."""
    if np.array_equal(candidate.scores, serving.scores):
        return np.zeros(DRAWS)
    drawn = np.random.default_rng(1).poisson(0.5, (DRAWS, 2))
    return np.asarray((drawn[:, 0] - drawn[:, 1]) / max(faces, 1), float)


def judge(
    candidate: tuple[Network, float],
    serving: tuple[Network, float],
    floor: tuple[Network, float],
    scenes: Sequence[Scene],
) -> list[Comparison]:
    """Compare all figures of two detectors, and the overall figures with the floor.

    Args:
        candidate: The run's network, and its threshold.
        serving: The serving network, and its threshold.
        floor: The network in the image, than which no candidate may be worse, and its threshold.
        scenes: The test scenes.
    """
    found: dict[bytes, Sequence[Detections]] = {}
    for network, _ in (candidate, serving, floor):
        if network.file not in found:
            detector = Detector(network, LOWEST_SCORE, threads=2)
            found[network.file] = [detector.detect(scene.pixels) for scene in scenes]
    ours, theirs, lowest = ((found[network.file], score) for network, score in (candidate, serving, floor))
    groups = {f"class {label}": [s.labels == number for s in scenes] for number, label in enumerate(LABELS)}
    for source in sorted({scene.source for scene in scenes}):
        groups[f"source {source or '-'}"] = [np.full(len(s.labels), s.source == source) for s in scenes]
    sought = {
        name: [to_find(scene) & own for scene, own in zip(scenes, members, strict=True)]
        for name, members in groups.items()
    }
    tests = max(sum(sum(int(one.sum()) for one in masks) >= FEWEST for masks in sought.values()), 1)
    result = compare_overall(ours, theirs, scenes)
    for name, masks in sought.items():
        result += _as_served(name, ours, theirs, scenes, masks, ALPHA / tests)
    if floor != serving:
        result += against_floor(compare_overall(ours, lowest, scenes))
    return result


def judge_run(run: Path, data: Path, serving: Release, floor: Release) -> dict[str, Any]:
    """Compare a run's detector with a release's on the test scenes of `data`; write and return `gate.json`.

    Raises:
        TrainingError: There are no test scenes.
    """
    scenes = load_scenes(data, ("test",))
    if not scenes:
        raise TrainingError(f"{data} has no scenes of the split test")
    conversion = json.loads((run / CONVERSION).read_text())
    candidate = Network((run / DETECTOR).read_bytes(), conversion["input_size"]), conversion["min_score"]
    result = judge(
        candidate, (serving.detector, serving.min_detection), (floor.detector, floor.min_detection), scenes
    )
    portraits = load_test(data).split("test")
    if portraits:  # whose answers depend on the face that is found in them
        answers = [
            answer(release, portraits, "served path")
            for release in (candidate_release(serving, None, run), serving)
        ]
        result += compare_served(actual_classes(portraits), answers[0], answers[1])
    document = verdict(
        result,
        {
            "serving_version": serving.version,
            "floor_version": floor.version,
            "data_fingerprint": fingerprint(scenes),
            "git_commit": git_commit(),
            "network_sha256": hashlib.sha256(candidate[0].file).hexdigest(),
        },
    )
    (run / GATE).write_text(json.dumps(document, indent=1) + "\n")
    return document
