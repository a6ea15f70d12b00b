"""Objects of a bucket, several fetched at once."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from functions.shared.s3 import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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
