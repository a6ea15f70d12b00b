"""The shipped release was converted from the stored weights."""

import hashlib

from functions.inference.release import load_release
from functions.shared.release_files import IMAGE_RELEASE
from tests.system import ROOT

WEIGHTS = ROOT / "training" / "weights"


def test_the_stored_weights_are_those_of_the_shipped_release() -> None:
    manifest = load_release(IMAGE_RELEASE).manifest
    for promised in (manifest["trained_weights"], manifest["detector"]["trained_weights"]):
        file = WEIGHTS / promised["file"]
        assert promised["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
