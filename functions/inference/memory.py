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
# What applied when the process started: threads that overlap must not take each other's limit for it.
_BEFORE: Final = resource.getrlimit(resource.RLIMIT_DATA)


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Let this process allocate `size` bytes more; a larger allocation fails with a MemoryError.

    The limit is the process's own (RLIMIT_DATA), so it holds for all its threads. Only Linux enforces it.
    """
    if sys.platform != "linux":
        yield
        return
    used = int(Path("/proc/self/statm").read_text().split()[_DATA_PAGES]) * resource.getpagesize()
    soft, hard = _BEFORE
    limit = used + size if soft == resource.RLIM_INFINITY else min(used + size, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, _BEFORE)
