"""The tables of the conformance suite."""

from __future__ import annotations

from typing import Final

from apilane.model.definition import Entity, ForeignKey, Index, OnDelete, Property, PropertyType, Unique
from apilane.model.system import system_entities

__all__ = ["ENTITIES", "MAKERS", "THINGS", "USERS", "key"]


def key() -> Property:
    """The first property of every entity."""
    return Property(
        name="ID", type=PropertyType.Number, decimal_places=0, required=True, is_primary_key=True, is_system=True
    )


MAKERS: Final = Entity(name="Makers", properties=(key(), Property(name="Name", maximum=100, required=True)))

THINGS: Final = Entity(
    name="Things",
    properties=(
        key(),
        Property(name="Name", maximum=100, required=True),
        Property(name="Note"),
        Property(name="Code", maximum=50),
        Property(name="Kind", maximum=50),
        Property(name="Grade", type=PropertyType.Number, decimal_places=0),
        Property(name="Count", type=PropertyType.Number, decimal_places=0),
        Property(name="Price", type=PropertyType.Number, decimal_places=2),
        Property(name="Exact", type=PropertyType.Number, decimal_places=8),
        Property(name="Active", type=PropertyType.Boolean),
        Property(name="Made", type=PropertyType.Date),
        Property(name="Maker", type=PropertyType.Number, decimal_places=0),
        Property(name="Sponsor", type=PropertyType.Number, decimal_places=0),
        Property(name="Whole", type=PropertyType.Number, decimal_places=0),
    ),
    constraints=(
        Unique(properties=("Code",)),
        Unique(properties=("Kind", "Grade")),
        ForeignKey(property="Maker", entity="Makers"),
        ForeignKey(property="Sponsor", entity="Makers", on_delete=OnDelete.SetNull),
        ForeignKey(property="Whole", entity="Things", on_delete=OnDelete.NoAction),
    ),
    indexes=(Index(("Name",)), Index(("Made",))),
)

PARTS: Final = Entity(
    name="Parts",
    properties=(key(), Property(name="Thing", type=PropertyType.Number, decimal_places=0, required=True)),
    constraints=(ForeignKey(property="Thing", entity="Things", on_delete=OnDelete.Cascade),),
)

USERS: Final = next(entity for entity in system_entities() if entity.name == "Users")

ENTITIES: Final = (*system_entities(), MAKERS, THINGS, PARTS)
