"""Tables as a provider has them: columns, indexes, references. What the differ compares and a driver's schema writes.

Pure. A driver makes them from entities in its ``schema.py``; types, defaults and forms are texts of its own SQL.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from apilane.model.definition import OnDelete

__all__ = ["ACTIONS", "Column", "Default", "Index", "IndexColumn", "Reference", "Table"]

ACTIONS: Final = {OnDelete.NoAction: "NO ACTION", OnDelete.SetNull: "SET NULL", OnDelete.Cascade: "CASCADE"}
"""What standard SQL calls them."""


class Default(NamedTuple):
    """``value`` as SQL; ``name`` where the provider's defaults are constraints with a name."""

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
    """A column of an index, whole and as it is unless the other fields say something else."""

    name: str
    form: str = ""
    """The driver's name for an expression or a collation; '': the column itself."""
    length: int = 0
    """How many characters the index takes; 0: all."""
    nulls_first: bool = False


class Index(NamedTuple):
    """An index, or a unique constraint where ``unique``."""

    name: str
    columns: tuple[IndexColumn, ...]
    unique: bool = False
    without_nulls: tuple[str, ...] = ()
    """Columns whose nulls a unique index leaves out, where null would equal null."""


class Reference(NamedTuple):
    """A foreign key to the ``ID`` of ``target``; ``name`` is empty where references have none."""

    name: str
    column: str
    target: str
    action: str


class Table(NamedTuple):
    """One entity's table."""

    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    references: tuple[Reference, ...] = ()

    def reference_of(self, column: str) -> Reference | None:
        """The reference that stands on ``column``."""
        return next((reference for reference in self.references if reference.column == column), None)
