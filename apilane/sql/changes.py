"""What a migration does to tables, one change each. The differ makes them in order, a driver's schema writes them.

Names in a change are those the objects have when its turn comes.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from apilane.sql.structure import Column, Index, Reference, Table

__all__ = [
    "AddColumn",
    "AddDefault",
    "AddIndex",
    "AddReference",
    "Change",
    "ChangeColumn",
    "CreateTable",
    "DropColumn",
    "DropDefault",
    "DropIndex",
    "DropReference",
    "DropTable",
    "RebuildTable",
    "RenameColumn",
    "RenameIndex",
    "RenameReference",
    "RenameTable",
]


class Change(Struct, frozen=True):
    """``table``: the name of the table."""

    table: str


class CreateTable(Change, frozen=True):
    """A new table, with what ``Traits.created_with`` names; the rest follows as changes of its own."""

    structure: Table


class DropTable(Change, frozen=True):
    """Nothing refers to the table any more."""


class RenameTable(Change, frozen=True):
    """``name`` is free at this moment."""

    name: str


class RebuildTable(Change, frozen=True):
    """The table is made again with the rows of the one that stands, and without indexes, which follow."""

    structure: Table
    sources: Mapping[str, str]
    """Columns that are copied: old names by new."""


class AddColumn(Change, frozen=True):
    """``reference``: the one of this column, where references are part of columns."""

    column: Column
    reference: Reference | None = None


class DropColumn(Change, frozen=True):
    """No index, reference or named default stands on the column any more."""

    column: Column


class RenameColumn(Change, frozen=True):
    """``name`` is free at this moment. ``after``: what the column becomes in the end, for SQL that says all of it."""

    old: str
    name: str
    after: Column


class ChangeColumn(Change, frozen=True):
    """Another type, default, or required or not; both sides have the new name."""

    before: Column
    after: Column


class AddDefault(Change, frozen=True):
    """Where defaults have names."""

    column: Column


class DropDefault(Change, frozen=True):
    """Where defaults have names."""

    column: Column


class AddIndex(Change, frozen=True):
    """An index or a unique constraint."""

    index: Index


class DropIndex(Change, frozen=True):
    """An index or a unique constraint."""

    index: Index


class RenameIndex(Change, frozen=True):
    """``name`` is free at this moment."""

    index: Index
    name: str


class AddReference(Change, frozen=True):
    """The rows are checked."""

    reference: Reference


class DropReference(Change, frozen=True):
    """The column stays."""

    reference: Reference


class RenameReference(Change, frozen=True):
    """``name`` is free at this moment."""

    reference: Reference
    name: str
