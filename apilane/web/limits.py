"""Counts the uses of callers against the rate limits of their rules, with the limiters of the plugins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from apilane.errors import RateLimitedError
from apilane.model.definition import RateLimit
from apilane.security.networks import network_of
from apilane.web.call import Call

__all__ = ["Count", "Uses", "count"]

Count = Callable[[Call, str, str, RateLimit], Awaitable[None]]
"""Counts a use of an action by a call. Raises RATE_LIMIT_EXCEEDED."""


async def count(call: Call, name: str, action: str, limit: RateLimit) -> None:
    """Count one use of an action. Raises RATE_LIMIT_EXCEEDED when the caller has used it too often."""
    if call.is_counted:
        return
    user_id = call.actor.user_id
    caller = f"user {user_id}" if user_id is not None else _other_caller(call)
    for limiter in call.application.limiters:
        try:
            wait_s = await limiter.admit(call.application.token, name, action, caller, limit)
        except Exception:
            call.at_work = limiter
            raise
        if wait_s is not None:
            call.at_work = limiter
            raise RateLimitedError(wait_s)
    call.was_counted = True


def _other_caller(call: Call) -> str:
    credential = call.actor.credential
    return credential if credential is not None else network_of(call.client_address)


class Uses:
    """The uses of one limit by the operations of a call, ``expected`` in number.

    A ``BatchLimiter`` counts all of them when the first operation is admitted. The operations take them one by one, and
    ``give_back`` returns the rest when one of them is refused. So each operation is admitted or refused, and counted,
    as if it was counted alone.
    """

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._left = 0
        """Counted uses that no operation has taken yet."""
        self._wait_s: float | None = None
        self._take_back: Callable[..., Awaitable[None]] | None = None

    async def count(self, call: Call, name: str, action: str, limit: RateLimit) -> None:
        """Count one use of an action; the arguments are always the same. Raises RATE_LIMIT_EXCEEDED."""
        limiter = call.application.batch_limiter
        if call.is_counted or limiter is None or self._expected == 1:
            await count(call, name, action, limit)
            return
        if self._take_back is None:
            user_id = call.actor.user_id
            caller = f"user {user_id}" if user_id is not None else _other_caller(call)
            use = call.application.token, name, action, caller, limit
            self._take_back = partial(limiter.take_back, *use)
            try:
                self._left, self._wait_s = await limiter.admit_many(*use, uses=self._expected)
            except Exception:
                call.at_work = limiter
                raise
        if not self._left:
            call.at_work = limiter
            raise RateLimitedError(self._wait_s or 0.0)
        self._left -= 1
        call.was_counted = True

    async def give_back(self) -> None:
        """Return the uses that no operation has taken."""
        if self._left and self._take_back is not None:
            left, self._left = self._left, 0
            await self._take_back(uses=left)
