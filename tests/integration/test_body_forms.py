"""A picture gets the same answer in every form of the body."""

import base64
import json
import subprocess

import pytest


def curl(*arguments):
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "-H", "x-api-key: local", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def file(picture, tmp_path):
    path = tmp_path / "face.jpg"
    path.write_bytes(picture)
    return path


def test_curl_gets_the_same_probabilities_in_every_form(system, picture, file, tmp_path):
    encoded = base64.b64encode(picture).decode()
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"image": encoded, "source": "gate-3"}))
    uri = tmp_path / "uri.json"
    uri.write_text(json.dumps({"image": f"data:image/jpeg;base64,{encoded}"}))
    url = f"{system.url}/predict"

    answers = [
        curl("-H", "content-type: application/json", "--data-binary", f"@{body}", url),
        curl("-H", "content-type: application/json", "--data-binary", f"@{uri}", url),
        curl("-H", "content-type: image/jpeg", "--data-binary", f"@{file}", url),
        curl("-F", f"file=@{file}", url),
        curl("-F", f"file=@{file}", "-F", "source=gate-3", "-F", "min_confidence=0.2", url),
    ]

    assert all(answer["probabilities"] == answers[0]["probabilities"] for answer in answers)
    assert all(answer["image"] == {"width": 160, "height": 120} for answer in answers)
    assert abs(sum(answers[0]["probabilities"].values()) - 1) < 0.01
    assert len({answer["prediction_id"] for answer in answers}) == len(answers)


def test_a_chunked_body_is_accepted(system, picture):
    chunks = (picture[start : start + 1000] for start in range(0, len(picture), 1000))

    assert system.predict(chunks, "image/jpeg").status_code == 200
