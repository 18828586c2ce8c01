"""The limiter: a sliding log per application, name, action and caller, exact among the workers of one machine.

The core selects the limit from the caller's effective rules (B-S6).
"""

from __future__ import annotations

import time

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
        # The key contains the unit, because a log has one window: a rule with another window uses another log.
        key = "\0".join(("rate", application, name, action, caller, limit.per)).encode()
        wait_ms = await self._counters.hit(
            key,
            limit=limit.max_requests,
            window_ms=WINDOWS_MS[limit.per],
            now_ms=time.time_ns() // 1_000_000,
        )
        return None if wait_ms is None else wait_ms / 1000
