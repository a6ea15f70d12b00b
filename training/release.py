"""Write a model release: `python -m training.release --data FOLDER --run RUN --out FOLDER --weights FOLDER …`.

Takes the files of `convert` and `evaluate` from runs that passed their gate, and copies the weights from which they
were converted. The manifest contains the SHA-256 of each file. If there are enough validation pictures, the release
gets a baseline for drift.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from functions.inference.release import SMALL_CLASSIFIER, Release, load_release
from functions.shared.contract import LABELS
from functions.shared.release_files import BASELINE, MANIFEST
from training.baseline import write_baseline_if_possible
from training.candidate import candidate_release, open_serving
from training.commit import git_commit
from training.errors import TrainingError, reported
from training.files import (
    CLASSIFIER_WEIGHTS,
    CONVERSION,
    DETECTOR,
    DETECTOR_WEIGHTS,
    GATE,
    METRICS,
    STATE,
    file_sha256,
)
from training.gate import SERVING_HELP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.inference.release import Network

CLASSIFIER: Final = "classifier.tflite"
SMALL_FILE: Final = "small-classifier.tflite"
_CLASSIFIERS: Final = ("classifier", SMALL_CLASSIFIER)
_LEARNED: Final = ("trained_weights", "starting_weights", "dataset")


def write_release(
    out: Path,
    version: str,
    serving: Release,
    run: Path | None = None,
    detector: Path | None = None,
    despite: str = "",
) -> Release:
    """Write the release of runs to `out`, and load it as serving does.

    Args:
        out: Folder of the release.
        version: Version of the release.
        serving: Release from which a network without a run is taken.
        run: Folder of the classifier's run.
        detector: Folder of the detector's run.
        despite: Reason to release runs that the gate refused, for the manifest.

    Raises:
        TrainingError: There is no run, or one has not passed through the gate, was converted again since, or was
            refused.
    """
    if not (run or detector):
        raise TrainingError(
            "there is no converted run to release: train and judge one, or correct RUN and DETECTOR"
        )
    candidate = candidate_release(serving, run, detector)
    for folder, network in ((run, candidate.classifier), (detector, candidate.detector)):
        if folder:
            _require_passed(folder, network, despite)
    learned = (
        _about_classifier(run)
        if run
        else {
            key: serving.manifest[key]
            for key in (*_CLASSIFIERS, *_LEARNED, "metrics")
            if key in serving.manifest
        }
    )
    networks = {
        "classifier": {**learned.pop("classifier"), "file": CLASSIFIER},
        "detector": {
            **(_about_detector(detector) if detector else _about_kept_detector(serving)),
            "file": DETECTOR,
        },
    }
    files = {CLASSIFIER: candidate.classifier.file, DETECTOR: candidate.detector.file}
    if candidate.small_classifier:
        networks[SMALL_CLASSIFIER] = {**learned.pop(SMALL_CLASSIFIER), "file": SMALL_FILE}
        files[SMALL_FILE] = candidate.small_classifier.file
    out.mkdir(parents=True, exist_ok=True)
    for name in (BASELINE, SMALL_FILE):
        (out / name).unlink(missing_ok=True)  # left by another release
    for name, content in files.items():
        (out / name).write_bytes(content)
    manifest = {
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit(),
        "labels": LABELS,
        **({"released_despite": despite} if despite else {}),
        **networks,
        "files": {name: file_sha256(out / name) for name in files},
        **learned,
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return load_release(out)


def _require_passed(run: Path, network: Network, despite: str) -> None:
    if not (run / GATE).is_file():
        raise TrainingError(f"{run} has not passed through the gate; run `make judge`")
    gate = _read(run / GATE)
    if gate["network_sha256"] != hashlib.sha256(network.file).hexdigest():
        raise TrainingError(f"{run} was converted again after the gate; run `make judge` again")
    if not gate["passed"] and not despite:
        raise TrainingError(f"the gate refused {run}: {gate['reason']}")


def _about_training(run: Path, weights: str) -> dict[str, Any]:
    """Return the manifest's description of a network's training."""
    state = _read(run / STATE)
    return {
        "trained_weights": {"file": weights, "sha256": file_sha256(run / weights)},
        "starting_weights": state["starting_weights"],
        "dataset": {"fingerprint": state["fingerprint"]},
    }


def _about_classifier(run: Path) -> dict[str, Any]:
    conversion, metrics = _read(run / CONVERSION), _read(run / METRICS)
    return {
        "classifier": _about_conversion(conversion),
        **({SMALL_CLASSIFIER: _about_conversion(conversion["small"])} if "small" in conversion else {}),
        **_about_training(run, CLASSIFIER_WEIGHTS),
        "metrics": {**metrics["overall"], "served": metrics["served"]["overall"]},
    }


def _about_conversion(conversion: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "input": _input(conversion["input_size"]),
        "quantization": conversion["shipped"],
        "calibration": conversion["calibration"],
    }


def _about_detector(run: Path) -> dict[str, Any]:
    conversion, metrics = _read(run / CONVERSION), _read(run / METRICS)
    return {
        "input": _input(conversion["input_size"]),
        "quantization": "int8",
        "calibration": conversion["calibration"],
        "min_score": conversion["min_score"],
        **_about_training(run, DETECTOR_WEIGHTS),
        "metrics": {**metrics["overall"], "labels": metrics["labels"], "end_to_end": metrics["end_to_end"]},
    }


def _about_kept_detector(serving: Release) -> dict[str, Any]:
    """Describe the serving detector, without its figures, since the former classifier confirmed its faces."""
    return {key: value for key, value in serving.manifest["detector"].items() if key != "metrics"}


def _read(path: Path) -> Mapping[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _input(size: int) -> dict[str, Any]:
    return {"size": size, "dtype": "uint8", "layout": "NHWC", "channels": "RGB"}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of prepared pictures")
    parser.add_argument("--run", type=Path, help="folder of a classifier's run")
    parser.add_argument("--detector", type=Path, help="folder of a detector's run")
    parser.add_argument("--out", type=Path, required=True, help="folder of the release")
    parser.add_argument("--weights", type=Path, required=True, help="folder to copy the runs' weights to")
    parser.add_argument("--version", required=True)
    parser.add_argument("--serving", default="", help=SERVING_HELP)
    parser.add_argument("--despite", default="", help="release although the gate refused; give the reason")
    options = parser.parse_args()
    with reported(parser):
        release = write_release(
            options.out,
            options.version,
            open_serving(options.serving),
            options.run,
            options.detector,
            options.despite,
        )
        for run, weights in ((options.run, CLASSIFIER_WEIGHTS), (options.detector, DETECTOR_WEIGHTS)):
            if run:
                shutil.copy(run / weights, options.weights)
        write_baseline_if_possible(options.data, options.out)
    print(f"release {release.version} in {options.out}")


if __name__ == "__main__":
    main()
