"""Helper tables: what a plugin keeps in the database of each application (``apilane_register_tables``)."""

from __future__ import annotations

from msgspec import Struct

from apilane.model.definition import Constraint, Index, Property, PropertyType

__all__ = ["HelperTable", "column"]


class HelperTable(Struct, frozen=True, kw_only=True):
    """A table beside the entities of every application; the core makes and changes it when an application opens.

    ``name`` begins with ``H_``. The core adds the key ``ID``. Custom SQL neither reads nor writes the table. A change
    of the columns needs a higher ``version``. The rows are kept, as those of an entity are.
    """

    name: str
    version: int
    columns: tuple[Property, ...]
    constraints: tuple[Constraint, ...] = ()
    """Foreign keys lead to system entities or to ``ID`` of a table of the same plugin."""
    indexes: tuple[Index, ...] = ()


def column(
    name: str,
    type: PropertyType = PropertyType.String,
    *,
    maximum: int | None = None,
    decimal_places: int | None = None,
    required: bool = True,
) -> Property:
    """A column. ``maximum``: UTF-16 units of a String, None: any length; ``decimal_places`` of a Number, None: 0."""
    if type is PropertyType.Number and decimal_places is None:
        decimal_places = 0
    return Property(
        name=name, type=type, maximum=maximum, decimal_places=decimal_places, required=required, is_system=True
    )
