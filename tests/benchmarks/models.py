"""Write the contenders' inputs, made from the shipped Keras weights: `python -m tests.benchmarks.models FOLDER`."""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from functions.shared.release_files import IMAGE_RELEASE, MANIFEST
from tests.benchmarks import batch
from tests.make_events import api_event
from tests.pictures import draw_face, encode
from tests.releases import copy_release
from tests.system import ROOT
from training.classifier.convert import convert
from training.classifier.model import Calibration, load_trained, serving_model

WEIGHTS = ROOT / "training" / "weights" / "classifier.weights.h5"


SCENES = {"640x480": (640, 480), "1920x1080": (1920, 1080)}
FACES = {
    1: (2, 3),
    5: (2, 3),
    30: (5, 8),
}  # number of faces to judge: rows and columns of at least as many drawn faces


def scene(width: int, height: int, rows: int, columns: int, rng: np.random.Generator) -> bytes:
    """Draw a picture of faces in rows and columns."""
    image = Image.new("RGB", (width, height), (96, 110, 118))
    side = int(0.8 * min(width // columns, height // rows))
    for row in range(rows):
        for column in range(columns):
            place = ((2 * column + 1) * width // columns - side, (2 * row + 1) * height // rows - side)
            image.paste(draw_face(side, side), (place[0] // 2, place[1] // 2))
    grain = rng.normal(0, 4, (height, width, 3))
    return encode(Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8)), quality=85)


def release_without_threshold(folder: Path) -> None:
    """Copy the shipped release with a detection threshold near zero, so that drawn faces are found."""
    detector = json.loads((IMAGE_RELEASE / MANIFEST).read_text())["detector"]
    copy_release(folder, detector=detector | {"min_score": 0.001})


def write_scenes(folder: Path, rng: np.random.Generator) -> None:
    """Write events, one per scene, and the release that finds in each as many faces as its name says."""
    release_without_threshold(folder / "release")
    for name, size in SCENES.items():
        for count, grid in FACES.items():
            query = {"max_faces": str(count)}
            body = scene(*size, *grid, rng)
            event = api_event("POST", "/predict", content_type="image/jpeg", body=body, query=query)
            (folder / f"scene-{name}-{count}.json").write_text(json.dumps(event))


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    write_scenes(folder, rng)
    picture = batch.picture(640, 480, number=0)
    (folder / "picture.jpg").write_bytes(picture)
    event = api_event("POST", "/predict", content_type="image/jpeg", body=picture)
    (folder / "event.json").write_text(json.dumps(event))
    served = serving_model(load_trained(WEIGHTS), 224, Calibration(1.0, (0.0, 0.0, 0.0)))
    served.save(folder / "served.keras")
    noise = rng.integers(0, 256, (20, 224, 224, 3), dtype=np.uint8)  # quantization ranges do not affect speed
    for name, file in convert(served, 224, list(noise)).items():
        (folder / f"{name}.tflite").write_bytes(file)
    served(noise[:1].astype(np.float32))
    served.export(folder / "float32.onnx", format="onnx", verbose=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
