"""The Portal handler: the page and the documentation, uploads and results, feedback, compliance, drift, alerts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from functions.portal import alerts, buckets, compliance, feedback, pages, uploads
from functions.portal.settings import read_settings
from functions.shared.api import Api
from functions.shared.contract import MAX_UPLOAD_BYTES, report_key, result_key
from functions.shared.problem import NO_REPORT, NO_RESULT, NOT_FOUND, NOT_IN_TIME, InputError

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response
    from aws_lambda_powertools.utilities.typing import LambdaContext

settings = read_settings()
app = Api(
    settings.cors_origin,
    {
        "/": "GET",
        "/page/{file}": "GET",
        "/openapi.json": "GET",
        "/docs": "GET",
        "/uploads": "POST",
        "/results/{key+}": "GET",
        "/feedback": "POST",
        "/compliance": "GET",
        "/drift": "GET",
        "/alerts": "GET",
    },
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway REST proxy event."""
    return app.resolve(event, context)


@app.get("/")
def page() -> Response[str]:
    """Answer with the page."""
    return _show(pages.front_page(app.prefix))


@app.get("/page/<file>")
def script(file: str) -> Response[str]:
    """Answer with one of the page's scripts."""
    text = pages.script(file)
    if text is None:
        return app.refuse(
            NOT_FOUND, f"The page has no script {file!r}; reload the page to get the current ones."
        )
    return _show(text)


@app.get("/openapi.json")
def openapi() -> Response[str]:
    """Answer with the OpenAPI document."""
    return app.respond_json(pages.openapi_document(app.prefix))


@app.get("/docs")
def docs() -> Response[str]:
    """Answer with the documentation."""
    return _show(pages.docs_page())


@app.post("/uploads")
def upload() -> Response[str]:
    """Answer with a presigned upload and the path of its result."""
    made = uploads.presign(uploads.parse(app.body), settings.uploads_bucket)
    answer = {
        "key": made.key,
        "result": f"{app.prefix}/results/{quote(made.key)}",
        "upload": {"url": made.url, "fields": made.fields},
        "max_bytes": MAX_UPLOAD_BYTES,
        "expires_at": made.expires_at.isoformat(timespec="seconds"),
    }
    return app.respond_json(answer)


@app.get("/results/.+")
def result() -> Response[str]:
    """Answer with the result that Batch wrote for an upload."""
    key = unquote(app.current_event.path_parameters["key"])  # a REST API does not decode it
    if why := uploads.why_no_result(key):
        return app.refuse(NO_RESULT, f"There will be no result for {key!r}. {why}")
    document = buckets.read(settings.results_bucket, result_key(key))
    if document is None:
        detail = (
            f"There is no result for {key!r}. It appears within seconds to minutes after the upload. If it does "
            "not, check that the key is that of the upload, without .json, and percent-encoded once."
        )
        return app.refuse(NO_RESULT, detail, {"Retry-After": "2"})
    return app.respond(200, document, "application/json")


@app.post("/feedback")
def take_feedback() -> Response[str]:
    """Store the actual label of a prediction."""
    request = app.current_event.request_context
    # Not the function's time, because one of two concurrent requests may wait for a cold start.
    received = datetime.fromtimestamp(request.request_time_epoch / 1000, UTC)
    sent = feedback.parse(app.body, received, request.identity.api_key_id or "")
    feedback.store(sent, settings.insights_bucket)
    answer = {name: value for name, value in sent.to_dict().items() if name != "api_key_id"}
    return app.respond(202, json.dumps(answer), "application/json")


@app.get("/compliance")
def show_compliance() -> Response[str]:
    """Answer with compliance over time, as JSON or CSV."""
    event = app.current_event
    accept = event.headers.get("accept") or ""
    now = datetime.now(UTC)
    selection = compliance.parse(app.query, accept, now)
    text = compliance.as_text(
        compliance.find(selection, settings.insights_bucket, now), selection.answer_format
    )
    if selection.answer_format == "json":
        return app.respond(200, text, "application/json")
    first, last = (hour.astimezone(selection.zone) for hour in (selection.first, selection.last))
    name = f"compliance-{first:%Y-%m-%d}-{last:%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return app.respond(200, text, "text/csv; charset=utf-8", headers)


@app.get("/drift")
def show_drift() -> Response[str]:
    """Answer with the latest drift report."""
    report = buckets.read(settings.insights_bucket, report_key("latest", "json"))
    if report is None:
        detail = "There is no drift report yet. It appears after the first run of Drift, which is scheduled."
        return app.refuse(NO_REPORT, detail)
    return app.respond(200, report, "application/json")


@app.get("/alerts")
def show_alerts() -> Response[str]:
    """Answer with the alerts of a time range."""
    selection = alerts.parse(app.query, datetime.now(UTC))
    return app.respond_json(alerts.find(selection, settings.alerts_table))


@app.exception_handler(InputError)  # type: ignore[untyped-decorator]
def refuse(refusal: InputError) -> Response[str]:
    """Answer with a problem document."""
    headers = {"Retry-After": "60"} if refusal.problem is NOT_IN_TIME else None
    return app.refuse(refusal.problem, refusal.detail, headers)


def _show(document: pages.Document) -> Response[str]:
    """Answer with a document, or 304 if the client already has it."""
    if document.headers["ETag"] in (app.current_event.headers.get("if-none-match") or ""):
        return app.respond(304, "", document.type, document.headers)
    return app.respond(200, document.body, document.type, document.headers)
