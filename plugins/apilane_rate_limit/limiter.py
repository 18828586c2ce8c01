"""The limiter: a sliding log per application, name, action and caller, exact among the workers of one machine.

The core selects the limit from the caller's effective rules (B-S6).
"""

from __future__ import annotations

import time
from functools import lru_cache

from apilane.plugin import Counters, RateLimit

__all__ = ["RateLimiter"]

WINDOWS_MS = {"Second": 1_000, "Minute": 60_000, "Hour": 3_600_000}


class RateLimiter:
    """Admits at most ``MaxRequests`` uses within any second, minute or hour; a refused use is not recorded."""

    enforces = frozenset({"RateLimit"})

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def admit(self, application: str, name: str, action: str, caller: str, limit: RateLimit) -> float | None:
        """Count one use and return None, or return the seconds after which the next one may be admitted."""
        wait_ms = await self._counters.hit(
            _key(application, name, action, caller, limit.per),
            limit=limit.max_requests,
            window_ms=WINDOWS_MS[limit.per],
            now_ms=time.time_ns() // 1_000_000,
        )
        return None if wait_ms is None else wait_ms / 1000

    async def admit_many(
        self, application: str, name: str, action: str, caller: str, limit: RateLimit, *, uses: int
    ) -> tuple[int, float | None]:
        """Count up to ``uses`` uses, and return their number; with the seconds for the first one that is refused."""
        admitted, wait_ms = await self._counters.hit_many(
            _key(application, name, action, caller, limit.per),
            uses=uses,
            limit=limit.max_requests,
            window_ms=WINDOWS_MS[limit.per],
            now_ms=time.time_ns() // 1_000_000,
        )
        return admitted, None if wait_ms is None else wait_ms / 1000

    async def take_back(
        self, application: str, name: str, action: str, caller: str, limit: RateLimit, *, uses: int
    ) -> None:
        """Remove uses that were counted and did not happen."""
        key = _key(application, name, action, caller, limit.per)
        await self._counters.take_back(key, now_ms=time.time_ns() // 1_000_000, uses=uses)


@lru_cache(4096)  # 0.2 us instead of 0.6 us
def _key(application: str, name: str, action: str, caller: str, unit: str) -> bytes:
    """It contains the unit, because a log has one window: a rule with another window uses another log."""
    return "\0".join(("rate", application, name, action, caller, unit)).encode()
