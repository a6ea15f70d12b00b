"""The command lines of training and converting, which are alike for both networks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from training.disk import locked, require_apart
from training.errors import reported
from training.files import LOCK
from training.recipe import PARAMS, read_recipe
from training.tracking import track_if_possible

if TYPE_CHECKING:
    from collections.abc import Callable


def train_command(description: str, network: str, train: Callable[..., object]) -> None:
    """Run a command that trains a network.

    Args:
        description: Description of the command.
        network: `classifier` or `detector`, whose recipe is read from the parameters.
        train: Called with the data folder, the run's folder and the recipe, and with the keyword arguments
            `backbone`, `start`, `replace` and `after_epoch`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures (see tables.py)")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run, which is resumed if it exists"
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--backbone", type=Path, help="MobileNetV2 weights; default: Keras' download")
    begin.add_argument("--start", type=Path, help=f"weights of a trained {network} to fine-tune instead")
    parser.add_argument(
        "--replace", action="store_true", help="replace another run in --out, rather than refuse"
    )
    parser.add_argument("--params", type=Path, default=PARAMS, help="default: the project's params.yaml")
    options = parser.parse_args()

    with reported(parser):
        if options.replace:
            require_apart(options.data, options.out)
        with locked(options.out / LOCK):
            train(
                options.data,
                options.out,
                read_recipe(options.params, network, "release" if options.start else "imagenet"),
                backbone=options.backbone,
                start=options.start,
                replace=options.replace,
                after_epoch=track_if_possible,
            )


def convert_command(description: str, convert: Callable[..., object], **folders: str) -> None:
    """Run a command that converts a run.

    Args:
        description: Description of the command.
        convert: Called with the data folder, the run's folder and the other folders; its result is printed as JSON.
        folders: Help texts of optional arguments for other folders, by name.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures (see tables.py)")
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished training run")
    for name, text in folders.items():
        parser.add_argument(f"--{name}", type=Path, help=text)
    options = vars(parser.parse_args())
    with reported(parser):
        print(json.dumps(convert(options.pop("data"), options.pop("run"), **options), indent=1))
