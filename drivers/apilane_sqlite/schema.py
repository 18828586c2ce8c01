"""Tables, constraints and indexes: from one set of entities to another, as statements in order. Pure and deterministic.

What ``ALTER TABLE`` cannot do is done by building the table anew and copying the rows; the driver runs migrations with
foreign keys unchecked until the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from apilane.model.definition import Entity, OnDelete, Property, PropertyType
from apilane.model.migration import Migration, Renames
from apilane.model.system import HIDDEN_COLUMNS
from apilane.sql.ddl import bounded_name, foreign_keys, name_sources, plain_indexes, unique_columns, visible_uniques
from apilane.sql.tables import stored_properties

__all__ = ["BACKUP_SUFFIX", "migrate"]

BACKUP_SUFFIX = "__backup__"
"""Of a table on its way; no entity's name ends like this."""

_ACTIONS = {OnDelete.NoAction: "NO ACTION", OnDelete.SetNull: "SET NULL", OnDelete.Cascade: "CASCADE"}


class _Reference(NamedTuple):
    target: str
    action: str


class _Column(NamedTuple):
    name: str
    definition: str
    """All but the name: type, nullability, default."""
    reference: _Reference | None


class _Index(NamedTuple):
    name: str
    unique: bool
    columns: tuple[tuple[str, bool], ...]
    """Names, and whether letter case of ASCII is ignored."""


class _Table(NamedTuple):
    name: str
    columns: tuple[_Column, ...]
    indexes: tuple[_Index, ...]


def migrate(migration: Migration) -> list[str]:
    """Statements that turn the tables of ``migration.before`` into those of ``migration.after``."""
    before = {table.name.lower(): table for table in _tables(migration.before)}
    after = _tables(migration.after)
    sources = name_sources((table.name for table in after), before, migration.renames.entities)
    kept = [(before[sources[table.name]], table) for table in after if table.name in sources]
    created = [table for table in after if table.name not in sources]
    new_names = {old.name: new.name for old, new in kept}

    plans = [_plan(old, new, new_names, migration.renames) for old, new in kept]
    return [
        *(statement for plan in plans for statement in plan.index_drops),
        *(f"DROP TABLE {_quoted(table.name)}" for table in before.values() if table.name not in new_names),
        *_table_renames(kept, before),
        *(statement for plan in plans for statement in plan.changes),
        *(_create(table.name, table) for table in created),
        *(statement for plan in plans for statement in plan.index_creations),
        *(_create_index(table, index) for table in created for index in table.indexes),
    ]


# What a table looks like.


def _tables(entities: Iterable[Entity]) -> list[_Table]:
    entities = list(entities)
    taken = {entity.name.lower() for entity in entities}
    return [_Table(entity.name, tuple(_columns(entity)), tuple(_indexes(entity, taken))) for entity in entities]


def _columns(entity: Entity) -> Iterable[_Column]:
    references = {key.property: _Reference(key.entity, _ACTIONS[key.on_delete]) for key in foreign_keys(entity)}
    for property in stored_properties(entity):
        yield _Column(property.name, _definition(property), references.get(property.name))


def _definition(property: Property) -> str:
    if property.is_primary_key:
        return "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"
    if not property.required:
        return _type(property)
    return f"{_type(property)} NOT NULL DEFAULT {repr('') if property.type is PropertyType.String else 0}"


def _type(property: Property) -> str:
    match property.type:
        case PropertyType.String:
            return "TEXT"
        case PropertyType.Boolean:
            return "BOOLEAN"
        case PropertyType.Date:
            return "BIGINT"
        case PropertyType.Number:
            return f"NUMERIC(18,{property.decimal_places})" if property.decimal_places else "INTEGER"


def _indexes(entity: Entity, taken: set[str]) -> Iterable[_Index]:
    """Unique and plain ones; where text takes part, one more for comparing it without letter case (B-Q3)."""
    secrets = {column.shows for column in HIDDEN_COLUMNS.get(entity.name, ()) if column.source == "hash"}
    texts = {p.name for p in entity.properties if p.type is PropertyType.String and not p.encrypted} - secrets
    companions = []
    for properties in visible_uniques(entity):
        name = _name("UNIQUE", entity, properties, taken)
        yield _Index(name, True, tuple((column, False) for column in unique_columns(entity, properties)))
        companions.append(properties)
    for columns in plain_indexes(entity):
        name = _name("INDEX", entity, columns, taken)
        yield _Index(name, False, tuple((column, False) for column in columns))
        companions.append(columns)
    if entity.name.startswith("H_"):  # nobody filters these
        return
    for columns in companions:
        if not texts.isdisjoint(columns):
            name = _name("NOCASE", entity, columns, taken)
            yield _Index(name, False, tuple((column, column in texts) for column in columns))


def _name(kind: str, entity: Entity, columns: Iterable[str], taken: set[str]) -> str:
    name = bounded_name(f"{kind}_{entity.name}_{'_'.join(columns)}", None, taken)
    taken.add(name.lower())
    return name


# From the old to the new one.


class _Plan(NamedTuple):
    index_drops: list[str]
    changes: list[str]
    index_creations: list[str]


def _translated(old: _Table, new_name: str, tables: Mapping[str, str], columns: Mapping[str, str]) -> _Table:
    """The old table in new names (``columns``: new by old), so that what remains is change. Without what goes."""

    def reference(old: _Reference | None) -> _Reference | None:
        return old and _Reference(tables.get(old.target, old.target), old.action)

    return _Table(
        new_name,
        tuple(_Column(columns[c.name], c.definition, reference(c.reference)) for c in old.columns if c.name in columns),
        tuple(
            _Index(
                index.name, index.unique, tuple((columns.get(column, ""), nocase) for column, nocase in index.columns)
            )
            for index in old.indexes
        ),
    )


def _plan(original: _Table, new: _Table, tables: Mapping[str, str], renames: Renames) -> _Plan:
    """``original``: as the table stands in the file; ``tables``: new names by old."""
    present = {c.name.lower(): c.name for c in original.columns}
    renamed_here = {column: old for (table, column), old in renames.properties.items() if table == new.name}
    sources = name_sources((c.name for c in new.columns), present, renamed_here)
    copies = {name: present[source] for name, source in sources.items()}
    renamed = {name: source for name, source in copies.items() if name != source}
    old = _translated(original, new.name, tables, {source: name for name, source in copies.items()})
    known = {c.name: c for c in old.columns}
    rebuild = (
        len(copies) < len(original.columns)
        or any(known[c.name] != c for c in new.columns if c.name in known)
        or any(name.lower() in present for name in renamed)
    )
    if rebuild:
        return _Plan([], _rebuild(new, copies), [_create_index(new, index) for index in new.indexes])
    table = _quoted(new.name)
    return _Plan(
        [f"DROP INDEX {_quoted(index.name)}" for index in old.indexes if index not in new.indexes],
        [
            *(f"ALTER TABLE {table} RENAME COLUMN {_quoted(o)} TO {_quoted(n)}" for n, o in renamed.items()),
            *(f"ALTER TABLE {table} ADD COLUMN {_column(c)}" for c in new.columns if c.name not in known),
        ],
        [_create_index(new, index) for index in new.indexes if index not in old.indexes],
    )


def _table_renames(kept: list[tuple[_Table, _Table]], before: Mapping[str, _Table]) -> list[str]:
    """Names may be swapped, or change in letter case only: whatever takes a name of before goes by a name between."""
    direct, first, second = [], [], []
    for old, new in kept:
        if old.name == new.name:
            continue
        between = f"{old.name}{BACKUP_SUFFIX}"
        if new.name.lower() in before:
            first.append(_rename(old.name, between))
            second.append(_rename(between, new.name))
        else:
            direct.append(_rename(old.name, new.name))
    return [*first, *direct, *second]


def _rename(old: str, new: str) -> str:
    return f"ALTER TABLE {_quoted(old)} RENAME TO {_quoted(new)}"


def _rebuild(table: _Table, copies: Mapping[str, str]) -> list[str]:
    """The table anew, with the rows and the key sequence of the one that stands. ``copies``: columns by new name."""
    name, temporary = table.name, f"{table.name}{BACKUP_SUFFIX}"
    new = _literal(temporary)
    targets = ", ".join(map(_quoted, copies))
    sources = ", ".join(map(_quoted, copies.values()))
    return [
        _create(temporary, table),
        f"INSERT INTO {_quoted(temporary)} ({targets}) SELECT {sources} FROM {_quoted(name)}",  # noqa: S608  # names, quoted
        f"DELETE FROM sqlite_sequence WHERE name = {new}",  # noqa: S608
        f"INSERT INTO sqlite_sequence (name, seq) SELECT {new}, seq FROM sqlite_sequence WHERE name = {_literal(name)}",  # noqa: S608
        f"DROP TABLE {_quoted(name)}",
        _rename(temporary, name),
    ]


# Text.


def _create(name: str, table: _Table) -> str:
    columns = ",\n  ".join(_column(column) for column in table.columns)
    return f"CREATE TABLE {_quoted(name)} (\n  {columns}\n)"


def _column(column: _Column) -> str:
    text = f"{_quoted(column.name)} {column.definition}"
    if column.reference is None:
        return text
    target, action = column.reference
    return f'{text} REFERENCES {_quoted(target)} ("ID") ON DELETE {action} ON UPDATE {action}'


def _create_index(table: _Table, index: _Index) -> str:
    columns = ", ".join(
        f"{_quoted(column)} COLLATE NOCASE" if nocase else _quoted(column) for column, nocase in index.columns
    )
    return f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {_quoted(index.name)} ON {_quoted(table.name)} ({columns})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
