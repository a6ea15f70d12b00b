"""Access to the buckets: an S3 client, and reading of text objects."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from functions.shared.s3 import create_client
from functions.shared.s3 import read as read_bytes

CONNECTIONS: Final = 10  # size of the pool
_TIMEOUT: Final = 2  # seconds per attempt; two attempts fit into the function's timeout


def read(bucket: str, key: str) -> str | None:
    """Return the text of an object, or None if there is no such key."""
    content = read_bytes(s3(), bucket, key)
    return None if content is None else content.decode()


@cache
def s3(*, virtual_hosts: bool = False) -> Any:
    """Return an S3 client, which threads may share."""
    return create_client(
        read_timeout=_TIMEOUT, attempts=2, connections=CONNECTIONS, virtual_hosts=virtual_hosts
    )
