"""Tables, constraints and indexes: from one set of entities to another, as statements in order. Pure and deterministic.

Each statement is atomic on the server and commits by itself; one ALTER TABLE per table and phase. What takes data away
comes as late as names allow. How a change that stopped half-way goes on is ``progress``'s business.

Strings without ``Maximum`` are LONGTEXT: TEXT ends at 65,535 bytes, which no other provider does. Required columns of
every type have their default, as expressions where they must.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Final, NamedTuple

from apilane.model.definition import Entity, OnDelete, Property, PropertyType
from apilane.model.migration import Migration
from apilane.sql.ddl import bounded_name, foreign_keys, name_sources, plain_indexes, unique_columns, visible_uniques
from apilane.sql.tables import stored_properties
from apilane_mysql.limits import key_prefixes, text_length

__all__ = ["NAME_MAX", "TABLE_OPTIONS", "migrate"]

NAME_MAX: Final = 64
BETWEEN: Final = "__backup__"
"""Of a table on its way; no entity's name ends like this."""

# MariaDB skips comments of versions 50700 to 99999, MySQL those that begin with M!; each sees its own name.
TABLE_OPTIONS: Final = (
    "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 "
    "/*!80017 COLLATE utf8mb4_0900_as_ci */ /*M!101001 COLLATE utf8mb4_uca1400_as_ci */"
)
_TEXT: Final = (
    "CHARACTER SET utf8mb4 /*!80017 COLLATE utf8mb4_0900_as_ci */ /*M!101001 COLLATE utf8mb4_uca1400_as_ci */"
)
_BYTEWISE: Final = "CHARACTER SET utf8mb4 /*!80017 COLLATE utf8mb4_0900_bin */ /*M! COLLATE utf8mb4_nopad_bin */"

_ACTIONS = {OnDelete.NoAction: "NO ACTION", OnDelete.SetNull: "SET NULL", OnDelete.Cascade: "CASCADE"}


class _Reference(NamedTuple):
    name: str
    column: str
    target: str
    action: str


class _Column(NamedTuple):
    name: str
    definition: str
    """All but the name: type, nullability, default."""


class _Index(NamedTuple):
    name: str
    unique: bool
    columns: tuple[tuple[str, int], ...]
    """Names, and how many characters; 0: all."""


class _Table(NamedTuple):
    name: str
    columns: tuple[_Column, ...]
    indexes: tuple[_Index, ...]
    references: tuple[_Reference, ...]


def migrate(migration: Migration) -> list[str]:
    """Statements that turn the tables of ``migration.before`` into those of ``migration.after``."""
    before = {table.name.lower(): table for table in _tables(migration.before)}
    after = _tables(migration.after)
    sources = name_sources((table.name for table in after), before, migration.renames.entities)
    kept = [(before[sources[table.name]], table) for table in after if table.name in sources]
    new_names = {old.name: new.name for old, new in kept}
    created = [table for table in after if table.name not in sources]
    dropped = [table for table in before.values() if table.name not in new_names]

    plans = [_plan(old, new, new_names, _renamed_columns(migration, new.name)) for old, new in kept]
    return [
        *(_create(table) for table in created if table.name.lower() not in before),
        *(text for table in dropped for text in _alter(table.name, map(_drop_reference, table.references))),
        *(text for plan in plans for text in _alter(plan.old_name, plan.drops)),
        *(f"DROP TABLE {_quoted(table.name)}" for table in dropped),
        *_table_renames(kept, before),
        *(_create(table) for table in created if table.name.lower() in before),
        *(text for plan in plans for text in _alter(plan.new_name, plan.changes)),
        *(text for plan in plans for text in _alter(plan.new_name, plan.index_additions)),
        *(text for plan in plans for text in _alter(plan.new_name, plan.reference_additions)),
        *(text for table in created for text in _alter(table.name, map(_add_reference, table.references))),
    ]


# What a table looks like.


def _tables(entities: Iterable[Entity]) -> list[_Table]:
    entities = list(entities)
    taken: set[str] = set()
    return [
        _Table(
            entity.name,
            tuple(_Column(p.name, _definition(p)) for p in stored_properties(entity)),
            tuple(_indexes(entity, taken)),
            tuple(_references(entity, taken)),
        )
        for entity in entities
    ]


def _definition(property: Property) -> str:
    if property.is_primary_key:
        return "BIGINT NOT NULL AUTO_INCREMENT"
    if not property.required:
        return f"{_type(property)} NULL"
    if property.type is not PropertyType.String:
        return f"{_type(property)} NOT NULL DEFAULT 0"
    empty = "('')" if text_length(property) is None else "''"
    return f"{_type(property)} NOT NULL DEFAULT {empty}"


def _type(property: Property) -> str:
    match property.type:
        case PropertyType.String:
            length = text_length(property)
            kind = "LONGTEXT" if length is None else f"VARCHAR({length})"
            return f"{kind} {_BYTEWISE if property.is_system else _TEXT}"
        case PropertyType.Boolean:
            return "BOOL"
        case PropertyType.Date:
            return "BIGINT"
        case PropertyType.Number:
            return f"DECIMAL(18,{property.decimal_places})" if property.decimal_places else "BIGINT"


def _indexes(entity: Entity, taken: set[str]) -> Iterable[_Index]:
    """Names differ in the whole database: MariaDB's messages do not name the table."""
    for properties in visible_uniques(entity):
        columns = unique_columns(entity, properties)
        name = _name("UNIQUE", (entity.name, *properties), taken)
        yield _Index(name, True, tuple((column, 0) for column in columns))
    for columns in plain_indexes(entity):
        prefixes = key_prefixes(entity, columns)
        name = _name("INDEX", (entity.name, *columns), taken)
        yield _Index(name, False, tuple((column, prefixes.get(column, 0)) for column in columns))


def _references(entity: Entity, taken: set[str]) -> Iterable[_Reference]:
    for key in foreign_keys(entity):
        name = _name("FOREIGN_KEY", (entity.name, key.property, key.entity), taken)
        yield _Reference(name, key.property, key.entity, _ACTIONS[key.on_delete])


def _name(kind: str, parts: Iterable[str], taken: set[str]) -> str:
    name = bounded_name("_".join((kind, *parts)), NAME_MAX, taken)
    taken.add(name.lower())
    return name


# From the old to the new one.


class _Plan(NamedTuple):
    old_name: str
    new_name: str
    drops: list[str]
    """Of references and indexes, while the table has its old name."""
    changes: list[str]
    index_additions: list[str]
    reference_additions: list[str]


def _renamed_columns(migration: Migration, table: str) -> dict[str, str]:
    return {column: old for (entity, column), old in migration.renames.properties.items() if entity == table}


def _plan(old: _Table, new: _Table, tables: Mapping[str, str], renamed: Mapping[str, str]) -> _Plan:
    """``tables``: new names by old; ``renamed``: old names of columns by new."""
    present = {column.name.lower(): column for column in old.columns}
    sources = {
        name: present[source] for name, source in name_sources((c.name for c in new.columns), present, renamed).items()
    }
    new_names = {column.name: name for name, column in sources.items()}
    definitions = {column.name: column.definition for column in new.columns}
    changed = {name for name, source in sources.items() if source.definition != definitions[name]}

    def translated(reference: _Reference) -> _Reference:
        column = new_names.get(reference.column, "")
        return reference._replace(column=column, target=tables.get(reference.target, reference.target))

    kept_references = {
        reference: target
        for reference in old.references
        if (target := translated(reference)) in new.references and target.column not in changed
    }
    kept_indexes = {
        index: moved
        for index in old.indexes
        if (moved := index._replace(columns=tuple((new_names.get(c, ""), length) for c, length in index.columns)))
        in new.indexes
    }
    dropped = [index for index in old.indexes if index not in kept_indexes]
    if dropped:  # a reference must have its index at all times
        columns = {index.columns[0][0] for index in dropped}
        kept_references = {r: t for r, t in kept_references.items() if r.column not in columns}
    return _Plan(
        old.name,
        new.name,
        [
            *(_drop_reference(reference) for reference in old.references if reference not in kept_references),
            *(f"DROP INDEX {_quoted(index.name)}" for index in dropped),
        ],
        _column_changes(old, new, sources, changed),
        [_add_index(index) for index in new.indexes if index not in set(kept_indexes.values())],
        [_add_reference(reference) for reference in new.references if reference not in set(kept_references.values())],
    )


def _column_changes(old: _Table, new: _Table, sources: Mapping[str, _Column], changed: Container[str]) -> list[str]:
    kept = {column.name for column in sources.values()}
    changes = [f"DROP COLUMN {_quoted(column.name)}" for column in old.columns if column.name not in kept]
    for column in new.columns:
        source = sources.get(column.name)
        if source is None:
            changes.append(f"ADD COLUMN {_quoted(column.name)} {column.definition}")
        elif source.name != column.name:
            changes.append(f"CHANGE COLUMN {_quoted(source.name)} {_quoted(column.name)} {column.definition}")
        elif column.name in changed:
            changes.append(f"MODIFY COLUMN {_quoted(column.name)} {column.definition}")
    return changes


def _table_renames(kept: list[tuple[_Table, _Table]], before: Mapping[str, _Table]) -> list[str]:
    """One statement, which is atomic. Names may be swapped: what takes a name of before goes by a name between."""
    direct, first, second = [], [], []
    for old, new in kept:
        if old.name == new.name:
            continue
        between = f"{old.name}{BETWEEN}"
        if new.name.lower() in before:
            first.append(f"{_quoted(old.name)} TO {_quoted(between)}")
            second.append(f"{_quoted(between)} TO {_quoted(new.name)}")
        else:
            direct.append(f"{_quoted(old.name)} TO {_quoted(new.name)}")
    renames = [*first, *direct, *second]
    return [f"RENAME TABLE {', '.join(renames)}"] if renames else []


# Text.


def _create(table: _Table) -> str:
    lines = [f"{_quoted(column.name)} {column.definition}" for column in table.columns]
    lines.append("PRIMARY KEY (`ID`)")
    lines += [_add_index(index).removeprefix("ADD ") for index in table.indexes]
    columns = ",\n  ".join(lines)
    return f"CREATE TABLE {_quoted(table.name)} (\n  {columns}\n) {TABLE_OPTIONS}"


def _alter(table: str, changes: Iterable[str]) -> list[str]:
    joined = ", ".join(changes)
    return [f"ALTER TABLE {_quoted(table)} {joined}"] if joined else []


def _add_index(index: _Index) -> str:
    columns = ", ".join(_quoted(name) + (f"({length})" if length else "") for name, length in index.columns)
    return f"ADD {'UNIQUE ' if index.unique else ''}INDEX {_quoted(index.name)} ({columns})"


def _drop_reference(reference: _Reference) -> str:
    return f"DROP FOREIGN KEY {_quoted(reference.name)}"


def _add_reference(reference: _Reference) -> str:
    return (
        f"ADD CONSTRAINT {_quoted(reference.name)} FOREIGN KEY ({_quoted(reference.column)}) "
        f"REFERENCES {_quoted(reference.target)} (`ID`) ON DELETE {reference.action} ON UPDATE {reference.action}"
    )


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
