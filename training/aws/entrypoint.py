"""The entry point of a training container: `train`, the argument with which SageMaker starts every image.

It implements SageMaker's container contract, so that `docker run IMAGE train` with /opt/ml mounted is a training job:
channels in /opt/ml/input/data, hyperparameters in /opt/ml/input/config, checkpoints in /opt/ml/checkpoints, the
release in /opt/ml/model, other output in /opt/ml/output/data, and the reason of a failure in /opt/ml/output/failure.
As the script of a script-mode job, it takes hyperparameters as arguments, and paths from SM_* variables.

It prepares, trains, converts, evaluates, gates and releases either network. With `--steps fit`, it stops after
converting and leaves the run in /opt/ml/model; the pipeline has its own steps for the rest.

On several instances, each trains with its own seed, and the best by validation is published.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from functions.inference.release import ReleaseError, load_release
from functions.shared.release_files import IMAGE_RELEASE
from training.classifier import convert as classifier_convert
from training.classifier import train as classifier
from training.dataset import list_examples, load_examples, require_labels
from training.detector import convert as detector_convert
from training.detector import train as detector
from training.errors import TrainingError, explain_full_disk
from training.files import CLASSIFIER_WEIGHTS, DETECTOR_WEIGHTS, GATE, METRICS, REPORT, STATE
from training.judge import copy_report, judge
from training.prepare import DOUBTFUL, PREPARED, prepare
from training.recipe import PARAMS, Recipe, read_recipe, recipe_from
from training.scenes import load_scenes_if_any
from training.tracking import track_if_possible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.inference.release import Release

ML: Final = Path("/opt/ml")
SHIPPED_WEIGHTS: Final = Path(__file__).parents[1] / "weights"
FAILURE_LENGTH: Final = 1024  # characters of the file that SageMaker shows as the failure reason


@dataclass(frozen=True)
class Paths:
    """The paths of a container's input and output."""

    pictures: Path
    serving: Path
    weights: Path
    checkpoints: Path
    model: Path
    data: Path
    failure: Path


@dataclass(frozen=True)
class Host:
    """The rank of this instance, counted from 0, and the number of instances."""

    rank: int
    count: int


def container_paths(environment: Mapping[str, str] = os.environ, ml: Path = ML) -> Paths:
    """Return the paths in SM_* variables, or else those of the contract."""

    def channel(name: str, default: Path) -> Path:
        path = Path(environment.get(f"SM_CHANNEL_{name.upper()}", ml / "input" / "data" / name))
        return path if path.is_dir() else default

    return Paths(
        pictures=channel("pictures", ml / "input" / "data" / "pictures"),
        serving=channel("serving", IMAGE_RELEASE),
        weights=channel("weights", SHIPPED_WEIGHTS),
        checkpoints=ml / "checkpoints",
        model=Path(environment.get("SM_MODEL_DIR", ml / "model")),
        data=Path(environment.get("SM_OUTPUT_DATA_DIR", ml / "output" / "data")),
        failure=ml / "output" / "failure",
    )


def this_host(environment: Mapping[str, str] = os.environ, ml: Path = ML) -> Host:
    """Return this instance's rank; by default it is the only instance."""
    if "SM_CURRENT_HOST_RANK" in environment:
        return Host(int(environment["SM_CURRENT_HOST_RANK"]), int(environment["SM_HOST_COUNT"]))
    try:
        resources = json.loads((ml / "input" / "config" / "resourceconfig.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Host(0, 1)
    return Host(sorted(resources["hosts"]).index(resources["current_host"]), len(resources["hosts"]))


def hyperparameters(ml: Path = ML) -> list[str]:
    """Return the contract's hyperparameters as arguments, without the SDK's own (sagemaker_…)."""
    try:
        values = json.loads((ml / "input" / "config" / "hyperparameters.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    arguments = [(f"--{key}", value) for key, value in values.items() if not key.startswith("sagemaker_")]
    return [part for pair in arguments for part in pair]


def recipe_for_host(options: argparse.Namespace, host: Host) -> Recipe:
    """Return the recipe: that of params.yaml, overridden by arguments, with a different seed for each instance.

    Raises:
        TrainingError: An argument is invalid.
    """
    recipe = read_recipe(PARAMS, options.network, options.start)
    try:
        stages = json.loads(options.stages) if options.stages else [vars(stage) for stage in recipe.stages]
    except ValueError as error:
        raise TrainingError(f"--stages is not JSON: {error}") from error
    batch = recipe.batch if options.batch is None else options.batch
    seed = recipe.seed if options.seed is None else options.seed
    return replace(recipe_from(stages, batch, seed + host.rank), bare_face_weights=recipe.bare_face_weights)


def starting_weights(network: str, start: str, channel: Path) -> Path | None:
    """Return the file of starting weights in the weights channel; None to download those of Keras.

    Args:
        network: `classifier` or `detector`.
        start: `release` for a trained network's weights, `imagenet` for a backbone's.
        channel: A folder with one file of any name, or with the files that training writes.

    Raises:
        TrainingError: There are several candidates, or none.
    """
    trained = channel / f"{network}.weights.h5"
    if start == "release" and trained.is_file():
        return trained
    others = [
        path
        for path in sorted(channel.iterdir())
        if path.suffix in {".h5", ".npz"} and path.name not in {CLASSIFIER_WEIGHTS, DETECTOR_WEIGHTS}
    ]
    if len(others) > 1:
        raise TrainingError(
            f"the weights channel contains {', '.join(p.name for p in others)}; keep only one of them"
        )
    if start == "release" and not others:
        raise TrainingError(f"the weights channel contains neither {trained.name} nor other weights")
    return others[0] if others else None


def fit(
    network: str, pictures: Path, run: Path, recipe: Recipe, start: str, weights: Path, serving: Release
) -> None:
    """Train a network and convert it; an interrupted run is resumed.

    Args:
        network: `classifier` or `detector`.
        pictures: A prepared folder.
        run: Folder of the run.
        recipe: The recipe.
        start: `release` or `imagenet`.
        weights: The weights channel.
        serving: The serving release, whose classifier is the teacher in fine-tuning.

    Raises:
        TrainingError: See `train`.
    """
    file = starting_weights(network, start, weights)
    begun = file if start == "release" else None
    backbone = None if begun else file
    if network == "detector":
        detector.train(pictures, run, recipe, backbone=backbone, start=begun, after_epoch=track_if_possible)
        detector_convert.convert_on(pictures, run)
        return
    dataset = load_examples(list_examples(pictures))
    require_labels(dataset)
    teacher = serving.classifier if start == "release" else None
    classifier.train(
        dataset, run, recipe, backbone=backbone, start=begun, teacher=teacher, after_epoch=track_if_possible
    )
    scenes = load_scenes_if_any(pictures, ("train", "val"))
    classifier_convert.convert_run(run, dataset.split("train"), dataset.split("val"), scenes, serving)


def work(options: argparse.Namespace, paths: Paths, host: Host) -> None:
    """Do the job. The run's folder is among the checkpoints, so that a spot interruption costs little.

    Raises:
        TrainingError: Something is wrong with the pictures, the hyperparameters or the disk.
    """
    recipe = recipe_for_host(options, host)
    own = f"seed-{recipe.seed}" if host.count > 1 else ""
    run, out, kept = paths.checkpoints / own / "run", paths.model / own, paths.data / own
    serving = load_release(paths.serving)
    if options.steps == "fit":
        fit(options.network, paths.pictures, run, recipe, options.start, paths.weights, serving)
        shutil.copytree(run, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*checkpoint-*"))
        return
    prepared = paths.checkpoints.parent / "prepared"
    prepare(paths.pictures, prepared, serving.classifier)
    fit(options.network, prepared, run, recipe, options.start, paths.weights, serving)
    of_classifier, of_detector = (None, run) if options.network == "detector" else (run, None)
    result = judge(prepared, of_classifier, of_detector, serving, out, options.version)
    out.mkdir(parents=True, exist_ok=True)
    for name in (f"{options.network}.weights.h5", STATE, GATE):
        shutil.copyfile(run / name, out / name)
    copy_report(of_classifier, of_detector, result, kept / REPORT)
    for file in (run / METRICS, prepared / PREPARED, prepared / DOUBTFUL):
        shutil.copyfile(file, kept / file.name)
    print(f"gate: {result['reason']}")


def main() -> None:
    """Run the job; the reason of a failure is also written to the failure file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=["train"], default="train")
    parser.add_argument("--version", default="unreleased", help="of the release")
    parser.add_argument("--steps", choices=["all", "fit"], default="all")
    parser.add_argument("--network", choices=["classifier", "detector"], default="classifier")
    parser.add_argument("--start", choices=["release", "imagenet"], default="release")
    parser.add_argument("--stages", help="JSON list of stages, in place of those in params.yaml")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seed", type=int)
    paths = container_paths()
    paths.data.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{paths.data}/mlflow.db")
    given = sys.argv[1:]
    try:
        with explain_full_disk():
            options = parser.parse_args([*given, *hyperparameters()] if given == ["train"] else given)
            work(options, paths, this_host())
    except (TrainingError, ReleaseError) as error:
        _fail(paths.failure, str(error))
    except SystemExit as error:
        if error.code:
            _fail(paths.failure, f"invalid hyperparameters: {given} {hyperparameters()}")
    except Exception:  # noqa: BLE001 -- so that the console shows every failure
        _fail(paths.failure, traceback.format_exc())


def _fail(file: Path, reason: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(reason[-FAILURE_LENGTH:], encoding="utf-8")
    print(reason, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
