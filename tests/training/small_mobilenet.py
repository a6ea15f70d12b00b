"""A small stand-in for Keras' MobileNetV2: five of its seventeen blocks, with their names and layers."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path
from unittest.mock import patch

import keras

BLOCKS = {2: 2, 6: 1, 12: 2, 13: 2, 16: 1}  # stride by number, after the 4 of the first layer


def small_mobilenet(
    *,
    include_top: bool,
    weights: str | Path | None,
    input_shape: tuple[int | None, ...] | None = None,
    input_tensor: keras.KerasTensor | None = None,
    alpha: float = 1.0,
    pooling: str | None = None,
    name: str | None = None,
) -> keras.Model:
    """Build it, as far as training uses what Keras offers."""
    assert not include_top
    width = round(32 * alpha)
    pixels = keras.Input(input_shape) if input_tensor is None else input_tensor
    value = keras.layers.Conv2D(width, 3, strides=4, padding="same", use_bias=False, name="Conv1")(pixels)
    value = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization(name="bn_Conv1")(value))
    for number, stride in BLOCKS.items():
        block, before = f"block_{number}", value
        for part, layer in {
            "expand": keras.layers.Conv2D(2 * width, 1, use_bias=False, name=f"{block}_expand"),
            "depthwise": keras.layers.DepthwiseConv2D(
                3, strides=stride, padding="same", use_bias=False, name=f"{block}_depthwise"
            ),
        }.items():
            value = keras.layers.BatchNormalization(name=f"{block}_{part}_BN")(layer(value))
            value = keras.layers.ReLU(6.0, name=f"{block}_{part}_relu")(value)
        value = keras.layers.Conv2D(width, 1, use_bias=False, name=f"{block}_project")(value)
        value = keras.layers.BatchNormalization(name=f"{block}_project_BN")(value)
        if stride == 1:
            value = keras.layers.Add(name=f"{block}_add")([before, value])
    if pooling:
        value = keras.layers.GlobalAveragePooling2D()(value)
    model = keras.Model(keras.utils.get_source_inputs(pixels), value, name=name)
    if weights:
        model.load_weights(weights)
    return model


@contextmanager
def step_by_step() -> Iterator[None]:
    """Train without graphs: tracing a step takes ten seconds, a few steps without much less."""
    plainly = partialmethod(keras.Model.compile, run_eagerly=True)
    with patch.object(keras.Model, "compile", plainly):
        yield


@contextmanager
def quick_training() -> Iterator[None]:
    """Train the small network, step by step.

    tests/training/test_model.py builds the whole network, and test_kills.py trains in graphs.
    """
    with patch.object(keras.applications, "MobileNetV2", small_mobilenet), step_by_step():
        yield
