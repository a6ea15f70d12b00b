"""Objects of a bucket: which there are, and what is in them, several fetched at once."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ATTEMPTS: Final = 3  # at a body that breaks off; what comes before it botocore tries again by itself


def list_keys(s3: Any, bucket: str, prefix: str) -> list[str]:
    """Return the keys under a prefix, in S3's order; folders, as its console makes them, left out."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = (found["Key"] for page in pages for found in page.get("Contents", []))
    return [key for key in keys if not key.endswith("/")]


def fetch(s3: Any, bucket: str, keys: Iterable[str], at_once: int) -> Iterator[tuple[str, bytes | None]]:
    """Give keys and what is under them, in order; None, where it is gone since it was listed.

    Up to `at_once` objects are in memory, besides the one that was given last.

    Raises:
        ClientError: S3 refused.
        BotoCoreError: S3 was not reached, or broke off time and again.
    """
    with ThreadPoolExecutor(at_once) as pool:
        pending = deque[Any]()
        for key in keys:
            pending.append((key, pool.submit(read, s3, bucket, key)))
            if len(pending) == at_once:
                key, body = pending.popleft()  # noqa: PLW2901
                yield key, body.result()
        for key, body in pending:
            yield key, body.result()


def read(s3: Any, bucket: str, key: str) -> bytes | None:
    """Return what is under a key, or None where there is nothing."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                return None
            raise
        except BotoCoreError:
            if attempt == _ATTEMPTS:
                raise
        else:
            return body
    raise AssertionError("unreachable")
