"""What a training container runs: `train`, the argument that SageMaker starts every image with.

It keeps to the bare container contract, so that `docker run IMAGE train` with /opt/ml mounted is a training job:
channels below /opt/ml/input/data, hyperparameters in /opt/ml/input/config, checkpoints in /opt/ml/checkpoints, the
release in /opt/ml/model, everything else worth keeping in /opt/ml/output/data, and why it failed in
/opt/ml/output/failure. As the script of a script-mode job it gets hyperparameters as arguments, and SM_* variables
say where things are.

The whole of it: pictures → prepared → trained → converted → evaluated → gated → release. With `--steps fit` it
stops after converting, and leaves the run itself in /opt/ml/model; the pipeline has steps of its own for the rest.

On several instances each trains with a seed of its own, and the best of them by validation is what gets published.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from functions.inference.fetch import BAKED
from functions.inference.release import ReleaseError, load_release
from training.classifier.convert import convert_run
from training.classifier.dataset import DataError, find, load, require_every_label
from training.classifier.evaluate import METRICS
from training.classifier.gate import GATE
from training.classifier.train import PARAMS, STATE, WEIGHTS, Recipe, read_recipe, recipe_from, train
from training.disk import full_disk_told
from training.judge import judge
from training.prepare import DOUBTFUL, REPORT, prepare
from training.tracking import track

if TYPE_CHECKING:
    from collections.abc import Mapping


ML: Final = Path("/opt/ml")
SHIPPED_WEIGHTS: Final = Path(__file__).parents[1] / "weights" / WEIGHTS
FAILURE_LENGTH: Final = 1024  # that much of the file is shown as the job's failure reason


@dataclass(frozen=True)
class Places:
    """Where a container finds and leaves things."""

    pictures: Path
    serving: Path
    weights: Path
    checkpoints: Path
    model: Path
    data: Path
    failure: Path


@dataclass(frozen=True)
class Host:
    """Which of how many instances this is, counted from 0."""

    rank: int
    count: int


def places(environment: Mapping[str, str] = os.environ, ml: Path = ML) -> Places:
    """Where SM_* variables say that things are, else where the contract does."""

    def channel(name: str, otherwise: Path) -> Path:
        told = Path(environment.get(f"SM_CHANNEL_{name.upper()}", ml / "input" / "data" / name))
        return told if told.is_dir() else otherwise

    return Places(
        pictures=channel("pictures", ml / "input" / "data" / "pictures"),
        serving=channel("serving", BAKED),
        weights=channel("weights", SHIPPED_WEIGHTS.parent),
        checkpoints=ml / "checkpoints",
        model=Path(environment.get("SM_MODEL_DIR", ml / "model")),
        data=Path(environment.get("SM_OUTPUT_DATA_DIR", ml / "output" / "data")),
        failure=ml / "output" / "failure",
    )


def host(environment: Mapping[str, str] = os.environ, ml: Path = ML) -> Host:
    """Which instance this is; the only one, where nothing says."""
    if "SM_CURRENT_HOST_RANK" in environment:
        return Host(int(environment["SM_CURRENT_HOST_RANK"]), int(environment["SM_HOST_COUNT"]))
    try:
        told = json.loads((ml / "input" / "config" / "resourceconfig.json").read_text())
    except FileNotFoundError:
        return Host(0, 1)
    return Host(sorted(told["hosts"]).index(told["current_host"]), len(told["hosts"]))


def hyperparameters(ml: Path = ML) -> list[str]:
    """The contract's hyperparameters as arguments; those of the SDK's own (sagemaker_…) left out."""
    try:
        told = json.loads((ml / "input" / "config" / "hyperparameters.json").read_text())
    except FileNotFoundError:
        return []
    arguments = [(f"--{key}", value) for key, value in told.items() if not key.startswith("sagemaker_")]
    return [part for pair in arguments for part in pair]


def recipe_of(options: argparse.Namespace, this: Host) -> Recipe:
    """What to train with: params.yaml, overridden by arguments, each instance with a seed of its own.

    Raises:
        DataError: An argument is not what it should be.
    """
    recipe = read_recipe(PARAMS, further=options.start == "classifier")
    try:
        stages = json.loads(options.stages) if options.stages else [vars(stage) for stage in recipe.stages]
    except ValueError as error:
        raise DataError(f"--stages is not JSON: {error}") from error
    batch = recipe.batch if options.batch is None else options.batch
    seed = recipe.seed if options.seed is None else options.seed
    return recipe_from(stages, batch, seed + this.rank)


def fit(pictures: Path, run: Path, recipe: Recipe, weights: Path | None, classifier: Path | None) -> None:
    """Train and convert; goes on with what `run` holds.

    Args:
        pictures: A prepared folder.
        run: Folder of the run.
        recipe: What to train with.
        weights: To start the backbone from; None fetches Keras' own.
        classifier: To go on from, instead.

    Raises:
        DataError: See `train`.
    """
    dataset = load(find(pictures))
    require_every_label(dataset)
    train(dataset, run, recipe, weights=weights, classifier=classifier, after_epoch=track)
    convert_run(run, dataset.split("train"), dataset.split("val"))


def work(options: argparse.Namespace, at: Places, this: Host) -> None:
    """Do the job. The run's own folder is among the checkpoints, so that an interrupted spot instance costs little.

    Raises:
        DataError: The pictures, the hyperparameters or the disk are not what they should be.
    """
    recipe = recipe_of(options, this)
    own = f"seed-{recipe.seed}" if this.count > 1 else ""
    run, out, kept = at.checkpoints / own / "run", at.model / own, at.data / own
    if options.steps == "fit":
        fit(at.pictures, run, recipe, *_start(options.start, at.weights))
        shutil.copytree(run, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("stage-*", "*.keras"))
        return
    prepared = at.checkpoints.parent / "prepared"
    serving = load_release(at.serving)
    prepare(at.pictures, prepared, serving.classifier)
    fit(prepared, run, recipe, *_start(options.start, at.weights))
    told = judge(prepared, run, serving, out, options.version)
    out.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS, STATE, GATE):
        shutil.copyfile(run / name, out / name)
    shutil.copytree(run / "report", kept / "report", dirs_exist_ok=True)
    for file in (run / METRICS, prepared / REPORT, prepared / DOUBTFUL):
        shutil.copyfile(file, kept / file.name)
    print(f"gate: {told['reason']}")


def _start(name: str, folder: Path) -> tuple[Path | None, Path | None]:
    """Weights of the backbone and of the classifier in the channel; without one, the shipped classifier's."""
    if name == "classifier":
        return None, folder / WEIGHTS
    return next((path for path in sorted(folder.glob("*.h5")) if path.name != WEIGHTS), None), None


def main() -> None:
    """Run the job; what it fails with goes to the failure file as well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=["train"], default="train")
    parser.add_argument("--version", default="unreleased", help="of the release")
    parser.add_argument("--steps", choices=["all", "fit"], default="all")
    parser.add_argument("--start", choices=["classifier", "imagenet"], default="classifier")
    parser.add_argument("--stages", help="JSON list of stages, in place of those in params.yaml")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seed", type=int)
    at = places()
    at.data.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{at.data}/mlflow.db")
    given = sys.argv[1:]
    try:
        with full_disk_told():
            work(parser.parse_args([*given, *hyperparameters()] if given == ["train"] else given), at, host())
    except (DataError, ReleaseError) as error:
        _fail(at.failure, str(error))
    except SystemExit as error:
        if error.code:
            _fail(at.failure, f"hyperparameters are not understood: {given} {hyperparameters()}")
    except Exception:  # noqa: BLE001 -- whatever it was, the console shows it
        _fail(at.failure, traceback.format_exc())


def _fail(file: Path, reason: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(reason[-FAILURE_LENGTH:])
    print(reason, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
