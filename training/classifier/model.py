"""The classifier: MobileNetV2 with pixel scaling inside the graph, and a projection of its features for drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import keras
import numpy as np

from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BACKBONE: Final = "mobilenetv2"
PROJECTION: Final = 16
PROJECTION_SEED: Final = 20201


def build(weights: Path | None = None) -> keras.Model:
    """Build the model to train: RGB 0..255 (N, H, W, 3) → logits (N, 3), for any H and W.

    Args:
        weights: A `.weights.h5` of Keras' MobileNetV2 1.0 without top; None to download the ImageNet weights.
    """
    return _classifier(str(weights) if weights else "imagenet")


def load_trained(weights: Path) -> keras.Model:
    """Load a model of `build` with trained weights."""
    model = _classifier(None)
    model.load_weights(weights)
    return model


def _classifier(backbone_weights: str | None) -> keras.Model:
    pixels = keras.Input((None, None, 3), name="pixels")
    backbone = keras.applications.MobileNetV2(
        include_top=False, weights=backbone_weights, input_shape=(None, None, 3), pooling="avg", name=BACKBONE
    )
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # Keras' 0.999 lags thousands of steps behind the weights
    features = backbone(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels))
    logits = keras.layers.Dense(len(LABELS), name="logits")(
        keras.layers.Dropout(0.3, name="dropout")(features)
    )
    return keras.Model(pixels, logits, name="classifier")


@dataclass(frozen=True)
class Calibration:
    """The calibration of logits: softmax(logits / temperature + biases), with biases in the order of labels."""

    temperature: float
    biases: tuple[float, ...]


@dataclass(frozen=True)
class FaceEvidenceLayer:
    """A linear layer on the features that tells faces from what detection mistakes for them (see evidence.py)."""

    weights: NDArray[np.float64]
    bias: float


def serving_model(
    model: keras.Model, size: int, calibration: Calibration, layer: FaceEvidenceLayer | None = None
) -> keras.Model:
    """Build the graph that ships: RGB 0..255 (N, size, size, 3) → probabilities (N, 3) and projection (N, 16).

    With `layer`, a face's evidence (N, 1) is a third output.

    Args:
        model: A trained model of `build`.
        size: Side of the input, in pixels.
        calibration: The calibration, which is folded into the last layer's weights.
        layer: The layer that tells faces; None if there were no scenes to learn it with.
    """
    pixels = keras.Input((size, size, 3), name="pixels")
    features = model.get_layer(BACKBONE)(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels))
    probabilities = keras.layers.Dense(len(LABELS), activation="softmax", name="probabilities")
    projection = keras.layers.Dense(PROJECTION, use_bias=False, name="projection")
    outputs = [probabilities(features), projection(features)]
    if layer:
        face_evidence = keras.layers.Dense(1, name="face_evidence")
        outputs.append(face_evidence(features))
        face_evidence.set_weights([layer.weights.astype(np.float32)[:, np.newaxis], np.array([layer.bias])])
    served = keras.Model(pixels, outputs, name="served")
    kernel, bias = model.get_layer("logits").get_weights()
    scale = calibration.temperature
    probabilities.set_weights([kernel / scale, bias / scale + np.array(calibration.biases, np.float32)])
    projection.set_weights([projection_matrix(kernel.shape[0])])
    return served


def projection_matrix(features: int) -> NDArray[np.float32]:
    """Return the fixed Gaussian projection (features, 16), scaled to preserve lengths (Johnson & Lindenstrauss)."""
    draw = np.random.default_rng(PROJECTION_SEED).standard_normal((features, PROJECTION), np.float32)
    return draw / np.float32(np.sqrt(PROJECTION))
