"""A change of tables, as data: from which entities to which, and what was renamed. Pure; dialects carry it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from apilane.model.definition import Entity, Property, PropertyType

__all__ = ["Migration", "Renames", "narrowings"]


class Renames(Struct, frozen=True):
    """Old names by new ones. ``properties`` is keyed by (new entity name, new property name)."""

    entities: Mapping[str, str] = {}
    properties: Mapping[tuple[str, str], str] = {}


class Migration(Struct, frozen=True):
    """From one set of tables to another; helper tables are part of both."""

    before: tuple[Entity, ...]
    after: tuple[Entity, ...]
    renames: Renames = Renames()

    def kept_entities(self) -> list[tuple[Entity, Entity]]:
        """Entities of before with what they become, in the order of ``after``."""
        by_name = {entity.name.lower(): entity for entity in self.before}
        sources = _sources([entity.name for entity in self.after], self.renames.entities)
        return [(by_name[sources[entity.name]], entity) for entity in self.after if sources.get(entity.name) in by_name]

    def kept_properties(self, old: Entity, new: Entity) -> list[tuple[Property, Property]]:
        """Properties of ``old`` with what they become in ``new``, one of ``kept_entities``, in its order."""
        by_name = {property.name.lower(): property for property in old.properties}
        renamed = {name: source for (entity, name), source in self.renames.properties.items() if entity == new.name}
        sources = _sources([property.name for property in new.properties], renamed)
        return [(by_name[sources[p.name]], p) for p in new.properties if sources.get(p.name) in by_name]


def _sources(names: Sequence[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Where each name comes from, in lower case. A name whose old bearer was renamed to another is a new one."""
    given_away = {renamed[name].lower() for name in names if name in renamed}
    return {
        name: renamed.get(name, name).lower() for name in names if name in renamed or name.lower() not in given_away
    }


def narrowings(old: Property, new: Property) -> tuple[str, ...]:
    """The manifest keys of a property whose new value may not hold what the records have."""
    keys = []
    if new.required and not old.required:
        keys.append("Required")
    lower_maximum = new.maximum is not None and (old.maximum is None or new.maximum < old.maximum)
    if new.type is PropertyType.String and lower_maximum:
        keys.append("Maximum")
    if (new.decimal_places or 0) < (old.decimal_places or 0):
        keys.append("DecimalPlaces")
    return tuple(keys)
