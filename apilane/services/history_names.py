"""Names of entities and properties in the history (docs/reference/protocol/data-model.md section 7), as units of
statements.

A snapshot is stored under an entity's name, as a JSON object by property name. Its values are not changed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping

import msgspec
import sqlalchemy as sa

from apilane.model.migration import Migration
from apilane.model.system import HELPER_TABLES
from apilane.runtime.application import EntityRuntime
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.tables import table_of
from apilane.sql.write import first_id_where, padded
from apilane.storage.protocol import Result, Step, Unit

__all__ = ["EARLIER", "rename_history", "renamed_keys", "set_aside"]

PAGE_ROWS = 500
BETWEEN = " (renamed)"
"""Appended to an entity's old name while two names are exchanged. No entity can have such a name."""

EARLIER = " (earlier)"
"""Appended to an entity's name in snapshots of a dropped entity, and of deleted records whose IDs were imported again.
Callers never read them: no entity can have such a name.
"""

_HISTORY = next(entity for entity in HELPER_TABLES if entity.name == "H_Entity_Change_Tracking")
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def rename_history(migration: Migration, dialect: Dialect) -> Unit[None]:
    """Within the unit that changes the tables: store the snapshots under the new names, and set aside those of dropped
    entities.
    """
    table = table_of(_HISTORY, dialect)
    properties = _property_renames(migration)
    if properties:
        yield from _rename_keys(table, properties, dialect)
    entities = _entity_renames(migration)
    rename = sa.update(table).values({"Entity": sa.bindparam("new")}).where(table.c["Entity"] == sa.bindparam("old"))
    statement = compile_statement(rename, dialect.sqlalchemy)
    for old in _vacant_names(migration):
        yield Step(statement, statement.parameters({"old": old, "new": old + EARLIER}))
    for old in entities:
        yield Step(statement, statement.parameters({"old": old, "new": old + BETWEEN}))
    for old, new in entities.items():
        yield Step(statement, statement.parameters({"old": old + BETWEEN, "new": new}))


def _entity_renames(migration: Migration) -> dict[str, str]:
    """New entity names by old ones, of entities that stay."""
    return {old.name: new.name for old, new in migration.kept_entities() if old.name != new.name}


def _vacant_names(migration: Migration) -> list[str]:
    """Names whose snapshots belong to no entity that stays: of dropped entities, and those that entities get now."""
    kept = {old.name for old, _ in migration.kept_entities()}
    dropped = [entity.name for entity in migration.before if entity.name not in kept]
    before = {entity.name.lower() for entity in migration.before}
    return dropped + [entity.name for entity in migration.after if entity.name.lower() not in before]


def set_aside(entity: EntityRuntime, ids: Iterable[int]) -> Generator[Step, Result, None]:
    """Within the unit that inserts records with these IDs, after the inserts: set aside the snapshots of deleted
    records that had the same IDs.
    """
    history = entity.application.helpers[_HISTORY.name]
    any_snapshot = history.statement(first_id_where, (("Entity", "Entity"),))
    if (yield Step(any_snapshot, (entity.name,))).rows[0][0] is None:
        return
    for part in padded([*ids]):
        update = history.statement(_set_aside, len(part))
        values = {f"id{position}": id for position, id in enumerate(part)}
        yield Step(update, update.parameters({"old": entity.name, "new": entity.name + EARLIER, **values}))


def _set_aside(table: sa.Table, count: int, dialect: Dialect) -> Statement:
    ids: list[sa.BindParameter[int]] = [sa.bindparam(f"id{position}") for position in range(count)]
    these = (table.c["Entity"] == sa.bindparam("old"), table.c["RecordID"].in_(ids))
    return compile_statement(sa.update(table).values({"Entity": sa.bindparam("new")}).where(*these), dialect.sqlalchemy)


def _property_renames(migration: Migration) -> dict[str, dict[str, str]]:
    """New property names by old ones, by the old name of the entity."""
    by_entity = {
        old.name: {was.name: now.name for was, now in migration.kept_properties(old, new) if was.name != now.name}
        for old, new in migration.kept_entities()
    }
    return {entity: names for entity, names in by_entity.items() if names}


def _rename_keys(table: sa.Table, names: Mapping[str, Mapping[str, str]], dialect: Dialect) -> Unit[None]:
    """Go through the whole history by ID, because the index by entity cannot be read in pages."""
    key = table.c["ID"]
    select = sa.select(key, table.c["Entity"], table.c["Data"])
    select = select.where(key > sa.bindparam("after", type_=sa.BigInteger()))
    limit, offset = (sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset"))
    page = compile_statement(dialect.page(select.order_by(key), limit, offset), dialect.sqlalchemy)
    change = sa.update(table).values({"Data": sa.bindparam("new")}).where(key == sa.bindparam("id"))
    update = compile_statement(change, dialect.sqlalchemy)
    after = 0
    while rows := (yield Step(page, page.parameters({"after": after, "limit": PAGE_ROWS, "offset": 0}))).rows:
        for id, entity, text in rows:
            if entity in names and (renamed := renamed_keys(text, names[entity])) != text:
                yield Step(update, update.parameters({"id": id, "new": renamed}))
        after = rows[-1][0]


def renamed_keys(text: str, names: Mapping[str, str]) -> str:
    """A snapshot under new property names. A renamed value replaces that of a dropped property with the new name."""
    try:
        values = _decode(text)
    except msgspec.DecodeError:  # not a snapshot of the server
        return text
    taken = {names[name] for name in values if name in names}
    kept = {names.get(name, name): value for name, value in values.items() if name in names or name not in taken}
    return msgspec.json.encode(kept).decode()
