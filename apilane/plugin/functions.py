"""Functions in Python that custom endpoints of the kind ``python`` run (``apilane_register_functions``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from apilane.plugin.data import Records
from apilane.plugin.identity import Actor, ApplicationView

__all__ = ["EndpointCall", "EndpointFunction"]

T = TypeVar("T")


class EndpointFunction(Struct, frozen=True, kw_only=True):
    """A function with the name by which manifests refer to it, in any letter case.

    Its first parameter is an ``EndpointCall``. The others are parameters of the endpoint: they are read as the types of
    their annotations (``msgspec.convert``), and those without a default are required. ``async def`` functions run on
    the event loop and must not block it; other functions run in threads. The result is a list of rows, or any value
    that has a JSON form. ``time_limit_s``: seconds after which the call ends with an error.
    """

    name: str
    function: Callable[..., Any]
    time_limit_s: float = 20.0


class EndpointCall(Protocol):
    """One call of an endpoint."""

    actor: Actor
    """The caller. A rule of the endpoint admitted it."""
    application: ApplicationView
    records: Records
    """The records that the caller may use."""
    all_records: Records
    """All records, without the caller's rules."""

    def wait(self, awaitable: Awaitable[T]) -> T:
        """The result of an awaitable, for functions without ``async``: ``call.wait(call.records.get("Books", 1))``."""
        ...
