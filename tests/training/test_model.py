"""The network, its freezing, and the served graph."""

from pathlib import Path

import keras
import numpy as np
import pytest

from training.classifier.model import (
    BACKBONE,
    Calibration,
    build,
    load_trained,
    projection_matrix,
    serving_model,
)
from training.detector import model as detector
from training.run import freeze_until


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random starting weights in Keras' format."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
    keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(None, None, 3)).save_weights(
        path
    )
    return path


@pytest.fixture(scope="module")
def model(backbone: Path) -> keras.Model:
    return build(backbone)


def trainable(model: keras.Model) -> set[str]:
    return {layer.name for layer in model.get_layer(BACKBONE).layers if layer.trainable and layer.weights}


def test_any_size_gives_three_logits(model: keras.Model) -> None:
    for size in (96, 128):
        assert model(np.zeros((2, size, size, 3), np.float32)).shape == (2, 3)


def test_the_backbone_starts_with_the_given_weights(model: keras.Model, backbone: Path) -> None:
    plain = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(None, None, 3))
    plain.load_weights(backbone)
    for own, given in zip(model.get_layer(BACKBONE).get_weights(), plain.get_weights(), strict=True):
        assert np.array_equal(own, given)


def test_logits_are_those_of_the_backbone_s_features(model: keras.Model) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 96, 96, 3)).astype(np.float32)
    features = model.get_layer(BACKBONE)(pixels / 127.5 - 1)
    kernel, bias = model.get_layer("logits").get_weights()
    assert np.allclose(model(pixels), features @ kernel + bias, atol=1e-4)


def test_the_model_includes_scaling(model: keras.Model) -> None:
    scaling = next(layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling))
    assert np.allclose(scaling(np.array([0.0, 127.5, 255.0])), [-1, 0, 1])


def test_batch_statistics_follow_quickly(model: keras.Model) -> None:
    layers = model.get_layer(BACKBONE).layers
    momenta = {layer.momentum for layer in layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert max(momenta) <= 0.9


def test_freezing_all_trains_only_the_head(model: keras.Model) -> None:
    freeze_until(model.get_layer(BACKBONE), None)
    assert [w.path.split("/")[0] for w in model.trainable_weights] == ["logits", "logits"]


def test_freezing_up_to_a_block_trains_the_later_ones(model: keras.Model) -> None:
    freeze_until(model.get_layer(BACKBONE), 3)
    free = trainable(model)
    assert {"block_4_expand", "block_16_project_BN", "Conv_1"} <= free
    assert not {"Conv1", "bn_Conv1", "block_1_expand", "block_3_project_BN"} & free


def test_freezing_up_to_block_0_trains_everything(model: keras.Model) -> None:
    freeze_until(model.get_layer(BACKBONE), 3)
    freeze_until(model.get_layer(BACKBONE), 0)
    assert {"Conv1", "block_1_expand", "Conv_1"} <= trainable(model)


def test_the_served_probabilities_are_the_calibrated_softmax(model: keras.Model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3)).astype(np.float32)
    probabilities, projection = serving_model(model, 96, Calibration(2.5, (0.0, 0.5, -1.0)))(pixels)
    assert np.allclose(probabilities, keras.ops.softmax(model(pixels) / 2.5 + [0.0, 0.5, -1.0]), atol=1e-5)
    assert projection.shape == (3, 16)


def test_the_projection_is_that_of_the_features(model: keras.Model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.float32)
    features = np.asarray(model.get_layer(BACKBONE)(pixels / 127.5 - 1))
    projection = serving_model(model, 96, Calibration(1.0, (0.0, 0.0, 0.0)))(pixels)[1]
    assert np.allclose(projection, features @ projection_matrix(1280), atol=1e-4)


def test_the_projection_never_changes() -> None:
    """Drift compares projections of different releases, so the first values are fixed here."""
    matrix = projection_matrix(1280)
    assert matrix.shape == (1280, 16)
    assert matrix.dtype == np.float32
    assert np.linalg.norm(matrix, axis=1).mean() == pytest.approx(1, abs=0.02)
    assert matrix[0, :3] == pytest.approx([0.3335101, -0.1725158, -0.068672], abs=1e-6)


def test_weights_survive_saving_and_loading(model: keras.Model, tmp_path: Path) -> None:
    model.save_weights(tmp_path / "x.weights.h5")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3)).astype(np.float32)
    assert np.allclose(load_trained(tmp_path / "x.weights.h5")(pixels), model(pixels), atol=1e-6)


def test_the_detector_s_backbone_starts_with_the_given_weights(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    plain = keras.applications.MobileNetV2(
        alpha=0.35, include_top=False, weights=None, input_shape=(None, None, 3)
    )
    arrays = {f"{layer.name}|{v.name}": v.numpy() for layer in plain.layers for v in layer.weights}
    np.savez(tmp_path / "backbone.npz", **arrays)
    model = detector.build(tmp_path / "backbone.npz")
    for name in ("Conv1|kernel", "block_16_project_BN|moving_variance"):
        layer, variable = name.split("|")
        (found,) = (v for v in model.get_layer(layer).weights if v.name == variable)
        assert np.array_equal(found.numpy(), arrays[name])
    assert model(np.zeros((1, 96, 96, 3), np.float32)).shape == (1, 12**2 + 6**2 + 3**2, 5)
