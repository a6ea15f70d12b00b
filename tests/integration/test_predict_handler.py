"""Predict's handler, invoked with events of API Gateway."""

import base64
import json
import threading
from typing import Any

import pytest
from PIL import Image

from functions.inference import predict
from functions.shared.contract import LABELS
from tests.make_events import api_event, form, predict_events, sample_event
from tests.pictures import draw_face, encode
from tests.schemas import validate

FACE = encode(draw_face(), quality=80)


def call(event: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
    event["multiValueHeaders"] |= {"Origin": ["https://example.org"]}  # as from a page of another site
    answer = predict.handler(event, None)
    assert answer["isBase64Encoded"] is False
    headers = {name: ", ".join(values) for name, values in answer["multiValueHeaders"].items()}
    return answer["statusCode"], headers, json.loads(answer["body"] or "{}")


def post(
    body: str | bytes | None, content_type: str | None = "application/json", **options: Any
) -> dict[str, Any]:
    return api_event("POST", "/predict", content_type=content_type, body=body, **options)


def post_json(**fields: object) -> dict[str, Any]:
    return post(json.dumps(fields))


def problem(event: dict[str, Any], status: int, identifier: str) -> str:
    """Check that an answer has the expected problem, and return its detail."""
    got, headers, body = call(event)
    assert (got, body["type"]) == (status, f"urn:maskwatch:problem:{identifier}")
    assert body["status"] == status
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert body["instance"] == "urn:maskwatch:request:c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    return body["detail"]


@pytest.mark.parametrize("name", ["predict-json", "predict-data-uri", "predict-binary", "predict-multipart"])
def test_every_form_is_answered(name: str) -> None:
    status, headers, body = call(sample_event(name))
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert list(body) == [
        "prediction_id",
        "label",
        "confidence",
        "probabilities",
        "classified",
        "image",
        "rotated",
        "faces",
        "summary",
        "model_version",
    ]
    assert list(body["probabilities"]) == list(LABELS)
    assert body["confidence"] == max(body["probabilities"].values())
    assert body["image"] == {"width": 160, "height": 200}
    assert body["model_version"] == predict.release.version


def test_faces_of_a_scene_are_ordered_by_size() -> None:
    status, _, body = call(sample_event("predict-scene"))
    assert status == 200
    validate(body, "Prediction")
    assert body["classified"] == "face"
    assert body["summary"]["faces"] == len(body["faces"]) == 2  # max_faces is 2, and the scene has four
    widths = [face["box"]["width"] for face in body["faces"]]
    assert widths[0] > widths[1] >= 40
    first = body["faces"][0]
    assert {name: first[name] for name in ("label", "confidence", "probabilities")} == {
        name: body[name] for name in ("label", "confidence", "probabilities")
    }
    assert 0.3 < first["detection_confidence"] <= 1


def test_without_detection_a_crop_is_classified_as_a_whole() -> None:
    _, _, body = call(sample_event("predict-cut-out"))
    assert (body["classified"], body["faces"]) == ("picture", [])
    assert body["summary"] == {"faces": 0, "mask": 0, "no_mask": 0, "incorrect": 0, "uncertain": 0}


def test_a_picture_without_a_face_is_classified_as_a_whole() -> None:
    wall = encode(Image.new("RGB", (640, 480), (140, 130, 120)))
    _, _, body = call(post(wall, "image/jpeg"))
    assert (body["classified"], body["faces"]) == ("picture", [])
    assert body["label"] in LABELS


@pytest.mark.parametrize("query", [{"max_faces": "0"}, {"min_face": "tall"}, {"detect": "maybe"}])
def test_an_option_out_of_range_is_400(query: dict[str, str]) -> None:
    assert f"`{next(iter(query))}`" in problem(
        post(FACE, "image/jpeg", query=query), 400, "invalid-parameter"
    )


def test_health_has_the_model_version() -> None:
    assert call(sample_event("health"))[::2] == (
        200,
        {"status": "ok", "model_version": predict.release.version},
    )


def test_the_sample_events_are_up_to_date() -> None:
    for name, event in predict_events().items():
        stored = sample_event(name)
        assert {**stored, "body": None} == {**event, "body": None}


def test_an_unsure_answer_is_uncertain() -> None:
    _, _, body = call(post(FACE, "image/jpeg", query={"min_confidence": "1"}))
    assert body["label"] == "uncertain"
    assert call(post_json(image=base64.b64encode(FACE).decode(), min_confidence=0))[2]["label"] in LABELS


@pytest.mark.parametrize(
    "content_type", [None, "application/x-www-form-urlencoded", "application/octet-stream"]
)
def test_a_picture_with_a_wrong_type_is_scored(content_type: str | None) -> None:
    assert call(post(FACE, content_type))[0] == 200


def test_broken_json_is_400() -> None:
    assert "not JSON" in problem(sample_event("predict-broken-json"), 400, "malformed-body")


def test_a_truncated_jpeg_is_422() -> None:
    assert "cut short" in problem(sample_event("predict-truncated"), 422, "unreadable-image")


def test_an_empty_file_is_422() -> None:
    event = post(form({"file": b""}, "b"), "multipart/form-data; boundary=b")
    assert "0 bytes" in problem(event, 422, "unreadable-image")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/predict", "POST"), ("DELETE", "/predict", "POST"), ("POST", "/health", "GET, HEAD")],
)
def test_a_wrong_method_is_405(method: str, path: str, allowed: str) -> None:
    event = api_event(method, path)
    assert f"Use {allowed[:4].rstrip(',')} {path}" in problem(event, 405, "method-not-allowed")
    assert call(event)[1]["Allow"] == allowed


def test_an_unknown_route_is_404() -> None:
    assert "GET /docs" in problem(api_event("GET", "/nowhere"), 404, "not-found")


def test_preflight_requests_are_answered() -> None:
    ask = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    status, headers, _ = call(api_event("OPTIONS", "/predict", headers=ask))
    assert status == 204
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert "x-api-key" in headers["Access-Control-Allow-Headers"].lower()


def test_an_internal_error_is_500_with_details_only_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("secret internals")

    monkeypatch.setattr(predict, "predict_with_challenger", break_down)
    detail = problem(post(FACE, "image/jpeg"), 500, "internal")
    assert "secret" not in detail
    assert "RuntimeError: secret internals" in caplog.text
    assert base64.b64encode(FACE).decode()[:40] not in caplog.text
    (logged,) = caplog.records
    assert logged.request_id == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


def test_a_prediction_writes_one_line_without_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    event = sample_event("predict-json")
    _, _, body = call(event)
    (line,) = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert record["prediction_id"] == body["prediction_id"]
    assert record["source"] == "gate-3"
    assert record["label"] == body["label"]
    assert json.loads(event["body"])["image"][:40] not in line
    assert len(line) < 2000


def test_a_refusal_writes_one_line_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    call(sample_event("predict-truncated") | {"multiValueQueryStringParameters": {"source": ["gate-3"]}})
    call(sample_event("predict-truncated") | {"multiValueQueryStringParameters": {"soucre": ["gate-3"]}})
    unreadable, unparsed = map(json.loads, capsys.readouterr().out.splitlines())
    assert (unreadable["rejected"], unreadable["source"]) == ("unreadable-image", "gate-3")
    assert (unparsed["rejected"], unparsed["source"]) == ("invalid-parameter", None)


def test_a_picture_that_hangs_the_decoder_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(predict, "DECODE_SECONDS", 0.2)
    monkeypatch.setattr(predict, "decode", lambda _: ended.wait(20))
    detail = problem(post(FACE, "image/jpeg"), 422, "unreadable-image")
    assert "took more than" in detail
    monkeypatch.undo()
    assert call(post(FACE, "image/jpeg"))[0] == 200  # the next request does not wait for it
    ended.set()
