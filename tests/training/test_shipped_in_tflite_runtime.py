"""The shipped release in `tflite-runtime` 2.14, LiteRT's predecessor, which needs Python 3.11 and numpy 1."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from functions.inference.release import load_release
from functions.shared.release_files import IMAGE_RELEASE
from tests.system import ROOT

PYTHON = Path(os.environ.get("MASKWATCH_TFLITE_PYTHON", ROOT / ".venv-tflite" / "bin" / "python"))

# The same lines in both environments, so that only the runtime differs; the pictures are drawn from a seed.
ANSWER = """
import importlib.metadata, json
import numpy as np
from PIL import Image
from functions.inference import classify, interpreter
from functions.shared.release_files import IMAGE_RELEASE
from functions.inference.release import load_release

classifier = classify.Classifier(load_release(IMAGE_RELEASE).classifier, threads=1)
rng = np.random.RandomState(0)
grids = [rng.randint(0, 256, (6, 6, 3)).astype(np.uint8) for _ in range(24)]
pictures = [np.asarray(Image.fromarray(grid).resize((150, 180), Image.Resampling.BICUBIC)) for grid in grids]
results = [classifier.classify(pixels) for pixels in pictures]
module = interpreter.Interpreter.__module__.partition(".")[0]
print(json.dumps({
    "runtime": module, "version": importlib.metadata.version(module),
    "probabilities": [c.probabilities for c in results], "projections": [c.projection.tolist() for c in results],
}))
"""


def answer(python: Path) -> dict:
    result = subprocess.run([python, "-c", ANSWER], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def both() -> tuple[dict, dict]:
    if not PYTHON.exists():
        pytest.skip(f"needs tflite-runtime: `make {PYTHON.parents[1].name}/stamp`, which needs python3.11")
    return answer(PYTHON), answer(Path(sys.executable))


def test_each_process_uses_its_runtime(both: tuple[dict, dict]) -> None:
    old, new = both
    assert (old["runtime"], old["version"]) == ("tflite_runtime", "2.14.0")
    assert new["runtime"] == "ai_edge_litert"


def test_the_release_agrees(both: tuple[dict, dict]) -> None:
    """int8 kernels round differently, which shows where two labels are about equally likely; float ones do not."""
    quantized = load_release(IMAGE_RELEASE).manifest["classifier"]["quantization"] == "int8"
    old, new = (np.array(result["probabilities"]) for result in both)
    assert np.abs(old - new).max() <= (0.12 if quantized else 1e-4)
    assert np.abs(old - new).mean() <= (0.02 if quantized else 1e-5)
    sure = np.minimum(old.max(axis=1), new.max(axis=1)) > (0.6 if quantized else 0.5)
    assert np.array_equal(old[sure].argmax(axis=1), new[sure].argmax(axis=1))


def test_the_projection_agrees(both: tuple[dict, dict]) -> None:
    old, new = (np.array(result["projections"]) for result in both)
    distance = np.linalg.norm(old - new, axis=1) / np.linalg.norm(new, axis=1)
    assert distance.max() <= 0.2
