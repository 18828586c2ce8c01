"""The changes that a migration makes to tables. The differ puts them in order, and a driver's schema writes their SQL.

A change uses the names that the objects have at the time of the change.
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
    """A new table, with the parts that ``Traits.created_with`` names; the other parts follow as separate changes."""

    structure: Table


class DropTable(Change, frozen=True):
    """A table is dropped. No reference to it exists at this time."""


class RenameTable(Change, frozen=True):
    """``name`` is unused at this time."""

    name: str


class RebuildTable(Change, frozen=True):
    """The table is created again with its existing rows and without indexes, which follow as separate changes."""

    structure: Table
    sources: Mapping[str, str]
    """The copied columns: new names with their old names."""


class AddColumn(Change, frozen=True):
    """``reference``: the reference of this column, for providers that create references with columns."""

    column: Column
    reference: Reference | None = None


class DropColumn(Change, frozen=True):
    """A column is dropped. No index, reference or named default uses it at this time."""

    column: Column


class RenameColumn(Change, frozen=True):
    """``name`` is unused at this time. ``after``: the final form of the column, for SQL that must state it in full."""

    old: str
    name: str
    after: Column


class ChangeColumn(Change, frozen=True):
    """The type, the default or ``required`` changes; both columns have the new name."""

    before: Column
    after: Column


class AddDefault(Change, frozen=True):
    """Only for providers whose defaults have names."""

    column: Column


class DropDefault(Change, frozen=True):
    """Only for providers whose defaults have names."""

    column: Column


class AddIndex(Change, frozen=True):
    """An index or a unique constraint."""

    index: Index


class DropIndex(Change, frozen=True):
    """An index or a unique constraint."""

    index: Index


class RenameIndex(Change, frozen=True):
    """``name`` is unused at this time."""

    index: Index
    name: str


class AddReference(Change, frozen=True):
    """A new reference; the database checks the existing rows."""

    reference: Reference


class DropReference(Change, frozen=True):
    """A reference is dropped; its column stays."""

    reference: Reference


class RenameReference(Change, frozen=True):
    """``name`` is unused at this time."""

    reference: Reference
    name: str
