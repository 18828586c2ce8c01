"""The tables in SQL Server, and the T-SQL that changes them. Pure and deterministic.

Indexes and references of a changed column are dropped before the change and created after it, all in one transaction.
Uniqueness is a unique index without the rows that have a null in it, because a unique constraint of SQL Server would
allow only one null. References do nothing on update: a key with IDENTITY cannot be updated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from apilane.plugin.storage import (
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
    Table,
    Traits,
    bounded_name,
    differences,
    folded_columns,
    plain_indexes,
    references,
    stored_properties,
    tenant_key,
    unique_columns,
    visible_uniques,
)
from apilane.plugin.storage import changes as do
from apilane_sqlserver.naming import NAME_MAX, key_column, literal, quoted
from apilane_sqlserver.privileges import grants
from apilane_sqlserver.text import BINARY, LINGUISTIC, unique_key

__all__ = ["collation", "migrate"]

TRAITS: Final = Traits(name_max=NAME_MAX, dropped_to_change=frozenset({"indexes", "references"}))

FOLDED: Final = "folded"
"""Form of a column of a unique index: a computed column with the folded text."""

_EXACT: Final = frozenset({"Email", "Token", "UID", "Username"})


def collation(property: Property) -> str:
    """The collation of a String column. Sign-in names, hashes and tokens are compared exactly."""
    exact = property.is_system and (property.name.startswith("H_") or property.name in _EXACT)
    return BINARY if exact else LINGUISTIC


def migrate(migration: Migration) -> list[str]:
    """Statements that turn the tables of ``migration.before`` into those of ``migration.after``."""
    kept = migration.kept_entities()
    stays, remains = {old.name for old, _ in kept}, {new.name for _, new in kept}
    changes = differences(migration, _tables, TRAITS, _first_tables)
    statements = [text for change in changes for text in _written(change)]
    if migration.is_control:
        return statements
    return [
        *statements,
        *grants(
            [entity for entity in migration.after if entity.name not in remains],
            kept,
            dropped=[entity for entity in migration.before if entity.name not in stays],
        ),
    ]


# The tables.


def _tables(entities: Sequence[Entity], *, folded: bool = True) -> list[Table]:
    """Constraints share one namespace with the tables; each table has a namespace for its indexes."""
    names = Names(NAME_MAX, {entity.name.lower() for entity in entities})
    return [_table(entity, names, folded=folded) for entity in entities]


def _first_tables(entities: Sequence[Entity]) -> list[Table]:
    """As the first structure had them: the collation decides which texts are unique."""
    return _tables(entities, folded=False)


def _table(entity: Entity, names: Names, *, folded: bool) -> Table:
    columns = tuple([_column(entity, property, names) for property in stored_properties(entity)])
    return Table(
        entity.name, columns, tuple(_indexes(entity, columns, folded=folded)), tuple(references(entity, names))
    )


def _column(entity: Entity, property: Property, names: Names) -> Column:
    if property.is_primary_key:
        return Column(property.name, "BIGINT", required=True, is_key=True)
    default = None
    if property.required:
        value = "N''" if property.type is PropertyType.String else "0"
        default = Default(value, names.new("DEFAULT", entity.name, property.name))
    return Column(property.name, _type(property), property.required, default)


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


def _indexes(entity: Entity, columns: Sequence[Column], *, folded: bool) -> Iterator[Index]:
    """A unique index with folded texts has a plain one beside it, which finds the candidates of filters."""
    plain = []
    optional = {column.name for column in columns if not column.required}
    for properties in visible_uniques(entity):
        carried = unique_columns(entity, properties)
        folds = folded_columns(entity, carried) if folded else frozenset()
        tenant = tenant_key(entity, properties)
        if folds or tenant is not None:
            plain.append(carried)
        yield Index(
            bounded_name(f"UNIQUE_{entity.name}_{'_'.join(properties)}", NAME_MAX),
            tuple(IndexColumn(column, FOLDED if column in folds else "") for column in carried),
            unique=True,
            without_nulls=tuple(column for column in carried if column in optional and column != tenant),
        )
    for carried in [*plain, *plain_indexes(entity)]:
        name = bounded_name(f"INDEX_{entity.name}_{'_'.join(carried)}", NAME_MAX)
        yield Index(name, tuple(map(IndexColumn, carried)))


# The statements.


def _written(change: Change) -> list[str]:
    """A column that a unique index computes is made before the index, and dropped after it."""
    table = quoted(change.table)
    match change:
        case do.AddIndex(index=index):
            computed = [f"ALTER TABLE {table} ADD {name} AS ({text})" for name, text in _computed(index).items()]
            return [*computed, _create_index(table, index)]
        case do.DropIndex(index=index):
            columns = [f"ALTER TABLE {table} DROP COLUMN {name}" for name in _computed(index)]
            return [f"DROP INDEX {quoted(index.name)} ON {table}", *columns]
    return [_single(change)]


def _single(change: Change) -> str:
    table = quoted(change.table)
    match change:
        case do.CreateTable(structure=structure):
            columns = ",\n  ".join(map(_defined, structure.columns))
            return f"CREATE TABLE {table} (\n  {columns}\n)"
        case do.DropTable():
            return f"DROP TABLE {table}"
        case do.RenameTable(name=name):
            return _rename(table, name, "OBJECT")
        case do.RenameColumn(old=old, name=name):
            return _rename(f"{table}.{quoted(old)}", name, "COLUMN")
    return f"ALTER TABLE {table} {_altered(change)}"


def _altered(change: Change) -> str:
    """The clause after ALTER TABLE."""
    match change:
        case do.AddColumn(column=column):
            return f"ADD {_defined(column)}"
        case do.DropColumn(column=column):
            return f"DROP COLUMN {quoted(column.name)}"
        case do.ChangeColumn(after=after):
            return f"ALTER COLUMN {quoted(after.name)} {after.type} {_nullability(after)}"
        case do.AddDefault(column=Column(name=column, default=Default(value=value, name=name))):
            return f"ADD CONSTRAINT {quoted(name)} DEFAULT {value} FOR {quoted(column)}"
        case do.DropDefault(column=Column(default=Default(name=name))):
            return f"DROP CONSTRAINT {quoted(name)}"
        case do.AddReference(reference=reference):
            return (
                f"WITH CHECK ADD CONSTRAINT {quoted(reference.name)} FOREIGN KEY ({quoted(reference.column)}) "
                f"REFERENCES {quoted(reference.target)} ([ID]) ON DELETE {reference.action}"
            )
        case do.DropReference(reference=reference):
            return f"DROP CONSTRAINT {quoted(reference.name)}"
    raise TypeError(f"SQL Server tables do not change like this: {change}")


def _rename(place: str, new: str, kind: str) -> str:
    """``sp_rename`` takes the new name without brackets, because they would become part of it."""
    return f"EXECUTE sys.sp_rename {literal(place)}, {literal(new)}, {literal(kind)}"


def _defined(column: Column) -> str:
    name = quoted(column.name)
    if column.is_key:
        return f"{name} BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY"
    default = f" CONSTRAINT {quoted(column.default.name)} DEFAULT {column.default.value}" if column.default else ""
    return f"{name} {column.type} {_nullability(column)}{default}"


def _nullability(column: Column) -> str:
    return "NOT NULL" if column.required else "NULL"


def _computed(index: Index) -> dict[str, str]:
    """The computed columns of a unique index, quoted, with their expressions."""
    return {_key_column(index, c): unique_key(quoted(c.name)) for c in index.columns if c.form}


def _key_column(index: Index, column: IndexColumn) -> str:
    return quoted(key_column(index.name, column.name))


def _create_index(table: str, index: Index) -> str:
    columns = ", ".join(_key_column(index, c) if c.form else quoted(c.name) for c in index.columns)
    text = f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {quoted(index.name)} ON {table} ({columns})"
    if index.without_nulls:
        text += " WHERE " + " AND ".join(f"{quoted(column)} IS NOT NULL" for column in index.without_nulls)
    return text
