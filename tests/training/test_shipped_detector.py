"""Minimum figures of the shipped detector on real scenes, through the serving code."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from functions.inference import predict
from functions.inference.decode import decode
from functions.inference.detect import iou
from functions.inference.prediction import Prediction, PredictOptions
from functions.inference.score import score
from tests.make_events import api_event
from tests.pictures import encode
from training.detector import evaluate as detector_evaluate
from training.detector.evaluate import detect_in_scenes, evaluate
from training.scenes import Scene, load_scenes

SAME = 0.5  # overlap from which on two boxes are about the same face


@pytest.fixture(scope="module")
def scenes(data: Path) -> list[Scene]:
    return load_scenes(data, ("test",))


@pytest.fixture(scope="module")
def metrics(scenes: list[Scene]) -> dict:
    """Its figures; no test reads their intervals."""
    release = predict.release
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector_evaluate, "DRAWS", 10)
        patch.setattr(detector_evaluate, "FACE_FREE", 60)
        return evaluate(detect_in_scenes(release, scenes), scenes, release)


def test_the_manifest_has_the_same_figures(metrics: dict) -> None:
    promised = predict.release.manifest["detector"]["metrics"]
    for name in ("recall", "false_per_picture", "ap50", "recall_at_0.1_false"):
        assert promised[name] == pytest.approx(metrics["overall"][name], abs=0.01), name
    for label, result in metrics["labels"].items():
        assert promised["labels"][label]["ap50"] == pytest.approx(result["ap50"], abs=0.01)


def test_few_faces_are_found_in_pictures_without_faces(metrics: dict) -> None:
    assert metrics["face_free"]["patterns"]["false_per_picture"] <= 0.05
    assert metrics["face_free"]["backgrounds"]["false_per_picture"] <= 0.4


def test_faces_are_found_with_few_false_ones(metrics: dict) -> None:
    assert metrics["overall"]["recall"] >= 0.9
    assert metrics["overall"]["recall_at_0.1_false_by_half"] >= 0.9
    assert metrics["overall"]["false_per_picture"] <= 0.1
    assert metrics["labels"]["mask"]["ap50"] >= 0.93
    assert metrics["labels"]["no_mask"]["ap50"] >= 0.9


def test_a_face_that_is_found_gets_its_label(metrics: dict) -> None:
    assert metrics["end_to_end"]["accuracy"] >= 0.93
    assert metrics["end_to_end"]["mask_or_not_accuracy"] >= 0.95


def answered(image: Image.Image, **options: object) -> Prediction:
    return score(decode(encode(image, quality=95, **options)), predict.models, PredictOptions())


def boxes(prediction: Prediction) -> np.ndarray:
    """Return left, top, right, bottom of the faces, (faces, 4)."""
    result = [
        (f.box.left, f.box.top, f.box.left + f.box.width, f.box.top + f.box.height) for f in prediction.faces
    ]
    return np.array(result, np.float32).reshape(-1, 4)


def agreement(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """Return how many boxes of both have a counterpart in the other, and the number of all boxes."""
    if not len(first) or not len(second):
        return 0, len(first) + len(second)
    same = iou(first, second) >= SAME
    return int(same.any(axis=0).sum() + same.any(axis=1).sum()), len(first) + len(second)


@pytest.fixture(scope="module")
def unchanged(scenes: list[Scene]) -> list[tuple[Image.Image, Prediction]]:
    """Every eighth scene, and the answer to it."""
    images = [Image.fromarray(scene.pixels) for scene in scenes[::8]]
    return [(image, answered(image)) for image in images]


def mirrored(image: Image.Image) -> tuple[Prediction, np.ndarray]:
    result = answered(ImageOps.mirror(image))
    found = boxes(result)
    found[:, [0, 2]] = image.width - found[:, [2, 0]]
    return result, found


def turned_back_by_exif(image: Image.Image) -> tuple[Prediction, np.ndarray]:
    exif = Image.Exif()
    exif[0x0112] = 6
    result = answered(image.transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert (result.width, result.height) == image.size
    return result, boxes(result)


def doubled(image: Image.Image) -> tuple[Prediction, np.ndarray]:
    result = answered(image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC))
    return result, boxes(result) / 2


@pytest.mark.parametrize(
    ("change", "min_share"), [(mirrored, 0.85), (turned_back_by_exif, 0.97), (doubled, 0.85)]
)
def test_a_transformed_scene_has_the_same_faces(
    unchanged: list[tuple[Image.Image, Prediction]], change: object, min_share: float
) -> None:
    """At least this share of all boxes has a counterpart with half an overlap, with the same label."""
    agreed = there = same_label = pictures = 0
    for image, before in unchanged:
        after, found = change(image)
        counts = agreement(boxes(before), found)
        agreed, there = agreed + counts[0], there + counts[1]
        if before.faces and after.faces:
            same_label += before.classification.label == after.classification.label
            pictures += 1
    assert there > 200
    assert agreed / there >= min_share
    assert same_label / pictures >= 0.9


def test_the_answer_to_a_scene_has_every_face_and_a_summary(scenes: list[Scene]) -> None:
    crowd = max(scenes, key=lambda scene: (scene.boxes[:, 3] - scene.boxes[:, 1] > 30).sum())
    event = api_event("POST", "/predict", content_type="image/jpeg", body=crowd.path.read_bytes())
    result = json.loads(predict.handler(event, None)["body"])
    assert result["classified"] == "face"
    assert result["summary"]["faces"] == len(result["faces"]) >= 5
    areas = [face["box"]["width"] * face["box"]["height"] for face in result["faces"]]
    for larger, smaller in pairwise(areas):
        assert smaller <= 1.05 * larger  # whole pixels are told, of boxes that were ordered before
    assert result["label"] == result["faces"][0]["label"]
    for face in result["faces"]:
        box = face["box"]
        assert 0 <= box["left"] < box["left"] + box["width"] <= result["image"]["width"]
        assert 0 <= box["top"] < box["top"] + box["height"] <= result["image"]["height"]
