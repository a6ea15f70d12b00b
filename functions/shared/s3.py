"""S3 access for every function: a client with timeouts, URIs, listing and reading."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

_SCHEME: Final = "s3://"
_READ_ATTEMPTS: Final = 3  # for a body that breaks off; botocore itself retries only what fails before it


class Location(NamedTuple):
    """A bucket, and a key or a prefix in it."""

    bucket: str
    key: str


def parse_uri(uri: str) -> Location | None:
    """Split `s3://bucket/key`; return None for anything else."""
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
        attempts: Attempts per call, including the first.
        connections: Size of the connection pool.
        virtual_hosts: Whether URLs always use the bucket's own host name, which contains the region.
    """
    import boto3  # noqa: PLC0415 -- takes a third of a second, which Predict and the portal's pages do not need
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
    """Return an object's bytes, or None if there is no such object.

    Raises:
        ClientError: S3 refused the request.
        BotoCoreError: S3 was not reached, or the body broke off at every attempt.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 -- see `create_client`

    for attempt in range(1, _READ_ATTEMPTS + 1):
        try:
            body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error_code(error) in {"NoSuchKey", "404"}:  # 404 if XML cannot hold the key's characters
                return None
            raise
        except BotoCoreError:
            if attempt == _READ_ATTEMPTS:
                raise
        else:
            return body
    raise AssertionError("unreachable")


def list_keys(client: Any, bucket: str, prefix: str, after: str = "") -> list[str]:
    """Return the keys under a prefix that come after a key, in S3's order.

    The folder objects that S3's console creates are left out.
    """
    listed = {"Bucket": bucket, "Prefix": prefix, "StartAfter": after}
    pages = client.get_paginator("list_objects_v2").paginate(**listed)
    keys = (item["Key"] for page in pages for item in page.get("Contents", []))
    return [key for key in keys if not key.endswith("/")]
