"""Write a model release: `python -m training.release --run RUN --out FOLDER --version 1.0.0`.

Takes what `convert` and `evaluate` left in the run's folder; the manifest vouches for each file by its SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from functions.inference.release import LABELS, MANIFEST, Release, load_release
from training.convert import CONVERSION
from training.evaluate import METRICS
from training.train import STATE, WEIGHTS

CLASSIFIER = "classifier.tflite"


def write_release(run: Path, out: Path, version: str) -> Release:
    """Assemble the release of a converted and evaluated run in `out`, and load it as serving will.

    Raises:
        FileNotFoundError: A step before this one has not run.
    """
    conversion = json.loads((run / CONVERSION).read_text())
    metrics = json.loads((run / METRICS).read_text())
    training = json.loads((run / STATE).read_text())
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / f"{conversion['shipped']}.tflite", out / CLASSIFIER)
    manifest = {
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
        "labels": LABELS,
        "classifier": {
            "file": CLASSIFIER,
            "input": {
                "size": conversion["input_size"],
                "dtype": "uint8",
                "layout": "NHWC",
                "channels": "RGB",
            },
            "quantization": conversion["shipped"],
            "calibration": conversion["calibration"],
        },
        "files": {CLASSIFIER: sha256(out / CLASSIFIER)},
        "trained_weights": {"file": WEIGHTS, "sha256": sha256(run / WEIGHTS)},
        "starting_weights": training["starting_weights"],
        "dataset": {"fingerprint": training["fingerprint"]},
        "metrics": metrics["overall"],
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return load_release(out)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _git_commit() -> str:
    told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return told.stdout.strip() or "unknown"


def main() -> None:
    """Write a release from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--out", type=Path, required=True, help="folder of the release")
    parser.add_argument("--version", required=True)
    options = parser.parse_args()
    release = write_release(options.run, options.out, options.version)
    print(f"release {release.version} in {options.out}")


if __name__ == "__main__":
    main()
