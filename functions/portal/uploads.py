"""Uploads of pictures that are too large for the API: a presigned POST to S3, and the keys of their results."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from posixpath import normpath
from typing import TYPE_CHECKING, Final

from functions.portal import buckets
from functions.shared.contract import (
    API_UPLOADS,
    MAX_UPLOAD_BYTES,
    PRIVATE_RESULTS,
    UPLOAD_TYPES,
    key_fault,
    read_source,
)
from functions.shared.fields import read_json, refuse_unknown
from functions.shared.metadata import encode_source
from functions.shared.problem import INVALID_PARAMETER, UNSUPPORTED_TYPE, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPIRY: Final = timedelta(minutes=15)
_SYNONYMS: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_EXAMPLE: Final = 'Send JSON such as {"type": "image/jpeg"}.'


@dataclass(frozen=True)
class UploadRequest:
    """A request for an upload: the picture's media type, and its camera or site."""

    type: str
    source: str | None


@dataclass(frozen=True)
class PresignedUpload:
    """A presigned form that a client may POST to S3, with the picture as the last part, named `file`."""

    key: str
    url: str
    fields: Mapping[str, str]
    expires_at: datetime


def parse(body: bytes) -> UploadRequest:
    """Parse the body of a request for an upload.

    Raises:
        InputError: It is malformed; the detail shows the right form.
    """
    fields = read_json(body, _EXAMPLE)
    refuse_unknown(fields, ("type", "source"))
    media_type = fields.get("type")
    if not isinstance(media_type, str):
        raise InputError(INVALID_PARAMETER, f"`type` is missing or not a string. {_EXAMPLE}")
    media_type = media_type.partition(";")[0].strip().lower()
    media_type = _SYNONYMS.get(media_type, media_type)
    if media_type not in UPLOAD_TYPES:
        detail = f"{media_type[:64]!r} cannot be scored; upload one of {', '.join(UPLOAD_TYPES)}."
        raise InputError(UNSUPPORTED_TYPE, detail)
    return UploadRequest(media_type, read_source(fields.get("source")))


def presign(request: UploadRequest, bucket: str) -> PresignedUpload:
    """Presign the upload of one picture of this type, of at most `MAX_UPLOAD_BYTES`, into the bucket."""
    # Virtual-hosted URLs name the region. The global endpoint redirects, and a form POST does not survive that.
    s3 = buckets.s3(virtual_hosts=True)
    now = datetime.now(UTC)
    key = f"{API_UPLOADS}{now:%Y/%m/%d}/{uuid.uuid4()}{UPLOAD_TYPES[request.type]}"
    fields = {"Content-Type": request.type}
    if request.source is not None:
        fields["x-amz-meta-source"] = encode_source(request.source)
    form = s3.generate_presigned_post(
        bucket,
        key,
        Fields=fields,
        Conditions=[
            ["content-length-range", 1, MAX_UPLOAD_BYTES],
            *({name: value} for name, value in fields.items()),
        ],
        ExpiresIn=int(_EXPIRY.total_seconds()),
    )
    return PresignedUpload(key, form["url"], form["fields"], now + _EXPIRY)


def why_no_result(key: str) -> str:
    """Return why an upload with this key will never have a result; empty if it may have one."""
    if key.endswith("/"):
        return "A key that ends in a slash is a folder, and folders are not scored."
    if normpath(key.lstrip("/")).startswith("../"):
        return "S3 has no keys whose parts `..` lead out of the bucket."
    return key_fault(key, PRIVATE_RESULTS)
