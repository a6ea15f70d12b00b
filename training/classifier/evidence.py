"""Learns to tell faces from what the detector mistakes for them, from the classifier's features.

The classifier sees a face at a higher resolution than the detector, so a linear layer on its features confirms or
refuses detections in serving (`functions.inference.detect.add_evidence`), at no further cost. It learns with the
detections of the serving detector in scenes; the features stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np
from tqdm import tqdm

from functions.inference.classify import resize
from functions.inference.detect import Detections, Detector
from functions.inference.score import crop_with_margin
from training.classifier.model import FaceEvidenceLayer
from training.classifier.train import SMALL_SIZE
from training.detector.evaluate import FALSE_PER_PICTURE
from training.detector.metrics import NONE, assign, match_scenes, recall_at
from training.scenes import counted_faces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from functions.inference.release import Release
    from training.scenes import Scene

    Floats = NDArray[np.float64]

LOWEST_SCORE: Final = 0.03  # of the detections to learn with
MIN_SCENES: Final = 25  # to validate with; fewer would put the bias anywhere
RIDGE: Final = 300.0  # weight of the squared coefficients, for features of unit deviation; chosen on val
BATCH: Final = 64


@dataclass(frozen=True)
class _Examples:
    """The detections in scenes: features (N, features), and log-odds and whether each is a face, both (N,)."""

    detections: tuple[Detections, ...]
    features: Floats
    log_odds: Floats
    is_face: NDArray[np.bool_]


def learn_evidence(
    model: keras.Model, size: int, scenes: Sequence[Scene], serving: Release
) -> FaceEvidenceLayer | None:
    """Fit the layer on the training scenes, and its bias on the validation scenes; None if there are too few.

    The bias is such that the detector's threshold, applied to confirmed detections, admits 0.1 false ones a scene.

    Args:
        model: A trained classifier of `training.classifier.model.build`.
        size: Its input's side in serving, in pixels.
        scenes: Scenes of the splits train and val.
        serving: The release with the detector.
    """
    detector = Detector(serving.detector, serving.min_score, 2, LOWEST_SCORE)
    backbone = keras.Model(model.input, model.get_layer("dropout").input)
    train_scenes, val_scenes = (
        [scene for scene in scenes if scene.split == split] for split in ("train", "val")
    )
    if not train_scenes or len(val_scenes) < MIN_SCENES:
        return None
    train, val = (_detect(some, detector, backbone, size) for some in (train_scenes, val_scenes))
    if not train.is_face.any() or train.is_face.all() or not val.is_face.any():
        return None
    layer = fit_evidence(train.features, train.log_odds, train.is_face)
    scores = _sigmoid(val.log_odds + val.features @ layer.weights + layer.bias)
    threshold = _threshold(val.detections, scores, val_scenes)
    shift = _logits(np.array([serving.min_score, threshold])) @ [1, -1]
    return FaceEvidenceLayer(layer.weights, layer.bias + float(shift))


def fit_evidence(features: Floats, log_odds: Floats, is_face: NDArray[np.bool_]) -> FaceEvidenceLayer:
    """Fit a ridge logistic regression, with the detector's log-odds as its offset, with Newton's method.

    Args:
        features: Features of the detections, (N, features).
        log_odds: Log-odds of the detections by the detector, (N,).
        is_face: Whether each is a face, (N,).
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-3
    design = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
    penalty = np.append(np.full(features.shape[1], RIDGE), 1e-6)
    coefficients = np.zeros(design.shape[1])
    for _ in range(100):
        chance = _sigmoid(log_odds + design @ coefficients)
        slope = design.T @ (is_face - chance) - penalty * coefficients
        curvature = (design * (chance * (1 - chance))[:, np.newaxis]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        coefficients += step / max(float(np.linalg.norm(step)), 1.0)  # Newton overshoots when far off
        if np.abs(step).max() < 1e-6:
            break
    weights = coefficients[:-1] / deviation
    return FaceEvidenceLayer(weights, float(coefficients[-1] - weights @ mean))


def _detect(scenes: Sequence[Scene], detector: Detector, backbone: keras.Model, size: int) -> _Examples:
    """Detect faces in scenes, without those to be ignored, and compute the features of their crops."""
    kept_detections, log_odds, is_face, crops = [], [np.zeros(0)], [np.zeros(0, bool)], []
    for scene in tqdm(scenes, desc="finding faces", unit="scene"):
        must_find = counted_faces(scene)
        detections = detector.detect(scene.pixels)
        faces = assign(detections, scene.boxes, must_find)
        counts = (faces == NONE) | np.append(must_find, False)[faces]
        kept = Detections(detections.boxes[counts], detections.scores[counts])
        kept_detections.append(kept)
        log_odds.append(_logits(kept.scores))
        is_face.append(faces[counts] != NONE)
        crops += [crop_with_margin(scene.pixels, box) for box in kept.boxes]
    features = np.zeros((len(crops), backbone.output.shape[-1]))
    small = np.array([max(crop.shape[:2]) <= SMALL_SIZE < size for crop in crops], bool)
    for side, members in ((SMALL_SIZE, np.flatnonzero(small)), (size, np.flatnonzero(~small))):
        for start in range(0, len(members), BATCH):
            chosen = members[start : start + BATCH]
            features[chosen] = backbone.predict_on_batch(np.stack([resize(crops[i], side) for i in chosen]))
    return _Examples(tuple(kept_detections), features, np.concatenate(log_odds), np.concatenate(is_face))


def _threshold(detections: Sequence[Detections], scores: Floats, scenes: Sequence[Scene]) -> float:
    """Return the threshold of confirmed scores, (N,) in the order of the detections, for 0.1 false ones a scene."""
    ends = np.cumsum([len(faces.scores) for faces in detections])[:-1]
    confirmed = [
        Detections(faces.boxes, part.astype(np.float32))
        for faces, part in zip(detections, np.split(scores, ends), strict=True)
    ]
    return recall_at(match_scenes(confirmed, scenes), FALSE_PER_PICTURE)[1]


def _sigmoid(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-log_odds.clip(-40, 40))))


def _logits(shares: NDArray[Any]) -> Floats:
    limited = np.clip(shares.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(limited / (1 - limited)))
