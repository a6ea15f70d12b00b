"""The page is served small, with a strict policy, cacheable and under any stage."""

import gzip
import re
from pathlib import Path

import pytest
import requests

from functions.portal import pages

FILES = Path(pages.__file__).parent / "page"
SCRIPTS = sorted(path.name for path in FILES.glob("*.js"))


def policy(answer):
    directives = (part.split() for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in directives}


@pytest.mark.parametrize("path", ["", "docs"])
def test_the_policy_allows_only_shipped_scripts(stack, path):
    answer = requests.get(stack + path, timeout=30)

    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    directives = policy(answer)
    assert (
        directives["default-src"] == directives["frame-ancestors"] == directives["form-action"] == ["'none'"]
    )
    assert all(re.fullmatch(r"'sha256-[\w+/=]+'", source) for source in directives["style-src"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_page_has_no_script_and_no_style_in_its_elements(stack):
    page = requests.get(stack, timeout=30).text

    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"\s(?:style|on\w+)=", page)


def test_only_the_page_may_use_the_camera(stack):
    assert "camera=(self)" in requests.get(stack, timeout=30).headers["Permissions-Policy"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_its_type_and_is_cached(stack, name):
    first = requests.get(f"{stack}page/{name}", timeout=30)
    again = requests.get(f"{stack}page/{name}", headers={"If-None-Match": first.headers["ETag"]}, timeout=30)

    assert first.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_the_page_is_cached(stack):
    tag = requests.get(stack, timeout=30).headers["ETag"]
    assert requests.get(stack, headers={"If-None-Match": tag}, timeout=30).status_code == 304


@pytest.mark.parametrize("name", ["nothing.js", "style.css", "..%2Fpages.py", "index.html"])
def test_other_files_are_not_served(stack, name):
    answer = requests.get(f"{stack}page/{name}", timeout=30)

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:maskwatch:problem:not-found"


def test_the_compressed_page_is_smaller_than_36_kb(stack):
    parts = [requests.get(stack + path, timeout=30).content for path in ["", *(f"page/{n}" for n in SCRIPTS)]]
    assert sum(len(gzip.compress(part)) for part in parts) < 36_000


def test_the_stage_is_escaped():
    assert "&quot;" in pages.front_page('/"').body


def test_its_style_is_inlined():
    body = pages.front_page("").body
    assert "<style>:root" in body
    assert "style.css" not in body
