"""The buckets: what lies in them, and clients to put something there."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from functions.shared.s3 import create_client
from functions.shared.s3 import read as read_bytes

CONNECTIONS: Final = 10  # at once
_TIMEOUT: Final = 2  # seconds; twice, within the function's own 10


def read(bucket: str, key: str) -> str | None:
    """Return the text of an object, or None where there is none of this key."""
    found = read_bytes(s3(), bucket, key)
    return None if found is None else found.decode()


@cache
def s3(*, virtual_hosts: bool = False) -> Any:
    """Return a client of S3; threads may share it."""
    return create_client(
        read_timeout=_TIMEOUT, attempts=2, connections=CONNECTIONS, virtual_hosts=virtual_hosts
    )
