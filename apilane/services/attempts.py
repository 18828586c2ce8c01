"""Attempts to sign in and to register, reported to the throttles (docs/reference/protocol/wire-api.md B-A2)."""

from __future__ import annotations

from msgspec import Struct

from apilane.errors import RateLimitedError
from apilane.plugin.gates import SignInEvent, Throttle

__all__ = ["Attempts"]


class Attempts(Struct, frozen=True, gc=False):
    """The attempts of one caller. ``application``: the application's token; ``address``: the caller's IP address."""

    throttles: tuple[Throttle, ...]
    application: str
    address: str

    async def begin(self, event: SignInEvent, account: str | None = None) -> None:
        """Count an attempt as failed until ``succeeded`` is called. ``account``: the typed name, case-folded.

        Raises RATE_LIMIT_EXCEEDED when there were too many attempts. A refused attempt is not counted: it is removed
        from the throttles that had counted it before the refusal.
        """
        for position, throttle in enumerate(self.throttles):
            wait_s = await throttle.admit(event, self.application, self.address, account)
            if wait_s is not None:
                for asked in self.throttles[:position]:
                    await asked.succeeded(event, self.application, self.address, account)
                raise RateLimitedError(wait_s)

    async def succeeded(self, event: SignInEvent, account: str | None = None) -> None:
        """Remove the attempt that ``begin`` counted."""
        for throttle in self.throttles:
            await throttle.succeeded(event, self.application, self.address, account)
