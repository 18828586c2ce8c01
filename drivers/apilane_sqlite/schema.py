"""The tables in SQLite, and the statements that change them. Pure and deterministic.

For a change that ``ALTER TABLE`` does not support, the table is created again and the rows are copied. The driver
checks foreign keys at the end of a migration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from apilane.plugin.storage import (
    BETWEEN,
    HIDDEN_COLUMNS,
    Change,
    Column,
    Default,
    Entity,
    Index,
    IndexColumn,
    Migration,
    Names,
    Property,
    PropertyType,
    Reference,
    Table,
    Traits,
    differences,
    folded_columns,
    plain_indexes,
    quoted_name,
    quoted_text,
    references,
    stored_properties,
    tenant_key,
    unique_columns,
    visible_uniques,
)
from apilane.plugin.storage import changes as do

__all__ = ["migrate"]

NOCASE: Final = "NOCASE"
"""Form of an index column: the letter case of ASCII is ignored."""

TRAITS: Final = Traits(created_with=frozenset({"references"}), rebuilds=True)


def migrate(migration: Migration) -> list[str]:
    """Statements that turn the tables of ``migration.before`` into those of ``migration.after``."""
    return [text for change in differences(migration, _tables, TRAITS, _first_tables) for text in _written(change)]


# The tables.


def _tables(entities: Sequence[Entity], *, folded: bool = True) -> list[Table]:
    names = Names(None, {entity.name.lower() for entity in entities})
    return [
        Table(
            entity.name,
            tuple(map(_column, stored_properties(entity))),
            tuple(_indexes(entity, names, folded=folded)),
            tuple(references(entity)),
        )
        for entity in entities
    ]


def _first_tables(entities: Sequence[Entity]) -> list[Table]:
    """As the first structure had them: only equal bytes violate a unique constraint."""
    return _tables(entities, folded=False)


def _column(property: Property) -> Column:
    if property.is_primary_key:
        return Column(property.name, "INTEGER", required=True, is_key=True)
    default = Default("''" if property.type is PropertyType.String else "0")
    return Column(property.name, _type(property), property.required, default if property.required else None)


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


def _indexes(entity: Entity, names: Names, *, folded: bool) -> Iterator[Index]:
    """Unique and plain indexes. A key with text has a second index that ignores letter case (B-Q3), which is unique too
    where the key is.
    """
    secrets = {column.shows for column in HIDDEN_COLUMNS.get(entity.name, ()) if column.source == "hash"}
    texts = {p.name for p in entity.properties if p.type is PropertyType.String and not p.encrypted} - secrets
    companions: list[tuple[tuple[str, ...], bool, str]] = []
    for properties in visible_uniques(entity):
        name = names.new("UNIQUE", entity.name, *properties)
        yield Index(name, tuple(map(IndexColumn, unique_columns(entity, properties))), unique=True)
        is_folded = folded and bool(folded_columns(entity, properties))
        companions.append((properties, is_folded, ""))
        if (tenant := tenant_key(entity, properties)) is not None:  # nulls are never equal in an index
            rest = properties[1:]
            name = names.new("UNIQUE", entity.name, *properties, "NULL")
            yield Index(name, tuple(map(IndexColumn, rest)), unique=True, only_null=tenant)
            companions.append((rest, is_folded, tenant))
    for columns in plain_indexes(entity):
        yield Index(names.new("INDEX", entity.name, *columns), tuple(map(IndexColumn, columns)))
        companions.append((columns, False, ""))
    if entity.name.startswith("H_"):  # callers do not filter these tables
        return
    for columns, is_unique, only_null in companions:
        if not texts.isdisjoint(columns):
            name = names.new("NOCASE", entity.name, *columns, *(["NULL"] if only_null else []))
            parts = tuple(IndexColumn(column, NOCASE if column in texts else "") for column in columns)
            yield Index(name, parts, unique=is_unique, only_null=only_null)


# The statements.


def _written(change: Change) -> list[str]:
    table = quoted_name(change.table)
    match change:
        case do.CreateTable(structure=structure):
            return [_create(change.table, structure)]
        case do.DropTable():
            return [f"DROP TABLE {table}"]
        case do.RenameTable(name=name):
            return [_rename(change.table, name)]
        case do.RebuildTable():
            return _rebuild(change)
        case do.RenameColumn(old=old, name=name):
            return [f"ALTER TABLE {table} RENAME COLUMN {quoted_name(old)} TO {quoted_name(name)}"]
        case do.AddColumn(column=column, reference=reference):
            return [f"ALTER TABLE {table} ADD COLUMN {_defined(column, reference)}"]
        case do.DropIndex(index=index):
            return [f"DROP INDEX {quoted_name(index.name)}"]
        case do.AddIndex(index=index):
            return [_create_index(table, index)]
    raise TypeError(f"SQLite tables do not change like this: {change}")


def _rebuild(change: do.RebuildTable) -> list[str]:
    """Create the table again, with its rows and its key sequence."""
    name, temporary = change.table, f"{change.table}{BETWEEN}"
    old, new = quoted_text(name), quoted_text(temporary)
    targets = ", ".join(map(quoted_name, change.sources))
    sources = ", ".join(map(quoted_name, change.sources.values()))
    return [
        _create(temporary, change.structure),
        f"INSERT INTO {quoted_name(temporary)} ({targets}) SELECT {sources} FROM {quoted_name(name)}",  # noqa: S608  # names, quoted
        f"DELETE FROM sqlite_sequence WHERE name = {new}",  # noqa: S608
        f"INSERT INTO sqlite_sequence (name, seq) SELECT {new}, seq FROM sqlite_sequence WHERE name = {old}",  # noqa: S608
        f"DROP TABLE {quoted_name(name)}",
        _rename(temporary, name),
    ]


def _rename(old: str, new: str) -> str:
    return f"ALTER TABLE {quoted_name(old)} RENAME TO {quoted_name(new)}"


def _create(name: str, table: Table) -> str:
    columns = ",\n  ".join(_defined(column, table.reference_of(column.name)) for column in table.columns)
    return f"CREATE TABLE {quoted_name(name)} (\n  {columns}\n)"


def _defined(column: Column, reference: Reference | None) -> str:
    text = f"{quoted_name(column.name)} {column.type}"
    if column.is_key:
        text += " PRIMARY KEY AUTOINCREMENT NOT NULL"
    elif column.default is not None:
        text += f" NOT NULL DEFAULT {column.default.value}"
    if reference is None:
        return text
    actions = f"ON DELETE {reference.action} ON UPDATE {reference.action}"
    return f'{text} REFERENCES {quoted_name(reference.target)} ("ID") {actions}'


def _create_index(table: str, index: Index) -> str:
    columns = ", ".join(quoted_name(c.name) + (f" COLLATE {c.form}" if c.form else "") for c in index.columns)
    rows = f" WHERE {quoted_name(index.only_null)} IS NULL" if index.only_null else ""
    return f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {quoted_name(index.name)} ON {table} ({columns}){rows}"
