"""Helper tables: what a plugin keeps in the database of each application (``apilane_register_tables``)."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from apilane.model.definition import Constraint, Entity, Index, Property, PropertyType
from apilane.model.system import helper_table

__all__ = ["HelperTable", "column"]


class HelperTable(Struct, frozen=True, kw_only=True):
    """A table beside the entities of every application; the core makes and changes it when an application opens.

    ``name`` begins with ``H_`` and has letters and ``_``, 30 characters at most. The core adds the key ``ID``. Custom
    SQL neither reads nor writes the table. A change of columns, constraints or indexes needs a higher ``version``. The
    rows are kept; a column that is left out goes with its values. ``ApplicationView.table`` gives the table.
    """

    name: str
    version: int
    columns: tuple[Property, ...]
    constraints: tuple[Constraint, ...] = ()
    """Foreign keys lead to Users, AuthTokens or Files, or to a table of the same plugin."""
    indexes: tuple[Index, ...] = ()

    @property
    def entity(self) -> Entity:
        """The table with its key, as the drivers take it."""
        columns = tuple(replace(column, is_system=True) for column in self.columns)
        return helper_table(self.name, columns, self.constraints, self.indexes)


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
