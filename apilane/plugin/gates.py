"""Gates: the objects that refuse requests. The core calls them in a fixed order. A gate that raises an error refuses.

``enforces`` names the parts of a definition that an object enforces (``apilane.model.enforcement``). An application
with a part that no loaded plugin enforces refuses requests (docs/reference/protocol/security.md B-S13).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

from apilane.model.definition import RateLimit
from apilane.plugin.identity import ApplicationView, RequestView

__all__ = ["AvailabilityCheck", "BatchLimiter", "Limiter", "RequestCheck", "SignInEvent", "Throttle"]

SignInEvent = Literal["login", "register", "step", "mail"]
"""``step``: an answer to a sign-in step. ``mail``: a request for a mail; ``account`` is the kind of the mail and its
address."""

RequestCheck = Callable[[RequestView], str | None]
"""Takes a request and returns the message of its refusal; None: admitted. It runs for every request: no I/O."""


@runtime_checkable
class AvailabilityCheck(Protocol):
    """Decides whether a request may reach an application. One refusal of any check is enough."""

    enforces: frozenset[str]
    """Parts of a definition that this object enforces."""

    def prepare(self, application: ApplicationView) -> RequestCheck | None:
        """The check for one version of an application; None when there is nothing to check. Called once per version."""
        ...


@runtime_checkable
class Limiter(Protocol):
    """Counts the uses of callers against the rate limits of their effective rules."""

    enforces: frozenset[str]

    async def admit(self, application: str, name: str, action: str, caller: str, limit: RateLimit) -> float | None:
        """Count one use and return None, or return the seconds after which the next one may be admitted.

        ``application``: its token. ``name``: schema name of the entity or endpoint. ``action``: the action on an
        entity, or else the kind of the rule. ``caller``: the user, the credential or the client address. The count is
        exact among the workers of one machine.
        """
        ...


@runtime_checkable
class BatchLimiter(Limiter, Protocol):
    """A limiter that counts many uses at once. A transaction then needs one access to the counters for each limit; with
    another limiter it calls ``admit`` for each operation.
    """

    async def admit_many(
        self, application: str, name: str, action: str, caller: str, limit: RateLimit, *, uses: int
    ) -> tuple[int, float | None]:
        """Count up to ``uses`` uses. Returns how many were admitted, and the seconds after which the next one may be;
        None when all were admitted.
        """
        ...

    async def take_back(
        self, application: str, name: str, action: str, caller: str, limit: RateLimit, *, uses: int
    ) -> None:
        """Forget uses that were admitted and did not happen, because an earlier operation was refused."""
        ...


@runtime_checkable
class Throttle(Protocol):
    """Slows down callers that guess passwords or create many accounts (B-A2)."""

    async def admit(self, event: SignInEvent, application: str, address: str, account: str | None) -> float | None:
        """Count an attempt as failed and return None, or return the seconds to wait. ``account``: case-folded text."""
        ...

    async def succeeded(self, event: SignInEvent, application: str, address: str, account: str | None) -> None:
        """Take back a counted attempt, because it did not fail."""
        ...
