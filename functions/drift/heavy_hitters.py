"""The most frequent names in a stream with any number of distinct names."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_WAITING_NAMES: Final = 10  # for each counter; they are counted too, but may be forgotten


class HeavyHitters:
    """Keeps counters for at most `limit` names, the most frequent ones, in bounded memory.

    A name gets a free counter, or that of the rarest once it was counted more than twice as often. With Space-Saving,
    where every new name gets the counter of the rarest, equally frequent names displaced each other, and none stayed.
    Waiting names, those without a counter, are counted by the algorithm of Misra and Gries (1982), which counts too
    few if there are very many names.
    """

    def __init__(self, limit: int, always: Iterable[str] = ()) -> None:
        self._limit, self._always = limit, frozenset(always)
        self._counts: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []  # counts that may be outdated, never too large
        self._waiting: dict[str, int] = {}

    def add(self, name: str) -> str | None:
        """Count a name; return the name that has no counter now, which may be `name`, or None.

        Names in `always` need no counter.
        """
        if name in self._always:
            return None
        if name in self._counts:
            self._counts[name] += 1
            return None
        if len(self._counts) < self._limit:
            self._begin(name, 1)
            return None
        count = self._count_waiting(name)
        if count <= 2 * self._heap[0][0]:
            return name
        rarest = self._rarest()
        if count <= 2 * self._counts[rarest]:
            return name
        heapq.heappop(self._heap)
        del self._counts[rarest], self._waiting[name]
        self._begin(name, count)
        return rarest

    def _begin(self, name: str, count: int) -> None:
        self._counts[name] = count
        heapq.heappush(self._heap, (count, name))

    def _count_waiting(self, name: str) -> int:
        if name not in self._waiting and len(self._waiting) == _WAITING_NAMES * self._limit:
            self._waiting = {other: count - 1 for other, count in self._waiting.items() if count > 1}
            return 0
        self._waiting[name] = self._waiting.get(name, 0) + 1
        return self._waiting[name]

    def _rarest(self) -> str:
        """Return the rarest name, whose count is now the first of the heap."""
        while self._heap[0][0] != self._counts[self._heap[0][1]]:
            name = self._heap[0][1]
            heapq.heapreplace(self._heap, (self._counts[name], name))
        return self._heap[0][1]
