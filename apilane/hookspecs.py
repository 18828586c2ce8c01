"""Every hook and nothing else: its signature, when it fires, how answers combine, what an error does.

``apilane_register_*`` hooks run once, at start-up, as plain functions, and return typed objects that the core keeps and
calls later; pluggy is never called in a request. The table in ``docs/reference/hooks.md`` is generated from this file.

``options`` is the ``PluginSettings.instance`` of the plugin that is asked, read from ``apilane.toml`` and the
environment; None for a plugin without one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import pluggy
from msgspec import Struct

if TYPE_CHECKING:
    from apilane.plugin.counters import Counters
    from apilane.plugin.endpoints import EndpointKind
    from apilane.plugin.gates import AvailabilityCheck, Limiter, Throttle
    from apilane.plugin.identity import Authenticator
    from apilane.plugin.settings import PluginSettings
    from apilane.settings import Settings
    from apilane.storage.protocol import Driver

__all__ = [
    "HookPolicy",
    "apilane_register_authenticators",
    "apilane_register_availability_checks",
    "apilane_register_drivers",
    "apilane_register_endpoint_kinds",
    "apilane_register_limiters",
    "apilane_register_settings",
    "apilane_register_throttles",
    "hookimpl",
    "hookspec",
]

PROJECT = "apilane"

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as an implementation of the hook of that name."""

_pluggy_spec = pluggy.HookspecMarker(PROJECT)
F = TypeVar("F", bound=Callable[..., object])


class HookPolicy(Struct, frozen=True):
    """How answers combine and what an error does; ``added`` is the release that brought the hook."""

    combine: Literal["collect"]
    on_error: Literal["raise"]
    added: str


def hookspec(*, combine: Literal["collect"], on_error: Literal["raise"], added: str) -> Callable[[F], F]:
    """Declare a hook.

    ``collect``: the lists of all plugins, joined in plugin order. ``raise``: start-up stops and names the plugin.
    """

    def mark(function: F) -> F:
        function.apilane_policy = HookPolicy(combine, on_error, added)  # type: ignore[attr-defined]
        return _pluggy_spec(function)

    return mark


@hookspec(combine="collect", on_error="raise", added="0.1")
def apilane_register_settings() -> Sequence[PluginSettings]:
    """The Structs of a plugin's settings, one object at most.

    Fires before every other hook, which then receives the settings of the instance as ``options``. Settings that do not
    fit their Struct stop start-up; those of an application are checked when its manifest is applied.
    """
    raise NotImplementedError


@hookspec(combine="collect", on_error="raise", added="0.1")
def apilane_register_drivers(settings: Settings, options: Struct | None) -> Sequence[Driver]:
    """Storage drivers, found by the ``StorageProvider`` names they carry.

    Fires before any database is opened. Two drivers of one name stop start-up.
    """
    raise NotImplementedError


@hookspec(combine="collect", on_error="raise", added="0.1")
def apilane_register_authenticators(
    settings: Settings, counters: Counters, options: Struct | None
) -> Sequence[Authenticator]:
    """Objects that identify the caller of a request from its headers, raw target and body.

    Asked in plugin order; the first that answers with an actor, or refuses, decides. Nobody answering means anonymous.
    An authenticator that fails refuses the request.
    """
    raise NotImplementedError


@hookspec(combine="collect", on_error="raise", added="0.1")
def apilane_register_availability_checks(settings: Settings, options: Struct | None) -> Sequence[AvailabilityCheck]:
    """Objects that decide by client address whether a caller may reach an application.

    All are asked, after the online check and before the caller is identified; any refusal wins. A check that fails
    refuses the request.
    """
    raise NotImplementedError


@hookspec(combine="collect", on_error="raise", added="0.1")
def apilane_register_limiters(settings: Settings, counters: Counters, options: Struct | None) -> Sequence[Limiter]:
    """Objects that count the uses of an action against the rate limit of the caller's effective rules.

    Asked in plugin order once the caller is known, before access is judged; the first that does not admit decides. A
    limiter that fails refuses the request.
    """
    raise NotImplementedError


@hookspec(combine="collect", on_error="raise", added="0.1")
def apilane_register_throttles(settings: Settings, counters: Counters, options: Struct | None) -> Sequence[Throttle]:
    """Objects that slow down repeated failed sign-ins and registrations.

    Asked in plugin order before a password is looked at; the first that does not admit decides.
    """
    raise NotImplementedError


@hookspec(combine="collect", on_error="raise", added="0.1")
def apilane_register_endpoint_kinds(settings: Settings, options: Struct | None) -> Sequence[EndpointKind]:
    """Kinds of custom endpoints, found by the ``Kind`` names they carry.

    A kind checks its endpoints when a definition is applied and runs them when they are called. Two kinds of one name
    stop start-up. Endpoints whose kind nobody brings are kept, and their calls answer 404.
    """
    raise NotImplementedError
