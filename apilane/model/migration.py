"""A change of tables, as data: entities before and after, and their renames. Pure; dialects write the SQL."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from msgspec import Struct

from apilane.model.definition import Entity, Property, PropertyType

__all__ = ["Migration", "Renames", "name_sources", "narrowings"]


class Renames(Struct, frozen=True):
    """New names with their old names. ``properties`` is keyed by (new entity name, new property name)."""

    entities: Mapping[str, str] = {}
    properties: Mapping[tuple[str, str], str] = {}

    def within(self, entity: str) -> dict[str, str]:
        """New property names with their old names, for the entity whose new name is ``entity``."""
        return {name: source for (place, name), source in self.properties.items() if place == entity}


class Migration(Struct, frozen=True):
    """The change from one set of tables to another; both include the helper tables."""

    before: tuple[Entity, ...]
    after: tuple[Entity, ...]
    renames: Renames = Renames()
    is_control: bool = False
    """The tables are those of a control store, which custom SQL never uses."""
    exact_before: bool = False
    """The tables of ``before`` are of the first version, in which the database compared unique texts itself."""

    def kept_entities(self) -> list[tuple[Entity, Entity]]:
        """Each entity that stays, as a pair of old and new, in the order of ``after``."""
        by_name = {entity.name.lower(): entity for entity in self.before}
        sources = name_sources((entity.name for entity in self.after), by_name, self.renames.entities)
        return [(by_name[sources[entity.name]], entity) for entity in self.after if entity.name in sources]

    def kept_properties(self, old: Entity, new: Entity) -> list[tuple[Property, Property]]:
        """Each property that stays, as a pair of old and new, in the order of ``new``; the arguments are a pair of
        ``kept_entities``.
        """
        by_name = {property.name.lower(): property for property in old.properties}
        sources = name_sources((p.name for p in new.properties), by_name, self.renames.within(new.name))
        return [(by_name[sources[p.name]], p) for p in new.properties if p.name in sources]


def name_sources(names: Iterable[str], before: Container[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """For each of ``names`` its old name in lower case; names without an old name in ``before`` (lower case) are left
    out.

    If the former owner of a name was renamed, the name counts as new.
    """
    names = list(names)
    given_away = {renamed[name].lower() for name in names if name in renamed}
    sources = {
        name: renamed.get(name, name).lower() for name in names if name in renamed or name.lower() not in given_away
    }
    return {name: source for name, source in sources.items() if source in before}


def narrowings(old: Property, new: Property) -> tuple[str, ...]:
    """The manifest keys of a property whose new value may not fit the stored records."""
    keys = []
    if new.required and not old.required:
        keys.append("Required")
    lower_maximum = new.maximum is not None and (old.maximum is None or new.maximum < old.maximum)
    if new.type is PropertyType.String and lower_maximum:
        keys.append("Maximum")
    if (new.decimal_places or 0) < (old.decimal_places or 0):
        keys.append("DecimalPlaces")
    if new.values and (not old.values or not set(new.values).issuperset(old.values)):
        keys.append("Values")
    if new.format is not None and new.format not in (old.format, "Markdown"):
        keys.append("Format")
    return tuple(keys)
