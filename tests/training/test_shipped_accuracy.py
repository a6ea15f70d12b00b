"""What the shipped release must show on real pictures, through the handler, as API Gateway calls it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from functions.inference import predict
from functions.shared.contract import LABELS
from tests.make_events import api_event
from training.metrics import figures


@pytest.fixture(scope="module")
def answers(data: Path) -> list[tuple[dict[str, str], int, dict]]:
    """Row of the table, status and body of every test picture."""
    with (data / "crops.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "test"]
    told = []
    for row in rows:
        event = api_event(
            "POST",
            "/predict",
            content_type="image/jpeg",
            body=(data / row["file"]).read_bytes(),
            query={"detect": "false"},  # they are cut-out faces
        )
        answer = predict.handler(event, None)
        told.append((row, answer["statusCode"], json.loads(answer["body"])))
    return told


@pytest.fixture(scope="module")
def judged(answers: list[tuple[dict[str, str], int, dict]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, class numbers and probabilities (N, 3) of what was answered."""
    scored = [(row, body) for row, status, body in answers if status == 200]
    told = np.array([[body["probabilities"][label] for label in LABELS] for _, body in scored])
    truth = np.array([LABELS.index(row["label"]) for row, _ in scored])
    return np.array([row["source"] for row, _ in scored]), truth, told


def test_only_what_is_too_small_is_refused(answers: list[tuple[dict[str, str], int, dict]]) -> None:
    refused = [(row, body) for row, status, body in answers if status != 200]
    assert {body["type"] for _, body in refused} <= {"urn:maskwatch:problem:too-small"}
    assert all(min(int(row["width"]), int(row["height"])) < 32 for row, _ in refused)


def test_mask_or_not(judged: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, truth, told = judged
    assert figures(truth, told)["mask_or_not_accuracy"] >= 0.975


def test_all_three_classes(judged: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, truth, told = judged
    assert figures(truth, told)["macro_f1"] >= 0.90


def test_calibration(judged: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, truth, told = judged
    assert figures(truth, told)["calibration_error"] <= 0.03


def test_no_large_source_is_left_behind(judged: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    sources, truth, told = judged
    by_source = {name: figures(truth[sources == name], told[sources == name]) for name in np.unique(sources)}
    shares = {name: f["mask_or_not_accuracy"] for name, f in by_source.items() if f["n"] > 100}
    assert len(shares) > 5
    assert {name: share for name, share in shares.items() if share < 0.92} == {}


def test_the_manifest_tells_these_very_figures(judged: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, truth, told = judged
    promised = predict.release.manifest["metrics"]
    for key, value in figures(truth, told).items():
        if key != "confusion":
            assert promised[key] == pytest.approx(value, abs=0.005), key
