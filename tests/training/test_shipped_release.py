"""The shipped release and the weights beside it belong together."""

import hashlib
from pathlib import Path

from functions.inference.fetch import BAKED
from functions.inference.release import load_release

WEIGHTS = Path(__file__).parents[2] / "training" / "weights" / "classifier.weights.h5"


def test_the_weights_to_fine_tune_are_those_that_ship() -> None:
    promised = load_release(BAKED).manifest["trained_weights"]
    assert promised["file"] == WEIGHTS.name
    assert promised["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
