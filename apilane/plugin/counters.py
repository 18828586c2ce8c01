"""The contract of counters that all workers of one machine share, for rate limits, throttles and replay protection."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Counters"]


@runtime_checkable
class Counters(Protocol):
    """A sliding log per key, exact among the processes that share the store. Keys are any bytes, which are hashed.

    Times are unix milliseconds, given by the caller. Idle keys are evicted. A full store refuses new keys.
    """

    async def hit(self, key: bytes, *, limit: int, window_ms: int, now_ms: int) -> int | None:
        """Record one use and return None, or return the ms to wait when the window has ``limit`` uses already.

        Entries strictly older than the window are dropped. Refused uses are not recorded.
        """
        ...

    async def hit_many(
        self, key: bytes, *, uses: int, limit: int, window_ms: int, now_ms: int
    ) -> tuple[int, int | None]:
        """Record up to ``uses`` uses, one after the other, as ``hit`` does. Returns how many were recorded, and the
        answer of ``hit`` to the first one that was not; None when all were recorded.
        """
        ...

    async def take_back(self, key: bytes, *, now_ms: int, uses: int = 1) -> None:
        """Remove the newest entries of a key, as far as there are so many."""
        ...

    async def remember(self, key: bytes, *, until_ms: int, now_ms: int) -> bool:
        """Keep ``key`` until ``until_ms``. False: it is kept already, or the store is full."""
        ...
