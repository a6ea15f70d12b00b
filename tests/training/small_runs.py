"""Small training runs of both networks, with three layers instead of MobileNetV2, for tests that kill them."""

from pathlib import Path

import keras

from training.classifier import train as classifier
from training.dataset import list_examples, load_examples
from training.detector import train as detector
from training.recipe import Recipe, Stage

RECIPE = Recipe((Stage(32, 2, 1e-2, 32, 0), Stage(64, 3, 5e-3, 32, 0)), batch=8, seed=1)


def small_classifier(_: Path | None) -> keras.Model:
    pixels = keras.Input((None, None, 3))
    value = keras.layers.Conv2D(4, 5, strides=8)(keras.layers.Rescaling(1 / 255)(pixels))
    backbone = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(value), name="mobilenetv2")
    whole = keras.Input((None, None, 3))
    dropped = keras.layers.Dropout(0.3, name="dropout")(backbone(whole))
    return keras.Model(whole, keras.layers.Dense(3, name="logits")(dropped))


def small_detector(_: Path | None) -> keras.Model:
    pixels = keras.Input((None, None, 3))
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    levels = [
        keras.layers.Reshape((-1, 5))(
            keras.layers.Conv2D(5, 3, strides=stride, padding="same", name=f"cells_{stride}")(scaled)
        )
        for stride in (8, 16, 32)
    ]
    return keras.Model(pixels, keras.layers.Concatenate(axis=1)(levels))


def small_run(network: str, data: Path, out: Path) -> None:
    """Train, resuming the run in `out`."""
    if network == "classifier":
        classifier.build = small_classifier
        classifier.train(load_examples(list_examples(data)), out, RECIPE)
    else:
        detector.build, detector.SIZE = small_detector, 64
        detector.train(data, out, RECIPE)
