"""Pictures that are too large for the API: a presigned upload to S3, and the result that Batch writes about it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from functions.problem import INVALID_PARAMETER, MALFORMED_BODY, UNSUPPORTED_TYPE, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES: Final = 25_000_000  # what Batch decodes
SUFFIXES: Final = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
PREFIX: Final = "api/"  # of every key that is given out: the portal may write nothing else
_EXPIRY: Final = timedelta(minutes=15)
_MAX_SOURCE: Final = 64  # characters
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


def parse(body: str) -> Wanted:
    """Read the body of a request for an upload.

    Raises:
        Rejected: It is malformed; the detail says how to do it right.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Rejected(MALFORMED_BODY, f"The body is not JSON: {error}. {_FORM}") from error
    if not isinstance(told, dict):
        raise Rejected(MALFORMED_BODY, f"The body is JSON, but not an object. {_FORM}")
    media_type, source = told.get("type"), told.get("source", "")
    if not isinstance(media_type, str):
        raise Rejected(INVALID_PARAMETER, f"`type` is missing or not a string. {_FORM}")
    if media_type not in SUFFIXES:
        detail = f"{media_type!r} cannot be scored; upload one of {', '.join(SUFFIXES)}."
        raise Rejected(UNSUPPORTED_TYPE, detail)
    if not (isinstance(source, str) and len(source) <= _MAX_SOURCE and source.isprintable()):
        detail = f"`source` must be text of at most {_MAX_SOURCE} printable characters."
        raise Rejected(INVALID_PARAMETER, detail)
    return Wanted(media_type, source or None)


def presign(wanted: Wanted, bucket: str) -> Upload:
    """Let whoever has the answer put one picture of this type, of at most `MAX_BYTES`, into the bucket."""
    now = datetime.now(UTC)
    key = f"{PREFIX}{now:%Y/%m/%d}/{uuid.uuid4()}{SUFFIXES[wanted.type]}"
    fields = {"Content-Type": wanted.type}
    if wanted.source is not None:
        fields["x-amz-meta-source"] = Header(wanted.source, maxlinelen=_ONE_LINE).encode(maxlinelen=_ONE_LINE)
    # The virtual style names the region in the address; the global one redirects, which a form does not survive.
    form = s3("virtual").generate_presigned_post(
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
    from botocore.exceptions import ClientError  # noqa: PLC0415 -- see `s3`

    name = f"{key}.json"
    if len(name.encode()) > _MAX_KEY:
        return None
    try:
        answer = s3().get_object(Bucket=bucket, Key=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in {
            "NoSuchKey",
            "404",
        }:  # the latter where no XML can hold the key
            return None
        raise
    text: str = answer["Body"].read().decode()
    return text


@cache
def s3(addressing_style: str = "auto") -> Any:
    """Return a client of S3."""
    import boto3  # noqa: PLC0415 -- a third of a second that the pages need not wait for
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing_style},
        connect_timeout=2,
        read_timeout=2,  # twice, within the function's own 10 seconds
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    return boto3.client("s3", config=config)
