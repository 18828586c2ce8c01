"""Renames entities and properties in the history (docs/reference/protocol/data-model.md B-D10), as units of statements.

A snapshot is stored under an entity's name, as a JSON object by property name. Its values are not changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from apilane.model.migration import Migration
from apilane.model.system import HELPER_TABLES
from apilane.sql.dialect import Dialect
from apilane.sql.statement import compile_statement
from apilane.sql.tables import table_of
from apilane.storage.protocol import Step, Unit

__all__ = ["rename_history", "renamed_keys"]

PAGE_ROWS = 500
BETWEEN = " (renamed)"
"""Appended to an entity's old name while two names are exchanged. No entity can have such a name."""

_HISTORY = next(entity for entity in HELPER_TABLES if entity.name == "H_Entity_Change_Tracking")
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def rename_history(migration: Migration, dialect: Dialect) -> Unit[None]:
    """Within the unit that changes the tables: store the snapshots under the new names."""
    table = table_of(_HISTORY, dialect)
    properties = _property_renames(migration)
    if properties:
        yield from _rename_keys(table, properties, dialect)
    entities = _entity_renames(migration)
    rename = sa.update(table).values({"Entity": sa.bindparam("new")}).where(table.c["Entity"] == sa.bindparam("old"))
    statement = compile_statement(rename, dialect.sqlalchemy)
    for old in entities:
        yield Step(statement, statement.parameters({"old": old, "new": old + BETWEEN}))
    for old, new in entities.items():
        yield Step(statement, statement.parameters({"old": old + BETWEEN, "new": new}))


def _entity_renames(migration: Migration) -> dict[str, str]:
    """New entity names by old ones, of entities that stay."""
    return {old.name: new.name for old, new in migration.kept_entities() if old.name != new.name}


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
