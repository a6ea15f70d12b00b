"""An upper bound on the memory that a call may allocate."""

from __future__ import annotations

import resource
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_DATA_PAGES: Final = 5  # field of /proc/self/statm: pages of data and stack


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Let this process allocate `size` bytes more; a larger allocation fails with a MemoryError.

    The limit is the process's own (RLIMIT_DATA), so it holds for all its threads. Only Linux enforces it.
    """
    if sys.platform != "linux":
        yield
        return
    used = int(Path("/proc/self/statm").read_text().split()[_DATA_PAGES]) * resource.getpagesize()
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (used + size, before) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))
