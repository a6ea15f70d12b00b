"""Write a release's baseline: `python -m training.baseline --data DATA --release functions/inference/model`.

The baseline describes normal pictures and predictions; drift is measured against it. It is built from the validation
pictures, on which the release was not trained: portraits and scenes are each scored once, as serving scores a
client's picture. The release's manifest contains its SHA-256.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from functions.drift.baseline import MIN_SAMPLES, build
from functions.drift.features import to_sample
from functions.inference.decode import decode
from functions.inference.prediction import PredictOptions
from functions.inference.record import to_record
from functions.inference.release import load_release
from functions.inference.score import Models, load_models, score
from functions.shared.problem import InputError
from functions.shared.release_files import BASELINE, MANIFEST
from training.dataset import list_examples, load_examples
from training.errors import TrainingError, reported
from training.files import file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_baseline(data: Path, release: Path) -> Path:
    """Score the validation pictures of `data` with a release, and add the baseline to its folder and its manifest.

    Raises:
        ReleaseError: The folder has no valid release.
        TrainingError: There are too few pictures.
    """
    models = load_models(load_release(release), threads=1)
    paths = tqdm(pictures(data, "val"), "scoring", unit=" pictures")
    records = [record for path in paths if (record := record_of(path.read_bytes(), models))]
    if len(records) < MIN_SAMPLES:
        raise TrainingError(
            f"{data} has {len(records)} validation pictures; a baseline needs at least {MIN_SAMPLES}"
        )
    baseline = build(models.version, [{"validation": to_sample(records)}])
    path = release / BASELINE
    path.write_text(baseline.to_json() + "\n", encoding="utf-8")
    manifest = json.loads((release / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"][BASELINE] = file_sha256(path)
    (release / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    load_release(release)
    return path


def write_baseline_if_possible(data: Path, release: Path) -> None:
    """Call `write_baseline`, but only print its errors: a release can serve without one, which Drift then reports."""
    try:
        write_baseline(data, release)
    except TrainingError as error:
        print(f"The release has no baseline. {error}")


def pictures(data: Path, split: str) -> list[Path]:
    """List the portraits and scenes of a split; see `training.dataset` for the forms of the folder."""
    examples = list_examples(data)
    if any(not example.split for example in examples):  # a flat folder, which is split by content
        examples = [loaded.example for loaded in load_examples(examples).samples]
    return list(dict.fromkeys(example.path for example in examples if example.split == split))


def record_of(file: bytes, models: Models) -> Mapping[str, Any] | None:
    """Return the record that serving writes for a picture, or None if it refuses the picture."""
    try:
        return to_record(score(decode(file), models, PredictOptions()), source=None)
    except InputError:
        return None


def main() -> None:
    """Write a baseline from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--release", type=Path, required=True, help="folder of the release")
    options = parser.parse_args()
    with reported(parser):
        path = write_baseline(options.data, options.release)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
