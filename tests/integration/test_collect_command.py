"""Uploads with feedback become training pictures, through the running system."""

from datetime import UTC, datetime, timedelta

import requests

from maskwatch.client import Client
from tests.pictures import draw_face, draw_scene, encode
from tests.system import eventually
from training.dataset import list_examples, load_examples


def test_training_reads_uploads_with_feedback(system, tmp_path):
    client = Client(f"{system.url}/", "local")
    judged = {}
    for label, picture in (("incorrect", encode(draw_face())), ("mask", encode(draw_scene()))):
        key = client.upload(picture, "image/jpeg", source=f"collect-{label}")
        result = eventually(lambda key=key: client.result(key))["prediction"]
        payload = {"prediction_id": result["prediction_id"], "label": label}
        answer = requests.post(
            f"{system.url}/feedback", json=payload, headers={"x-api-key": "local"}, timeout=60
        )
        assert answer.status_code == 202
        judged[label] = result
    today = datetime.now(UTC)

    span = (
        "--from",
        f"{today - timedelta(days=1):%Y-%m-%d}",
        "--to",
        f"{today + timedelta(days=2):%Y-%m-%d}",
    )

    output = system.operate(
        "collect", "--stack", "maskwatch", *span, "--out", str(tmp_path), "--key-share", "1"
    )

    assert output.returncode == 0, output.stderr
    sure = {label: max(result["probabilities"].values()) >= 0.95 for label, result in judged.items()}
    wrong = {label for label, result in judged.items() if result["label"] != label and sure[label]}
    own = {result["prediction_id"]: label for label, result in judged.items() if label not in wrong}
    samples = {
        sample.example.path.stem: sample.example
        for sample in load_examples(list_examples(tmp_path)).portraits
    }
    assert {one: samples[one].label for one in own} == own
    for one, label in own.items():
        assert samples[one].source == f"collect-{label}"
        assert (samples[one].face is None) == (not judged[label]["faces"])
    doubtful = (tmp_path / "doubtful.csv").read_text().splitlines()[1:]
    assert len(doubtful) >= len(wrong)  # other tests may have sent feedback, too
