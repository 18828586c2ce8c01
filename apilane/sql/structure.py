"""Tables in the terms of a provider: columns, indexes, references. The differ compares them and drivers write their
SQL.

Pure. A driver makes them from entities in its ``schema.py``; types, defaults and forms are SQL texts of that driver.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from apilane.model.definition import OnDelete

__all__ = ["ACTIONS", "Column", "Default", "Index", "IndexColumn", "Reference", "Table"]

ACTIONS: Final = {OnDelete.NoAction: "NO ACTION", OnDelete.SetNull: "SET NULL", OnDelete.Cascade: "CASCADE"}
"""The actions in standard SQL."""


class Default(NamedTuple):
    """``value`` as SQL; ``name`` for providers whose defaults are named constraints."""

    value: str
    name: str = ""


class Column(NamedTuple):
    """``type`` as SQL, with its collation."""

    name: str
    type: str
    required: bool = False
    default: Default | None = None
    is_key: bool = False


class IndexColumn(NamedTuple):
    """A column of an index; by default the whole, unchanged column."""

    name: str
    form: str = ""
    """The driver's name for an expression or a collation; '': the column itself."""
    length: int = 0
    """Number of characters in the index; 0: all."""
    nulls_first: bool = False


class Index(NamedTuple):
    """An index, or a unique constraint where ``unique``."""

    name: str
    columns: tuple[IndexColumn, ...]
    unique: bool = False
    without_nulls: tuple[str, ...] = ()
    """Columns for which a unique index leaves out nulls, on providers where null equals null."""
    only_null: str = ""
    """The index has only the rows with null in this column; '': all rows."""


class Reference(NamedTuple):
    """A foreign key to the ``ID`` of ``target``; ``name`` is empty if the provider's references have no names."""

    name: str
    column: str
    target: str
    action: str


class Table(NamedTuple):
    """The table of one entity."""

    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    references: tuple[Reference, ...] = ()

    def reference_of(self, column: str) -> Reference | None:
        """The reference of ``column``."""
        return next((reference for reference in self.references if reference.column == column), None)
