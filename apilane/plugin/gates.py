"""Gates: the objects that refuse requests. The core calls them in one fixed order; a gate that fails refuses.

``enforces`` names the parts of a definition that an object takes care of (``apilane.model.enforcement``), so that an
application with a part that no loaded plugin enforces stays closed (docs/reference/protocol/security.md B-S13).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

from apilane.model.definition import RateLimit
from apilane.plugin.identity import ApplicationView, RequestView

__all__ = ["AvailabilityCheck", "Limiter", "RequestCheck", "SignInEvent", "Throttle"]

SignInEvent = Literal["login", "register"]

RequestCheck = Callable[[RequestView], str | None]
"""From a request to the message of its refusal; None: admitted. Runs for every request, so it does no I/O."""


@runtime_checkable
class AvailabilityCheck(Protocol):
    """Decides whether a request may reach an application at all; any refusal wins."""

    enforces: frozenset[str]
    """Parts of a definition that this object enforces."""

    def prepare(self, application: ApplicationView) -> RequestCheck | None:
        """The check for one version of an application; None when it asks for nothing. Runs once per version."""
        ...


@runtime_checkable
class Limiter(Protocol):
    """Counts what callers do against the rate limits of their effective rules."""

    enforces: frozenset[str]

    async def admit(self, application: str, name: str, action: str, caller: str, limit: RateLimit) -> float | None:
        """Count one use and admit it (None), or the seconds after which the next one may be admitted.

        ``application``: its token. ``name``: schema name of the entity or endpoint. ``action``: what is done to an
        entity, else the kind of the rule. ``caller``: the user, the credential or the client address. Exact among the
        workers of one machine.
        """
        ...


@runtime_checkable
class Throttle(Protocol):
    """Slows down callers who guess passwords or register in masses (B-A2)."""

    async def admit(self, event: SignInEvent, application: str, address: str, account: str | None) -> float | None:
        """Count an attempt as failed and admit it (None), or the seconds to wait. ``account``: as typed, folded."""
        ...

    async def succeeded(self, event: SignInEvent, application: str, address: str, account: str | None) -> None:
        """Take back the attempt that was counted: it did not fail."""
        ...
