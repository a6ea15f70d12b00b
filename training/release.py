"""Write a model release: `python -m training.release --run RUN --out FOLDER --version 1.0.0`.

Takes what `convert` and `evaluate` left in the run's folder, and with `--detector` what their namesakes in
`training.detector` left in that of a detector; the manifest vouches for each file by its SHA-256. What drift is
measured against is added afterwards, by `training.baseline`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from functions.inference.fetch import open_release
from functions.inference.release import MANIFEST, Release, load_release
from functions.shared.contract import LABELS
from training.baseline import BASELINE
from training.classifier.convert import CONVERSION
from training.classifier.evaluate import METRICS
from training.classifier.train import STATE, WEIGHTS
from training.commit import git_commit
from training.detector import evaluate as detector_evaluate
from training.detector import train as detector_train
from training.detector.evaluate import DETECTOR

CLASSIFIER: Final = "classifier.tflite"


def write_release(
    run: Path, out: Path, version: str, serving: Release, detector: Path | None = None
) -> Release:
    """Assemble the release of a converted and evaluated run in `out`, and load it as serving will.

    Args:
        run: Folder of the classifier's run.
        out: Folder of the release.
        version: What answers will call it.
        serving: Release whose detector is kept where none is given.
        detector: Folder of a detector's run.

    Raises:
        FileNotFoundError: A step before this one has not run.
    """
    conversion = json.loads((run / CONVERSION).read_text())
    metrics = json.loads((run / METRICS).read_text())
    training = json.loads((run / STATE).read_text())
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / f"{conversion['shipped']}.tflite", out / CLASSIFIER)
    found = _detector(detector) if detector else serving.manifest["detector"]
    (out / DETECTOR).write_bytes((detector / DETECTOR).read_bytes() if detector else serving.detector.file)
    manifest = {
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit(),
        "labels": LABELS,
        "classifier": {
            "file": CLASSIFIER,
            "input": _input(conversion["input_size"]),
            "quantization": conversion["shipped"],
            "calibration": conversion["calibration"],
        },
        "detector": {**found, "file": DETECTOR},
        "files": {name: sha256(out / name) for name in (CLASSIFIER, DETECTOR)},
        "trained_weights": {"file": WEIGHTS, "sha256": sha256(run / WEIGHTS)},
        "starting_weights": training["starting_weights"],
        "dataset": {"fingerprint": training["fingerprint"]},
        "metrics": metrics["overall"],
    }
    (out / BASELINE).unlink(missing_ok=True)  # of another release
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return load_release(out)


def _detector(run: Path) -> dict[str, Any]:
    """What the manifest says of a detector."""
    conversion = json.loads((run / detector_evaluate.CONVERSION).read_text())
    metrics = json.loads((run / detector_evaluate.METRICS).read_text())
    training = json.loads((run / detector_train.STATE).read_text())
    return {
        "input": _input(conversion["input_size"]),
        "quantization": "int8",
        "calibration": conversion["calibration"],
        "min_score": conversion["min_score"],
        "trained_weights": {"file": detector_train.WEIGHTS, "sha256": sha256(run / detector_train.WEIGHTS)},
        "starting_weights": training["starting_weights"],
        "dataset": {"fingerprint": training["fingerprint"]},
        "metrics": {**metrics["overall"], "labels": metrics["labels"], "end_to_end": metrics["end_to_end"]},
    }


def _input(size: int) -> dict[str, Any]:
    return {"size": size, "dtype": "uint8", "layout": "NHWC", "channels": "RGB"}


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Write a release from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--out", type=Path, required=True, help="folder of the release")
    parser.add_argument("--version", required=True)
    parser.add_argument(
        "--serving", default="", help="release whose detector is kept; default: the one in the image"
    )
    parser.add_argument("--detector", type=Path, help="folder of a detector's run, to release it as well")
    options = parser.parse_args()
    serving = open_release(options.serving)
    release = write_release(options.run, options.out, options.version, serving, options.detector)
    print(f"release {release.version} in {options.out}")


if __name__ == "__main__":
    main()
