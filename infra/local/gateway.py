"""A local API Gateway: turns HTTP requests into a REST API's proxy events, and answers into HTTP responses.

Routes, keys, binary types, mock integrations and gateway responses come from the API's definition in template.yaml
and functions/portal/openapi.yaml. Not implemented: throttling, quotas, request validation, compression of answers and
access logs.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import time
import uuid
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from werkzeug import Request, Response
from werkzeug.datastructures import Headers

from infra.local.errors import FunctionError, RequestTooLargeError, StackError, TooManyRequestsError
from infra.local.template import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from wsgiref.types import WSGIApplication

    from infra.local.function import Function

MAX_BODY: Final = 10 * 1024 * 1024  # bytes, API Gateway's limit
_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}  # zlib's, for the codings that API Gateway decompresses
_ANY: Final = "x-amazon-apigateway-any-method"
_METHODS: Final = {"get", "put", "post", "delete", "options", "head", "patch", _ANY}
_DEFAULTS: Final = {  # default status and message of the gateway responses that are used here
    "DEFAULT_5XX": (502, "Internal server error"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out"),
    "INVALID_API_KEY": (403, "Forbidden"),
    "MISSING_AUTHENTICATION_TOKEN": (403, "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": (413, "Request Entity Too Large"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Unsupported Media Type"),
}


@dataclass(frozen=True)
class _Operation:
    needs_key: bool
    function: Function | None  # None: a mock
    integration: Mapping[str, Any]


@dataclass(frozen=True)
class _Route:
    path: str
    pattern: re.Pattern[str]
    operations: Mapping[str, _Operation]  # by method in upper case, or _ANY

    def parameters(self, path: str) -> dict[str, str]:
        match = self.pattern.fullmatch(path)
        return match.groupdict() if match else {}


class Gateway:
    """A REST API.

    Args:
        definition: The API's OpenAPI document, with all references resolved.
        stage: Name of the stage, for events.
        functions: The functions by the ARN in an integration's URI.
        keys: The valid API keys.
    """

    def __init__(
        self, definition: Mapping[str, Any], stage: str, functions: Mapping[str, Function], keys: set[str]
    ) -> None:
        self._stage = stage
        self._keys = keys
        self._binary_types = set(definition.get("x-amazon-apigateway-binary-media-types", []))
        self._gateway_responses = definition.get("x-amazon-apigateway-gateway-responses", {})
        routes = [_route(path, item, definition, functions) for path, item in definition["paths"].items()]
        # As in API Gateway, the more literal path wins: "{" sorts after every letter, "/" before.
        self._routes = sorted(routes, key=lambda route: route.path)

    def answer(self, request: Request) -> Response:
        """Answer a request as API Gateway would, also when a function fails."""
        try:
            return self._answer(request)
        except FunctionError as error:
            print(error, file=sys.stderr)
            return self._refuse("DEFAULT_5XX")
        except TooManyRequestsError:
            return self._refuse("INTEGRATION_TIMEOUT")
        except RequestTooLargeError:
            return self._refuse("REQUEST_TOO_LARGE")

    def _answer(self, request: Request) -> Response:
        path = _path(request)
        route = next((route for route in self._routes if route.pattern.fullmatch(path)), None)
        operations = route.operations if route else {}
        operation = operations.get(request.method) or operations.get(_ANY)
        if route is None or operation is None:
            return self._refuse("MISSING_AUTHENTICATION_TOKEN")
        if operation.needs_key and request.headers.get("x-api-key") not in self._keys:
            return self._refuse("INVALID_API_KEY")
        body = _decompressed(request)
        if body is None:
            return self._refuse("UNSUPPORTED_MEDIA_TYPE")
        if len(body) > MAX_BODY:
            return self._refuse("REQUEST_TOO_LARGE")
        if operation.function is None:
            return self._mock(operation.integration)
        event = self._event(request, body, route, needs_key=operation.needs_key)
        return self._to_response(operation.function.invoke(event), request.headers.get("accept", ""))

    def _event(self, request: Request, content: bytes, route: _Route, *, needs_key: bool) -> dict[str, Any]:
        path = _path(request)
        query = parse_qs(request.environ["QUERY_STRING"], keep_blank_values=True)
        headers = {name: value for name, value in request.headers.items() if name != "Content-Length"}
        identity = {"sourceIp": request.remote_addr, "userAgent": request.headers.get("user-agent")}
        if needs_key:
            identity |= {"apiKey": request.headers["x-api-key"], "apiKeyId": "local"}
        now = time.time()
        is_binary = self._is_binary(request.headers.get("content-type", ""))
        body = base64.b64encode(content).decode() if is_binary else content.decode(errors="replace")
        return {
            "resource": route.path,
            "path": path,  # a REST API decodes neither this nor the parameters in it; an HTTP API does
            "httpMethod": request.method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": route.parameters(path) or None,
            "stageVariables": None,
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": "local",
                "domainName": request.headers.get("host", ""),
                "domainPrefix": "local",
                "extendedRequestId": str(uuid.uuid4()),
                "httpMethod": request.method,
                "identity": identity,
                "path": path,  # without the stage, as under a domain of one's own
                "protocol": "HTTP/1.1",
                "requestId": str(uuid.uuid4()),
                "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "requestTimeEpoch": int(now * 1000),
                "resourceId": "local",
                "resourcePath": route.path,
                "stage": self._stage,
            },
            "body": body or None,
            "isBase64Encoded": bool(body) and is_binary,
        }

    def _to_response(self, answer: Any, accept: str) -> Response:
        """Turn a function's answer into an HTTP response; a malformed answer counts as the function's failure."""
        try:
            headers = Headers(answer.get("headers"))
            headers.extend(answer.get("multiValueHeaders") or {})
            headers.setdefault("Content-Type", "application/json")
            body = (answer.get("body") or "").encode()
            if answer.get("isBase64Encoded") and self._is_binary(accept.partition(",")[0]):
                body = base64.b64decode(body, validate=True)
            return Response(body, int(answer["statusCode"]), headers)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise FunctionError(f"API Gateway cannot use this answer: {error!r}") from error

    def _mock(self, integration: Mapping[str, Any]) -> Response:
        answer = integration["responses"]["default"]
        parameters = answer.get("responseParameters", {})
        body = answer.get("responseTemplates", {}).get("application/json", "")
        headers = {"Content-Type": "application/json", **_literal_headers(parameters)}
        return Response(body, int(answer["statusCode"]), headers)

    def _refuse(self, kind: str) -> Response:
        status, message = _DEFAULTS[kind]
        fallback = self._gateway_responses.get("DEFAULT_5XX" if status >= 500 else "DEFAULT_4XX", {})
        response = self._gateway_responses.get(kind, fallback)
        body = response.get("responseTemplates", {}).get(
            "application/json", '{"message":$context.error.messageString}'
        )
        body = body.replace("$context.error.messageString", json.dumps(message))
        body = body.replace("$context.error.message", message)
        headers = {
            "Content-Type": "application/json",
            **_literal_headers(response.get("responseParameters", {})),
        }
        return Response(body, int(response.get("statusCode", status)), headers)

    def _is_binary(self, media_type: str) -> bool:
        sent = media_type.partition(";")[0].strip().lower()
        return not self._binary_types.isdisjoint({sent, f"{sent.partition('/')[0]}/*", "*/*"})


def _decompressed(request: Request) -> bytes | None:
    """Return the decompressed body, as API Gateway passes it on if the API has a `minimumCompressionSize`.

    None if the body does not have the coding in its header, or that is not supported.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    body = request.get_data()
    if coding == "identity":
        return body
    if coding not in _WINDOW_BITS:
        return None
    try:
        # Limited to one byte over MAX_BODY, since a megabyte may decompress to a gigabyte.
        return zlib.decompressobj(_WINDOW_BITS[coding]).decompress(body, MAX_BODY + 1)
    except zlib.error:
        return None


def wsgi(gateway: Gateway) -> WSGIApplication:
    """Return the gateway as a WSGI application, which logs its requests to standard error."""

    @Request.application
    def application(request: Request) -> Response:
        started = time.perf_counter()
        response = gateway.answer(request)
        milliseconds = (time.perf_counter() - started) * 1000
        line = f"{request.method} {_path(request)} {response.status_code} {milliseconds:.1f} ms"
        print(line, file=sys.stderr)
        return response

    return application


def _path(request: Request) -> str:
    """Return the path as it was sent, still percent-encoded."""
    return str(request.environ["REQUEST_URI"].partition("?")[0])


def _route(
    path: str, item: Mapping[str, Any], definition: Mapping[str, Any], functions: Mapping[str, Function]
) -> _Route:
    operations = {}
    for method in _METHODS & item.keys():
        integration = item[method].get("x-amazon-apigateway-integration", {})
        kind, function = integration.get("type"), None
        if kind == "aws_proxy":
            arn = integration["uri"].rpartition("/functions/")[2].removesuffix("/invocations")
            if arn not in functions:
                raise StackError(f"{method} {path} calls {arn}, which is not a function of this stack")
            function = functions[arn]
        elif kind != "mock":
            raise StackError(f"{method} {path}: integrations of type {kind} are not supported locally")
        security = item[method].get("security", definition.get("security", []))
        name = method if method == _ANY else method.upper()
        operations[name] = _Operation(bool(security), function, integration)
    pattern = re.sub(
        r"\\{(\w+)(\\\+)?\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(path)
    )
    return _Route(path, re.compile(pattern), operations)


def _literal_headers(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that response parameters set to a literal ('…'); the others map a backend's answer."""
    return {name.rpartition(".")[2]: v[1:-1] for name, v in parameters.items() if v[:1] == v[-1:] == "'"}
