"""Uploads by presigned form get results, through the running system."""

from urllib.parse import quote, urljoin

import pytest
import requests

from maskwatch.client import ApiError, Client
from tests.system import eventually

KEY = {"x-api-key": "local"}


@pytest.fixture
def client(system):
    return Client(f"{system.url}/", "local")


def test_a_form_s_upload_is_scored_and_its_result_is_at_the_given_url(system, picture):
    payload = {"type": "image/jpeg", "source": "Tür 3"}
    upload = requests.post(f"{system.url}/uploads", json=payload, headers=KEY, timeout=60).json()
    address = urljoin(f"{system.url}/uploads", upload["result"])

    before = requests.get(address, headers=KEY, timeout=60)
    assert before.status_code == 404
    assert before.headers["content-type"] == "application/problem+json"
    assert before.json()["type"] == "urn:maskwatch:problem:no-result"

    put = requests.post(
        upload["upload"]["url"], data=upload["upload"]["fields"], files={"file": picture}, timeout=60
    )
    assert put.ok, put.text

    def result():
        answer = requests.get(address, headers=KEY, timeout=60)
        return answer.json() if answer.ok else None

    found = eventually(result)
    assert found["status"] == "scored"
    assert found["source"] == "Tür 3"
    assert found["upload"]["key"] == upload["key"]
    assert found["prediction"]["image"] == {"width": 160, "height": 120}


def test_a_file_that_is_no_picture_has_a_result_with_the_reason(client):
    key = client.upload(b"\xff\xd8\xff not a picture", "image/jpeg")

    found = eventually(lambda: client.result(key))

    assert found["status"] == "rejected"
    assert found["problem"]["status"] == 422
    assert found["source"] is None


@pytest.mark.parametrize("key", ["gate 3/ünï 摄 🙂.jpg", "100%.jpg", "a%20b+c.jpg", "a;b?c#d&e=f.jpg"])
def test_a_result_is_found_for_any_key(system, client, picture, key):
    system.client("s3").put_object(Bucket=system.outputs["UploadsBucket"], Key=key, Body=picture)

    assert eventually(lambda: client.result(key))["upload"]["key"] == key


def test_browsers_of_other_origins_may_upload_and_read_results(system):
    origin = {"Origin": "https://example.org"}
    preflight = origin | {"Access-Control-Request-Method": "POST"}
    upload = requests.post(
        f"{system.url}/uploads", json={"type": "image/png"}, headers=KEY | origin, timeout=60
    )
    result = requests.get(f"{system.url}/results/a.jpg", headers=KEY | origin, timeout=60)
    to_s3 = requests.options(upload.json()["upload"]["url"], headers=preflight, timeout=60)

    assert upload.headers["access-control-allow-origin"] == "*"
    assert result.headers["access-control-allow-origin"] == "*"
    assert to_s3.headers["access-control-allow-origin"] in {"*", "https://example.org"}
    for path in ("uploads", "results/a/b.jpg"):
        assert requests.options(f"{system.url}/{path}", headers=preflight, timeout=60).ok


def test_a_wrong_method_is_refused_with_the_allowed_one(system):
    answer = requests.put(f"{system.url}/results/{quote('a/b c.jpg')}", headers=KEY, timeout=60)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_the_client_raises_the_portal_s_refusals(client):
    with pytest.raises(ApiError, match="cannot be scored"):
        client.upload(b"", "image/heic")


def test_the_client_predicts(client, picture):
    assert client.predict(picture, "image/jpeg", min_confidence="1")["label"] == "uncertain"
