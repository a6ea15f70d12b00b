"""S3 as every function uses it: a client with limits, URIs, and objects that are listed and read."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

_SCHEME: Final = "s3://"
_READS: Final = 3  # of a body that breaks off; what fails before it botocore retries by itself


class Location(NamedTuple):
    """A bucket, and a key or a prefix in it."""

    bucket: str
    key: str


def parse_uri(uri: str) -> Location | None:
    """Split `s3://bucket/key`; None where it is not of this form."""
    if not uri.startswith(_SCHEME):
        return None
    bucket, _, key = uri.removeprefix(_SCHEME).partition("/")
    return Location(bucket, key)


def create_client(
    *, read_timeout: float, attempts: int, connections: int, virtual_hosts: bool = False
) -> Any:
    """Return a client that threads may share.

    Args:
        read_timeout: Seconds to wait for bytes.
        attempts: Of each call, the first one included.
        connections: At once.
        virtual_hosts: Whether addresses always name the bucket's own host, and with it the region.
    """
    import boto3  # noqa: PLC0415 -- a third of a second that Predict and the portal's pages need not wait for
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual" if virtual_hosts else "auto"},
        connect_timeout=2,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=connections,
    )
    return boto3.client("s3", config=config)


def error_code(error: Any) -> str:
    """Return the code of a ClientError."""
    return str(error.response["Error"]["Code"])


def read(client: Any, bucket: str, key: str) -> bytes | None:
    """Return an object's bytes, or None where there is no such object.

    Raises:
        ClientError: S3 refused.
        BotoCoreError: S3 was not reached, or broke off time and again.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 -- see `create_client`

    for attempt in range(1, _READS + 1):
        try:
            body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error_code(error) in {"NoSuchKey", "404"}:  # the latter where no XML can hold the key
                return None
            raise
        except BotoCoreError:
            if attempt == _READS:
                raise
        else:
            return body
    raise AssertionError("unreachable")


def list_keys(client: Any, bucket: str, prefix: str) -> list[str]:
    """Return the keys under a prefix, in S3's order, without the folders that its console makes."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = (found["Key"] for page in pages for found in page.get("Contents", []))
    return [key for key in keys if not key.endswith("/")]
