"""The face detector: MobileNetV2 0.35, a three-level feature pyramid, an anchor-free head (after FCOS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import keras
import numpy as np

from functions.inference.detect import STRIDES

if TYPE_CHECKING:
    from pathlib import Path

TAPS: Final = ("block_6_expand_relu", "block_13_expand_relu", "block_16_project_BN")  # one for each stride
WIDTH: Final = 64  # channels of the pyramid
PRIOR: Final = 0.01  # share of cells with a face, the initial score


def build(weights: Path | None = None) -> keras.Model:
    """Build the model to train: RGB 0..255 (N, H, W, 3) → (N, cells, 5), for multiples of 32.

    Each cell has the logit of being a face, and the logs of the distances from its centre to the box's left, top,
    right and bottom, in strides. Cells are ordered by stride, then row, then column.

    Args:
        weights: An `.npz` with `<layer>|<variable>` of MobileNetV2 0.35; None to download the ImageNet weights.
    """
    if not weights:
        return _detector("imagenet")
    model = _detector(None)
    with np.load(weights) as arrays:
        for layer in model.layers:
            own = [arrays[name] for name in arrays if name.split("|")[0] == layer.name]
            if own:
                layer.set_weights(own)
    return model


def _detector(backbone_weights: str | None) -> keras.Model:
    pixels = keras.Input((None, None, 3), name="pixels")
    backbone = keras.applications.MobileNetV2(
        alpha=0.35,
        include_top=False,
        weights=backbone_weights,
        input_tensor=keras.layers.Rescaling(1 / 127.5, offset=-1, name="scaling")(pixels),
    )
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.95
    levels = [backbone.get_layer(tap).output for tap in TAPS]
    pyramid = [
        _norm(keras.layers.Conv2D(WIDTH, 1, use_bias=False, name=f"lateral_{s}"), level)
        for s, level in zip(STRIDES, levels, strict=True)
    ]
    # Passes the global context to every cell through the top level, since data sets differ in what a box bounds.
    context = keras.layers.GlobalAveragePooling2D(keepdims=True, name="context_pool")(pyramid[2])
    context = keras.layers.Conv2D(WIDTH, 1, kernel_initializer="zeros", name="context")(context)
    pyramid[2] = keras.layers.Add(name="merge_context")([pyramid[2], context])
    for lower, upper in ((1, 2), (0, 1)):
        up = keras.layers.UpSampling2D(name=f"up_{STRIDES[upper]}")(pyramid[upper])
        pyramid[lower] = keras.layers.Add(name=f"merge_{STRIDES[lower]}")([pyramid[lower], up])
    return keras.Model(
        pixels,
        keras.layers.Concatenate(axis=1, name="cells")(
            [_head(level, stride) for stride, level in zip(STRIDES, pyramid, strict=True)]
        ),
        name="detector",
    )


def _norm(layer: keras.Layer, value: keras.KerasTensor) -> keras.KerasTensor:
    name = layer.name
    value = keras.layers.BatchNormalization(momentum=0.95, name=f"{name}_bn")(layer(value))
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(value)


def _head(value: keras.KerasTensor, stride: int) -> keras.KerasTensor:
    for number in range(2):
        value = keras.layers.DepthwiseConv2D(
            3, padding="same", use_bias=False, name=f"head_{stride}_{number}_depthwise"
        )(value)
        value = _norm(keras.layers.Conv2D(WIDTH, 1, use_bias=False, name=f"head_{stride}_{number}"), value)
    bias = np.array([-np.log(1 / PRIOR - 1), 0.5, 0.5, 0.5, 0.5], np.float32)
    out = keras.layers.Conv2D(
        5,
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(bias),
        name=f"out_{stride}",
    )(value)
    return keras.layers.Reshape((-1, 5), name=f"cells_{stride}")(out)


def load_trained(weights: Path) -> keras.Model:
    """Load a model of `build` with trained weights."""
    model = _detector(None)
    model.load_weights(weights)
    return model


def serving_model(model: keras.Model, size: int, slope: float, offset: float) -> keras.Model:
    """Build the graph that ships: uint8 RGB (1, size, size, 3) → (1, cells, 5) as in `build`, scores calibrated.

    The last layers become dense layers, which conversion leaves in float, since a step of an int8 logarithm would be
    some hundredths of a box's side.

    Args:
        model: A trained model of `build`.
        size: Side of the picture, in pixels.
        slope: Factor on the logits, of the calibration.
        offset: Offset on the logits, of the calibration.
    """
    pixels = keras.Input((size, size, 3), batch_size=1, dtype="uint8", name="pixels")
    features = keras.Model(model.input, [model.get_layer(f"out_{stride}").input for stride in STRIDES])
    outputs = []
    for stride, value in zip(STRIDES, features(keras.ops.cast(pixels, "float32")), strict=True):
        kernel, bias = model.get_layer(f"out_{stride}").get_weights()
        kernel, bias = kernel[0, 0].copy(), bias.copy()
        kernel[:, 0] *= slope
        bias[0] = bias[0] * slope + offset
        dense = keras.layers.Dense(5, name=f"dense_{stride}")
        outputs.append(dense(keras.layers.Reshape(((size // stride) ** 2, WIDTH))(value)))
        dense.set_weights([kernel, bias])
    return keras.Model(pixels, keras.layers.Concatenate(axis=1, name="cells")(outputs), name="served")
