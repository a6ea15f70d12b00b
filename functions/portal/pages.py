"""What the portal shows, with everything in it: no page asks another host for anything."""

from __future__ import annotations

import html
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_OPENAPI_FILE: Final = Path(__file__).parents[2] / "infra" / "openapi.yaml"


def front_page(prefix: str) -> str:
    """Return the page; `prefix` is what stands before the API's paths, `/v1` or empty."""
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>MaskWatch</title>
<base href="{html.escape(prefix)}/">
<h1>MaskWatch</h1>
<p>Tells whether the people in a picture wear a face mask: properly, wrongly, or not at all.</p>
<p><a href="docs">How to ask it</a>, or the same <a href="openapi.json">as OpenAPI</a>.</p>
</html>
"""


def openapi_document(prefix: str) -> dict[str, Any]:
    """Return the OpenAPI document as callers see it: at their address, with nothing of the gateway's in it."""
    document: dict[str, Any] = _without_gateway(_document())
    document["servers"] = [{"url": prefix or "/"}]
    document["paths"] = {path.replace("+}", "}"): item for path, item in document["paths"].items()}
    rows = (f"| {p['status']} | `{slug}` | {p['title']} |" for slug, p in document["x-problems"].items())
    table = "\n".join(["| Status | Identifier | Meaning |", "|---|---|---|", *rows])
    document["info"]["description"] += f"\n\nRefusals are problems as of RFC 9457:\n\n{table}"
    return document


@cache
def docs_page() -> str:
    """Return the documentation: Swagger UI, which Powertools brings along, reading `openapi.json` beside it."""
    # Read as files: importing the package around them would load pydantic.
    assets = files("aws_lambda_powertools") / "event_handler" / "openapi" / "swagger_ui"
    style = (assets / "swagger-ui.min.css").read_text(encoding="utf-8")
    script = (assets / "swagger-ui-bundle.min.js").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>MaskWatch API</title>
<style>{style}</style>
<div id="swagger-ui"></div>
<script>{script}</script>
<script>SwaggerUIBundle({{url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true}})</script>
</html>
"""


@cache
def _document() -> dict[str, Any]:
    # The C loader alone is fast enough to be met in a cold start.
    document: dict[str, Any] = yaml.load(_OPENAPI_FILE.read_bytes(), Loader=yaml.CSafeLoader)
    return document


def _without_gateway(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: _without_gateway(item)
                for key, item in value.items()
                if not key.startswith("x-amazon-apigateway-")
            }
        case list():
            return [_without_gateway(item) for item in value]
    return value
