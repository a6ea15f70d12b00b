"""How this process's memory is allocated."""

from __future__ import annotations

import ctypes
from typing import Final

# Options of glibc's malloc.h: M_MMAP_MAX, M_ARENA_MAX and M_TOP_PAD.
_KEEP_FREED: Final = ((-4, 0), (-8, 1), (-2, 1 << 30))


def keep_freed_memory() -> None:
    """Let glibc keep up to a gigabyte of freed memory, rather than return it to the system at once.

    TensorFlow frees gigabytes in each step of a training, and half of the processor's time went into faulting their
    pages in again.
    """
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):  # not on macOS
        for option, value in _KEEP_FREED:
            libc.mallopt(option, value)
