"""Helper tables: tables of a plugin in the database of each application (``apilane_register_tables``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from apilane.model.definition import Constraint, Entity, ForeignKey, Index, Property, PropertyType
from apilane.model.system import RESERVED_TABLES, helper_table

__all__ = ["HelperTable", "column", "table_problem"]

_TARGETS: Final = frozenset({"Users", "AuthTokens", "Files"})
_VERSION_MAX: Final = 2**31 - 1
_DECIMALS_MAX: Final = 8
_FORM: Final = "columns are made by column(...), constraints are Unique and ForeignKey objects, indexes Index objects"
_table_name: Callable[[str], object] = re.compile(r"H_[A-Za-z_]{1,28}").fullmatch
_column_name: Callable[[str], object] = re.compile(r"[A-Za-z_]{1,30}").fullmatch


class HelperTable(Struct, frozen=True, kw_only=True):
    """A table in the database of every application. The core creates and changes it when an application opens.

    ``name`` begins with ``H_`` and has letters and ``_``, 30 characters at most. The core adds the key ``ID``. Custom
    SQL neither reads nor writes the table. A change of columns, constraints or indexes needs a higher ``version``. Rows
    are kept; a column that is left out is dropped with its values. A column never gets another type, a smaller
    ``maximum`` or fewer decimal places. ``ApplicationView.table`` returns the table.
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
    """A column. ``maximum``: UTF-16 units of a String, None: any length; ``decimal_places`` of a Number: 0 to 8."""
    if type is PropertyType.Number and decimal_places is None:
        decimal_places = 0
    return Property(
        name=name, type=type, maximum=maximum, decimal_places=decimal_places, required=required, is_system=True
    )


def table_problem(table: HelperTable, tables: Sequence[HelperTable]) -> str | None:
    """The error of a table, as the end of a sentence; None when it is valid. ``tables``: all tables of its plugin."""
    problem = _type_problem(table) or _name_problem(table.name)
    if problem is not None:
        return problem
    if table.version < 1:
        return f"has version {table.version}; the first version is 1"
    if table.version > _VERSION_MAX:
        return f"has version {table.version}; the last version is {_VERSION_MAX}"
    names = [each.name.lower() for each in table.columns]
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        return f"has the column {twice!r} twice"
    if "id" in names:
        return "lists the column ID, which the core adds"
    problems = (f"has a column {each.name!r}{problem}" for each in table.columns if (problem := _column_problem(each)))
    targets = _TARGETS | {str(each.name) for each in tables}
    return next(problems, None) or _constraint_problem(table, targets)


def _type_problem(table: HelperTable) -> str | None:
    """The first value of a wrong type. Constructors of Structs check no types."""
    values = msgspec.to_builtins(table, enc_hook=lambda _: {})  # {}: an object, which is wrong in every place
    try:
        checked = msgspec.convert(values, HelperTable)
    except msgspec.ValidationError as error:
        why, _, place = str(error).partition(" - at `$.")
        return f"has a wrong value at {place.rstrip('`')} ({why}); {_FORM}"
    if checked != table:
        return "has a list or a set in a place of a tuple"
    return None


def _name_problem(name: str) -> str | None:
    if not _table_name(name):
        return "is not a name of a helper table; expected H_ and letters or '_', 30 characters at most"
    if name.lower() in RESERVED_TABLES or name.lower().endswith("__backup__"):
        return "is a name that is reserved for the core"
    return None


def _column_problem(column: Property) -> str | None:
    if not _column_name(column.name):
        return "; expected letters or '_', 30 characters at most"
    if column.minimum is not None or column.validation_regex or column.encrypted or column.is_primary_key:
        return ", which column(...) does not make"
    if column.maximum is not None and column.type is not PropertyType.String:
        return " with a maximum; only a String has one"
    if column.maximum is not None and column.maximum < 1:
        return f" with the maximum {column.maximum}; expected 1 or more"
    if column.decimal_places is not None and column.type is not PropertyType.Number:
        return " with decimal_places; only a Number has them"
    if not 0 <= (column.decimal_places or 0) <= _DECIMALS_MAX:
        return f" with {column.decimal_places} decimal places; expected 0 to {_DECIMALS_MAX}"
    return None


def _constraint_problem(table: HelperTable, targets: frozenset[str]) -> str | None:
    keys = [each for each in table.constraints if isinstance(each, ForeignKey)]
    astray = next((key.entity for key in keys if key.entity not in targets), None)
    if astray is not None:
        return f"has a foreign key to {astray!r}; expected one of {', '.join(sorted(targets))}"
    groups = [each.properties for each in (*table.constraints, *table.indexes) if not isinstance(each, ForeignKey)]
    if not all(groups):
        return "has a constraint or an index without columns"
    columns = {each.name: each for each in table.columns}
    used = {*(key.property for key in keys), *(name for group in groups for name in group)}
    unknown = sorted(used - columns.keys())
    if unknown:
        return f"has no column {unknown[0]!r}, which a constraint or an index names"
    unfit = next((key.property for key in keys if not _is_whole_number(columns[key.property])), None)
    return None if unfit is None else f"has a foreign key {unfit!r}; expected a Number without decimal places"


def _is_whole_number(column: Property) -> bool:
    return column.type is PropertyType.Number and not column.decimal_places
