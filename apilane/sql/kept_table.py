"""One table that a migration keeps, before and after it: the columns, indexes and references that stay. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from apilane.model.migration import name_sources
from apilane.sql.structure import Column, Index, Reference, Table

__all__ = ["KeptTable"]

Key = TypeVar("Key", Index, Reference)


class KeptTable:
    """``tables``: old names of all tables with their new names; ``renamed``: new column names with their old names."""

    def __init__(self, old: Table, new: Table, tables: Mapping[str, str], renamed: Mapping[str, str]) -> None:
        self.old = old
        self.new = new
        self._tables = tables
        standing = {column.name.lower(): column for column in old.columns}
        sources = name_sources((column.name for column in new.columns), standing, renamed)
        self.columns = [(standing[sources[column.name]], column) for column in new.columns if column.name in sources]
        """Pairs of old and new column, in the order of the new table."""
        self._names = {was.name: now.name for was, now in self.columns}
        self.dropped = [column for column in old.columns if column.name not in self._names]
        self.added = [column for column in new.columns if column.name not in sources]
        self.retyped = {now.name for was, now in self.columns if was.type != now.type}
        self.changed = {now.name for was, now in self.columns if _definition_of(was) != _definition_of(now)}
        """New names of the columns that change in type, in ``required``, or in a default without a name."""

    def loses_default(self, column: Column) -> bool:
        """Whether the named default of an old column is dropped."""
        default = column.default
        return default is not None and bool(default.name) and default.name not in self._kept_defaults()

    def gains_default(self, column: Column) -> bool:
        """Whether a named default is added to a column that stays."""
        default = column.default
        stays = any(now.name == column.name for _, now in self.columns)
        return stays and default is not None and bool(default.name) and default.name not in self._kept_defaults()

    def _kept_defaults(self) -> set[str]:
        return {
            now.default.name
            for was, now in self.columns
            if now.default is not None and was.default == now.default and now.name not in self.changed
        }

    def needs_rebuild(self) -> bool:
        """Whether its columns need changes other than additions and renames to unused names."""
        standing = {column.name.lower() for column in self.old.columns}
        return bool(
            self.dropped
            or self.changed
            or any(was.name != now.name and now.name.lower() in standing for was, now in self.columns)
            or {self._translated_reference(reference) for reference in self.old.references}
            != {reference for reference in self.new.references if reference.column in self._names.values()}
        )

    def kept_indexes(self, *, by_name: bool) -> dict[Index, Index]:
        """Indexes that stay the same after renames of columns. With ``by_name`` the name of the index must be equal
        too.
        """
        return _matched({index: self._translated_index(index) for index in self.old.indexes}, self.new.indexes, by_name)

    def kept_references(self, *, by_name: bool) -> dict[Reference, Reference]:
        """References that stay the same after renames. With ``by_name`` the name of the reference must be equal too."""
        translated = {reference: self._translated_reference(reference) for reference in self.old.references}
        return _matched(translated, self.new.references, by_name)

    def _translated_index(self, index: Index) -> Index:
        """The index with new column names; '' is the name of a dropped column."""
        return index._replace(
            columns=tuple(column._replace(name=self._names.get(column.name, "")) for column in index.columns),
            without_nulls=tuple(self._names.get(name, "") for name in index.without_nulls),
            only_null=self._names.get(index.only_null, ""),
        )

    def _translated_reference(self, reference: Reference) -> Reference:
        return reference._replace(
            column=self._names.get(reference.column, ""), target=self._tables.get(reference.target, "")
        )


def _definition_of(column: Column) -> Column:
    """The parts of a column that ALTER COLUMN states."""
    has_name = column.default is not None and bool(column.default.name)
    return column._replace(name="", default=None if has_name else column.default)


def _matched(translated: Mapping[Key, Key], new: tuple[Key, ...], by_name: bool) -> dict[Key, Key]:
    """Pairs of old and new keys. Each of ``new`` is used once, equal names first."""
    kept = {old: moved for old, moved in translated.items() if moved in new}
    if by_name:
        return kept
    free = [key for key in new if key not in kept.values()]
    for old, moved in translated.items():
        same = next((key for key in free if old not in kept and key._replace(name=moved.name) == moved), None)
        if same is not None:
            kept[old] = same
            free.remove(same)
    return kept
