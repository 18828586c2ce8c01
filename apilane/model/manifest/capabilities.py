"""What the running instance can do, as far as manifests must know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from apilane.model.definition import ApplicationDefinition, Endpoint

__all__ = ["Capabilities"]


def _nobody_knows(endpoint: Endpoint, definition: ApplicationDefinition) -> Sequence[str]:
    return ()


def _all_is_possible(definition: ApplicationDefinition) -> Sequence[tuple[str, str]]:
    return ()


class Capabilities(Struct, frozen=True, kw_only=True):
    """Made from the loaded drivers and plugins."""

    providers: frozenset[str]
    """Names of the installed drivers, as they spell them."""
    embedded: frozenset[str] = frozenset()
    """Those of ``providers`` whose database is a file that the house places."""
    enforces: frozenset[str] = frozenset()
    """Which of ``IPPolicy``, ``RateLimit`` and the sections such as ``Plugins.mfa`` a loaded plugin enforces."""
    plugin_sections: Mapping[str, type[Struct]] = {}
    """The Struct of each plugin's section under ``Plugins``, by plugin name."""
    endpoint_problems: Callable[[Endpoint, ApplicationDefinition], Sequence[str]] = _nobody_knows
    """What is wrong with a custom endpoint of a definition, one sentence each; nothing where nobody knows its kind."""
    storage_problems: Callable[[ApplicationDefinition], Sequence[tuple[str, str]]] = _all_is_possible
    """What the provider of a definition cannot do: place, as ``Entities[X].Properties[Y]``, and one sentence each."""
