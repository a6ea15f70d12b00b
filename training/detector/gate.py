"""The detector's gate: compares a run with the serving release on the same test scenes.

See `training.detector.compare` for the figures, and `training.gate` for the conditions. Portraits are compared too,
since their answers depend on the face that is found in them. The result goes to `gate.json` in the run's folder.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from training.candidate import answer, candidate_release
from training.classifier.evaluate import actual_classes, load_test
from training.classifier.gate import compare_served
from training.commit import git_commit
from training.detector.compare import compare_scenes
from training.detector.scenes import fingerprint, load_scenes
from training.errors import TrainingError
from training.files import GATE
from training.gate import decide

if TYPE_CHECKING:
    from pathlib import Path

    from functions.inference.release import Release


def judge_run(
    run: Path, data: Path, serving: Release, floor: Release, classifier: Path | None = None
) -> dict[str, Any]:
    """Compare a run's detector with a release's on the test scenes of `data`; write and return `gate.json`.

    Args:
        run: Folder of a converted run.
        data: Folder of pictures.
        serving: The serving release.
        floor: The release in the image, than which no candidate may be worse.
        classifier: Folder of the classifier's run to be released together; default: the serving classifier.

    Raises:
        TrainingError: There are no test scenes.
    """
    scenes = load_scenes(data, ("test",))
    if not scenes:
        raise TrainingError(f"{data} has no scenes of the split test")
    candidate = candidate_release(serving, classifier, run)
    result = compare_scenes(candidate, serving, floor, scenes)
    portraits = load_test(data).split("test")
    if portraits:
        answers = [answer(release, portraits, "served path") for release in (candidate, serving)]
        result += compare_served(actual_classes(portraits), answers[0], answers[1])
    document = decide(
        result,
        {
            "serving_version": serving.version,
            "floor_version": floor.version,
            "data_fingerprint": fingerprint(scenes),
            "git_commit": git_commit(),
            "network_sha256": hashlib.sha256(candidate.detector.file).hexdigest(),
        },
    )
    (run / GATE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return document
