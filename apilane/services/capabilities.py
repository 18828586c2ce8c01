"""The capabilities of the loaded drivers and plugins. Manifests are checked against them."""

from __future__ import annotations

from collections.abc import Sequence

from apilane.dispatch import Hooks
from apilane.model.definition import ApplicationDefinition, Endpoint
from apilane.model.manifest.capabilities import Capabilities
from apilane.model.system import HELPER_TABLES
from apilane.plugin.endpoints import CarefulEndpointKind
from apilane.plugin.tables import HelperTable

__all__ = ["capabilities_of"]


def capabilities_of(hooks: Hooks) -> Capabilities:
    """The capabilities of an instance with these hooks."""
    kinds = {kind.name.lower(): kind for kind in hooks.endpoint_kinds}

    def endpoint_problems(endpoint: Endpoint, definition: ApplicationDefinition) -> Sequence[str]:
        kind = kinds.get(endpoint.kind.lower())
        return (
            () if kind is None else kind.check(endpoint, definition, hooks.drivers[definition.storage_provider].dialect)
        )

    def endpoint_warnings(endpoint: Endpoint, definition: ApplicationDefinition) -> Sequence[str]:
        kind = kinds.get(endpoint.kind.lower())
        if not isinstance(kind, CarefulEndpointKind):
            return ()
        return kind.warnings(endpoint, definition, hooks.drivers[definition.storage_provider].dialect)

    def storage_problems(definition: ApplicationDefinition) -> Sequence[tuple[str, str]]:
        dialect = hooks.drivers[definition.storage_provider].dialect
        found = dialect.problems((*definition.entities, *HELPER_TABLES))
        for table in hooks.tables:
            found += [
                ("Application.StorageProvider", _of_plugin(table, hooks.plugin_of(table), place, sentence))
                for place, sentence in dialect.problems((table.entity,))
            ]
        return found

    return Capabilities(
        providers=frozenset(driver.name for driver in hooks.drivers.values()),
        embedded=frozenset(driver.name for driver in hooks.drivers.values() if driver.features.embedded),
        enforces=hooks.gates.enforced,
        plugin_sections={name: each.application for name, each in hooks.settings.items() if each.application},
        endpoint_kinds=frozenset(kind.name for kind in hooks.endpoint_kinds),
        endpoint_problems=endpoint_problems,
        endpoint_warnings=endpoint_warnings,
        storage_problems=storage_problems,
    )


def _of_plugin(table: HelperTable, plugin: str, place: str, sentence: str) -> str:
    """A problem of a helper table: the plugin must change the table, or be left out on this provider."""
    inside = place.removeprefix(f"Entities[{table.name}]").removeprefix(".")
    return f"the table {table.name}{f' ({inside})' if inside else ''} of the plugin {plugin!r}: {sentence}"
