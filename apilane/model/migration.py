"""A change of tables, as data: from which entities to which, and what was renamed. Pure; dialects carry it out."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from apilane.model.definition import Entity

__all__ = ["Migration", "Renames"]


class Renames(Struct, frozen=True):
    """Old names by new ones. ``properties`` is keyed by (new entity name, new property name)."""

    entities: Mapping[str, str] = {}
    properties: Mapping[tuple[str, str], str] = {}


class Migration(Struct, frozen=True):
    """From one set of tables to another; helper tables are part of both."""

    before: tuple[Entity, ...]
    after: tuple[Entity, ...]
    renames: Renames = Renames()
