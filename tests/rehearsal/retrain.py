"""A training on a small set, from random weights and far too short, and what the gate says of it."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import keras

from functions.inference.fetch import open_release
from tests.training.small_mobilenet import quick_training
from training.classifier.convert import convert_run
from training.classifier.dataset import find, load
from training.classifier.train import train
from training.judge import judge
from training.recipe import Recipe, Stage

RECIPE = Recipe((Stage(96, 1, 2e-3, 60, None), Stage(96, 2, 1e-3, 60, 12)), batch=24, seed=1)


def retrain(data: Path, folder: Path) -> dict:
    """Train on a folder of pictures, and return the gate's verdict on the run against the release that serves."""
    keras.utils.set_random_seed(0)
    backbone, run = folder / "backbone.weights.h5", folder / "run"
    # What training prints would drown the story.
    with quick_training(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        keras.applications.MobileNetV2(
            include_top=False, weights=None, input_shape=(None, None, 3)
        ).save_weights(backbone)
        dataset = load(find(data))
        train(dataset, run, RECIPE, backbone=backbone)
        convert_run(run, dataset.split("train"), dataset.split("val"))
        return judge(data, run, None, open_release(""), folder / "release", "retrained")
