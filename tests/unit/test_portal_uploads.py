"""`POST /uploads` signs forms with conditions, and `GET /results` finds results."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from types import SimpleNamespace
from urllib.parse import quote

import boto3
import pytest
from moto import mock_aws

from tests.make_events import CONTEXT, api_event, sample_event

KEYS = [
    "face.jpg",
    "2026/11/gate 3/face.jpg",
    "/leading//double.jpg",
    "ünï/摄像头/🙂.jpg",
    "100%.jpg",
    "a%20b.jpg",
    "a+b=c&d;e?f#g.jpg",
    "a/../..b/../c.jpg",
    "x" * 1019,
]


@pytest.fixture
def app(portal, monkeypatch):
    """The handler's module in another region, with a session token."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return portal


@pytest.fixture
def ask(app):
    """Send a request to the handler."""

    def send(method, path, resource, body=None, **changes):
        event = api_event(method, path, content_type="application/json", body=body, resource=resource)
        return app.handler(event | changes, CONTEXT)

    return send


@pytest.fixture
def upload(ask):
    return lambda **wanted: ask("POST", "/uploads", "/uploads", json.dumps(wanted))


@pytest.fixture
def result(ask):
    def get(encoded):
        return ask("GET", f"/results/{encoded}", "/results/{key+}", pathParameters={"key": encoded})

    return get


@pytest.fixture
def results():
    with mock_aws():
        bucket = boto3.resource("s3", "eu-west-1").create_bucket(
            Bucket="results", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        yield bucket


def policy(answer):
    fields = json.loads(answer["body"])["upload"]["fields"]
    return json.loads(base64.b64decode(fields["policy"]))


def test_the_form_limits_type_key_and_size(upload):
    answer = upload(type="image/png")

    body = json.loads(answer["body"])
    conditions = policy(answer)["conditions"]
    assert answer["statusCode"] == 200
    assert {"bucket": "uploads"} in conditions
    assert {"key": body["key"]} in conditions
    assert {"Content-Type": "image/png"} in conditions
    assert ["content-length-range", 1, body["max_bytes"]] in conditions
    assert body["max_bytes"] == 25_000_000
    assert body["upload"]["fields"].keys() > {
        "key",
        "Content-Type",
        "x-amz-signature",
        "x-amz-security-token",
    }


def test_the_form_expires(upload):
    now = datetime.now(UTC)

    answer = upload(type="image/jpeg")

    promised = datetime.fromisoformat(json.loads(answer["body"])["expires_at"])
    enforced = datetime.fromisoformat(policy(answer)["expiration"])
    assert timedelta(minutes=14) < promised - now < timedelta(minutes=16)
    assert abs(promised - enforced) < timedelta(seconds=2)


@pytest.mark.parametrize(
    ("media_type", "suffix"), [("image/jpeg", "jpg"), ("image/png", "png"), ("image/webp", "webp")]
)
def test_the_key_is_random_with_a_picture_s_ending(upload, media_type, suffix):
    keys = {json.loads(upload(type=media_type)["body"])["key"] for _ in range(2)}

    assert len(keys) == 2
    assert all(re.fullmatch(rf"api/\d{{4}}/\d\d/\d\d/[0-9a-f-]{{36}}\.{suffix}", key) for key in keys)


def test_the_url_is_regional_because_forms_cannot_be_redirected(upload):
    assert json.loads(upload(type="image/jpeg")["body"])["upload"]["url"] == (
        "https://uploads.s3.eu-west-1.amazonaws.com/"
    )


def test_the_answer_says_where_the_result_will_be(upload):
    body = json.loads(upload(type="image/jpeg")["body"])
    assert body["result"] == f"/v1/results/{body['key']}"


def test_the_form_is_not_cached(upload):
    assert upload(type="image/jpeg")["multiValueHeaders"]["Cache-Control"] == ["no-store"]


@pytest.mark.parametrize("source", ["gate-3", "Tür 3, Süd", "摄" * 64, "=?x?="])
def test_a_source_is_encoded_for_s3(upload, source):
    answer = upload(type="image/jpeg", source=source)

    sent = json.loads(answer["body"])["upload"]["fields"]["x-amz-meta-source"]
    assert sent.isascii()
    assert "\n" not in sent
    assert str(make_header(decode_header(sent))) == source
    assert {"x-amz-meta-source": sent} in policy(answer)["conditions"]


@pytest.mark.parametrize("output", [{}, {"source": ""}])
def test_without_a_source_there_is_no_field(upload, output):
    fields = json.loads(upload(type="image/jpeg", **output)["body"])["upload"]["fields"]
    assert "x-amz-meta-source" not in fields


@pytest.mark.parametrize(
    "written", ["image/jpg", "IMAGE/JPEG", " image/jpeg ", "image/pjpeg", "image/jpeg; charset=binary"]
)
def test_variants_of_a_type_are_accepted(upload, written):
    fields = json.loads(upload(type=written)["body"])["upload"]["fields"]
    assert fields["Content-Type"] == "image/jpeg"
    assert fields["key"].endswith(".jpg")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (None, 400, "not JSON"),
        ("", 400, "not JSON"),
        (b"\xff\xd8\xff", 400, "not JSON"),
        ("{", 400, "not JSON"),
        ("[" * 100_000, 400, "not JSON"),
        ('["image/jpeg"]', 400, "not an object"),
        ("{}", 400, "`type` is missing"),
        ('{"type": 7}', 400, "`type` is missing or not a string"),
        ('{"type": "image/heic"}', 415, "image/jpeg, image/png, image/webp"),
        ('{"type": "text/html"}', 415, "'text/html' cannot be scored"),
        ('{"type": "image/jpeg", "source": 7}', 400, "`source` must be text"),
        (json.dumps({"type": "image/jpeg", "source": "x" * 65}), 400, "at most 64"),
        (json.dumps({"type": "image/jpeg", "source": "a\nb"}), 400, "printable"),
    ],
)
def test_a_malformed_request_is_refused_with_the_accepted_form(ask, body, status, says):
    answer = ask("POST", "/uploads", "/uploads", body)

    assert answer["statusCode"] == status
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
    assert says in json.loads(answer["body"])["detail"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:20])
def test_a_result_is_found_for_any_valid_key(result, results, key):
    written = json.dumps({"status": "scored", "upload": {"key": key}})
    results.put_object(Key=f"{key}.json", Body=written.encode())

    answer = result(quote(key))

    assert (answer["statusCode"], answer["body"]) == (200, written)
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]


def test_an_encoded_slash_is_decoded(result, results):
    results.put_object(Key="a/b.jpg.json", Body=b"{}")
    assert result("a%2Fb.jpg")["statusCode"] == 200


def test_a_percent_sign_is_decoded_once(result, results):
    results.put_object(Key="a b.jpg.json", Body=b"{}")
    assert result("a%2520b.jpg")["statusCode"] == 404


@pytest.mark.parametrize("key", ["none.jpg", "face.jpg.json", "%FF", "%00"])
def test_without_a_result_the_problem_says_when_to_retry(result, results, key):
    results.put_object(Key="face.jpg.json", Body=b"{}")

    answer = result(key)

    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["type"] == "urn:maskwatch:problem:no-result"
    assert answer["multiValueHeaders"]["Retry-After"] == ["2"]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("x" * 1020, "1,024 bytes"),
        ("photos/", "folder"),
        ("backfill/1/manifest", "backfill/"),
        ("inventory/a", "inv"),
        ("preflight/a.jpg", "reserved"),
        ("..%2Fa.jpg", "out of the bucket"),  # S3 answers 400
        ("a/..%2F%2F..%2Fb.jpg", "out of the bucket"),
    ],
)
def test_a_key_that_cannot_have_a_result_is_not_to_be_retried(result, results, key, why):
    results.put_object(Key=f"{key[:1000]}.json", Body=b"{}")  # even where something lies there

    answer = result(key)

    assert answer["statusCode"] == 404
    problem = json.loads(answer["body"])
    assert why in problem["detail"]
    assert problem["title"] == "There is no result"  # not "yet"
    assert "Retry-After" not in answer["multiValueHeaders"]


@pytest.mark.usefixtures("results")
def test_an_error_of_s3_is_not_a_missing_result(app, result, monkeypatch):
    monkeypatch.setattr(app, "settings", SimpleNamespace(results_bucket="of-somebody-else"))

    assert result("face.jpg")["statusCode"] == 500


def test_another_method_is_refused_with_the_allowed_one(ask):
    answer = ask("DELETE", "/results/a/b.jpg", "/results/{key+}", pathParameters={"key": "a/b.jpg"})

    assert answer["statusCode"] == 405
    assert answer["multiValueHeaders"]["Allow"] == ["GET, HEAD"]


@pytest.mark.parametrize(("name", "status"), [("upload", 200), ("upload-heic", 415), ("result", 200)])
def test_the_sample_events_are_answered(app, results, name, status):
    results.put_object(Key="2026/11/gate 3/face.jpg.json", Body=b"{}")
    event = sample_event(name)

    assert app.handler(event, CONTEXT)["statusCode"] == status
