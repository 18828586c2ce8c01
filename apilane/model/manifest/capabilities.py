"""The capabilities of the running instance that manifests depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from apilane.model.definition import ApplicationDefinition, Endpoint

__all__ = ["Capabilities"]


def _no_endpoint_problems(endpoint: Endpoint, definition: ApplicationDefinition) -> Sequence[str]:
    return ()


def _no_storage_problems(definition: ApplicationDefinition) -> Sequence[tuple[str, str]]:
    return ()


class Capabilities(Struct, frozen=True, kw_only=True):
    """The capabilities of the loaded drivers and plugins."""

    providers: frozenset[str]
    """Names of the installed drivers, in the drivers' spelling."""
    embedded: frozenset[str] = frozenset()
    """The ``providers`` whose database is a file with a path that Apilane chooses."""
    enforces: frozenset[str] = frozenset()
    """The parts that a loaded plugin enforces: ``IPPolicy``, ``RateLimit`` and sections such as ``Plugins.mfa``."""
    plugin_sections: Mapping[str, type[Struct]] = {}
    """The Struct of each plugin's section under ``Plugins``, by plugin name."""
    endpoint_kinds: frozenset[str] | None = None
    """Names of the kinds of custom endpoints that the loaded plugins provide; None: not known."""
    endpoint_problems: Callable[[Endpoint, ApplicationDefinition], Sequence[str]] = _no_endpoint_problems
    """The problems of a custom endpoint, one sentence each; none when no loaded plugin provides its kind."""
    endpoint_warnings: Callable[[Endpoint, ApplicationDefinition], Sequence[str]] = _no_endpoint_problems
    """The warnings of a custom endpoint without problems, one sentence each."""
    storage_problems: Callable[[ApplicationDefinition], Sequence[tuple[str, str]]] = _no_storage_problems
    """The parts of a definition that its provider does not support: place, as ``Entities[X].Properties[Y]``, and one
    sentence each.
    """
