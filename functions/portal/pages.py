"""The HTML pages and scripts of the portal, which load nothing from other hosts.

The Content-Security-Policy of each page allows only the scripts and styles that it ships with, inline ones by hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from functions.shared.problem import PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAGE: Final = Path(__file__).parent / "page"
_OPENAPI_FILE: Final = Path(__file__).parent / "openapi.yaml"
_STYLE: Final = '<link rel="stylesheet" href="page/style.css">'
_BASE: Final = '<base href="./">'
_HEADERS: Final = {
    "Cache-Control": "no-cache",  # revalidated every time, so that the page uses no script of an earlier release
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
_REFUSALS: Final = {  # of every route; 403 of those that need a key
    "403": "The header x-api-key is missing, or the key is not valid; or a firewall refused the request (`blocked`).",
    "429": "Too many requests a second (`throttled`), or the key's monthly quota is used up (`quota-exceeded`).",
    "500": "The service failed; the same request may succeed a moment later.",
    "502": "The service failed before it could answer.",
    "504": "The service took too long; the same request may succeed a moment later.",
}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@dataclass(frozen=True)
class Document:
    """A page or script: its text, its media type and its headers, including `ETag`."""

    body: str
    type: str
    headers: Mapping[str, str]


@cache
def front_page(prefix: str) -> Document:
    """Return the page; `prefix` is the path in front of the API's paths, such as `/v1`, or empty.

    The style sheet is inlined, so that the first request is enough to render the page.
    """
    style = _read("style.css")
    page = _read("index.html").replace(_STYLE, f"<style>{style}</style>")
    page = page.replace(_BASE, f'<base href="{html.escape(prefix)}/">')
    policy = _policy(script="'self'", style=_hash(style), img="'self' blob: data:", media="blob:")
    # The page may use the camera and nothing else; other sites may not use it through this page.
    allowed = "camera=(self), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
    return _document(page, "text/html", {"Content-Security-Policy": policy, "Permissions-Policy": allowed})


def script(name: str) -> Document | None:
    """Return one of the page's scripts by its file name, or None if there is no such script."""
    return _scripts().get(name)


@cache
def _scripts() -> dict[str, Document]:
    names = [path.name for path in _PAGE.glob("*.js")]
    return {name: _document(_read(name), "text/javascript", {}) for name in names}


@cache
def docs_page() -> Document:
    """Return the API documentation: the Swagger UI that Powertools ships, reading `openapi.json`."""
    # Read as files: importing the package around them would load pydantic.
    assets = files("aws_lambda_powertools") / "event_handler" / "openapi" / "swagger_ui"
    style = (assets / "swagger-ui.min.css").read_text(encoding="utf-8")
    library = (assets / "swagger-ui-bundle.min.js").read_text(encoding="utf-8")
    start = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true})'
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>MaskWatch API</title>
<link rel="icon" href="data:,">
<style>{style}</style>
<div id="swagger-ui"></div>
<script>{library}</script>
<script>{start}</script>
</html>
"""
    policy = _policy(script=f"{_hash(library)} {_hash(start)}", style=_hash(style), img="'self' data:")
    headers = {"Content-Security-Policy": policy, "Cache-Control": "public, max-age=3600"}  # 1.7 MB
    return _document(page, "text/html", headers)


def openapi_document(prefix: str) -> dict[str, Any]:
    """Return the OpenAPI document for callers: their base URL, all refusals, no extensions of API Gateway."""
    document: dict[str, Any] = _without_gateway(_document_of_api())
    document["servers"] = [{"url": prefix or "/"}]
    for item in document["paths"].values():
        for operation in item.values():
            refusals = {
                status: {"description": text}
                for status, text in _REFUSALS.items()
                if status != "403" or "security" in operation
            }
            responses = operation["responses"] = dict(sorted((operation["responses"] | refusals).items()))
            for status, response in responses.items():
                if status >= "400":
                    response.setdefault("content", _PROBLEM)
    document["paths"] = {path.replace("+}", "}"): item for path, item in document["paths"].items()}
    rows = (f"| {problem.status} | `{problem.identifier}` | {problem.title} |" for problem in PROBLEMS)
    table = "\n".join(["| Status | Identifier | Meaning |", "|---|---|---|", *rows])
    document["info"]["description"] += f"\n\nRefusals are problems as of RFC 9457:\n\n{table}"
    return document


def _read(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _document(body: str, media_type: str, headers: Mapping[str, str]) -> Document:
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    return Document(body, f"{media_type}; charset=utf-8", {**_HEADERS, **headers, "ETag": tag})


def _policy(**sources: str) -> str:
    allowed = "; ".join(f"{kind}-src {where}" for kind, where in {"connect": "'self'", **sources}.items())
    return f"default-src 'none'; {allowed}; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _document_of_api() -> dict[str, Any]:
    # Only the C loader is fast enough for a cold start.
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
