"""The local gateway translates between HTTP and events as API Gateway does, from the API's definition."""

import base64
import gzip
import json
import zlib

import pytest
from werkzeug import Request

from infra.local.errors import FunctionError, RequestTooLargeError, StackError, TooManyRequestsError
from infra.local.gateway import MAX_BODY, Gateway

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f:live"
PROXY = {
    "type": "aws_proxy",
    "httpMethod": "POST",
    "uri": f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{ARN}/invocations",
}
MOCK = {
    "type": "mock",
    "requestTemplates": {"application/json": '{"statusCode": 200}'},
    "responses": {
        "default": {
            "statusCode": "204",
            "responseParameters": {"method.response.header.Access-Control-Max-Age": "'600'"},
        }
    },
}
DEFINITION = {
    "paths": {
        "/open": {"get": {"x-amazon-apigateway-integration": PROXY}},
        "/paid": {
            "post": {"security": [{"apiKey": []}], "x-amazon-apigateway-integration": PROXY},
            "options": {"x-amazon-apigateway-integration": MOCK},
        },
        "/results/{key+}": {"get": {"x-amazon-apigateway-integration": PROXY}},
        "/results/latest": {"get": {"x-amazon-apigateway-integration": PROXY}},
        "/any/{id}": {"x-amazon-apigateway-any-method": {"x-amazon-apigateway-integration": PROXY}},
    },
    "x-amazon-apigateway-binary-media-types": ["image/*"],
    "x-amazon-apigateway-gateway-responses": {
        "MISSING_AUTHENTICATION_TOKEN": {
            "statusCode": 404,
            "responseParameters": {"gatewayresponse.header.Content-Type": "'application/problem+json'"},
            "responseTemplates": {"application/json": '{"detail": $context.error.messageString}'},
        },
        "DEFAULT_4XX": {"responseTemplates": {"application/json": '{"fallback": true}'}},
    },
}


class Recording:
    """A fake function that records the event and returns a fixed answer."""

    def __init__(self):
        self.event = None
        self.answer = {"statusCode": 200, "body": "{}"}

    def invoke(self, event):
        self.event = event
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def function():
    return Recording()


@pytest.fixture
def ask(function):
    gateway = Gateway(DEFINITION, "v1", {ARN: function}, keys={"secret"})

    def send(method, path, headers=(), body=b"", query=""):
        request = Request.from_values(path, query_string=query, method=method, headers=headers, data=body)
        return gateway.answer(request)

    return send


def test_the_event_contains_the_request(ask, function):
    ask("GET", "/open", {"accept": "text/html", "x-thing": "a"}, query="n=1&n=2&text=a%20b")

    event = function.event
    assert (event["httpMethod"], event["path"], event["resource"]) == ("GET", "/open", "/open")
    assert event["headers"] == {"Accept": "text/html", "Host": "localhost", "X-Thing": "a"}
    assert event["queryStringParameters"] == {"n": "2", "text": "a b"}
    assert event["multiValueQueryStringParameters"] == {"n": ["1", "2"], "text": ["a b"]}
    assert event["requestContext"]["stage"] == "v1"
    assert event["body"] is None
    assert event["isBase64Encoded"] is False
    assert json.dumps(event)


def test_the_path_and_its_parameters_are_not_decoded(ask, function):
    ask("GET", "/results/a/b%20%2B%C3%BC.json")
    assert function.event["pathParameters"] == {"key": "a/b%20%2B%C3%BC.json"}
    assert function.event["path"] == "/results/a/b%20%2B%C3%BC.json"

    ask("DELETE", "/any/7")
    assert function.event["pathParameters"] == {"id": "7"}


def test_a_literal_path_takes_precedence(ask, function):
    ask("GET", "/results/latest")

    assert function.event["resource"] == "/results/latest"


def test_a_body_of_a_binary_type_is_in_base64(ask, function):
    ask("POST", "/paid", {"x-api-key": "secret", "content-type": "image/jpeg"}, b"\xff\xd8\x00")
    assert function.event["isBase64Encoded"] is True
    assert base64.b64decode(function.event["body"]) == b"\xff\xd8\x00"

    ask("POST", "/paid", {"x-api-key": "secret", "content-type": "text/plain"}, "é".encode())
    assert function.event["isBase64Encoded"] is False
    assert function.event["body"] == "é"


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_decompressed(ask, function, coding, compress):
    headers = {"x-api-key": "secret", "content-type": "application/json", "content-encoding": coding}
    ask("POST", "/paid", headers, compress(b'{"a": 1}'))
    assert function.event["body"] == '{"a": 1}'


@pytest.mark.parametrize(("coding", "body"), [("br", b"x"), ("gzip", b"not so"), ("deflate", b"not so")])
def test_a_body_with_an_unknown_encoding_does_not_reach_the_function(ask, function, coding, body):
    assert ask("POST", "/paid", {"x-api-key": "secret", "content-encoding": coding}, body).status_code >= 400
    assert function.event is None


def test_a_body_that_decompresses_above_the_limit_is_too_large(ask, function):
    headers = {"x-api-key": "secret", "content-encoding": "gzip"}
    assert ask("POST", "/paid", headers, gzip.compress(bytes(100 * MAX_BODY))).status_code == 413
    assert function.event is None


def test_the_answer_is_returned(ask, function):
    function.answer = {
        "statusCode": 201,
        "headers": {"Location": "/x"},
        "multiValueHeaders": {"Vary": ["a", "b"]},
        "body": "made",
    }
    answer = ask("GET", "/open")

    assert (answer.status_code, answer.data) == (201, b"made")
    assert answer.headers.to_wsgi_list() == [
        ("Location", "/x"),
        ("Vary", "a"),
        ("Vary", "b"),
        ("Content-Type", "application/json"),
        ("Content-Length", "4"),
    ]


def test_a_binary_answer_is_decoded_if_the_client_accepts_it(ask, function):
    function.answer = {"statusCode": 200, "body": base64.b64encode(b"\xff").decode(), "isBase64Encoded": True}

    assert ask("GET", "/open", {"accept": "image/jpeg"}).data == b"\xff"
    assert ask("GET", "/open", {"accept": "text/html"}).data == b"/w=="


@pytest.mark.parametrize("key", [None, "", "Secret", "secret "])
def test_a_route_that_requires_a_key_refuses_requests_without_one(ask, function, key):
    answer = ask("POST", "/paid", {"x-api-key": key} if key is not None else {})

    assert (answer.status_code, answer.data) == (403, b'{"fallback": true}')
    assert function.event is None


def test_an_unknown_path_gets_the_gateway_response(ask):
    for method, path in [("GET", "/nothing"), ("PUT", "/open"), ("GET", "/any/7/8"), ("GET", "/openx")]:
        answer = ask(method, path)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert json.loads(answer.data) == {"detail": "Missing Authentication Token"}


def test_a_mock_integration_answers_without_a_function(ask, function):
    answer = ask("OPTIONS", "/paid")

    assert (answer.status_code, function.event) == (204, None)
    assert answer.headers["Access-Control-Max-Age"] == "600"


def test_a_body_above_the_limit_does_not_reach_the_function(ask, function):
    answer = ask("POST", "/paid", {"x-api-key": "secret"}, bytes(MAX_BODY + 1))

    assert (answer.status_code, function.event) == (413, None)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (FunctionError("secret internals"), 502),
        (TooManyRequestsError(), 504),
        (RequestTooLargeError(), 413),
        (None, 502),
        ({"body": "no status"}, 502),
        ({"statusCode": "x"}, 502),
    ],
)
def test_if_the_function_fails_the_gateway_answers(ask, function, answer, status):
    function.answer = answer

    response = ask("GET", "/open")

    assert response.status_code == status
    assert b"secret" not in response.data


def test_an_unsupported_definition_is_refused():
    for integration in (
        {"type": "http_proxy"},
        {},
        {**PROXY, "uri": PROXY["uri"].replace("f:live", "other")},
    ):
        with pytest.raises(StackError):
            Gateway(
                {"paths": {"/x": {"get": {"x-amazon-apigateway-integration": integration}}}}, "v1", {}, set()
            )
