"""The buckets: what lies in them, and a client to put something there."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

CONNECTIONS: Final = 10  # at once


def read(bucket: str, key: str) -> str | None:
    """Return the text of an object, or None where there is none of this key."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 -- see `s3`

    try:
        answer = s3().get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"NoSuchKey", "404"}:  # the latter where no XML can hold the key
            return None
        raise
    text: str = answer["Body"].read().decode()
    return text


@cache
def s3(addressing_style: str = "auto") -> Any:
    """Return a client of S3; threads may share it."""
    import boto3  # noqa: PLC0415 -- a third of a second that the pages need not wait for
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing_style},
        max_pool_connections=CONNECTIONS,
        connect_timeout=2,
        read_timeout=2,  # twice, within the function's own 10 seconds
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    return boto3.client("s3", config=config)
