"""What stands between a caller and an application: the objects that plugins register to refuse requests.

Each says which part of a definition it enforces, so that an application whose part nobody enforces stays closed
(``spec/security.md`` B-S13). The core calls them in one fixed order; a gate that fails refuses the request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

from msgspec import Struct

from apilane.model.definition import ApplicationDefinition, RateLimit

__all__ = ["AddressCheck", "AvailabilityCheck", "Enforced", "Gates", "Limiter", "SignInEvent", "Throttle"]

Enforced = Literal["IPPolicy", "RateLimit"]
"""Parts of a definition that need somebody to enforce them."""

SignInEvent = Literal["login", "register"]

AddressCheck = Callable[[str], str | None]
"""From a client address in canonical form to the message of the refusal; None: admitted."""


@runtime_checkable
class AvailabilityCheck(Protocol):
    """Decides by its address whether a caller may reach an application at all; any refusal wins."""

    enforces: frozenset[str]
    """Which ``Enforced`` parts this object takes care of."""

    def prepare(self, definition: ApplicationDefinition) -> AddressCheck | None:
        """The check for one version of an application; None when it asks for nothing. Runs once per version."""
        ...


@runtime_checkable
class Limiter(Protocol):
    """Counts what callers do against the rate limits of their effective rules."""

    enforces: frozenset[str]

    async def admit(self, application: str, name: str, action: str, caller: str, limit: RateLimit) -> float | None:
        """Count one use and admit it (None), or the seconds after which the next one may be admitted.

        ``application``: its token. ``name``: schema name of the entity or endpoint. ``action``: what is done to an
        entity, else the kind of the rule. ``caller``: the user or the client address. Exact among the workers of one
        machine.
        """
        ...


@runtime_checkable
class Throttle(Protocol):
    """Slows down those who guess passwords or register in masses (B-A2)."""

    async def admit(self, event: SignInEvent, application: str, address: str, account: str | None) -> float | None:
        """Count an attempt as failed and admit it (None), or the seconds to wait. ``account``: as typed, folded."""
        ...

    async def succeeded(self, event: SignInEvent, application: str, address: str, account: str | None) -> None:
        """Take back the attempt that was counted: it did not fail."""
        ...


class Gates(Struct, frozen=True):
    """The gates of an instance, in the order of asking."""

    availability_checks: tuple[AvailabilityCheck, ...] = ()
    limiters: tuple[Limiter, ...] = ()
    throttles: tuple[Throttle, ...] = ()

    @property
    def enforced(self) -> frozenset[str]:
        """Which ``Enforced`` parts of a definition somebody takes care of."""
        enforced: set[str] = set()
        for check in self.availability_checks:
            enforced |= check.enforces
        for limiter in self.limiters:
            enforced |= limiter.enforces
        return frozenset(enforced)
