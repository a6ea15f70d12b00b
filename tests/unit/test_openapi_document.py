"""The OpenAPI document agrees with the code and the gateway's answers, and API Gateway can import it."""

import json
import re
from fnmatch import fnmatch

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from functions.portal.compliance import as_text
from functions.shared import contract
from functions.shared.problem import BLOCKED, PROBLEMS, problem_json
from infra.local.function import MAX_PAYLOAD
from tests.schemas import validate
from tests.system import ROOT


@pytest.fixture(scope="module")
def document():
    return yaml.safe_load((ROOT / "functions" / "portal" / "openapi.yaml").read_text())


def test_the_gateway_s_answers_are_problems_of_the_table(document):
    table = {problem_json(p, "")["type"]: p for p in PROBLEMS}
    for name, response in document["x-amazon-apigateway-gateway-responses"].items():
        body = json.loads(response["responseTemplates"]["application/json"])
        problem = table[body["type"]]
        assert body["title"] == problem.title, name
        assert body["status"] == response["statusCode"], name
        assert body["status"] // 100 == problem.status // 100, name
        assert len(body["detail"]) > 20, name


def test_a_refusal_by_a_firewall_is_not_one_of_the_key(document):
    response = document["x-amazon-apigateway-gateway-responses"]["WAF_FILTERED"]
    assert problem_json(BLOCKED, "")["type"] in response["responseTemplates"]["application/json"]


def test_the_template_and_the_document_have_the_same_routes(document):
    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    routes = {
        (event["Properties"]["Path"], name)
        for name, resource in resources.items()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "Api"
    }
    documented = {
        (path, re.search(r"\$\{(\w+)\.Alias\}", json.dumps(item))[1])
        for path, item in document["paths"].items()
    }
    assert documented == routes


def test_the_portal_and_the_documentation_have_the_routes_of_the_document(document, portal):
    of_portal = {
        path: item for path, item in document["paths"].items() if "PortalFunction" in json.dumps(item)
    }
    assert portal.app.methods == {
        path: method.upper() for path, item in of_portal.items() for method in item.keys() & {"get", "post"}
    }
    text = (ROOT / "docs" / "api.md").read_text()
    shown = {path: path.replace("{file}", "*").replace("+}", "}") for path in document["paths"]}
    assert [path for path in shown if f"{shown[path]}`" not in text] == []


def test_every_binary_type_is_one_of_the_gateway(document):
    binary = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["Api"]["Properties"][
        "BinaryMediaTypes"
    ]
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    patterns = [name.replace("~1", "/") for name in binary]
    for media_type in content.keys() - {"application/json"}:
        assert any(fnmatch(media_type, pattern) for pattern in patterns), media_type


def test_api_gateway_can_import_it(document):
    """By its documentation, it refuses $ref except to schemas, and inline schemas of responses."""
    text = json.dumps(document)
    assert set(re.findall(r'"\$ref": "(#/\w+/\w+/)', text)) == {"#/components/schemas/"}
    assert all(re.fullmatch(r"[A-Za-z0-9]+", name) for name in document["components"]["schemas"])
    for path, item in document["paths"].items():
        for operation in item.values():
            for response in operation.get("responses", {}).values():
                for media in response.get("content", {}).values():
                    assert "$ref" in media["schema"], path


def test_each_example_fits_its_schema(document):
    checked = 0
    for item in document["paths"].values():
        for operation in item.values():
            for part in (operation.get("requestBody", {}), *operation.get("responses", {}).values()):
                for media in part.get("content", {}).values():
                    if "example" in media:
                        validate(media["example"], media["schema"]["$ref"].rpartition("/")[2])
                        checked += 1
    assert checked > 3


def test_fields_may_be_added_to_answers_but_not_to_requests(document):
    schemas = document["components"]["schemas"]
    assert {
        name for name, schema in schemas.items() if '"additionalProperties": false' in json.dumps(schema)
    } == {"PredictRequest", "UploadRequest", "FeedbackRequest"}


def test_each_property_has_a_type(document):
    """Generators make an `Object` of one without, which C# cannot compare with `minimum`."""
    for name, schema in document["components"]["schemas"].items():
        for field, found in properties_of(schema):
            assert found.keys() & {"type", "$ref"}, f"{name}.{field}"


@pytest.mark.parametrize(("form", "rows"), [("json", 8_000), ("csv", 30_000)])
def test_as_many_rows_of_compliance_as_it_says_fit_into_an_answer(document, form, rows):
    responses = document["paths"]["/compliance"]["get"]["responses"]
    example = responses["200"]["content"]["application/json"]["example"]

    assert f"{rows:,}" in responses["400"]["description"]
    assert as_text(example | {"rows": example["rows"][:1] * rows}, form)


def test_limits_and_labels_are_those_of_the_code(document):
    text = (ROOT / "functions" / "portal" / "openapi.yaml").read_text()
    # The gateway encodes a form in base64 again, in which two of the 64 characters of base64 have become three.
    in_form = MAX_PAYLOAD * (3 / 4) ** 2 / (1 + 2 * 2 / 64)
    assert set(re.findall(r"at most ([\d.]+) MB", text)) == {
        f"{limit // 1e5 / 10:g}" for limit in (contract.MAX_PREDICT_BYTES, contract.MAX_UPLOAD_BYTES, in_form)
    }
    labels = {tuple(schema["enum"]) for name, schema in properties_of(document) if name == "label"}
    assert labels == {contract.LABELS, contract.ANSWER_LABELS}


def properties_of(value):
    """Find the name and the schema of every property at any depth."""
    if isinstance(value, dict):
        yield from value.get("properties", {}).items()
        for item in value.values():
            yield from properties_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from properties_of(item)
