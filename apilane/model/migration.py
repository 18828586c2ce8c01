"""A change of tables, as data: from which entities to which, and what was renamed. Pure; dialects carry it out."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from msgspec import Struct

from apilane.model.definition import Entity, Property, PropertyType

__all__ = ["Migration", "Renames", "name_sources", "narrowings"]


class Renames(Struct, frozen=True):
    """Old names by new ones. ``properties`` is keyed by (new entity name, new property name)."""

    entities: Mapping[str, str] = {}
    properties: Mapping[tuple[str, str], str] = {}

    def within(self, entity: str) -> dict[str, str]:
        """Old names of properties by new ones, of the entity with the new name ``entity``."""
        return {name: source for (place, name), source in self.properties.items() if place == entity}


class Migration(Struct, frozen=True):
    """From one set of tables to another; helper tables are part of both."""

    before: tuple[Entity, ...]
    after: tuple[Entity, ...]
    renames: Renames = Renames()

    def kept_entities(self) -> list[tuple[Entity, Entity]]:
        """Entities of before with what they become, in the order of ``after``."""
        by_name = {entity.name.lower(): entity for entity in self.before}
        sources = name_sources((entity.name for entity in self.after), by_name, self.renames.entities)
        return [(by_name[sources[entity.name]], entity) for entity in self.after if entity.name in sources]

    def kept_properties(self, old: Entity, new: Entity) -> list[tuple[Property, Property]]:
        """Properties of ``old`` with what they become in ``new``, one of ``kept_entities``, in its order."""
        by_name = {property.name.lower(): property for property in old.properties}
        sources = name_sources((p.name for p in new.properties), by_name, self.renames.within(new.name))
        return [(by_name[sources[p.name]], p) for p in new.properties if p.name in sources]


def name_sources(names: Iterable[str], before: Container[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Where each of ``names`` comes from, in lower case; what ``before`` (lower case) does not have is left out.

    A name whose old bearer was renamed to another is a new one.
    """
    names = list(names)
    given_away = {renamed[name].lower() for name in names if name in renamed}
    sources = {
        name: renamed.get(name, name).lower() for name in names if name in renamed or name.lower() not in given_away
    }
    return {name: source for name, source in sources.items() if source in before}


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
