"""Trains on a small set of pictures, and runs the gate."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import keras

from functions.inference.fetch import open_release
from tests.system import ROOT
from tests.training.small_mobilenet import quick_training, step_by_step
from training.classifier.convert import convert_run
from training.classifier.train import train
from training.dataset import list_examples, load_examples
from training.files import CLASSIFIER_WEIGHTS
from training.judge import judge
from training.recipe import Recipe, Stage

RELEASED = ROOT / "training" / "weights" / CLASSIFIER_WEIGHTS
TOO_LITTLE = Recipe((Stage(96, 1, 2e-3, 48, None),), batch=24, seed=1)
FINE_TUNING = Recipe((Stage(128, 2, 1e-3, 96, 12),), batch=24, seed=1)


def retrain(data: Path, run: Path, recipe: Recipe, out: Path, version: str, **start: Path) -> dict:
    """Train on a folder of pictures from `start` or `backbone`, see `train`, and return the gate's verdict.

    The run is compared with the release in the image; if it passes, its release is written to `out`.
    """
    serving = open_release("")
    # The output of training would hide the steps.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), step_by_step():
        dataset = load_examples(list_examples(data))
        teacher = serving.classifier if "start" in start else None
        train(dataset, run, recipe, teacher=teacher, **start)
        convert_run(run, dataset.split("train"), dataset.split("val"))
        return judge(data, run, None, serving, out, version)


def retrain_too_little(data: Path, run: Path, out: Path, version: str) -> dict:
    """Train a small network from random weights, in two steps; see `retrain`."""
    keras.utils.set_random_seed(0)
    backbone = run.with_name("backbone.weights.h5")
    with quick_training():
        network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(None, None, 3))
        network.save_weights(backbone)
        return retrain(data, run, TOO_LITTLE, out, version, backbone=backbone)
