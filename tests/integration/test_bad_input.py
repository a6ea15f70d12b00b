"""Every kind of invalid request has its own answer, which says what to do."""

import base64
import json
import os

import pytest
import requests
from PIL import Image

from tests.pictures import encode
from tests.system import ORIGIN

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(400)


def png(width, height):
    return encode(Image.new("L", (width, height)), "PNG", optimize=False)


def as_json(data, **fields):
    return json.dumps({"image": base64.b64encode(data).decode(), **fields})


def fifty_megapixels(_):
    data = png(10_000, 5_000)
    assert 30_000 < len(data) < 60_000
    return data


CASES = [
    # name, body (made from the picture), content type, status, identifier, a word of the detail
    ("empty body", lambda _: b"", JSON, 400, "malformed-body", "empty"),
    ("no body, no type", lambda _: b"", None, 400, "malformed-body", "empty"),
    ("broken JSON", lambda _: '{"image": ', JSON, 400, "malformed-body", "not JSON"),
    ("JSON that is no object", lambda _: "[]", JSON, 400, "malformed-body", "object"),
    ("broken base64", lambda _: '{"image": "@@@@"}', JSON, 400, "malformed-base64", "base64"),
    (
        "text in base64",
        lambda _: as_json(b"hello, this is text"),
        JSON,
        422,
        "unreadable-image",
        "not a picture",
    ),
    (
        "truncated JPEG",
        lambda jpeg: jpeg[: len(jpeg) // 2],
        "image/jpeg",
        422,
        "unreadable-image",
        "cut short",
    ),
    ("truncated JPEG in JSON", lambda jpeg: as_json(jpeg[:900]), JSON, 422, "unreadable-image", "cut short"),
    ("file of no bytes", lambda _: b"", "image/jpeg", 400, "malformed-body", "empty"),
    ("file of no bytes in JSON", lambda _: as_json(b""), JSON, 422, "unreadable-image", "0 bytes"),
    ("50 megapixels", fifty_megapixels, "image/png", 422, "too-many-pixels", "40"),
    ("tiny picture", lambda _: png(20, 20), "image/png", 422, "too-small", "32"),
    (
        "HEIC",
        lambda _: HEIC,
        "image/heic",
        415,
        "unsupported-type",
        "This is a HEIC picture. Send a JPEG, PNG or WebP picture.",
    ),
    ("HEIC in JSON", lambda _: as_json(HEIC), JSON, 415, "unsupported-type", "HEIC"),
    ("5 MB picture", lambda jpeg: jpeg + bytes(4_500_000), "image/jpeg", 413, "too-large", "POST /uploads"),
    ("8 MB body", lambda _: os.urandom(8_000_000), "image/jpeg", 413, "too-large", "POST /uploads"),
    ("8 MB of JSON", lambda _: as_json(bytes(6_000_000)), JSON, 413, "too-large", "POST /uploads"),
    ("3.6 MB in a form", lambda _: as_json(bytes(3_600_000)), FORM, 413, "too-large", "3.3 MB"),
    ("12 MB body", lambda _: bytes(12_000_000), "image/jpeg", 413, "too-large", "POST /uploads"),
    ("missing field", lambda _: '{"source": "gate-3"}', JSON, 400, "invalid-parameter", "`image` is missing"),
    (
        "wrong type",
        lambda _: '{"image": 5}',
        JSON,
        400,
        "invalid-parameter",
        "`image` is missing or not a string",
    ),
    ("text", lambda _: "hello", "text/plain", 415, "unsupported-type", "text/plain"),
    (
        "min_confidence out of range",
        lambda jpeg: as_json(jpeg, min_confidence=2),
        JSON,
        400,
        "invalid-parameter",
        "`min_confidence`",
    ),
]


def assert_problem(answer, status, identifier, word):
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["type"].rpartition(":")[2]) == (
        status,
        status,
        identifier,
    )
    assert word in problem["detail"]
    assert problem["title"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "identifier", "word"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_invalid_pictures_and_bodies_are_refused(
    system, picture, body, content_type, status, identifier, word
):
    assert_problem(system.predict(body(picture), content_type), status, identifier, word)


@pytest.mark.parametrize("key", [None, "wrong", "local "], ids=["no key", "wrong key", "nearly"])
def test_a_request_without_a_valid_key_is_refused(system, picture, key):
    answer = system.predict(picture, "image/jpeg", key=key and key.replace(" ", "x"))

    assert_problem(answer, 403, "forbidden", "x-api-key")


def test_an_unknown_route_is_refused(system):
    assert_problem(
        requests.get(f"{system.url}/predictions", headers=ORIGIN, timeout=60), 404, "not-found", "/docs"
    )


def test_preflight_requests_are_answered(system):
    answer = requests.options(f"{system.url}/predict", headers=ORIGIN, timeout=60)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-api-key" in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]
