"""Tables, constraints and indexes: from one set of entities to another, as statements in order. Pure and deterministic.

Everything is altered in place. What changes of constraints and indexes goes first and comes back last, so that it is
checked on the rows as they are then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from apilane.model.definition import Entity, OnDelete, Property, PropertyType
from apilane.model.migration import Migration
from apilane.model.system import HIDDEN_COLUMNS
from apilane.sql.ddl import bounded_name, foreign_keys, plain_indexes, unique_columns, visible_uniques
from apilane.sql.tables import stored_properties

__all__ = ["INDEXED_CHARACTERS", "migrate", "moved_sequence", "problems", "text_length"]

NAME_MAX: Final = 63
TEXT_MAX: Final = 10_485_760
INDEXED_CHARACTERS: Final = 500
"""How much of a text without a small maximum is in its index: an entry has room for some 2,700 bytes."""
KEY_CHARACTERS_MAX: Final = 650
"""Of all texts of one key together, at 4 bytes each."""
BETWEEN: Final = "__backup__"
"""Ending of a name between two others; no entity's name ends like this."""
STEPS_MAX: Final = 1000

_ACTIONS = {OnDelete.NoAction: "NO ACTION", OnDelete.SetNull: "SET NULL", OnDelete.Cascade: "CASCADE"}


class _Column(NamedTuple):
    name: str
    type: str
    required: bool
    default: str | None


class _Key(NamedTuple):
    """A constraint: unique, or a reference."""

    name: str
    columns: tuple[str, ...]
    target: str | None = None
    action: str = ""


class _Part(NamedTuple):
    """A column of an index: ``form`` is plain, folded, or beginning (of the folded text)."""

    column: str
    form: str
    nulls_first: bool


class _Index(NamedTuple):
    name: str
    parts: tuple[_Part, ...]


class _Table(NamedTuple):
    name: str
    columns: tuple[_Column, ...]
    keys: tuple[_Key, ...]
    indexes: tuple[_Index, ...]


def migrate(migration: Migration) -> list[str]:
    """Statements that turn the tables of ``migration.before`` into those of ``migration.after``."""
    before = {entity.name: table for entity, table in zip(migration.before, _tables(migration.before), strict=True)}
    after = {entity.name: table for entity, table in zip(migration.after, _tables(migration.after), strict=True)}
    kept = migration.kept_entities()
    new_names = {old.name: new.name for old, new in kept}
    plans = [_plan(before[old.name], after[new.name], _renamed(migration, old, new), new_names) for old, new in kept]
    created = [table for name, table in after.items() if name not in new_names.values()]
    return [
        *(statement for plan in plans for statement in plan.drops),
        *_dropped([table for name, table in before.items() if name not in new_names]),
        *_table_renames(new_names),
        *(statement for plan in plans for statement in plan.changes),
        *(_create(table) for table in created),
        *(_add_key(table, key) for table in created for key in table.keys if key.target is None),
        *(statement for plan in plans for statement in plan.uniques),
        *(statement for plan in plans for statement in plan.references),
        *(_add_key(table, key) for table in created for key in table.keys if key.target is not None),
        *(statement for plan in plans for statement in plan.indexes),
        *(_create_index(table, index) for table in created for index in table.indexes),
    ]


def problems(entities: Sequence[Entity]) -> list[tuple[str, str]]:
    """What cannot be done: maxima beyond PostgreSQL's, and keys with texts that an index has no room for."""
    found = []
    for entity in entities:
        if len(entity.name) > NAME_MAX:
            found.append((f"Entities[{entity.name}]", f"a name may have {NAME_MAX} letters at most"))
        for property in entity.properties:
            if len(property.name) > NAME_MAX:
                place = f"Entities[{entity.name}].Properties[{property.name}]"
                found.append((place, f"a name may have {NAME_MAX} letters at most"))
            if property.type is PropertyType.String and not property.encrypted and (property.maximum or 0) > TEXT_MAX:
                place = f"Entities[{entity.name}].Properties[{property.name}]"
                found.append((place, f"a String may have a Maximum of {TEXT_MAX} at most"))
        stored = {property.name: property for property in stored_properties(entity)}
        for properties in visible_uniques(entity):
            texts = [stored[name] for name in unique_columns(entity, properties) if name in stored]
            lengths = [text_length(p) for p in texts if p.type is PropertyType.String]
            if None in lengths or sum(length or 0 for length in lengths) > KEY_CHARACTERS_MAX:
                place = f"Entities[{entity.name}].Constraints[{','.join(properties)}]"
                sentence = f"what is unique needs a Maximum, of {KEY_CHARACTERS_MAX} characters together at most"
                found.append((place, sentence))
    return found


def text_length(property: Property) -> int | None:
    """The length of a String's column; None: it has no limit."""
    return property.maximum if property.maximum and not property.encrypted else None


def moved_sequence(table: str) -> str:
    """An expression beside ``RETURNING "ID"`` that moves the table's sequence to the ID, but never back.

    ``setval`` would take back what somebody else drew meanwhile, so short ways are gone by ``nextval``; nobody draws a
    thousand numbers while one statement evaluates its result.
    """
    sequence = f"SELECT pg_get_serial_sequence({_literal(_quoted(table))}, 'ID')::regclass AS name"
    used = f"SELECT name, coalesce(pg_sequence_last_value(name), 0) AS last FROM ({sequence}) AS sequence"  # noqa: S608  # names, quoted
    return (
        f'(SELECT CASE WHEN "ID" - last > {STEPS_MAX} THEN setval(name, "ID") '  # noqa: S608
        f'ELSE (SELECT max(step) FROM (SELECT nextval(name) AS step FROM generate_series(1, "ID" - last)) AS steps) '
        f"END FROM ({used}) AS used)"
    )


# What a table looks like.


def _tables(entities: Iterable[Entity]) -> list[_Table]:
    entities = list(entities)
    taken = {entity.name.lower() for entity in entities}  # tables and indexes share their names
    return [
        _Table(entity.name, tuple(map(_column, stored_properties(entity))), *_keys_and_indexes(entity, taken))
        for entity in entities
    ]


def _column(property: Property) -> _Column:
    if property.is_primary_key:
        return _Column(property.name, "BIGSERIAL PRIMARY KEY", True, None)
    default = {PropertyType.String: "''", PropertyType.Boolean: "false"}.get(property.type, "0")
    return _Column(property.name, _type(property), property.required, default if property.required else None)


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


def _keys_and_indexes(entity: Entity, taken: set[str]) -> tuple[tuple[_Key, ...], tuple[_Index, ...]]:
    keys: list[_Key] = []
    indexes: list[_Index] = []
    stored = {property.name: property for property in stored_properties(entity)}
    for properties in visible_uniques(entity):
        name = _name(f"UNIQUE_{entity.name}_{'_'.join(properties)}", taken)
        keys.append(_Key(name, unique_columns(entity, properties)))
        indexes += _of_text(entity, properties, stored, taken)
    for key in foreign_keys(entity):
        name = _name(f"FOREIGN_KEY_{entity.name}_{key.property}_{key.entity}", taken)
        keys.append(_Key(name, (key.property,), key.entity, _ACTIONS[key.on_delete]))
    for columns in plain_indexes(entity):
        lengths = [text_length(stored[c]) for c in columns if stored[c].type is PropertyType.String]
        if None not in lengths and sum(length or 0 for length in lengths) <= KEY_CHARACTERS_MAX:
            name = _name(f"INDEX_{entity.name}_{'_'.join(columns)}", taken)
            indexes.append(_Index(name, tuple(_Part(c, "plain", not stored[c].required) for c in columns)))
        indexes += _of_text(entity, columns, stored, taken)
    return tuple(keys), tuple(indexes)


def _of_text(
    entity: Entity, columns: Sequence[str], stored: Mapping[str, Property], taken: set[str]
) -> Iterable[_Index]:
    """One more index where text takes part, for comparing it without letter case (B-Q3)."""
    secrets = {column.shows for column in HIDDEN_COLUMNS.get(entity.name, ()) if column.source == "hash"}
    texts = {c for c in columns if stored[c].type is PropertyType.String and not stored[c].encrypted} - secrets
    if not texts or entity.name.startswith("H_"):  # nobody filters these
        return
    room = KEY_CHARACTERS_MAX - INDEXED_CHARACTERS * (len(texts) - 1)
    parts: list[_Part] = []
    for c in columns:
        length = text_length(stored[c])
        form = "plain" if c not in texts else "folded" if length and length <= room else "beginning"
        if form == "beginning" and parts and len(texts) > 1:
            break  # one long text is all an entry has room for
        parts.append(_Part(c, form, False))
    yield _Index(_name(f"FOLDED_{entity.name}_{'_'.join(columns)}", taken), tuple(parts))


def _name(name: str, taken: set[str]) -> str:
    """In lower case, as PostgreSQL makes of names that are not quoted."""
    bounded = bounded_name(name.lower(), NAME_MAX, taken)
    taken.add(bounded)
    return bounded


# From the old to the new one.


class _Plan(NamedTuple):
    drops: list[str]
    changes: list[str]
    uniques: list[str]
    references: list[str]
    indexes: list[str]


def _renamed(migration: Migration, old: Entity, new: Entity) -> dict[str, str]:
    """New names of columns by old ones; without those that go. Hidden columns stay."""
    names = {was.name: now.name for was, now in migration.kept_properties(old, new)}
    stays = {property.name for property in stored_properties(new)}
    hidden = [p.name for p in stored_properties(old)[len(old.properties) :] if p.name in stays]
    return names | {name: name for name in hidden}


def _plan(old: _Table, new: _Table, columns: Mapping[str, str], tables: Mapping[str, str]) -> _Plan:
    """``old`` as it stands; ``columns`` and ``tables``: new names by old."""
    table = _quoted(new.name)
    retyped = _retyped(old, new, columns)
    keys = {_in_new_names(key, columns, tables): key.name for key in old.keys}
    indexes = {
        tuple(part._replace(column=columns.get(part.column, "")) for part in index.parts): index.name
        for index in old.indexes
    }
    kept_keys = {key: keys[_nameless(key)] for key in new.keys if _nameless(key) in keys}
    kept_indexes = {
        index: indexes[index.parts]
        for index in new.indexes
        if index.parts in indexes and not any(p.column in retyped and p.form != "plain" for p in index.parts)
    }
    renames = [
        *((name, key.name, "constraint") for key, name in kept_keys.items() if name != key.name),
        *((name, index.name, "index") for index, name in kept_indexes.items() if name != index.name),
    ]
    return _Plan(
        [
            *(_drop_key(old, key) for key in old.keys if key.name not in kept_keys.values()),
            *(f"DROP INDEX {_quoted(i.name)}" for i in old.indexes if i.name not in kept_indexes.values()),
            *(_rename(old.name, name, _between(name), kind) for name, _, kind in renames),
        ],
        [
            *(f"ALTER TABLE {table} DROP COLUMN {_quoted(c.name)}" for c in old.columns if c.name not in columns),
            *_column_renames(table, columns),
            *_column_changes(table, old, new, columns),
            *(_rename(new.name, _between(name), to, kind) for name, to, kind in renames),
        ],
        [_add_key(new, key) for key in new.keys if key.target is None and key not in kept_keys],
        [_add_key(new, key) for key in new.keys if key.target is not None and key not in kept_keys],
        [_create_index(new, index) for index in new.indexes if index not in kept_indexes],
    )


def _nameless(key: _Key) -> _Key:
    return key._replace(name="")


def _in_new_names(key: _Key, columns: Mapping[str, str], tables: Mapping[str, str]) -> _Key:
    target = key.target and tables.get(key.target, "")
    return _Key("", tuple(columns.get(column, "") for column in key.columns), target, key.action)


def _retyped(old: _Table, new: _Table, columns: Mapping[str, str]) -> set[str]:
    types = {column.name: column.type for column in new.columns}
    return {columns[c.name] for c in old.columns if c.name in columns and types[columns[c.name]] != c.type}


def _column_renames(table: str, columns: Mapping[str, str]) -> list[str]:
    """By a name between where the new name is one of the old ones."""
    moved = [(old, new) for old, new in columns.items() if old != new]
    text = f"ALTER TABLE {table} RENAME COLUMN"
    first = [f"{text} {_quoted(old)} TO {_quoted(_between(old))}" for old, new in moved if new in columns]
    rest = [f"{text} {_quoted(_between(old) if new in columns else old)} TO {_quoted(new)}" for old, new in moved]
    return first + rest


def _between(name: str) -> str:
    return bounded_name(f"{name}{BETWEEN}", NAME_MAX)


def _column_changes(table: str, old: _Table, new: _Table, columns: Mapping[str, str]) -> list[str]:
    known = {columns[column.name]: column for column in old.columns if column.name in columns}
    statements = []
    for column in new.columns:
        was = known.get(column.name)
        if was is None:
            statements.append(f"ALTER TABLE {table} ADD COLUMN {_definition(column)}")
            continue
        name = f"ALTER TABLE {table} ALTER COLUMN {_quoted(column.name)}"
        if was.default is not None and was.default != column.default:
            statements.append(f"{name} DROP DEFAULT")
        if was.type != column.type:
            plain = column.type.partition(" COLLATE ")[0]
            statements.append(f"{name} TYPE {column.type} USING {_quoted(column.name)}::{plain}")
        if column.default is not None and was.default != column.default:
            statements.append(f"{name} SET DEFAULT {column.default}")
        if was.required != column.required:
            statements.append(f"{name} {'SET' if column.required else 'DROP'} NOT NULL")
    return statements


def _dropped(tables: Sequence[_Table]) -> list[str]:
    """References first: tables that go may refer to each other."""
    keys = [_drop_key(table, key) for table in tables for key in table.keys if key.target is not None]
    return [*keys, *(f"DROP TABLE {_quoted(table.name)}" for table in tables)]


def _table_renames(new_names: Mapping[str, str]) -> list[str]:
    """By a name between where the new name is one of the old ones. Sequences keep theirs, which nobody asks for."""
    moved = [(old, new) for old, new in new_names.items() if old != new]
    first = [_rename_table(old, _between(old)) for old, new in moved if new in new_names]
    return first + [_rename_table(_between(old) if new in new_names else old, new) for old, new in moved]


# Text.


def _rename_table(old: str, new: str) -> str:
    return f"ALTER TABLE {_quoted(old)} RENAME TO {_quoted(new)}"


def _rename(table: str, old: str, new: str, kind: str) -> str:
    if kind == "index":
        return f"ALTER INDEX {_quoted(old)} RENAME TO {_quoted(new)}"
    return f"ALTER TABLE {_quoted(table)} RENAME CONSTRAINT {_quoted(old)} TO {_quoted(new)}"


def _create(table: _Table) -> str:
    columns = ",\n  ".join(_definition(column) for column in table.columns)
    return f"CREATE TABLE {_quoted(table.name)} (\n  {columns}\n)"


def _definition(column: _Column) -> str:
    text = f"{_quoted(column.name)} {column.type}"
    return text if column.default is None else f"{text} NOT NULL DEFAULT {column.default}"


def _drop_key(table: _Table, key: _Key) -> str:
    return f"ALTER TABLE {_quoted(table.name)} DROP CONSTRAINT {_quoted(key.name)}"


def _add_key(table: _Table, key: _Key) -> str:
    columns = ", ".join(map(_quoted, key.columns))
    text = f"ALTER TABLE {_quoted(table.name)} ADD CONSTRAINT {_quoted(key.name)}"
    if key.target is None:
        return f"{text} UNIQUE ({columns})"
    actions = f"ON DELETE {key.action} ON UPDATE {key.action}"
    return f'{text} FOREIGN KEY ({columns}) REFERENCES {_quoted(key.target)} ("ID") {actions}'


def _create_index(table: _Table, index: _Index) -> str:
    parts = ", ".join(map(_part, index.parts))
    return f"CREATE INDEX {_quoted(index.name)} ON {_quoted(table.name)} ({parts})"


def _part(part: _Part) -> str:
    column = _quoted(part.column)
    match part.form:
        case "folded":
            text = f"lower({column})"
        case "beginning":
            text = f'"left"(lower({column}), {INDEXED_CHARACTERS})'
        case _:
            text = column
    return f"{text} NULLS FIRST" if part.nulls_first else text


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
