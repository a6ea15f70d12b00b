"""Properties of every answer of both API handlers."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from functions.shared.api import Api, logger
from functions.shared.problem import TOO_LARGE, InputError
from tests.make_events import api_event


@pytest.fixture(scope="module")
def api():
    app = Api("https://example.org", {"/things": "GET", "/more": "POST"})

    @app.get("/things")
    def things():
        return app.respond_json({"length": len(app.body)})

    @app.post("/more")
    def more():
        raise InputError(TOO_LARGE, "Send less.")

    @app.get("/slow")
    def slow():
        raise ReadTimeoutError(endpoint_url="https://results.s3.amazonaws.com/ward-3/jane-doe.jpg.json")

    @app.exception_handler(InputError)
    def refuse(error):
        return app.refuse(error.problem, error.detail)

    return app


def ask(api: Api, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    event = api_event(method, path, headers=headers)
    answer = api.resolve(event, None)
    return answer["statusCode"], {k: v[0] for k, v in answer["multiValueHeaders"].items()}, answer["body"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/things"), ("POST", "/more"), ("GET", "/none"), ("PUT", "/more")]
)
def test_answers_are_no_store_and_nosniff(api, method, path):
    _, headers, _ = ask(api, method, path)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/things"), ("POST", "/more"), ("GET", "/none"), ("PUT", "/more")]
)
def test_only_the_cors_origin_may_read_answers(api, method, path):
    _, headers, _ = ask(api, method, path, Origin="https://example.org")
    assert headers["Access-Control-Allow-Origin"] == "https://example.org"
    _, headers, _ = ask(api, method, path, Origin="https://example.com")
    assert "Access-Control-Allow-Origin" not in headers


def test_scripts_of_the_cors_origin_may_read_retry_after(api):
    _, headers, _ = ask(api, "GET", "/things", Origin="https://example.org")
    assert headers["Access-Control-Expose-Headers"] == "Retry-After"


def test_head_is_answered_like_get_without_the_body(api):
    status, headers, body = ask(api, "HEAD", "/things")
    got_status, got_headers, got_body = ask(api, "GET", "/things")
    assert (status, headers, body) == (got_status, got_headers, "")
    assert json.loads(got_body) == {"length": 0}


def test_head_of_a_post_route_is_not_allowed(api):
    status, headers, _ = ask(api, "HEAD", "/more")
    assert status == 405
    assert headers["Allow"] == "POST"


def test_an_unknown_path_is_not_a_wrong_method(api):
    answer = api.resolve(api_event("GET", '/things"', resource="/things"), None)
    assert answer["statusCode"] == 404


@pytest.mark.parametrize(
    ("full_path", "resource", "prefix"),
    [
        ("/v1/things", "/things", "/v1"),
        ("/things", "/things", ""),
        ("/masks/things", "/things", "/masks"),
        ("/things/things", "/things", "/things"),
        ("/v1/", "/", "/v1"),
        ("/v1", "/", "/v1"),
        ("/", "/", ""),
        ("/v1/results/a/results/b.jpg", "/results/{key+}", "/v1"),
    ],
)
def test_the_url_may_have_a_stage_or_a_base_path(full_path, resource, prefix):
    app = Api("*", {})

    @app.get(".*")
    def anything():
        return app.respond_json({"path": app.current_event.path, "prefix": app.prefix})

    event = api_event("GET", full_path, resource=resource)
    event["requestContext"] |= {"path": full_path}
    answer = json.loads(app.resolve(event, None)["body"])
    assert answer == {"path": full_path.removeprefix(prefix) or "/", "prefix": prefix}


def test_the_log_of_a_failure_has_the_place_and_the_host_but_no_name_of_a_file(api, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)

    status, _, _ = ask(api, "GET", "/slow")

    assert status == 500
    line = json.loads(log.getvalue())
    assert line["exception_name"] == "ReadTimeoutError"
    assert "in slow\n" in line["exception"]
    assert 'https://results.s3.amazonaws.com/…"' in line["exception"]
    assert "doe" not in log.getvalue()
