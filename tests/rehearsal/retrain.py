"""A training on a small set, from random weights and far too short, and what the gate says of it."""

import io
from contextlib import redirect_stderr, redirect_stdout
from functools import partialmethod
from pathlib import Path
from unittest.mock import patch

import keras

from functions.inference.fetch import open_release
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
    keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(None, None, 3)).save_weights(
        backbone
    )
    compile_plainly = partialmethod(
        keras.Model.compile, jit_compile=False
    )  # XLA takes longer than the training
    # What training prints would drown the story.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        dataset = load(find(data))
        with patch.object(keras.Model, "compile", compile_plainly):
            train(dataset, run, RECIPE, backbone=backbone)
        convert_run(run, dataset.split("train"), dataset.split("val"))
        return judge(data, run, None, open_release(""), folder / "release", "retrained")
