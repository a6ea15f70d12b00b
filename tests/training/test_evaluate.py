"""Evaluation of the converted file."""

import csv
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from functions.inference.classify import Classifier
from functions.shared.contract import LABELS
from training.answers import probabilities
from training.candidate import shipped
from training.classifier.evaluate import CORRUPTIONS, TURNS, mistakes_sheet, slices
from training.dataset import Dataset, Example, Sample
from training.files import METRICS, MISTAKES, PREDICTIONS
from training.metrics import figures

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (224, 224, 3), dtype=np.uint8)
GREY = np.full((224, 224, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def metrics(evaluated: Path) -> dict:
    return json.loads((evaluated / METRICS).read_text())


@pytest.fixture(scope="module")
def rows(evaluated: Path) -> list[dict[str, str]]:
    with (evaluated / PREDICTIONS).open(newline="") as lines:
        return list(csv.DictReader(lines))


def sample(height: int, width: int, level: int = 128, face: tuple[float, ...] | None = None) -> Sample:
    example = Example(Path("x.jpg"), "test", "mask", "gate")
    return Sample(example, "", np.full((height, width, 3), level, np.uint8), face)


def test_the_converted_file_is_evaluated(evaluated: Path, metrics: dict) -> None:
    name = json.loads((evaluated / "conversion.json").read_text())["shipped"]
    file = (evaluated / f"{name}.tflite").read_bytes()
    assert metrics["model"]["sha256"] == hashlib.sha256(file).hexdigest()


def test_probabilities_equal_those_of_serving(
    evaluated: Path, dataset: Dataset, rows: list[dict[str, str]]
) -> None:
    classifier = Classifier(shipped(evaluated), threads=1)
    for row, judged in zip(rows, dataset.split("test"), strict=True):
        assert (row["label"], row["source"]) == (judged.example.label, judged.example.source)
        served = classifier.classify(judged.pixels).probabilities
        assert [float(row[f"p_{label}"]) for label in LABELS] == pytest.approx(served, abs=2e-6)


def test_the_order_is_kept_with_any_number_of_workers(
    evaluated: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [s.pixels for s in dataset.split("test")]
    release = shipped(evaluated)
    result = []
    for workers in (1, 4):
        monkeypatch.setattr("os.cpu_count", lambda workers=workers: workers)
        result.append(probabilities(release, pictures, CORRUPTIONS["noise"]["±25"]))
    assert np.array_equal(*result)


def test_overall_figures_follow_from_the_predictions(metrics: dict, rows: list[dict[str, str]]) -> None:
    actual = np.array([LABELS.index(row["label"]) for row in rows])
    result = np.array([[float(row[f"p_{label}"]) for label in LABELS] for row in rows])
    overall = metrics["overall"]
    expected = figures(actual, result)
    assert overall["confusion"] == expected.pop("confusion")
    assert {key: overall[key] for key in expected} == pytest.approx(expected, abs=1e-5)
    assert overall["n"] == 18
    assert {c["n"] for c in overall["classes"].values()} == {6}
    for key, (low, high) in overall["intervals_95"].items():
        assert low <= high, key
        assert 0 <= low <= 1
    assert "calibration_error" not in overall["intervals_95"]
    assert 0 < overall["calibration_error_by_chance"] < 0.5


def test_sources_and_slices_cover_every_picture(metrics: dict) -> None:
    assert sum(m["n"] for m in metrics["sources"].values()) == 18
    for group in ("longest side", "aspect ratio", "brightness", "sharpness"):
        assert sum(m["n"] for m in metrics["slices"][group].values()) == 18
    assert {m["n"] for m in metrics["slices"]["turned"].values()} == {18}


def test_the_served_path_has_figures_overall_by_source_and_by_slice(metrics: dict) -> None:
    served = metrics["served"]
    assert served["overall"]["n"] == 18
    assert 0 <= served["overall"]["face_found"] <= 1
    called = np.array(served["overall"]["confusion"]).sum(axis=0)
    assert [served["overall"]["precision_at"][label][0]["n"] for label in LABELS] == called.tolist()
    assert {name: m["n"] for name, m in served["sources"].items()} == {
        name: m["n"] for name, m in metrics["sources"].items()
    }
    assert sum(m["n"] for m in served["slices"]["longest side"].values()) == 18


def test_margins_are_evaluated_on_the_faces_of_scenes(metrics: dict) -> None:
    assert [m["n"] for m in metrics["slices"]["margin around the face"].values()] == [3] * 5


def test_every_corruption_has_its_levels(metrics: dict) -> None:
    assert {kind: list(levels) for kind, levels in metrics["corruptions"].items()} == {
        kind: list(levels) for kind, levels in CORRUPTIONS.items()
    }


def test_slices_by_size_shape_and_light() -> None:
    chosen = slices([sample(40, 40), sample(200, 60, 20), sample(60, 100, 240)])
    assert chosen["longest side"]["under 48 px"].tolist() == [True, False, False]
    assert chosen["longest side"]["160 px and more"].tolist() == [False, True, False]
    assert chosen["aspect ratio"]["tall (under 0.8)"].tolist() == [False, True, False]
    assert chosen["aspect ratio"]["wide (over 1.25)"].tolist() == [False, False, True]
    assert chosen["brightness"]["dark (under 0.3)"].tolist() == [False, True, False]
    assert chosen["brightness"]["bright (over 0.65)"].tolist() == [False, False, True]
    assert chosen["sharpness"]["blurred (under 0.01)"].all()


@pytest.mark.parametrize(
    ("margin", "shape"), [(0.0, (20, 10)), (0.5, (40, 20)), (-0.1, (16, 8)), (9.0, (100, 80))]
)
def test_a_face_has_its_margin_up_to_the_edge(margin: float, shape: tuple[int, int]) -> None:
    assert sample(100, 80, face=(30.0, 40.0, 40.0, 60.0)).crop(margin).shape[:2] == shape


def test_corruptions_get_stronger_with_each_level() -> None:
    for kind, levels in CORRUPTIONS.items():
        changed = [
            change(PIXELS if kind != "noise" else GREY, np.random.default_rng(0))
            for change in levels.values()
        ]
        start = PIXELS if kind != "noise" else GREY
        distances = []
        for picture in changed:
            assert picture.dtype == np.uint8
            square = np.asarray(Image.fromarray(picture).resize((224, 224), Image.Resampling.BILINEAR), float)
            distances.append(np.abs(square - start).mean())
        assert distances == sorted(distances), kind
        assert distances[0] > 0


def test_rotations_are_multiples_of_90_degrees() -> None:
    left, right, over = (
        TURNS[name](PIXELS[:, :100], RNG) for name in ("quarter left", "quarter right", "upside down")
    )
    assert left.shape == right.shape == (100, 224, 3)
    assert np.array_equal(left[-1, 0], PIXELS[0, 0])
    assert np.array_equal(right[0, -1], PIXELS[0, 0])
    assert np.array_equal(over[-1, -1], PIXELS[0, 0])


def test_the_sheet_shows_the_most_confident_mistakes_first() -> None:
    samples = [sample(50, 40, level) for level in (10, 90, 170, 250)]
    result = np.array([[0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [0.02, 0.96, 0.02], [0.3, 0.5, 0.2]])
    sheet = np.asarray(mistakes_sheet(samples, result))
    middles = [int(sheet[75, 75 + 150 * place, 0]) for place in range(4)]
    assert middles == [170, 10, 250, 255]


def test_the_sheet_of_a_run_is_a_picture(evaluated: Path) -> None:
    with Image.open(io.BytesIO((evaluated / MISTAKES).read_bytes())) as sheet:
        assert sheet.size == (1200, 720)
