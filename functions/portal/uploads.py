"""Pictures that are too large for the API: a presigned upload to S3, and the result that Batch writes about it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from typing import TYPE_CHECKING, Final

from functions.portal import store
from functions.portal.request import read_object, read_source
from functions.problem import INVALID_PARAMETER, UNSUPPORTED_TYPE, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES: Final = 25_000_000  # what Batch decodes
SUFFIXES: Final = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
PREFIX: Final = "api/"  # of every key that is given out: the portal may write nothing else
_EXPIRY: Final = timedelta(minutes=15)
_ONE_LINE: Final = 10_000  # characters that none is longer than; S3 wants RFC 2047 for what is not ASCII
_MAX_KEY: Final = 1024  # bytes; S3's own limit
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
        Rejected: It is malformed; the detail says how to do it right.
    """
    told = read_object(body, _FORM)
    media_type = told.get("type")
    if not isinstance(media_type, str):
        raise Rejected(INVALID_PARAMETER, f"`type` is missing or not a string. {_FORM}")
    if media_type not in SUFFIXES:
        detail = f"{media_type!r} cannot be scored; upload one of {', '.join(SUFFIXES)}."
        raise Rejected(UNSUPPORTED_TYPE, detail)
    return Wanted(media_type, read_source(told.get("source", "")) or None)


def presign(wanted: Wanted, bucket: str) -> Upload:
    """Let whoever has the answer put one picture of this type, of at most `MAX_BYTES`, into the bucket."""
    now = datetime.now(UTC)
    key = f"{PREFIX}{now:%Y/%m/%d}/{uuid.uuid4()}{SUFFIXES[wanted.type]}"
    fields = {"Content-Type": wanted.type}
    if wanted.source is not None:
        fields["x-amz-meta-source"] = Header(wanted.source, maxlinelen=_ONE_LINE).encode(maxlinelen=_ONE_LINE)
    # The virtual style names the region in the address; the global one redirects, which a form does not survive.
    form = store.s3("virtual").generate_presigned_post(
        bucket,
        key,
        Fields=fields,
        Conditions=[
            ["content-length-range", 1, MAX_BYTES],
            *({name: value} for name, value in fields.items()),
        ],
        ExpiresIn=int(_EXPIRY.total_seconds()),
    )
    return Upload(key, form["url"], form["fields"], now + _EXPIRY)


def find_result(key: str, bucket: str) -> str | None:
    """Return the JSON that Batch wrote about the upload `key`, or None where there is none yet."""
    name = f"{key}.json"
    return None if len(name.encode()) > _MAX_KEY else store.read(bucket, name)
