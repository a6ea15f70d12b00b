"""A Python client of the API: predictions, uploads and their results, feedback, compliance."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes, urlencode
from urllib.request import getproxies, proxy_bypass

import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL: Final = ("http://127.0.0.1:3000/", "local")  # address and key of `make run`
# Copies: pip installs no functions/; tests/unit/test_contract_copies.py compares.
LABELS: Final = ("mask", "no_mask", "incorrect")
ANSWER_LABELS: Final = (*LABELS, "uncertain")  # possible labels of an answer
TYPES: Final = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "image/jpeg"),
    ".png": "image/png",
    ".webp": "image/webp",
}
_KEY: Final = re.compile("[!-~]*")  # the characters that a header can hold
# Of an address: a password, which may have any character if a person typed it, and the query.
_NOT_SHOWN: Final = re.compile(r"(?<=://).*@|[?].*", re.DOTALL)
_NOT_SHOWN_OF_TARGET: Final = re.compile(r"(?<=://)[^/?#]*@|[?].*", re.DOTALL)  # its path may have an @
PROBLEM: Final = "urn:maskwatch:problem:"  # prefix of the identifiers in the table of /docs
_CONNECTION: Final = re.compile(r"^HTTPS?Connection\w*\(.*?\): ")  # prefix of urllib3's reasons
_UNTYPED: Final = "application/octet-stream"  # the service detects the type from the bytes
_SLOW_UPLOAD: Final = "RequestTimeout"  # S3's code, with status 400
_TIMEOUT: Final = 35.0  # seconds: API Gateway gives up after 29
_LONGEST_PAUSE: Final = 5.0  # seconds; the retries below pause no more than half a minute in all
_SLOWEST: Final = 10_000  # bytes per second at which pictures may leave a slow uplink
_LONGEST_QUEUE: Final = (
    600.0  # seconds that a picture may wait for those of other connections on the same uplink
)
_FORMS: Final = 3  # for one upload; a form expires after 15 minutes


class _Retry(urllib3.Retry):
    """Retries with pauses of half a minute in all; an answer with a long Retry-After is left to the caller."""

    def increment(self, *request: Any, **outcome: Any) -> _Retry:
        response = outcome.get("response")
        if response is not None and (self.get_retry_after(response) or 0) > _LONGEST_PAUSE:
            raise urllib3.exceptions.MaxRetryError(outcome["_pool"], response.url)
        return super().increment(*request, **outcome)

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except urllib3.exceptions.InvalidHeader:
            return None


_RETRIES: Final = _Retry(
    total=6,
    # Until the first answer, since the address may be wrong, or a firewall may accept connections and say nothing.
    connect=2,
    read=2,
    other=2,  # such as a proxy's refusal
    backoff_factor=0.5,
    backoff_jitter=0.5,
    # The line or a proxy was too slow, API Gateway or S3 was too busy, or a function failed.
    status_forcelist=(408, 429, 500, 502, 503, 504),
    allowed_methods=None,  # all of them: every request may be repeated
    raise_on_status=False,
)


class ApiError(Exception):
    """The service refused a request or cannot be reached; the message is the service's own, if it sent one.

    Attributes:
        problem: Identifier of the problem in the table of /docs, or S3's code; empty if the answer had neither.
        status: HTTP status of the answer; 0 if there was none.
        after: Seconds to wait before retrying, from Retry-After; 0 if the service does not say.
    """

    def __init__(self, detail: str, problem: str = "", status: int = 0, after: float = 0) -> None:
        super().__init__(detail)
        self.problem, self.status, self.after = problem, status, after

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        again = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
        return (
            self.status in again
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or self.problem == _SLOW_UPLOAD
        )


class UnreachableError(ApiError):
    """There was no answer, or it was not from a MaskWatch API."""

    transient = True


class Client:
    """A client of one API, which threads may share. Every refusal raises `ApiError`.

    Args:
        url: Base URL of the API. Surrounding white space of it and of the key is removed.
        key: The API key; empty to send none.
        connections: Size of the connection pool: the number of threads that share the client.
        retry: Whether to retry what may succeed soon, with pauses of half a minute in all, rather than raise at once.

    Raises:
        ApiError: The key has characters that no header can hold.
    """

    def __init__(self, url: str, key: str, connections: int = 1, *, retry: bool = True) -> None:
        key = key.strip()
        if not _KEY.fullmatch(key):
            raise ApiError("the API key contains invalid characters; copy it again", "forbidden")
        self._url, self._key = f"{url.strip().rstrip('/')}/", {"x-api-key": key} if key else {}
        self._connections, self._forms = connections, _FORMS if retry else 1
        self._retries = _RETRIES if retry else _RETRIES.new(total=0)
        self._pool = cache(lambda proxy: _pool(proxy, connections))

    def health(self) -> dict[str, Any]:
        """Return the answer of GET /health."""
        return self._request_json("GET", "health", "status")

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        return self._request_json("GET", "openapi.json", "openapi")

    def predict(
        self, picture: bytes, media_type: str = _UNTYPED, /, **query: str | float | None
    ) -> dict[str, Any]:
        """Return the prediction for a picture; `query` holds the options of POST /predict, None for the default."""
        return self._request_json("POST", f"predict?{_encode(query)}", "summary", picture, media_type)

    def upload(self, picture: bytes, media_type: str, source: str | None = None) -> str:
        """Upload a picture for Batch, and return its key."""
        payload = {"type": media_type} | ({"source": source} if source else {})
        body = json.dumps(payload).encode()
        for left in reversed(range(self._forms)):
            slot = self._request_json("POST", "uploads", "upload", body, "application/json")
            if len(picture) > slot["max_bytes"]:
                raise ApiError(
                    f"the file has {len(picture):,} bytes; at most {slot['max_bytes']:,} are accepted"
                )
            parts = {**slot["upload"]["fields"], "file": ("picture", picture, media_type)}
            url = slot["upload"]["url"]
            try:
                response = self._request("POST", url, len(picture), fields=parts)
            except ApiError as refusal:
                if left and (refusal.problem == _SLOW_UPLOAD or "Policy expired" in str(refusal)):
                    continue
                raise
            if response.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.CREATED}:
                shown = _NOT_SHOWN.sub("", url)
                raise UnreachableError(f"{shown} answered {response.status}, but not as S3 does")
            break
        return str(slot["key"])

    def result(self, key: str) -> dict[str, Any] | None:
        """Return the result of an upload, or None if there is none yet.

        Raises:
            ApiError: There will be no result, or the service refused the request or cannot be reached.
        """
        try:
            return self._request_json("GET", f"results/{quote(key)}", "status")
        except ApiError as refusal:
            if refusal.problem == "no-result" and refusal.after:
                return None
            raise

    def feedback(self, prediction_id: str, label: str, *, audit: bool = False) -> dict[str, Any]:
        """Send the actual label of a prediction; if there are several, the last counts.

        `audit` is whether the prediction belongs to the audit sample, rather than being chosen by a person.
        """
        payload = {"prediction_id": prediction_id, "label": label} | ({"audit": True} if audit else {})
        body = json.dumps(payload).encode()
        return self._request_json("POST", "feedback", "prediction_id", body, "application/json")

    def compliance(self, **query: str | float | None) -> dict[str, Any]:
        """Return the answer of GET /compliance; `query` holds its options, None for the default."""
        return self._request_json("GET", f"compliance?{_encode(query)}", "rows")

    def compliance_csv(self, **query: str | float | None) -> str:
        """Return the answer of GET /compliance as CSV."""
        url = f"{self._url}compliance?{_encode(query | {'format': 'csv'})}"
        response = self._request("GET", url, headers=self._key)
        if not response.headers.get("content-type", "").startswith("text/csv"):
            raise self._not_this_api()
        text = response.data.decode()
        if not text.endswith("\n"):
            raise ApiError(f"the answer of {_NOT_SHOWN.sub('', url)} broke off; try again")
        return text

    def _request_json(
        self, method: str, path: str, member: str, body: bytes | None = None, media_type: str = ""
    ) -> dict[str, Any]:
        """Return the JSON object of an answer, which must have a member of this name."""
        headers = self._key | ({"content-type": media_type} if media_type else {})
        response = self._request(method, self._url + path, len(body or b""), body=body, headers=headers)
        try:
            content = response.json()
        except ValueError:
            content = None
        if not isinstance(content, dict) or content.get(member) is None:
            raise self._not_this_api()
        return content

    def _not_this_api(self) -> UnreachableError:
        shown = _NOT_SHOWN.sub("", self._url)
        return UnreachableError(f"{shown} answered, but not as a MaskWatch API does: check the address")

    def _request(self, method: str, url: str, size: int = 0, **content: Any) -> urllib3.BaseHTTPResponse:
        shown = _NOT_SHOWN.sub("", url)
        # Part of the picture waits in the kernel's buffers when urllib3 begins to wait for the answer.
        alone = size / _SLOWEST
        timeout = _TIMEOUT + max(alone, min(self._connections * alone, _LONGEST_QUEUE))
        proxy = ""
        try:
            proxy = _proxy_of(url)
            response = self._pool(proxy).request(
                method, url, redirect=False, timeout=timeout, retries=self._retries, **content
            )
        except urllib3.exceptions.LocationParseError:
            # Its message may have a part of a password.
            if proxy:
                raise ApiError("HTTPS_PROXY cannot be parsed") from None
            raise UnreachableError(f"{shown} cannot be parsed") from None
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            reason = str(getattr(reason, "original_error", reason))  # of a proxy
            through = f" through the proxy {_NOT_SHOWN.sub('', proxy)}" if proxy else ""
            raise UnreachableError(
                f"{shown} cannot be reached{through}: {_CONNECTION.sub('', reason)}"
            ) from error
        self._retries = self._retries.new(connect=None, read=None, other=None)
        if response.status < HTTPStatus.MULTIPLE_CHOICES:
            return response
        if response.status < HTTPStatus.BAD_REQUEST:
            # The key and the picture are only for the address that was set.
            target = _NOT_SHOWN_OF_TARGET.sub("", response.headers.get("location", "nowhere"))
            raise UnreachableError(f"{shown} answered with a redirect to {target}: check the address")
        after = 0.0
        with suppress(urllib3.exceptions.InvalidHeader):
            after = _RETRIES.get_retry_after(response) or after
        # Whatever its content type, since a web ACL sends a problem document as application/json.
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # a proxy may send anything else
            document = response.json()
            problem = document["type"].removeprefix(PROBLEM)
            raise ApiError(str(document["detail"]), problem, response.status, after)
        text = response.data.decode(errors="replace")
        # S3 answers in XML.
        code, message = (re.search(f"<{name}>(.*?)</{name}>", text) for name in ("Code", "Message"))
        detail = f"{shown} answered {response.status}: {message[1] if message else text[:300]}"
        raise ApiError(detail, code[1] if code else "", response.status, after)


def _encode(query: Mapping[str, str | float | None]) -> str:
    return urlencode({name: value for name, value in query.items() if value is not None})


def _proxy_of(url: str) -> str:
    """Return the proxy for a URL, from HTTPS_PROXY and NO_PROXY or the system's settings; empty for none."""
    proxy, address = getproxies().get("https", ""), urllib3.util.parse_url(url)
    # Plain HTTP is for `make run` on this machine, which a proxy cannot reach.
    if not proxy or address.scheme != "https" or proxy_bypass(address.netloc or ""):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _pool(proxy: str, connections: int) -> urllib3.PoolManager:
    if not proxy:
        return urllib3.PoolManager(maxsize=connections)
    # urllib3 accepts neither an unencoded / in a password nor, for the header, characters beyond Latin-1.
    scheme, _, rest = proxy.partition("://")
    auth, _, host = rest.rpartition("@")
    password = b64encode(unquote_to_bytes(auth.encode(errors="surrogateescape"))).decode()
    headers = {"proxy-authorization": f"Basic {password}"} if auth else None
    return urllib3.ProxyManager(f"{scheme}://{host}", proxy_headers=headers, maxsize=connections)
