"""The handler for people rather than pictures: pages, documentation, uploads and their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from functions.api import Api
from functions.portal import pages, uploads
from functions.portal.settings import read_settings
from functions.problem import NO_RESULT, Rejected

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response
    from aws_lambda_powertools.utilities.typing import LambdaContext

HTML: Final = "text/html; charset=utf-8"

settings = read_settings()
app = Api(
    settings.cors_origin,
    {"/": "GET", "/openapi.json": "GET", "/docs": "GET", "/uploads": "POST", "/results/{key+}": "GET"},
)


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


@app.post("/uploads")
def upload() -> Response[str]:
    """Say where one picture may be put, and where its result will be."""
    made = uploads.presign(uploads.parse(app.current_event.decoded_body or ""), settings.uploads_bucket)
    answer = {
        "key": made.key,
        "result": f"{_prefix()}/results/{quote(made.key)}",
        "upload": {"url": made.url, "fields": made.fields},
        "max_bytes": uploads.MAX_BYTES,
        "expires_at": made.expires_at.isoformat(timespec="seconds"),
    }
    return app.respond_json(answer, {"Cache-Control": "no-store"})


@app.get("/results/.+")
def result() -> Response[str]:
    """Answer with what Batch wrote about an upload."""
    key = unquote(app.current_event.path_parameters["key"])  # a REST API leaves it as it was sent
    found = uploads.find_result(key, settings.results_bucket)
    if found is None:
        detail = (
            f"There is no result for {key!r}. One appears within seconds to minutes after its upload; where none "
            "does, look whether the key is that of the upload, without .json, and percent-encoded once."
        )
        return app.refuse(NO_RESULT, detail, {"Retry-After": "2"})
    return app.respond(200, found, "application/json")


@app.exception_handler(Rejected)  # type: ignore[untyped-decorator]
def refuse(rejected: Rejected) -> Response[str]:
    """Answer what is wrong with the request."""
    return app.refuse(rejected.problem, rejected.detail)


def _prefix() -> str:
    """Return what stands before our own paths in the address: the stage, on AWS."""
    event = app.current_event
    return event.request_context.path.removesuffix(event.path).rstrip("/")
