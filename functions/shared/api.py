"""What both API handlers start from: every answer carries CORS, every failure is a problem document."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response

from functions.shared.failures import count_failure
from functions.shared.problem import INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, problem_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.event_handler.exceptions import NotFoundError

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

logger = Logger(serialize_stacktrace=False)


class Api(APIGatewayRestResolver):
    """A resolver whose answers the pages of other sites may read and nobody may store, unless a route says otherwise.

    Args:
        cors_origin: The site whose pages may read; "*" for all.
        methods: The method of each resource that there is; named to whoever uses another one.
    """

    def __init__(self, cors_origin: str, methods: Mapping[str, str]) -> None:
        super().__init__(cors=CORSConfig(allow_origin=cors_origin, allow_headers=["x-api-key"]))
        self._methods = methods
        self.not_found(self._nothing_there)
        self.exception_handler(Exception)(self._fail)

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer an event; HEAD as GET would be, without the body (RFC 9110, 9.3.2)."""
        full_path = event["requestContext"]["path"]
        event = {**event, "path": full_path.removeprefix(_prefix(full_path, event["resource"])) or "/"}
        if event["httpMethod"] != "HEAD":
            return super().resolve(event, context)
        return super().resolve({**event, "httpMethod": "GET"}, context) | {"body": ""}

    @property
    def prefix(self) -> str:
        """What stands before our own paths in the address: the stage, or a custom domain's base path."""
        return _prefix(self.current_event.request_context.path, self.current_event.resource)

    @property
    def request_id(self) -> str:
        """Of the request that is being answered; the logs know it by this."""
        return str(self.current_event.request_context.request_id)

    @property
    def body(self) -> bytes:
        """Of the request that is being answered, as it was sent unless the gateway took bytes for text."""
        event = self.current_event
        body = event.body or ""
        return base64.b64decode(body) if event.is_base64_encoded else body.encode(errors="surrogatepass")

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

    def _nothing_there(self, _: NotFoundError) -> Response[str]:
        resource = self.current_event.resource
        if method := self._methods.get(resource):
            allowed = "GET, HEAD" if method == "GET" else method
            return self.refuse(METHOD_NOT_ALLOWED, f"Use {method} {resource}.", {"Allow": allowed})
        return self.refuse(NOT_FOUND, "There is nothing at this path; GET /docs describes every route.")

    def _fail(self, _: Exception) -> Response[str]:
        """Tell the log everything and the client nothing but where to look."""
        logger.exception("request failed", request_id=self.request_id)  # noqa: LOG004 -- called in an except
        count_failure()
        detail = "The fault is ours and is in our log under the id in `instance`. Try again later."
        return self.refuse(INTERNAL, detail)


def _prefix(full_path: str, resource: str) -> str:
    """Return what comes before a resource in the path of a request, without a slash at its end.

    An event's own `path` has the base path of a custom domain in it, but not the stage.
    """
    literal = resource.partition("{")[0]
    start = full_path.rfind(literal) if literal == resource else full_path.find(literal)
    return full_path[: max(start, 0)] if literal != "/" else full_path.rstrip("/")
