"""The portal's pages are self-contained and work under any base path."""

import json
import re

import pytest

from functions.portal import pages
from functions.portal.settings import read_settings
from tests.make_events import CONTEXT, sample_event
from tests.system import python

STORES = {
    name: name.lower() for name in ("UPLOADS_BUCKET", "RESULTS_BUCKET", "INSIGHTS_BUCKET", "ALERTS_TABLE")
}


@pytest.fixture
def ask(portal):
    def send(event, **changes):
        event = sample_event(event) | changes
        # As the page of another site sends it.
        event["multiValueHeaders"] |= {"Origin": ["https://example.org"]}
        return portal.handler(event, CONTEXT)

    return send


def header(answer, name):
    return answer["multiValueHeaders"][name][0]


@pytest.mark.parametrize("event", ["page", "docs"])
def test_pages_load_nothing_from_other_hosts(event, ask):
    answer = ask(event)

    assert answer["statusCode"] == 200
    assert header(answer, "Content-Type") == "text/html; charset=utf-8"
    page = re.sub(r"<script>[^<]{100000}.*?</script>", "", answer["body"], flags=re.DOTALL)
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert "default-src 'none'" in header(answer, "Content-Security-Policy")


def test_a_script_is_served(ask):
    answer = ask("page-script")

    assert (answer["statusCode"], answer["body"]) == (200, pages.script("main.js").body)


def test_the_documentation_loads_the_document_from_the_same_path(ask):
    assert 'url: "openapi.json"' in ask("docs")["body"]


def test_the_document_names_its_own_stage(ask):
    document = json.loads(ask("openapi")["body"])
    assert document["servers"] == [{"url": "/v1"}]

    event = sample_event("openapi")
    without_stage = event["requestContext"] | {"path": "/openapi.json"}
    assert json.loads(ask("openapi", requestContext=without_stage)["body"])["servers"] == [{"url": "/"}]


def test_links_of_the_page_work_with_and_without_a_trailing_slash(ask):
    assert '<base href="/v1/">' in ask("page")["body"]


def test_the_document_has_the_table_of_problems_and_no_gateway_extensions(ask):
    body = ask("openapi")["body"]
    assert "x-amazon-apigateway" not in body
    assert "| 422 | `too-small` |" in json.loads(body)["info"]["description"]


def test_every_route_of_the_document_has_the_common_refusals_and_403_if_it_needs_a_key(ask):
    for item in json.loads(ask("openapi")["body"])["paths"].values():
        for operation in item.values():
            assert operation["responses"].keys() >= {"429", "500", "502", "504"}
            assert ("403" in operation["responses"]) == ("security" in operation)
            for status, response in operation["responses"].items():
                assert ("application/problem+json" in response["content"]) == (status >= "400")


def test_the_document_s_paths_are_openapi_s(ask):
    paths = json.loads(ask("openapi")["body"])["paths"]
    assert "/results/{key}" in paths
    assert not [path for path in paths if "+" in path]


def test_repeated_requests_give_the_same_answer(ask):
    assert ask("openapi")["body"] == ask("openapi")["body"]


def test_a_wrong_method_and_a_wrong_path_have_different_problems(ask):
    wrong_method = ask("docs", httpMethod="POST")
    assert wrong_method["statusCode"] == 405
    assert header(wrong_method, "Allow") == "GET, HEAD"

    wrong_path = ask("docs", path="/nothing", resource="/nothing")
    assert wrong_path["statusCode"] == 404
    assert header(wrong_path, "Content-Type") == "application/problem+json"
    assert header(wrong_path, "Access-Control-Allow-Origin") == "*"


def test_an_internal_error_reveals_nothing_to_the_client(portal, ask, monkeypatch):
    monkeypatch.setattr(portal.pages, "docs_page", lambda: 1 / 0)

    answer = ask("docs")

    assert answer["statusCode"] == 500
    assert "division" not in answer["body"]
    assert json.loads(answer["body"])["instance"].startswith("urn:maskwatch:request:")


def test_the_handler_imports_no_heavy_modules():
    program = (
        "import sys, functions.portal.app;"
        "print([name for name in ('boto3', 'pydantic', 'numpy') if name in sys.modules])"
    )
    assert python("-c", program, **STORES).stdout.strip() == "[]"


@pytest.mark.parametrize("name", STORES)
def test_a_missing_bucket_name_is_reported_at_import(name):
    with pytest.raises(RuntimeError, match=name):
        read_settings(STORES | {name: ""})
