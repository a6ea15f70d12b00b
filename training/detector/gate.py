"""Compare a detector's run with what serves.

Both look at the same test scenes; the bootstrap draws scenes. Overall figures are average precision, and recall and
false detections at the threshold that each serves with; then comes the recall of each label and source. See
`training.gate` for what it takes to pass. `gate.json` in the run's folder says all of it.
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
FALSE_MARGIN: Final = 0.05  # false detections a scene that a candidate must be shown not to add


def compare_overall(
    candidate: tuple[Sequence[Detections], float],
    serving: tuple[Sequence[Detections], float],
    scenes: Sequence[Scene],
) -> list[Comparison]:
    """Average precision, recall and false detections, which must be shown not to be lost.

    Args:
        candidate: What the run finds in each scene, and the score from which it takes a face for one.
        serving: The same of what serves.
        scenes: Of the test split.
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
    """Recall, and of the whole test set (without an `alpha` of many) false detections as well."""
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
    """What half a face that either alone finds adds to the difference of recalls; why: `training.classifier.gate`."""
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
    """Every figure of two detectors, and the overall ones against the floor.

    Args:
        candidate: A network, and the score from which it takes a face for one.
        serving: What serves.
        floor: What no candidate may be worse than, however many came between.
        scenes: Of the test split.
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
    judged = max(sum(sum(int(one.sum()) for one in wanted) >= FEWEST for wanted in sought.values()), 1)
    result = compare_overall(ours, theirs, scenes)
    for name, wanted in sought.items():
        result += _as_served(name, ours, theirs, scenes, wanted, ALPHA / judged)
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
    said = verdict(
        result,
        {
            "serving_version": serving.version,
            "floor_version": floor.version,
            "data_fingerprint": fingerprint(scenes),
            "git_commit": git_commit(),
            "network_sha256": hashlib.sha256(candidate[0].file).hexdigest(),
        },
    )
    (run / GATE).write_text(json.dumps(said, indent=1) + "\n")
    return said
