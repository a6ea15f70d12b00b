"""Minimum accuracy of the shipped release on real portraits, through the handler with its defaults."""

import json
from pathlib import Path

import numpy as np
import pytest

from functions.inference import predict
from functions.shared.contract import LABELS
from tests.make_events import api_event
from tests.system import ROOT
from training.answers import Answers
from training.dataset import Example, Sample, list_examples
from training.served import portrait_figures

HANDS = ("aizoo_mafa", "aizoo_wider", "aizoo_wider_val")  # bare faces behind hands, cups and tissues
REPORT = ROOT / "docs" / "model" / "report.json"

Answer = tuple[Example, int, dict]  # a test picture, the status and the body


@pytest.fixture(scope="module")
def answers(data: Path) -> list[Answer]:
    result = []
    for example in list_examples(data):
        if example.split == "test" and not example.in_scene:
            body = example.path.read_bytes()
            answer = predict.handler(
                api_event("POST", "/predict", content_type="image/jpeg", body=body), None
            )
            result.append((example, answer["statusCode"], json.loads(answer["body"])))
    return result


@pytest.fixture(scope="module")
def figures(answers: list[Answer]) -> dict:
    scored = [(example, body) for example, status, body in answers if status == 200]
    none = np.zeros((0, 0, 3), np.uint8)
    return portrait_figures(
        [Sample(example, "", none, None) for example, _ in scored],
        Answers(
            np.array([body["classified"] == "face" for _, body in scored]),
            np.array([[body["probabilities"][label] for label in LABELS] for _, body in scored]),
        ),
        HANDS,
    )


def test_only_too_small_pictures_are_refused(answers: list[Answer]) -> None:
    refused = [(example, body) for example, status, body in answers if status != 200]
    assert {body["type"] for _, body in refused} <= {"urn:maskwatch:problem:too-small"}


def test_a_face_is_found_in_portraits(figures: dict) -> None:
    assert figures["face_found"] >= 0.97


def test_mask_or_not(figures: dict) -> None:
    assert figures["mask_or_not_accuracy"] >= 0.975


def test_all_three_classes(figures: dict) -> None:
    assert figures["macro_f1"] >= 0.925


def test_wrongly_worn_masks_are_recognised(figures: dict) -> None:
    assert figures["recall"]["incorrect"] >= 0.8
    assert figures["precision"]["incorrect"] >= 0.82


def test_hands_cups_and_tissues_are_no_masks(figures: dict) -> None:
    assert figures["hands"]["called_mask"] <= 0.18 * figures["hands"]["n"]


def test_calibration(figures: dict) -> None:
    assert figures["calibration_error"] <= 0.02


def test_every_large_source_has_a_minimum_accuracy(figures: dict) -> None:
    shares = {n: f["mask_or_not_accuracy"] for n, f in figures["sources"].items() if f["n"] > 100}
    assert len(shares) > 5
    assert {name: share for name, share in shares.items() if share < 0.9} == {}


def test_the_report_has_the_same_figures(figures: dict) -> None:
    promised = json.loads(REPORT.read_text())["clients"]
    assert promised["version"] == predict.release.version
    for name in ("face_found", "mask_or_not_accuracy", "macro_f1", "calibration_error"):
        assert promised["portraits"][name] == pytest.approx(figures[name], abs=0.005), name
