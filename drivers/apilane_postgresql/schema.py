"""The tables in PostgreSQL, and the statements that change them. Pure and deterministic.

Every change is made in place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from apilane.plugin.storage import (
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
from apilane_postgresql.letters import fold_function, make_fold_function
from apilane_postgresql.limits import INDEXED_CHARACTERS, KEY_CHARACTERS_MAX, NAME_MAX, text_length

__all__ = ["migrate", "moved_sequence"]

STEPS_MAX: Final = 1000
FOLDED: Final = "folded"
BEGINNING: Final = "beginning"
"""Forms of an index column: the text in lower case, or the beginning of that."""
LETTERS: Final = "letters"
"""Form of an index column: the folded text, for the rows with letters outside ASCII."""

TRAITS: Final = Traits(name_max=NAME_MAX, renames_keys=True, dropped_to_change=frozenset({"expressions"}))


def migrate(migration: Migration) -> list[str]:
    """Statements that turn the tables of ``migration.before`` into those of ``migration.after``."""
    changes = differences(migration, _tables, TRAITS, _first_tables)
    statements = [text for change in changes for text in _written(change)]
    return [make_fold_function(), *statements] if any(map(_folds_letters, changes)) else statements


def moved_sequence(table: str) -> str:
    """An expression beside ``RETURNING "ID"`` that moves the table's sequence forward to the ID, never back.

    ``setval`` could move it behind IDs that other calls took meanwhile, so up to a thousand steps use ``nextval``. For
    more steps ``setval`` is safe: other calls do not take as many IDs during one statement.
    """
    sequence = f"SELECT pg_get_serial_sequence({quoted_text(quoted_name(table))}, 'ID')::regclass AS name"
    used = f"SELECT name, coalesce(pg_sequence_last_value(name), 0) AS last FROM ({sequence}) AS sequence"  # noqa: S608  # names, quoted
    return (
        f'(SELECT CASE WHEN "ID" - last > {STEPS_MAX} THEN setval(name, "ID") '  # noqa: S608
        f'ELSE (SELECT max(step) FROM (SELECT nextval(name) AS step FROM generate_series(1, "ID" - last)) AS steps) '
        f"END FROM ({used}) AS used)"
    )


# The tables.


def _tables(entities: Sequence[Entity], *, folded: bool = True) -> list[Table]:
    # Tables and indexes share one namespace. Names are in lower case, as PostgreSQL reads unquoted names.
    names = Names(NAME_MAX, {entity.name.lower() for entity in entities}, lower=True)
    return [_table(entity, names, folded=folded) for entity in entities]


def _first_tables(entities: Sequence[Entity]) -> list[Table]:
    """As the first structure had them: only equal texts violate a unique constraint."""
    return _tables(entities, folded=False)


def _table(entity: Entity, names: Names, *, folded: bool) -> Table:
    stored = stored_properties(entity)
    indexes = tuple(_indexes(entity, {property.name: property for property in stored}, names, folded=folded))
    return Table(entity.name, tuple(map(_column, stored)), indexes, tuple(references(entity, names)))


def _column(property: Property) -> Column:
    if property.is_primary_key:
        return Column(property.name, "BIGSERIAL", required=True, is_key=True)
    default = Default({PropertyType.String: "''", PropertyType.Boolean: "false"}.get(property.type, "0"))
    return Column(property.name, _type(property), property.required, default if property.required else None)


def _type(property: Property) -> str:
    match property.type:
        case PropertyType.String:
            length = text_length(property)
            return f'VARCHAR({length}) COLLATE "C"' if length else 'TEXT COLLATE "C"'
        case PropertyType.Boolean:
            return "BOOLEAN"
        case PropertyType.Date:
            return "BIGINT"
        case PropertyType.Number:
            return f"NUMERIC(18,{property.decimal_places})" if property.decimal_places else "BIGINT"


def _indexes(entity: Entity, stored: Mapping[str, Property], names: Names, *, folded: bool) -> Iterator[Index]:
    for properties in visible_uniques(entity):
        name = names.new("UNIQUE", entity.name, *properties)
        yield Index(name, tuple(map(IndexColumn, unique_columns(entity, properties))), unique=True)
        folds = folded_columns(entity, properties) if folded else frozenset()
        if (tenant := tenant_key(entity, properties)) is not None:  # nulls are never equal in an index
            name = names.new("UNIQUE", entity.name, *properties, "NULL")
            yield Index(name, tuple(map(IndexColumn, properties[1:])), unique=True, only_null=tenant)
            if folds:
                yield from _of_unique_text(entity, properties[1:], folds, names, tenant)
        if folds:
            yield from _of_unique_text(entity, properties, folds, names)
        else:
            yield from _of_text(entity, properties, stored, names)
    for columns in plain_indexes(entity):
        lengths = [text_length(stored[c]) for c in columns if stored[c].type is PropertyType.String]
        if None not in lengths and sum(length or 0 for length in lengths) <= KEY_CHARACTERS_MAX:
            name = names.new("INDEX", entity.name, *columns)
            yield Index(name, tuple(IndexColumn(c, nulls_first=not stored[c].required) for c in columns))
        yield from _of_text(entity, columns, stored, names)


def _of_unique_text(
    entity: Entity, columns: Sequence[str], folds: Collection[str], names: Names, only_null: str = ""
) -> Iterator[Index]:
    """Two unique indexes: of texts in lower case, which also finds what filters look for and is enough for ASCII; and
    of folded texts, without the rows that have only ASCII. A text in ASCII never equals another one.
    """
    for kind, form in (("FOLDED", FOLDED), ("LETTERS", LETTERS)):
        parts = tuple(IndexColumn(c, form if c in folds else "") for c in columns)
        name = names.new(kind, entity.name, *columns, *(["NULL"] if only_null else []))
        yield Index(name, parts, unique=True, only_null=only_null)


def _of_text(entity: Entity, columns: Sequence[str], stored: Mapping[str, Property], names: Names) -> Iterator[Index]:
    """One more index if a key contains text, to compare it without letter case (B-Q3)."""
    secrets = {column.shows for column in HIDDEN_COLUMNS.get(entity.name, ()) if column.source == "hash"}
    texts = {c for c in columns if stored[c].type is PropertyType.String and not stored[c].encrypted} - secrets
    if not texts or entity.name.startswith("H_"):  # callers do not filter these tables
        return
    room = KEY_CHARACTERS_MAX - INDEXED_CHARACTERS * (len(texts) - 1)
    parts: list[IndexColumn] = []
    for c in columns:
        length = text_length(stored[c])
        form = "" if c not in texts else FOLDED if length and length <= room else BEGINNING
        if form == BEGINNING and parts and len(texts) > 1:
            break  # an entry holds only one long text
        parts.append(IndexColumn(c, form))
    yield Index(names.new("FOLDED", entity.name, *columns), tuple(parts))


# The statements.


def _written(change: Change) -> list[str]:
    table = quoted_name(change.table)
    match change:
        case do.CreateTable(structure=structure):
            columns = ",\n  ".join(map(_defined, structure.columns))
            return [f"CREATE TABLE {table} (\n  {columns}\n)"]
        case do.DropTable():
            return [f"DROP TABLE {table}"]
        case do.ChangeColumn(before=before, after=after):
            return [f"ALTER TABLE {table} ALTER COLUMN {text}" for text in _column_changes(before, after)]
        case do.DropIndex(index=index) if not _is_constraint(index):
            return [f"DROP INDEX {quoted_name(index.name)}"]
        case do.RenameIndex(index=index, name=name) if not _is_constraint(index):
            return [f"ALTER INDEX {quoted_name(index.name)} RENAME TO {quoted_name(name)}"]
        case do.AddIndex(index=index) if not _is_constraint(index):
            columns = ", ".join(map(_indexed, index.columns))
            kind = "UNIQUE INDEX" if index.unique else "INDEX"
            return [f"CREATE {kind} {quoted_name(index.name)} ON {table} ({columns}){_of_rows(index)}"]
    return [f"ALTER TABLE {table} {_altered(change)}"]


def _folds_letters(change: Change) -> bool:
    return isinstance(change, do.AddIndex) and any(column.form == LETTERS for column in change.index.columns)


def _is_constraint(index: Index) -> bool:
    return index.unique and not index.only_null and not any(column.form for column in index.columns)


def _of_rows(index: Index) -> str:
    """The rows of a partial index."""
    texts = [quoted_name(column.name) for column in index.columns if column.form == LETTERS]
    rows = " OR ".join(f"octet_length({name}) <> char_length({name})" for name in texts)
    if index.only_null:
        empty = f"{quoted_name(index.only_null)} IS NULL"
        rows = f"{empty} AND ({rows})" if rows else empty
    return f" WHERE {rows}" if rows else ""


def _altered(change: Change) -> str:
    """The clause after ALTER TABLE. Sequences keep their names, which no statement uses."""
    match change:
        case do.RenameTable(name=name):
            return f"RENAME TO {quoted_name(name)}"
        case do.AddColumn(column=column):
            return f"ADD COLUMN {_defined(column)}"
        case do.DropColumn(column=column):
            return f"DROP COLUMN {quoted_name(column.name)}"
        case do.RenameColumn(old=old, name=name):
            return f"RENAME COLUMN {quoted_name(old)} TO {quoted_name(name)}"
        case do.AddIndex(index=index):
            columns = ", ".join(quoted_name(column.name) for column in index.columns)
            return f"ADD CONSTRAINT {quoted_name(index.name)} UNIQUE ({columns})"
        case do.AddReference(reference=key):
            text = f"ADD CONSTRAINT {quoted_name(key.name)} FOREIGN KEY ({quoted_name(key.column)})"
            actions = f"ON DELETE {key.action} ON UPDATE {key.action}"
            return f'{text} REFERENCES {quoted_name(key.target)} ("ID") {actions}'
        case do.DropIndex(index=key) | do.DropReference(reference=key):
            return f"DROP CONSTRAINT {quoted_name(key.name)}"
        case do.RenameIndex(index=key, name=name) | do.RenameReference(reference=key, name=name):
            return f"RENAME CONSTRAINT {quoted_name(key.name)} TO {quoted_name(name)}"
    raise TypeError(f"PostgreSQL tables do not change like this: {change}")


def _column_changes(before: Column, after: Column) -> Iterator[str]:
    name = quoted_name(after.name)
    if before.default is not None and before.default != after.default:
        yield f"{name} DROP DEFAULT"
    if before.type != after.type:
        yield f"{name} TYPE {after.type} USING {name}::{after.type.partition(' COLLATE ')[0]}"
    if after.default is not None and before.default != after.default:
        yield f"{name} SET DEFAULT {after.default.value}"
    if before.required != after.required:
        yield f"{name} {'SET' if after.required else 'DROP'} NOT NULL"


def _defined(column: Column) -> str:
    text = f"{quoted_name(column.name)} {column.type}"
    if column.is_key:
        return f"{text} PRIMARY KEY"
    return text if column.default is None else f"{text} NOT NULL DEFAULT {column.default.value}"


def _indexed(column: IndexColumn) -> str:
    text = quoted_name(column.name)
    if column.form == LETTERS:
        return f"{fold_function()}({text})"
    if column.form:
        text = f"lower({text})"
    if column.form == BEGINNING:
        text = f'"left"({text}, {INDEXED_CHARACTERS})'
    return f"{text} NULLS FIRST" if column.nulls_first else text
