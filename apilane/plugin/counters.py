"""Counters that all workers of one machine share: rate limits, throttles, replay memory. The contract."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Counters"]


@runtime_checkable
class Counters(Protocol):
    """A sliding log per key, exact among the processes that share the store. Keys are any bytes; they are hashed.

    Times are unix milliseconds of the caller. Idle keys are evicted; a full store refuses new keys, never admits them
    uncounted.
    """

    async def hit(self, key: bytes, *, limit: int, window_ms: int, now_ms: int) -> int | None:
        """Record one use if fewer than ``limit`` lie within the window, and return None; else ms until one may pass.

        Entries strictly older than the window are dropped. Refused uses are not recorded.
        """
        ...

    async def take_back(self, key: bytes, *, now_ms: int) -> None:
        """Remove the newest entry of a key, if there is one."""
        ...

    async def remember(self, key: bytes, *, until_ms: int, now_ms: int) -> bool:
        """Keep ``key`` until then; False when it is kept already, or when there is no room for it."""
        ...
