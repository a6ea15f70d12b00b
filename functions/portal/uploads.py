"""Pictures that are too large for the API: a presigned upload to S3, and the result that Batch writes about it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from typing import TYPE_CHECKING, Final

from functions.portal import store
from functions.portal.request import read_object
from functions.shared.contract import (
    API_UPLOADS,
    MAX_KEY_BYTES,
    MAX_UPLOAD_BYTES,
    UPLOAD_TYPES,
    read_source,
    result_key,
)
from functions.shared.problem import INVALID_PARAMETER, UNSUPPORTED_TYPE, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPIRY: Final = timedelta(minutes=15)
_ONE_LINE: Final = 10_000  # characters that none is longer than; S3 wants RFC 2047 for what is not ASCII
_FORM: Final = 'Send JSON such as {"type": "image/jpeg"}.'


@dataclass(frozen=True)
class Wanted:
    """What is to be uploaded: its media type, and the camera or site that it comes from."""

    type: str
    source: str | None


@dataclass(frozen=True)
class Upload:
    """A form that a client may POST once to S3, with the picture as its last part, named `file`."""

    key: str
    url: str
    fields: Mapping[str, str]
    expires_at: datetime


def parse(body: bytes) -> Wanted:
    """Read the body of a request for an upload.

    Raises:
        InputError: It is malformed; the detail says how to do it right.
    """
    told = read_object(body, _FORM)
    media_type = told.get("type")
    if not isinstance(media_type, str):
        raise InputError(INVALID_PARAMETER, f"`type` is missing or not a string. {_FORM}")
    if media_type not in UPLOAD_TYPES:
        detail = f"{media_type!r} cannot be scored; upload one of {', '.join(UPLOAD_TYPES)}."
        raise InputError(UNSUPPORTED_TYPE, detail)
    return Wanted(media_type, read_source(told.get("source")))


def presign(wanted: Wanted, bucket: str) -> Upload:
    """Let whoever has the answer put one picture of this type, of at most `MAX_UPLOAD_BYTES`, into the bucket."""
    now = datetime.now(UTC)
    key = f"{API_UPLOADS}{now:%Y/%m/%d}/{uuid.uuid4()}{UPLOAD_TYPES[wanted.type]}"
    fields = {"Content-Type": wanted.type}
    if wanted.source is not None:
        fields["x-amz-meta-source"] = Header(wanted.source, maxlinelen=_ONE_LINE).encode(maxlinelen=_ONE_LINE)
    # The virtual style names the region in the address; the global one redirects, which a form does not survive.
    form = store.s3(virtual_hosts=True).generate_presigned_post(
        bucket,
        key,
        Fields=fields,
        Conditions=[
            ["content-length-range", 1, MAX_UPLOAD_BYTES],
            *({name: value} for name, value in fields.items()),
        ],
        ExpiresIn=int(_EXPIRY.total_seconds()),
    )
    return Upload(key, form["url"], form["fields"], now + _EXPIRY)


def find_result(key: str, bucket: str) -> str | None:
    """Return the JSON that Batch wrote about the upload `key`, or None where there is none yet."""
    name = result_key(key)
    return None if len(name.encode()) > MAX_KEY_BYTES else store.read(bucket, name)
