"""Attempts to sign in and to register, shown to the throttles (docs/reference/protocol/wire-api.md B-A2)."""

from __future__ import annotations

from msgspec import Struct

from apilane.errors import RateLimitedError
from apilane.plugin.gates import SignInEvent, Throttle

__all__ = ["Attempts"]


class Attempts(Struct, frozen=True, gc=False):
    """What a caller tries at one application. ``application``: its token; ``address``: the caller's IP address."""

    throttles: tuple[Throttle, ...]
    application: str
    address: str

    async def begin(self, event: SignInEvent, account: str | None = None) -> None:
        """Count an attempt as failed; RATE_LIMIT_EXCEEDED when there were too many. ``account``: as typed, folded.

        An attempt that is refused counts nowhere, also not with the throttles that had admitted it.
        """
        for position, throttle in enumerate(self.throttles):
            wait_s = await throttle.admit(event, self.application, self.address, account)
            if wait_s is not None:
                for asked in self.throttles[:position]:
                    await asked.succeeded(event, self.application, self.address, account)
                raise RateLimitedError(wait_s)

    async def succeeded(self, event: SignInEvent, account: str | None = None) -> None:
        """Take the attempt back that ``begin`` counted."""
        for throttle in self.throttles:
            await throttle.succeeded(event, self.application, self.address, account)
