"""The gates of both networks: compare a run with the serving release, and write `gate.json` to the run's folder.

The classifier's gate compares portraits and, since the classifier confirms detections, the faces in scenes. The
detector's gate compares scenes and, since their answers depend on the face that is found, portraits on the served
path. See `training.classifier.compare` and `training.detector.compare` for the figures, and `training.gate` for the
conditions.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from training.answers import answer, probabilities
from training.candidate import candidate_release
from training.classifier.compare import (
    Group,
    compare,
    compare_latency,
    compare_overall,
    compare_served,
    predict_groups,
    time_both,
)
from training.commit import git_commit
from training.dataset import actual_classes, load_test
from training.detector.compare import compare_scenes
from training.files import GATE
from training.gate import against_floor, decide
from training.scenes import fingerprint, load_scenes_if_any, load_test_scenes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from functions.inference.release import Network, Release
    from training.dataset import Sample
    from training.gate import Comparison


def gate_classifier(
    run: Path,
    data: Path,
    serving: Release,
    floor: Release,
    detector: Path | None = None,
    regression_data: Path | None = None,
) -> dict[str, Any]:
    """Compare a run with the serving release on the test pictures of `data`; write and return `gate.json`.

    Args:
        run: Folder of a converted run.
        data: Folder of pictures.
        serving: The serving release.
        floor: The release in the image, than which no candidate may be worse.
        detector: Folder of the detector's run to be released together; default: the serving detector.
        regression_data: Folder of other pictures, on which the overall figures are compared, too.

    Raises:
        TrainingError: There are no test pictures.
    """
    dataset = load_test(data)
    candidate = candidate_release(serving, run, detector)
    networks = candidate.classifier, serving.classifier
    groups = list(predict_groups(*networks, dataset))
    samples = dataset.split("test")
    result = [*compare(groups), *_compare_answers(candidate, serving, samples)]
    if floor.classifier != serving.classifier:
        lowest = probabilities(floor.classifier, [s.pixels for s in samples], name="floor")
        result += against_floor(compare_overall(Group("", groups[0].actual, groups[0].candidate, lowest)))
    if regression_data:
        result += compare_overall(next(predict_groups(*networks, load_test(regression_data), "reference")))
    scenes = [] if detector else load_scenes_if_any(data, ("test",))
    if scenes:
        result += compare_scenes(candidate, serving, floor, scenes)
    result.append(compare_latency(*time_both(*networks, dataset)))
    about = {
        "reference": "judged"
        if regression_data
        else "not given: how much was forgotten of other pictures is unknown",
        # As a string, like all metadata of a model package.
        "macro_f1": next(f"{row.candidate:.4f}" for row in result if row.figure == "macro_f1"),
    }
    return _write(run, result, serving, floor, dataset.fingerprint, candidate.classifier, about)


def gate_detector(
    run: Path, data: Path, serving: Release, floor: Release, classifier: Path | None = None
) -> dict[str, Any]:
    """Compare a detector's run on the test scenes of `data`; see `gate_classifier`.

    Raises:
        TrainingError: There are no test scenes.
    """
    scenes = load_test_scenes(data)
    candidate = candidate_release(serving, classifier, run)
    result = compare_scenes(candidate, serving, floor, scenes)
    if samples := load_test(data).split("test"):
        result += _compare_answers(candidate, serving, samples)
    return _write(run, result, serving, floor, fingerprint(scenes), candidate.detector, {})


def _compare_answers(candidate: Release, serving: Release, samples: Sequence[Sample]) -> list[Comparison]:
    releases = {"run": candidate, "serving": serving}
    answers = [answer(release, samples, f"served path, {name}") for name, release in releases.items()]
    return compare_served(actual_classes(samples), *answers)


def _write(
    run: Path,
    comparisons: Sequence[Comparison],
    serving: Release,
    floor: Release,
    data_fingerprint: str,
    network: Network,
    metadata: dict[str, str],
) -> dict[str, Any]:
    document = decide(
        comparisons,
        {
            "serving_version": serving.version,
            "floor_version": floor.version,
            "data_fingerprint": data_fingerprint,
            "git_commit": git_commit(),
            "network_sha256": hashlib.sha256(network.file).hexdigest(),
            **metadata,
        },
    )
    (run / GATE).write_text(json.dumps(document, indent=1) + "\n")
    return document
