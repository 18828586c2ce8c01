"""Reads the history of records: for callers within their rules, and for operators
(docs/reference/protocol/wire-api.md sections 4.3 and 9).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from apilane.errors import ApilaneError
from apilane.model.definition import Direction, Property, PropertyType, SortKey
from apilane.model.formats import JSON, json_value
from apilane.model.json import encode_json
from apilane.model.system import is_secret
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.security.encryption import Cipher
from apilane.services.history_names import EARLIER
from apilane.services.record_reads import PageQuery, visible_properties
from apilane.sql.select import ReadShape
from apilane.sql.write import Restriction, first_id_where

__all__ = [
    "HISTORY",
    "HistoryPage",
    "entity_history",
    "of_history",
    "record_history",
    "snapshot_reader",
    "stored_name",
]

HISTORY: Final = "H_Entity_Change_Tracking"
_NEWEST_FIRST: Final = (SortKey("ID", Direction.DESC),)
_OWN_COLUMNS: Final = ("ID", "Entity", "RecordID", "Owner", "Data", "Created")
_BEGINS: Final = {
    PropertyType.String: b'"',
    PropertyType.Boolean: b"tf",
    PropertyType.Number: b"-0123456789",
    PropertyType.Date: b"-0123456789",
}
"""The first bytes of the JSON of each type. A value of another type belongs to a dropped property of the same name."""

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_CIPHERTEXT: Final = b'"v1'
_NULL: Final = msgspec.Raw(b"null")


def _decode(text: str) -> dict[str, msgspec.Raw]:
    """The values of a snapshot by name; none for a text that the server did not write."""
    try:
        return _decode_object(text)
    except msgspec.DecodeError:
        return {}


class HistoryPage(Struct, frozen=True):
    """Items of one page, ready to encode, and the number of all items."""

    items: Sequence[Mapping[str, Any]]
    total: int


async def record_history(
    entity: EntityRuntime, actor: Actor, access: AccessPlan, record_id: int, page: PageQuery
) -> HistoryPage:
    """The states of a record before its changes, newest first, with the properties that the caller may read.

    Raises NOT_FOUND when the record does not exist now or is out of the caller's reach.
    """
    names = await visible_properties(entity, actor, access, record_id)
    rows, total = await _page(
        entity.application, of_history(entity.name, record_id), ("Created", "Owner", "Data"), page
    )
    read = _properties_reader(entity, access.properties, names)
    items = [
        {"History_Record_Created": created, "History_Record_Owner": owner, **read(data)}
        for created, owner, data in rows
    ]
    return HistoryPage(items, total)


async def entity_history(
    application: ApplicationRuntime, entity: str, record_id: int | None, page: PageQuery
) -> HistoryPage:
    """Stored snapshots of one record, or of all records of an entity, newest first; for operators.

    ``Data`` is JSON text with encrypted properties in clear. Raises ERROR for an entity that does not exist and has no
    history.
    """
    name = await stored_name(application, entity)
    rows, total = await _page(application, of_history(name, record_id), _OWN_COLUMNS, page)
    read = snapshot_reader(application)
    return HistoryPage([read(row) for row in rows], total)


async def stored_name(application: ApplicationRuntime, typed: str) -> str:
    """The name under which snapshots of an entity are stored; ``EARLIER`` is added to the name of a dropped one.

    Raises ERROR for an entity that does not exist and has no history.
    """
    try:
        return application.entity(typed).name
    except ApilaneError:
        any_snapshot = application.helpers[HISTORY].statement(first_id_where, (("Entity", "Entity"),))
        for name in (typed, typed + EARLIER):
            if (await application.session.fetch(any_snapshot, (name,)))[0][0] is not None:
                return name
        raise


def of_history(entity: str, record_id: int | None) -> Mapping[str, int | str]:
    """The values by column that select the snapshots of one record, or of all records of an entity."""
    return {"Entity": entity} if record_id is None else {"Entity": entity, "RecordID": record_id}


async def _page(
    application: ApplicationRuntime, wanted: Mapping[str, int | str], columns: tuple[str, ...], page: PageQuery
) -> tuple[Sequence[tuple[Any, ...]], int]:
    history, session = application.helpers[HISTORY], application.session
    restrictions: tuple[Restriction, ...] = tuple((column, column) for column in wanted)
    count = history.count(restrictions, None)
    total = (await session.fetch(count, count.parameters(wanted)))[0][0]
    if not total:
        return (), 0
    limit, offset = page.window()
    statement = history.read(ReadShape(columns, restrictions, None, _NEWEST_FIRST, True))
    return await session.fetch(statement, statement.parameters({**wanted, "limit": limit, "offset": offset})), total


def _properties_reader(
    entity: EntityRuntime, names: Sequence[str], visible: Container[str]
) -> Callable[[str], dict[str, Any]]:
    """A function from the text of a snapshot to its properties. Those that it does not have, or that are not
    ``visible``, are null; secrets are left out.
    """
    properties = [p for p in map(entity.entity.property, names) if p is not None and not is_secret(entity.entity, p)]
    cipher = entity.application.cipher

    def read(text: str) -> dict[str, Any]:
        kept = _decode(text)
        return {p.name: _value(p, kept.get(p.name, _NULL), cipher) if p.name in visible else None for p in properties}

    return read


def _value(property: Property, kept: msgspec.Raw, cipher: Cipher) -> msgspec.Raw | str | None:
    """A value of a snapshot as callers read it. Null where the stored one belongs to a dropped property of the same
    name: it has another type, or only one of the two is encrypted.
    """
    if bytes(kept)[:1] not in _BEGINS[property.type]:
        return None
    if not property.encrypted:
        if bytes(kept)[:3] == _CIPHERTEXT and cipher.decrypt(_decode_text(kept)) is not None:
            return None
        return kept if property.format != JSON else json_value(_decode_text(kept))
    text = cipher.decrypt(_decode_text(kept))
    return json_value(text) if text is not None and property.format == JSON else text


def snapshot_reader(application: ApplicationRuntime) -> Callable[[Sequence[Any]], dict[str, Any]]:
    """A function from a row of the history (all columns in order) to its item, for operators: without secrets, and with
    every encrypted value in clear, also of dropped properties.
    """
    secrets = {
        entity.name: {p.name for p in entity.properties if is_secret(entity, p)}
        for entity in application.definition.entities
    }
    decrypt = application.cipher.decrypt

    def clear(kept: msgspec.Raw) -> msgspec.Raw | str:
        if bytes(kept)[:1] != b'"':
            return kept
        text = decrypt(_decode_text(kept))
        return kept if text is None else text

    def read(row: Sequence[Any]) -> dict[str, Any]:
        item = dict(zip(_OWN_COLUMNS, row, strict=True))
        hidden = secrets.get(item["Entity"].removesuffix(EARLIER), ())
        values = {name: clear(kept) for name, kept in _decode(item["Data"]).items() if name not in hidden}
        item["Data"] = encode_json(values).decode()
        return item

    return read
