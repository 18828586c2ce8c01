"""The tables in MySQL and MariaDB, and the statements that change them. Pure and deterministic.

Each statement is atomic on the server and commits; one ALTER TABLE per table and phase. ``progress`` continues a change
that stopped halfway.

Strings without ``Maximum`` are LONGTEXT: TEXT ends at 65,535 bytes, a limit that no other provider has. Required
columns of every type have a default; MySQL needs an expression for some types.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
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
    Reference,
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
from apilane_mysql.letters import unique_key
from apilane_mysql.limits import BYTES_PER_CHARACTER, NAME_MAX, key_prefixes, text_length

__all__ = ["TABLE_OPTIONS", "migrate"]

# MariaDB skips comments of versions 50700 to 99999, MySQL those that begin with M!. Each reads only its own name.
TABLE_OPTIONS: Final = (
    "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 "
    "/*!80017 COLLATE utf8mb4_0900_as_ci */ /*M!101001 COLLATE utf8mb4_uca1400_as_ci */"
)
_TEXT: Final = (
    "CHARACTER SET utf8mb4 /*!80017 COLLATE utf8mb4_0900_as_ci */ /*M!101001 COLLATE utf8mb4_uca1400_as_ci */"
)
_BYTEWISE: Final = "CHARACTER SET utf8mb4 /*!80017 COLLATE utf8mb4_0900_bin */ /*M! COLLATE utf8mb4_nopad_bin */"

TRAITS: Final = Traits(
    name_max=NAME_MAX,
    created_with=frozenset({"indexes"}),
    alters_at_once=True,
    dropped_to_change=frozenset({"expressions", "references"}),
    references_need_index=True,
)


FOLDED: Final = "folded"
"""Form of a column of a unique index: a generated column with the folded bytes, ``IndexColumn.length`` characters."""
TENANT: Final = "tenant"
"""Form of a column of a unique index: a generated column with 0, which is no ID, in the place of null."""
COMMENT_MAX: Final = 1024
_INVISIBLE: Final = "/*!80023 INVISIBLE */ /*M!100303 INVISIBLE */"


def migrate(migration: Migration) -> list[str]:
    """Statements that turn the tables of ``migration.before`` into those of ``migration.after``."""
    changes = differences(migration, _tables, TRAITS, _first_tables)
    if (
        migration.exact_before and migration.before == migration.after
    ):  # only the structure changes: one statement, so that texts stay unique
        changes = [change for change in changes if not isinstance(change, do.DropReference | do.AddReference)]
        by_table = {change.table: [each for each in changes if each.table == change.table] for change in changes}
        return [_alter(together) for together in by_table.values()]
    return [text for _, together in groupby(changes, _statement_of) for text in _written(list(together))]


# The tables.


def _tables(entities: Sequence[Entity], *, folded: bool = True) -> list[Table]:
    """Names of indexes and references are unique in the whole database: MariaDB's messages do not name the table."""
    names = Names(NAME_MAX)
    return [
        Table(
            entity.name,
            tuple(map(_column, stored_properties(entity))),
            tuple(_indexes(entity, names, folded=folded)),
            tuple(references(entity, names)),
        )
        for entity in entities
    ]


def _first_tables(entities: Sequence[Entity]) -> list[Table]:
    """As the first structure had them: the collation decides which texts are unique."""
    return _tables(entities, folded=False)


def _column(property: Property) -> Column:
    if property.is_primary_key:
        return Column(property.name, "BIGINT", required=True, is_key=True)
    default = "0"
    if property.type is PropertyType.String:
        default = "('')" if text_length(property) is None else "''"
    return Column(property.name, _type(property), property.required, Default(default) if property.required else None)


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


def _indexes(entity: Entity, names: Names, *, folded: bool) -> Iterator[Index]:
    """A unique index with folded texts has a plain one beside it, which finds the candidates of filters."""
    lengths = {property.name: text_length(property) or 0 for property in entity.properties}
    plain = []
    for properties in visible_uniques(entity):
        folds = folded_columns(entity, properties) if folded else frozenset()
        carried = unique_columns(entity, properties)
        keys = tuple([IndexColumn(c, FOLDED, lengths[c]) if c in folds else IndexColumn(c) for c in carried])
        tenant = tenant_key(entity, properties)
        if tenant is not None:
            keys = (IndexColumn(tenant, TENANT), *keys[1:])
        yield Index(names.new("UNIQUE", entity.name, *properties), keys, unique=True)
        if folds or tenant is not None:
            plain.append(carried)
    for key in [*plain, *plain_indexes(entity)]:
        prefixes = key_prefixes(entity, key)
        columns = tuple(IndexColumn(name, length=prefixes.get(name, 0)) for name in key)
        yield Index(names.new("INDEX", entity.name, *key), columns)


# The statements.


def _statement_of(change: Change) -> tuple[str, str]:
    """The grouping key: consecutive changes with the same key go into one statement."""
    match change:
        case do.RenameTable():
            return "renames", ""  # atomic, even if tables swap their names
        case do.CreateTable() | do.DropTable():
            return "table", change.table
        case do.DropReference() | do.DropIndex():
            return "drops", change.table
        case do.AddIndex():
            return "indexes", change.table
        case do.AddReference():
            return "references", change.table
    return "columns", change.table


def _written(together: list[Change]) -> list[str]:
    match together[0]:
        case do.CreateTable(structure=table):
            return [_create(table)]
        case do.DropTable(table=name):
            return [f"DROP TABLE {_quoted(name)}"]
        case do.RenameTable():
            renames = [f"{_quoted(c.table)} TO {_quoted(c.name)}" for c in together if isinstance(c, do.RenameTable)]
            return [f"RENAME TABLE {', '.join(renames)}"]
    return [_alter(together)]


def _alter(together: Sequence[Change]) -> str:
    return f"ALTER TABLE {_quoted(together[0].table)} {', '.join(map(_altered, together))}"


def _altered(change: Change) -> str:
    """One clause of ALTER TABLE."""
    match change:
        case do.DropReference(reference=reference):
            return f"DROP FOREIGN KEY {_quoted(reference.name)}"
        case do.DropIndex(index=index):
            goes = [f"DROP INDEX {_quoted(index.name)}", *(f"DROP COLUMN {name}" for name in _generated(index))]
            return ", ".join(goes)
        case do.DropColumn(column=column):
            return f"DROP COLUMN {_quoted(column.name)}"
        case do.RenameColumn(old=old, after=after):
            return f"CHANGE COLUMN {_quoted(old)} {_defined(after)}"
        case do.ChangeColumn(after=after):
            return f"MODIFY COLUMN {_defined(after)}"
        case do.AddColumn(column=column):
            return f"ADD COLUMN {_defined(column)}"
        case do.AddIndex(index=index):
            return ", ".join([*(f"ADD COLUMN {text}" for text in _generated(index).values()), f"ADD {_index(index)}"])
        case do.AddReference(reference=reference):
            return f"ADD {_reference(reference)}"
    raise TypeError(f"MySQL tables do not change like this: {change}")


def _create(table: Table) -> str:
    generated = [text for index in table.indexes for text in _generated(index).values()]
    lines = [*map(_defined, table.columns), *generated, "PRIMARY KEY (`ID`)", *map(_index, table.indexes)]
    columns = ",\n  ".join(lines)
    return f"CREATE TABLE {_quoted(table.name)} (\n  {columns}\n) {TABLE_OPTIONS}"


def _defined(column: Column) -> str:
    text = f"{_quoted(column.name)} {column.type} {'NOT NULL' if column.required else 'NULL'}"
    if column.is_key:
        return f"{text} AUTO_INCREMENT"
    return f"{text} DEFAULT {column.default.value}" if column.default else text


def _generated(index: Index) -> dict[str, str]:
    """The generated columns of a unique index, quoted, with their definitions."""
    generated = {}
    for column in index.columns:
        if column.form == FOLDED:
            type, value = f"VARBINARY({column.length * BYTES_PER_CHARACTER})", unique_key(_quoted(column.name))
        elif column.form == TENANT:
            type, value = "BIGINT", f"IFNULL({_quoted(column.name)}, 0)"
        else:
            continue
        name = _key_column(index, column)
        generated[name] = f"{name} {type} GENERATED ALWAYS AS ({value}) STORED {_INVISIBLE}"
    return generated


def _key_column(index: Index, column: IndexColumn) -> str:
    return _quoted(bounded_name(f"H_{index.name}_{index.columns.index(column)}", NAME_MAX))


def _index(index: Index) -> str:
    columns = ", ".join(
        _key_column(index, c) if c.form else _quoted(c.name) + (f"({c.length})" if c.length else "")
        for c in index.columns
    )
    comment = ""
    if any(column.form for column in index.columns):  # the names in the error of a violation
        comment = f" COMMENT '{','.join(column.name for column in index.columns)[:COMMENT_MAX]}'"
    return f"{'UNIQUE ' if index.unique else ''}INDEX {_quoted(index.name)} ({columns}){comment}"


def _reference(reference: Reference) -> str:
    return (
        f"CONSTRAINT {_quoted(reference.name)} FOREIGN KEY ({_quoted(reference.column)}) "
        f"REFERENCES {_quoted(reference.target)} (`ID`) ON DELETE {reference.action} ON UPDATE {reference.action}"
    )


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
