"""The most frequent names in a stream with any number of distinct names."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Busiest:
    """Counts names in bounded memory: Space-Saving (Metwally, Agrawal and El Abbadi 2005).

    A new name replaces the rarest and inherits its count, so a name that makes up more than 1 / `limit` of the stream
    is never lost.
    """

    def __init__(self, limit: int, always: Iterable[str] = ()) -> None:
        self._limit, self._always = limit, frozenset(always)
        self._counts: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []  # counts that may be outdated, never too large

    def add(self, name: str) -> str | None:
        """Count a name; return the name that it replaced, if any. Names in `always` are never replaced."""
        if name in self._always:
            return None
        if name in self._counts:
            self._counts[name] += 1
            return None
        displaced, count = None, 0
        if len(self._counts) == self._limit:
            displaced, count = self._rarest()
            del self._counts[displaced]
        self._counts[name] = count + 1
        heapq.heappush(self._heap, (count + 1, name))
        return displaced

    def _rarest(self) -> tuple[str, int]:
        while True:
            count, name = heapq.heappop(self._heap)
            if (current := self._counts[name]) == count:
                return name, count
            heapq.heappush(self._heap, (current, name))
