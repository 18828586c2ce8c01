"""The changes, in order, from one set of tables to another. Pure and deterministic; no database access.

Removals come first and additions last, so that new indexes and references are checked on the changed rows. Each driver
describes the needs of its database in ``Traits``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from apilane.model.definition import Entity
from apilane.model.migration import Migration, name_sources
from apilane.sql import changes as do
from apilane.sql.changes import Change
from apilane.sql.ddl import bounded_name
from apilane.sql.kept_table import KeptTable
from apilane.sql.structure import Index, Reference, Table

__all__ = ["BETWEEN", "Traits", "differences"]

BETWEEN: Final = "__backup__"
"""Suffix of a temporary name during a rename; no entity or property has a name with this suffix."""


class Traits(Struct, frozen=True, kw_only=True):
    """The properties of a database that decide how its tables are changed."""

    name_max: int | None = None
    """Largest length of a name in characters."""
    created_with: frozenset[Literal["indexes", "references"]] = frozenset()
    """The parts that CREATE TABLE includes; the others are added afterwards. If references are included, ADD COLUMN
    includes them too.
    """
    rebuilds: bool = False
    """Columns can only be added or renamed; any other change of columns rebuilds the table."""
    renames_keys: bool = False
    """An index, constraint or reference with only a new name is renamed; otherwise it is dropped and created."""
    alters_at_once: bool = False
    """Each schema statement commits separately, and one statement makes all changes of a table's columns.

    New tables then come first, so that nothing is lost when one cannot be created. Columns are dropped and renamed
    within that statement, and a rename includes the change of the type.
    """
    dropped_to_change: frozenset[Literal["indexes", "expressions", "references"]] = frozenset()
    """Objects that must be dropped before their column changes. Expressions: indexes that have the column with a
    ``form``.
    """
    references_need_index: bool = False
    """A reference must be dropped when an index that begins with its column is dropped."""


class _Plan(NamedTuple):
    """The changes of one table, by phase."""

    drops: list[Change]
    """These use the old name of the table."""
    columns: list[Change]
    indexes: list[Change]
    references: list[Change]


def differences(
    migration: Migration,
    tables: Callable[[Sequence[Entity]], Sequence[Table]],
    traits: Traits,
    first_tables: Callable[[Sequence[Entity]], Sequence[Table]] | None = None,
) -> list[Change]:
    """The changes that turn the tables of ``migration.before`` into those of ``migration.after``.

    ``tables`` makes the provider's tables for a list of entities, in their order; ``first_tables`` makes them as the
    first structure had them (``Migration.exact_before``).
    """
    before = first_tables if migration.exact_before and first_tables is not None else tables
    standing = {table.name.lower(): table for table in before(migration.before)}
    after = tables(migration.after)
    sources = name_sources((table.name for table in after), standing, migration.renames.entities)
    kept = [(standing[sources[table.name]], table) for table in after if table.name in sources]
    names = {old.name: new.name for old, new in kept}
    created = [table for table in after if table.name not in sources]
    first = [table for table in created if traits.alters_at_once and table.name.lower() not in standing]
    dropped = [table for table in standing.values() if table.name not in names]
    plans = [_plan(KeptTable(old, new, names, migration.renames.within(new.name)), traits) for old, new in kept]
    separate = {"indexes", "references"} - traits.created_with
    return [
        *(do.CreateTable(table.name, table) for table in first),
        *(do.DropReference(t.name, r) for t in dropped for r in t.references if "references" in separate),
        *(change for plan in plans for change in plan.drops),
        *(do.DropTable(table.name) for table in dropped),
        *(do.RenameTable(old, new) for old, new in _renames(names.items(), standing, traits)),
        *(change for plan in plans for change in plan.columns),
        *(do.CreateTable(table.name, table) for table in created if table not in first),
        *(change for plan in plans for change in plan.indexes),
        *(do.AddIndex(table.name, i) for table in created for i in table.indexes if "indexes" in separate),
        *(change for plan in plans for change in plan.references),
        *(do.AddReference(t.name, r) for t in created for r in t.references if "references" in separate),
    ]


def _renames(pairs: Iterable[tuple[str, str]], present: Iterable[str], traits: Traits) -> list[tuple[str, str]]:
    """The renames in order. A new name that is in ``present`` (names are swapped, or change in letter case only) is
    reached through a temporary name.
    """
    taken = {name.lower() for name in present}
    direct, away, back = [], [], []
    for old, new in pairs:
        if old == new:
            continue
        if new.lower() in taken:
            between = bounded_name(f"{old}{BETWEEN}", traits.name_max)
            away.append((old, between))
            back.append((between, new))
        else:
            direct.append((old, new))
    return [*away, *direct, *back]


def _plan(table: KeptTable, traits: Traits) -> _Plan:
    new = table.new
    if traits.rebuilds and table.needs_rebuild():
        sources = {now.name: was.name for was, now in table.columns}
        rebuild = do.RebuildTable(new.name, new, sources)
        return _Plan([], [rebuild], [do.AddIndex(new.name, index) for index in new.indexes], [])
    indexes, references = _kept(table, traits)
    index_renames = [(old, index.name) for old, index in indexes.items() if old.name != index.name]
    reference_renames = [(old, r.name) for old, r in references.items() if old.name != r.name]

    def between(name: str) -> str:
        return bounded_name(f"{name}{BETWEEN}", traits.name_max)

    was, now = table.old.name, new.name
    with_columns = "references" in traits.created_with
    goes = [do.DropColumn(now if traits.alters_at_once else was, column) for column in table.dropped]
    return _Plan(
        [
            *(do.DropReference(was, r) for r in table.old.references if r not in references and not with_columns),
            *(do.DropIndex(was, index) for index in table.old.indexes if index not in indexes),
            *(do.DropDefault(was, old) for old in table.old.columns if table.loses_default(old)),
            *(do.RenameIndex(was, old, between(old.name)) for old, _ in index_renames),
            *(do.RenameReference(was, old, between(old.name)) for old, _ in reference_renames),
            *([] if traits.alters_at_once else goes),
        ],
        [
            *(goes if traits.alters_at_once else []),
            *_column_changes(table, traits),
            *(do.RenameIndex(now, old._replace(name=between(old.name)), name) for old, name in index_renames),
            *(do.RenameReference(now, old._replace(name=between(old.name)), name) for old, name in reference_renames),
        ],
        [
            *(do.AddDefault(now, column) for column in new.columns if table.gains_default(column)),
            *(do.AddIndex(now, index) for index in new.indexes if index not in indexes.values()),
        ],
        [do.AddReference(now, r) for r in new.references if r not in references.values() and not with_columns],
    )


def _kept(table: KeptTable, traits: Traits) -> tuple[dict[Index, Index], dict[Reference, Reference]]:
    """The indexes and references that stay, with their final names."""
    indexes = table.kept_indexes(by_name=not traits.renames_keys)
    references = table.kept_references(by_name=not traits.renames_keys)
    if "indexes" in traits.dropped_to_change:
        indexes = {old: new for old, new in indexes.items() if table.changed.isdisjoint(c.name for c in new.columns)}
    if "expressions" in traits.dropped_to_change:
        indexes = {
            old: new
            for old, new in indexes.items()
            if table.retyped.isdisjoint(column.name for column in new.columns if column.form)
        }
    if "references" in traits.dropped_to_change:
        references = {old: new for old, new in references.items() if new.column not in table.changed}
    if traits.references_need_index:
        first = {index.columns[0].name for index in table.old.indexes if index not in indexes}
        references = {old: new for old, new in references.items() if old.column not in first}
    return indexes, references


def _column_changes(table: KeptTable, traits: Traits) -> Iterable[Change]:
    """Renames, then type changes, then new columns; they use the new name of the table."""
    name = table.new.name
    columns = {column.name: column for column in table.new.columns}
    moved = {was.name: now.name for was, now in table.columns}
    if traits.alters_at_once:
        renames = [(old, new) for old, new in moved.items() if old != new]
    else:
        renames = _renames(moved.items(), moved, traits)
    final_names: Mapping[str, str] = moved | {
        bounded_name(f"{old}{BETWEEN}", traits.name_max): new for old, new in moved.items()
    }
    yield from (do.RenameColumn(name, old, new, columns[final_names[old]]) for old, new in renames)
    for was, now in table.columns:
        if now.name in table.changed and not (traits.alters_at_once and was.name != now.name):
            yield do.ChangeColumn(name, was._replace(name=now.name), now)
    for column in table.added:
        reference = table.new.reference_of(column.name) if "references" in traits.created_with else None
        yield do.AddColumn(name, column, reference)
