"""A limit on memory allocation."""

from __future__ import annotations

import resource
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_DATA_PAGES: Final = 5  # field of /proc/self/statm: pages of data and stack
# Read at the start, because a concurrent thread may have set its own limit when `limit_memory` is called.
_BEFORE: Final = resource.getrlimit(resource.RLIMIT_DATA)


@contextmanager
def limit_memory(size: int) -> Iterator[None]:
    """Limit further allocations to `size` bytes; a larger allocation raises MemoryError.

    The limit (RLIMIT_DATA) applies to all threads of the process. Only Linux enforces it.
    """
    if sys.platform != "linux":
        yield
        return
    used = (
        int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[_DATA_PAGES])
        * resource.getpagesize()
    )
    soft, hard = _BEFORE
    limit = used + size if soft == resource.RLIM_INFINITY else min(used + size, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, _BEFORE)
