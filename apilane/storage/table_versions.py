"""Versions of helper tables: reading a recorded one, and refusing a change that loses or alters stored values."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from apilane.model.definition import Entity, Property
from apilane.model.migration import Migration, narrowings
from apilane.storage.errors import Unavailable

__all__ = ["CORE", "TableVersion", "read_definition", "refuse_unfit"]

CORE: Final = "core"
"""Used in the place of a plugin's name for tables of the core."""


class TableVersion(NamedTuple):
    """A table at one version, and the plugin that provides it."""

    entity: Entity
    version: int = 1
    plugin: str = CORE


def read_definition(name: str, plugin: str, text: str, required: bool) -> Entity:
    """The recorded definition. Numbers that were recorded as texts are read too."""
    try:
        return msgspec.json.decode(text, type=Entity, strict=False)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        if not required:
            return Entity(name=name)
        raise Unavailable(
            f"The definition of the table {name} (plugin {plugin!r}) in H_Tables cannot be read: {error}. Correct it; "
            f"or drop the table, and its row in H_Tables, when its rows are not needed."
        ) from error


def refuse_unfit(old: TableVersion, new: TableVersion) -> None:
    """Raise Unavailable when the table ``old`` of a database must not become ``new``."""
    name = new.entity.name
    table = f"The table {name} (plugin {new.plugin!r})"
    if old.plugin != new.plugin:
        raise Unavailable(
            f"{table} belongs to the plugin {old.plugin!r} in the database. Give the new table another name. Or "
            f"hand the table and its rows over: set Plugin to {new.plugin!r} in its row of H_Tables."
        )
    if old.entity.name != name:
        raise Unavailable(f"{table} has the name {old.entity.name} in the database. Keep the letter case.")
    if old.version > new.version:
        raise Unavailable(
            f"{table} has version {old.version} in the database; this release of the plugin supports versions up to "
            f"{new.version}. Run the release that wrote it, or a newer one."
        )
    if old.version == new.version:
        raise Unavailable(
            f"{table} differs from the one in the database, and both have version {new.version}. A change needs a "
            f"higher version in the plugin."
        )
    for was, now in Migration((old.entity,), (new.entity,)).kept_properties(old.entity, new.entity):
        refused = _refused_changes(was, now)
        if refused:
            raise Unavailable(
                f"{table} changes {refused} of the column {now.name} in version {new.version}; stored values may not "
                f"fit. Add a column with another name."
            )


def _refused_changes(was: Property, now: Property) -> str:
    """The changes of a column that a database makes by cutting or converting values, or does not check."""
    if was.type is not now.type:
        return "the type"
    texts = {"Maximum": "the maximum", "DecimalPlaces": "the decimal places"}
    return " and ".join(texts[key] for key in narrowings(was, now) if key in texts)
