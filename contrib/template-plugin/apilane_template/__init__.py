"""A maintenance window for the whole instance, custom endpoints of kind ``text``, and slugs of records.

``pyproject.toml`` names this module under the entry point ``apilane.plugins``. Each function below has the name of the
hook that it implements. It runs once, at start-up, and returns objects that the core keeps.
"""

from __future__ import annotations

from apilane.plugin import HelperTable, PluginSettings, RecordHandler, hookimpl
from apilane_template.slug import COUNTS, count, fill_slugs, has_slug
from apilane_template.text import TextKind
from apilane_template.window import MaintenanceSettings, MaintenanceWindow

__all__ = [
    "apilane_register_availability_checks",
    "apilane_register_endpoint_kinds",
    "apilane_register_record_handlers",
    "apilane_register_settings",
    "apilane_register_tables",
]


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """The Struct of the plugin's settings. Other hooks get its values as ``options``."""
    return [PluginSettings(instance=MaintenanceSettings)]


@hookimpl
def apilane_register_availability_checks(options: MaintenanceSettings) -> list[MaintenanceWindow]:
    """The window of the settings. If it is not set, no check is registered."""
    return [MaintenanceWindow(options.window)] if options.window else []


@hookimpl
def apilane_register_endpoint_kinds() -> list[TextKind]:
    """Arguments of a hook may be left out; this one needs none."""
    return [TextKind()]


@hookimpl
def apilane_register_tables() -> list[HelperTable]:
    """The table of the counter, in the database of each application."""
    return [COUNTS]


@hookimpl
def apilane_register_record_handlers() -> list[RecordHandler]:
    """Entities with ``Title`` and ``Slug`` get slugs, and their new records are counted."""
    return [
        RecordHandler(used_by=has_slug, actions=frozenset({"create", "update"}), before=fill_slugs),
        RecordHandler(used_by=has_slug, actions=frozenset({"create"}), after=count),
    ]
