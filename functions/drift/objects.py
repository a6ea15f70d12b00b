"""Concurrent reading of S3 objects."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from functions.shared.s3 import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def fetch(s3: Any, bucket: str, keys: Iterable[str], concurrency: int) -> Iterator[tuple[str, bytes | None]]:
    """Yield keys and their bodies in order; the body is None if the object is gone.

    At most `concurrency` objects are in memory, besides the one that was yielded last.

    Raises:
        ClientError: S3 refused the request.
        BotoCoreError: S3 was not reached, or a body broke off at every attempt.
    """
    with ThreadPoolExecutor(concurrency) as pool:
        pending = deque[Any]()
        for key in keys:
            pending.append((key, pool.submit(read, s3, bucket, key)))
            if len(pending) == concurrency:
                key, body = pending.popleft()  # noqa: PLW2901
                yield key, body.result()
        for key, body in pending:
            yield key, body.result()
