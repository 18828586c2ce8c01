"""Helper tables: tables of a plugin in the database of each application (``apilane_register_tables``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from apilane.model.definition import Constraint, Entity, ForeignKey, Index, Property, PropertyType
from apilane.model.system import RESERVED_TABLES, helper_table

__all__ = ["HelperTable", "column", "table_problem"]

_TARGETS: Final = frozenset({"Users", "AuthTokens", "Files"})
_table_name: Callable[[str], object] = re.compile(r"H_[A-Za-z_]{1,28}").fullmatch
_column_name: Callable[[str], object] = re.compile(r"[A-Za-z_]{1,30}").fullmatch


class HelperTable(Struct, frozen=True, kw_only=True):
    """A table in the database of every application. The core creates and changes it when an application opens.

    ``name`` begins with ``H_`` and has letters and ``_``, 30 characters at most. The core adds the key ``ID``. Custom
    SQL neither reads nor writes the table. A change of columns, constraints or indexes needs a higher ``version``. Rows
    are kept; a column that is left out is dropped with its values. ``ApplicationView.table`` returns the table.
    """

    name: str
    version: int
    columns: tuple[Property, ...]
    constraints: tuple[Constraint, ...] = ()
    """Foreign keys refer to Users, AuthTokens or Files, or to a table of the same plugin."""
    indexes: tuple[Index, ...] = ()

    @property
    def entity(self) -> Entity:
        """The table with its key, in the form that drivers use."""
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


def table_problem(table: HelperTable, tables: Sequence[HelperTable]) -> str | None:
    """The error of a table, as the end of a sentence; None when it is valid. ``tables``: all tables of its plugin."""
    if not _table_name(table.name):
        return "is not a name of a helper table; expected H_ and letters or '_', 30 characters at most"
    if table.name.lower() in RESERVED_TABLES or table.name.lower().endswith("__backup__"):
        return "is a name that is reserved for the core"
    if table.version < 1:
        return f"has version {table.version}; the first version is 1"
    names = [each.name.lower() for each in table.columns]
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        return f"has the column {twice!r} twice"
    if "id" in names:
        return "lists the column ID, which the core adds"
    unfit = next((each.name for each in table.columns if not _column_name(each.name)), None)
    if unfit is not None:
        return f"has a column {unfit!r}; expected letters or '_', 30 characters at most"
    return _constraint_problem(table, _TARGETS | {each.name for each in tables})


def _constraint_problem(table: HelperTable, targets: frozenset[str]) -> str | None:
    keys = [each for each in table.constraints if isinstance(each, ForeignKey)]
    astray = next((key.entity for key in keys if key.entity not in targets), None)
    if astray is not None:
        return f"has a foreign key to {astray!r}; expected one of {', '.join(sorted(targets))}"
    groups = [each.properties for each in (*table.constraints, *table.indexes) if not isinstance(each, ForeignKey)]
    used = {*(key.property for key in keys), *(name for group in groups for name in group)}
    unknown = sorted(used - {each.name for each in table.columns})
    return f"has no column {unknown[0]!r}, which a constraint or an index names" if unknown else None
