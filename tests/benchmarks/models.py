"""What the contenders need, made from the shipped Keras weights: `python -m tests.benchmarks.models FOLDER`."""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.make_events import api_event
from tests.pictures import draw_face, encode
from training.convert import convert
from training.model import Calibration, load_trained, serving_model

WEIGHTS = Path(__file__).parents[2] / "training" / "weights" / "classifier.weights.h5"


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    drawn = np.asarray(draw_face(640, 480)) + rng.normal(0, 6, (480, 640, 3))  # grain, as cameras make it
    picture = encode(Image.fromarray(drawn.clip(0, 255).astype(np.uint8)), quality=85)
    (folder / "picture.jpg").write_bytes(picture)
    event = api_event("POST", "/predict", content_type="image/jpeg", body=picture)
    (folder / "event.json").write_text(json.dumps(event))
    served = serving_model(load_trained(WEIGHTS), 224, Calibration(1.0, (0.0, 0.0, 0.0)))
    served.save(folder / "served.keras")
    noise = rng.integers(0, 256, (20, 224, 224, 3), dtype=np.uint8)  # ranges do not matter to speed
    for name, file in convert(served, 224, list(noise)).items():
        (folder / f"{name}.tflite").write_bytes(file)
    served(noise[:1].astype(np.float32))
    served.export(folder / "float32.onnx", format="onnx", verbose=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
