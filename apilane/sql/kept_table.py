"""One table before and after a migration that keeps it: which columns, indexes and references stay. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from apilane.model.migration import name_sources
from apilane.sql.structure import Column, Index, Reference, Table

__all__ = ["KeptTable"]

Key = TypeVar("Key", Index, Reference)


class KeptTable:
    """``tables``: new names of all tables by old; ``renamed``: old names of this table's columns by new."""

    def __init__(self, old: Table, new: Table, tables: Mapping[str, str], renamed: Mapping[str, str]) -> None:
        self.old = old
        self.new = new
        self._tables = tables
        standing = {column.name.lower(): column for column in old.columns}
        sources = name_sources((column.name for column in new.columns), standing, renamed)
        self.columns = [(standing[sources[column.name]], column) for column in new.columns if column.name in sources]
        """What was, and what it becomes, in the order of the new table."""
        self._names = {was.name: now.name for was, now in self.columns}
        self.dropped = [column for column in old.columns if column.name not in self._names]
        self.added = [column for column in new.columns if column.name not in sources]
        self.retyped = {now.name for was, now in self.columns if was.type != now.type}
        self.changed = {now.name for was, now in self.columns if _told(was) != _told(now)}
        """New names of columns with another type, another default without a name, or required or not."""

    def loses_default(self, column: Column) -> bool:
        """Whether a default with a name, of a column of before, is dropped."""
        default = column.default
        return default is not None and bool(default.name) and default.name not in self._kept_defaults()

    def gains_default(self, column: Column) -> bool:
        """Whether a default with a name is added to a column that stays."""
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
        """Whether more happens to its columns than that some are added and some get free names."""
        standing = {column.name.lower() for column in self.old.columns}
        return bool(
            self.dropped
            or self.changed
            or any(was.name != now.name and now.name.lower() in standing for was, now in self.columns)
            or {self._translated_reference(reference) for reference in self.old.references}
            != {reference for reference in self.new.references if reference.column in self._names.values()}
        )

    def kept_indexes(self, *, by_name: bool) -> dict[Index, Index]:
        """Indexes that are the same in the names of the new table; their own name counts where ``by_name``."""
        return _matched({index: self._translated_index(index) for index in self.old.indexes}, self.new.indexes, by_name)

    def kept_references(self, *, by_name: bool) -> dict[Reference, Reference]:
        """References that are the same in new names; their own name counts where ``by_name``."""
        translated = {reference: self._translated_reference(reference) for reference in self.old.references}
        return _matched(translated, self.new.references, by_name)

    def _translated_index(self, index: Index) -> Index:
        """What goes has the name ''."""
        return index._replace(
            columns=tuple(column._replace(name=self._names.get(column.name, "")) for column in index.columns),
            without_nulls=tuple(self._names.get(name, "") for name in index.without_nulls),
        )

    def _translated_reference(self, reference: Reference) -> Reference:
        return reference._replace(
            column=self._names.get(reference.column, ""), target=self._tables.get(reference.target, "")
        )


def _told(column: Column) -> Column:
    """What ALTER COLUMN tells of a column."""
    has_name = column.default is not None and bool(column.default.name)
    return column._replace(name="", default=None if has_name else column.default)


def _matched(translated: Mapping[Key, Key], new: tuple[Key, ...], by_name: bool) -> dict[Key, Key]:
    """Each of ``new`` is matched once, the same name first."""
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
