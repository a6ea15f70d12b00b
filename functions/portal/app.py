"""The handler for people rather than pictures: the page, the OpenAPI document and its documentation."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from functions.api import Api
from functions.portal import pages

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response
    from aws_lambda_powertools.utilities.typing import LambdaContext

HTML: Final = "text/html; charset=utf-8"

app = Api(os.environ.get("CORS_ORIGIN", "*"), {"/": "GET", "/openapi.json": "GET", "/docs": "GET"})


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway REST proxy event."""
    return app.resolve(event, context)


@app.get("/")
def page() -> Response[str]:
    """Answer with the page."""
    return app.respond(200, pages.front_page(_prefix()), HTML, pages.SECURITY_HEADERS)


@app.get("/openapi.json")
def openapi() -> Response[str]:
    """Answer with the OpenAPI document."""
    return app.respond_json(pages.openapi_document(_prefix()))


@app.get("/docs")
def docs() -> Response[str]:
    """Answer with the documentation."""
    return app.respond(200, pages.docs_page(), HTML, pages.SECURITY_HEADERS)


def _prefix() -> str:
    """Return what stands before our own paths in the address: the stage, on AWS."""
    event = app.current_event
    return event.request_context.path.removesuffix(event.path).rstrip("/")
