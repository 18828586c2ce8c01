"""Tables, constraints and indexes: from one set of entities to another, as T-SQL in order. Pure and deterministic.

Everything that hangs on a column that changes goes before and comes again after; the driver runs all of it in one
transaction. Uniqueness is a unique index that leaves out rows with a null in it, because a unique constraint of SQL
Server would let one null pass. References do nothing on update: a key with IDENTITY cannot be updated.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from apilane.model.definition import Entity, OnDelete, Property, PropertyType
from apilane.model.migration import Migration, Renames
from apilane.sql.ddl import bounded_name, foreign_keys, name_sources, plain_indexes, unique_columns, visible_uniques
from apilane.sql.tables import stored_properties
from apilane_sqlserver.naming import NAME_MAX, literal, quoted
from apilane_sqlserver.privileges import grants
from apilane_sqlserver.text import BINARY, LINGUISTIC

__all__ = ["collation", "migrate"]

BETWEEN: Final = "__backup__"
"""Of a table or column on its way to another's name; no name ends like this."""

_ACTIONS: Final = {OnDelete.NoAction: "NO ACTION", OnDelete.SetNull: "SET NULL", OnDelete.Cascade: "CASCADE"}
_EXACT: Final = frozenset({"Email", "Token", "UID", "Username"})


def collation(property: Property) -> str:
    """Of a String column. What signs somebody in or is made by the server (hashes, tokens) is compared as it stands."""
    exact = property.is_system and (property.name.startswith("H_") or property.name in _EXACT)
    return BINARY if exact else LINGUISTIC


class _Column(NamedTuple):
    name: str
    type: str
    required: bool
    default: _Default | None
    is_key: bool


class _Default(NamedTuple):
    name: str
    value: str


class _Index(NamedTuple):
    name: str
    columns: tuple[str, ...]
    unique: bool
    nullable: tuple[str, ...]
    """Of a unique one: columns whose nulls it leaves out."""


class _Reference(NamedTuple):
    name: str
    column: str
    target: str
    action: str


class _Table(NamedTuple):
    entity: Entity
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
    created = [table for table in after if table.name not in sources]
    new_names = {old.name: new.name for old, new in kept}
    dropped = [table for table in before.values() if table.name not in new_names]
    plans = [_Plan(old, new, new_names, migration.renames) for old, new in kept]
    return [
        *(text for table in dropped for text in _drop_references(table, table.references)),
        *(text for plan in plans for text in plan.removals()),
        *(f"DROP TABLE {quoted(table.name)}" for table in dropped),
        *_renames([(old.name, new.name) for old, new in kept], before, "OBJECT", ""),
        *(text for plan in plans for text in plan.changes()),
        *(_create(table) for table in created),
        *(text for plan in plans for text in plan.additions()),
        *(_create_index(table, index) for table in created for index in table.indexes),
        *(text for plan in plans for text in plan.new_references()),
        *(_add_reference(table, reference) for table in created for reference in table.references),
        *grants(
            [table.entity for table in created],
            [(plan.old.entity, plan.new.entity) for plan in plans],
            dropped=[table.entity for table in dropped],
        ),
    ]


# What a table looks like.


def _tables(entities: Iterable[Entity]) -> list[_Table]:
    """Constraints share one space of names with the tables; indexes have one for each table."""
    entities = list(entities)
    taken = {entity.name.lower() for entity in entities}
    return [_table(entity, taken) for entity in entities]


def _table(entity: Entity, taken: set[str]) -> _Table:
    def named(*parts: str) -> str:
        name = bounded_name("_".join(parts), NAME_MAX, taken)
        taken.add(name.lower())
        return name

    columns = tuple(
        _Column(
            property.name,
            _type(property),
            property.required,
            _Default(
                named("DEFAULT", entity.name, property.name), "N''" if property.type is PropertyType.String else "0"
            )
            if property.required and not property.is_primary_key
            else None,
            property.is_primary_key,
        )
        for property in stored_properties(entity)
    )
    references = tuple(
        _Reference(
            named("FOREIGN_KEY", entity.name, key.property, key.entity),
            key.property,
            key.entity,
            _ACTIONS[key.on_delete],
        )
        for key in foreign_keys(entity)
    )
    return _Table(entity, entity.name, columns, tuple(_indexes(entity, columns)), references)


def _type(property: Property) -> str:
    match property.type:
        case PropertyType.String:
            limited = property.maximum is not None and not property.encrypted
            return f"NVARCHAR({max(int(property.maximum or 0), 1) if limited else 'MAX'}) COLLATE {collation(property)}"
        case PropertyType.Boolean:
            return "BIT"
        case PropertyType.Date:
            return "BIGINT"
        case PropertyType.Number:
            return f"DECIMAL(18,{property.decimal_places})" if property.decimal_places else "BIGINT"


def _indexes(entity: Entity, columns: Iterable[_Column]) -> Iterator[_Index]:
    optional = {column.name for column in columns if not column.required and not column.is_key}
    for properties in visible_uniques(entity):
        carried = unique_columns(entity, properties)
        yield _Index(
            bounded_name(f"UNIQUE_{entity.name}_{'_'.join(properties)}", NAME_MAX),
            carried,
            True,
            tuple(column for column in carried if column in optional),
        )
    for carried in plain_indexes(entity):
        yield _Index(bounded_name(f"INDEX_{entity.name}_{'_'.join(carried)}", NAME_MAX), carried, False, ())


# From the old to the new one.


class _Plan:
    """One table that stays, and what becomes of it. ``tables``: new names by old."""

    def __init__(self, old: _Table, new: _Table, tables: Mapping[str, str], renames: Renames) -> None:
        self.old = old
        self.new = new
        present = {column.name.lower(): column for column in old.columns}
        renamed = {name: source for (table, name), source in renames.properties.items() if table == new.name}
        sources = name_sources((column.name for column in new.columns), present, renamed)
        self.kept = [(present[sources[column.name]], column) for column in new.columns if column.name in sources]
        self.names = {was.name: now.name for was, now in self.kept}
        self.altered = [(was, now) for was, now in self.kept if (was.type, was.required) != (now.type, now.required)]
        self._tables = tables
        touched = {was.name for was, now in self.altered} | {was.name for was, now in self.kept if was.name != now.name}
        self._stays_default = {
            was.name: was.default == now.default and was.name not in touched for was, now in self.kept
        }
        self._stay_indexes = {
            index.name
            for index in old.indexes
            if touched.isdisjoint(index.columns) and index in new.indexes and old.name == new.name
        }
        self._stay_references = {
            reference.name
            for reference in old.references
            if reference.column not in touched and self._translated(reference) in new.references
        }

    def _translated(self, reference: _Reference) -> _Reference:
        target = self._tables.get(reference.target, "")
        return reference._replace(column=self.names.get(reference.column, ""), target=target)

    def removals(self) -> Iterator[str]:
        """By the old names."""
        old = self.old
        table = quoted(old.name)
        yield from _drop_references(old, [r for r in old.references if r.name not in self._stay_references])
        for index in old.indexes:
            if index.name not in self._stay_indexes:
                yield f"DROP INDEX {quoted(index.name)} ON {table}"
        for column in old.columns:
            if column.default is not None and not self._stays_default.get(column.name, False):
                yield f"ALTER TABLE {table} DROP CONSTRAINT {quoted(column.default.name)}"
        for column in old.columns:
            if column.name not in self.names:
                yield f"ALTER TABLE {table} DROP COLUMN {quoted(column.name)}"

    def changes(self) -> Iterator[str]:
        """By the new name of the table."""
        present = {was.name.lower() for was, _ in self.kept}
        table = quoted(self.new.name)
        yield from _renames([(was.name, now.name) for was, now in self.kept], present, "COLUMN", f"{table}.")
        for _, now in self.altered:
            yield f"ALTER TABLE {table} ALTER COLUMN {quoted(now.name)} {now.type} {_nullability(now)}"
        known = {now.name for _, now in self.kept}
        for column in self.new.columns:
            if column.name not in known:
                yield f"ALTER TABLE {table} ADD {_column(column)}"

    def additions(self) -> Iterator[str]:
        """Defaults and indexes."""
        for was, now in self.kept:
            if now.default is not None and not self._stays_default[was.name]:
                yield (
                    f"ALTER TABLE {quoted(self.new.name)} ADD CONSTRAINT {quoted(now.default.name)} "
                    f"DEFAULT {now.default.value} FOR {quoted(now.name)}"
                )
        for index in self.new.indexes:
            if index.name not in self._stay_indexes:
                yield _create_index(self.new, index)

    def new_references(self) -> Iterator[str]:
        """Those that were not there, or went."""
        for reference in self.new.references:
            if reference.name not in self._stay_references:
                yield _add_reference(self.new, reference)


def _renames(pairs: Iterable[tuple[str, str]], present: Container[str], kind: str, within: str) -> list[str]:
    """Names may be swapped, or change in letter case only: whatever takes a name of before goes by a name between."""
    direct, first, second = [], [], []
    for old, new in pairs:
        if old == new:
            continue
        between = f"{old}{BETWEEN}"
        if new.lower() in present:
            first.append(_rename(within, old, between, kind))
            second.append(_rename(within, between, new, kind))
        else:
            direct.append(_rename(within, old, new, kind))
    return [*first, *direct, *second]


# Text.


def _rename(within: str, old: str, new: str, kind: str) -> str:
    """``sp_rename`` takes the new name without brackets, as they would become part of it."""
    return f"EXECUTE sys.sp_rename {literal(within + quoted(old))}, {literal(new)}, {literal(kind)}"


def _create(table: _Table) -> str:
    columns = ",\n  ".join(_column(column) for column in table.columns)
    return f"CREATE TABLE {quoted(table.name)} (\n  {columns}\n)"


def _column(column: _Column) -> str:
    name = quoted(column.name)
    if column.is_key:
        return f"{name} BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY"
    default = f" CONSTRAINT {quoted(column.default.name)} DEFAULT {column.default.value}" if column.default else ""
    return f"{name} {column.type} {_nullability(column)}{default}"


def _nullability(column: _Column) -> str:
    return "NOT NULL" if column.required else "NULL"


def _create_index(table: _Table, index: _Index) -> str:
    columns = ", ".join(map(quoted, index.columns))
    text = f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {quoted(index.name)} ON {quoted(table.name)} ({columns})"
    if index.nullable:
        text += " WHERE " + " AND ".join(f"{quoted(column)} IS NOT NULL" for column in index.nullable)
    return text


def _drop_references(table: _Table, references: Iterable[_Reference]) -> list[str]:
    return [f"ALTER TABLE {quoted(table.name)} DROP CONSTRAINT {quoted(reference.name)}" for reference in references]


def _add_reference(table: _Table, reference: _Reference) -> str:
    return (
        f"ALTER TABLE {quoted(table.name)} WITH CHECK ADD CONSTRAINT {quoted(reference.name)} "
        f"FOREIGN KEY ({quoted(reference.column)}) REFERENCES {quoted(reference.target)} ([ID]) "
        f"ON DELETE {reference.action}"
    )
