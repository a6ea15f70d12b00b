"""`sam local start-api` serves the images over HTTP."""

import base64
import json

import pytest
import requests

from tests.system import ROOT


@pytest.fixture(scope="module")
def url(sam):
    with sam.serve("start-api", "/health") as address:
        yield address


@pytest.fixture(scope="module")
def picture():
    event = json.loads((ROOT / "events" / "predict-binary.json").read_text())
    return base64.b64decode(event["body"])


def test_one_picture_gets_one_answer_in_all_three_forms(url, picture):
    answers = [
        requests.post(f"{url}/predict", json={"image": base64.b64encode(picture).decode()}, timeout=60),
        requests.post(f"{url}/predict", data=picture, headers={"content-type": "image/jpeg"}, timeout=60),
        requests.post(f"{url}/predict", files={"file": ("face.jpg", picture, "image/jpeg")}, timeout=60),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200], [a.text for a in answers]
    first = answers[0].json()["probabilities"]
    assert sum(first.values()) == pytest.approx(1, abs=0.01)
    assert all(answer.json()["probabilities"] == first for answer in answers)


def test_the_portal_serves_page_document_and_documentation(url):
    assert "MaskWatch" in requests.get(f"{url}/", timeout=60).text
    assert "/predict" in requests.get(f"{url}/openapi.json", timeout=60).json()["paths"]
    assert "swagger-ui" in requests.get(f"{url}/docs", timeout=60).text


def test_a_wrong_method_and_a_wrong_path_have_different_problems(url):
    answer = requests.get(f"{url}/predict", timeout=60)

    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
