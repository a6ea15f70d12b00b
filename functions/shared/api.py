"""The resolver of both API handlers: every answer carries CORS headers, every failure is a problem document."""

from __future__ import annotations

import base64
import json
import traceback
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response

from functions.shared.failures import count_failure, without_paths
from functions.shared.fields import single
from functions.shared.problem import INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, problem_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.event_handler.exceptions import NotFoundError

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

logger = Logger(serialize_stacktrace=False)


class Api(APIGatewayRestResolver):
    """An API Gateway resolver that sets CORS headers, and `no-store` unless a route sets `Cache-Control` itself.

    Args:
        cors_origin: The origin that CORS allows; "*" for all.
        methods: The method of each resource, for the `Allow` header and the detail of a 405.
    """

    def __init__(self, cors_origin: str, methods: Mapping[str, str]) -> None:
        cors = CORSConfig(
            allow_origin=cors_origin, allow_headers=["x-api-key"], expose_headers=["Retry-After"]
        )
        super().__init__(cors=cors)
        self.methods = methods
        self.not_found(self._refuse_unknown_route)
        self.exception_handler(Exception)(self._fail)

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer an event. HEAD is answered like GET, without the body (RFC 9110, 9.3.2)."""
        full_path = event["requestContext"]["path"]
        event = {**event, "path": full_path.removeprefix(_prefix(full_path, event["resource"])) or "/"}
        if event["httpMethod"] != "HEAD":
            return super().resolve(event, context)
        return super().resolve({**event, "httpMethod": "GET"}, context) | {"body": ""}

    @property
    def prefix(self) -> str:
        """The path in front of the API's own paths: the stage, or the base path of a custom domain."""
        return _prefix(self.current_event.request_context.path, self.current_event.resource)

    @property
    def request_id(self) -> str:
        """The id of the current request, as it appears in the logs."""
        return str(self.current_event.request_context.request_id)

    @property
    def body(self) -> bytes:
        """The bytes of the current request's body; damaged if the gateway read a binary body as text."""
        event = self.current_event
        body = event.body or ""
        return base64.b64decode(body) if event.is_base64_encoded else body.encode(errors="surrogatepass")

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters of the current request.

        Raises:
            InputError: A parameter is given twice with different values.
        """
        values = self.current_event.multi_value_query_string_parameters
        return single((name, value) for name in values for value in values[name])

    def respond(
        self, status: int, body: str, content_type: str, headers: Mapping[str, str] | None = None
    ) -> Response[str]:
        """Answer with a body of any type."""
        return Response(status, content_type, body, headers={**_HEADERS, **(headers or {})})

    def respond_json(self, body: Mapping[str, Any]) -> Response[str]:
        """Answer 200 with JSON."""
        return self.respond(200, json.dumps(body), "application/json")

    def refuse(
        self, problem: Problem, detail: str, headers: Mapping[str, str] | None = None
    ) -> Response[str]:
        """Answer with a problem document (RFC 9457) that names the request."""
        body = problem_json(problem, detail, instance=f"urn:maskwatch:request:{self.request_id}")
        return self.respond(problem.status, json.dumps(body), "application/problem+json", headers)

    def _refuse_unknown_route(self, _: NotFoundError) -> Response[str]:
        resource = self.current_event.resource
        method = self.methods.get(resource)
        if method and method != self.current_event.http_method:
            allowed = "GET, HEAD" if method == "GET" else method
            return self.refuse(METHOD_NOT_ALLOWED, f"Use {method} {resource}.", {"Allow": allowed})
        return self.refuse(NOT_FOUND, "There is nothing at this path; GET /docs describes every route.")

    def _fail(self, _: Exception) -> Response[str]:
        """Log the traceback; the client gets only the id to find it by."""
        error = without_paths(traceback.format_exc())
        logger.exception("request failed", request_id=self.request_id, exception=error)  # noqa: LOG004 -- called in an except
        count_failure()
        detail = "The server failed; its log has the error under the id in `instance`. Try again later."
        return self.refuse(INTERNAL, detail)


def _prefix(full_path: str, resource: str) -> str:
    """Return the part of a request's full path before the resource, without a trailing slash.

    The event's own `path` contains the base path of a custom domain, but not the stage.
    """
    literal = resource.partition("{")[0]
    start = full_path.rfind(literal) if literal == resource else full_path.find(literal)
    return full_path[: max(start, 0)] if literal != "/" else full_path.rstrip("/")
