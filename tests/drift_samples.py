"""Random samples of predictions."""

from collections.abc import Mapping

import numpy as np

from functions.drift.features import CONFIDENCE, FEATURES, Sample
from functions.shared.contract import LABELS

MIX = {"mask": 0.6, "no_mask": 0.36, "incorrect": 0.04}
CONFIDENCE_ALPHA = {"mask": 40.0, "no_mask": 20.0, "incorrect": 6.0}


def sample(
    count: int,
    *,
    seed: int = 0,
    labels: Mapping[str, float] = MIX,
    shift: Mapping[str, float] | None = None,
    unsure: float = 0.0,
    predictions: int | None = None,
) -> Sample:
    """Draw predictions.

    Args:
        count: Number of predictions.
        seed: Seed of the random numbers.
        labels: Share of each label.
        shift: Shift of each feature, in standard deviations.
        unsure: How much every confidence is reduced.
        predictions: Value of `Sample.predictions` (default: `count`).
    """
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, len(FEATURES)))
    drawn = rng.choice(list(labels), count, p=list(labels.values()))
    confidences = [rng.beta(CONFIDENCE_ALPHA[label], 1) for label in drawn]
    values[:, FEATURES.index(CONFIDENCE)] = np.clip(np.array(confidences) - unsure, 0.34, 1)
    values[:, FEATURES.index("faces")] = rng.poisson(1, count)
    for feature, by in (shift or {}).items():
        values[:, FEATURES.index(feature)] += by
    indexes = np.array([LABELS.index(label) for label in drawn], np.int8)
    return Sample(values.astype(np.float32), indexes, predictions or count, float(count))


def days(
    count: int, source: str = "gate-1", *, size: int = 200, seed: int = 1_000, **options
) -> list[dict[str, Sample]]:
    """Draw a sample of one source for each of `count` days; see `sample`."""
    return [{source: sample(size, seed=seed + day, **options)} for day in range(count)]
