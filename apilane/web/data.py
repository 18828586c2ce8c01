"""The Data calls on the wire (docs/reference/protocol/wire-api.md section 4): translates an admitted call to a service
call, and its result to bytes.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from apilane.model.definition import Action
from apilane.model.json import encode_json
from apilane.plugin.access import Data, Schema
from apilane.plugin.calls import WireCall, Write
from apilane.plugin.replies import Reply
from apilane.security.passwords import Passwords
from apilane.services import record_delete, record_post, record_put, record_reads
from apilane.services.history_reads import HistoryPage, record_history
from apilane.services.schema import schema_document
from apilane.web import descriptions
from apilane.web.call import INT64, Call
from apilane.web.expansion import expansion_of
from apilane.web.idempotency import IDEMPOTENCY_KEY, once

__all__ = ["data_calls", "history_reply", "history_window"]


async def get_by_id(call: Call) -> Reply:
    record_id = call.integer("id", 0, INT64)
    if "expand" in call.query and (expansion := await expansion_of(call)) is not None:
        names = call.query.get("properties")
        found = await record_reads.get_by_id(
            call.entity, call.actor, call.access, record_id, names, also=expansion.paths.needs
        )
        await expansion.attach([found], call.entity.select(names, call.access.properties))
        return Reply(encode_json(found))
    record = await record_reads.get_by_id(call.entity, call.actor, call.access, record_id, call.query.get("properties"))
    return Reply(encode_json(record))


async def get_page(call: Call, *, default_order: bool = True) -> Reply:
    asked = call.query.get
    expansion = await expansion_of(call) if "expand" in call.query else None
    query = record_reads.PageQuery(
        page_index=call.integer("pageindex", 1),
        page_size=call.integer("pagesize", 20),
        filter=asked("filter"),
        sort=asked("sort"),
        properties=asked("properties"),
        get_total=call.boolean("gettotal"),
        default_order=default_order,
        also=() if expansion is None else expansion.paths.needs,
    )
    if "cursor" in call.query or "after" in call.query:
        query = replace(query, cursor=call.boolean("cursor"), after=call.text("after"))
    page = await record_reads.get_page(call.entity, call.actor, call.access, query)
    if expansion is not None:
        await expansion.attach(page.records, call.entity.select(query.properties, call.access.properties))
    records = encode_json(page.records)
    if query.cursor or query.after:
        records += b',"Next":' + encode_json(page.next)
    if page.total is None:
        return Reply(b'{"Data":' + records + b"}")
    return Reply(b'{"Total":%d,"Data":' % page.total + records + b"}")


async def get_history(call: Call) -> Reply:
    page = history_window(call, 10)
    found = await record_history(call.entity, call.actor, call.access, call.integer("id", 0, INT64), page)
    return history_reply(found)


def history_window(call: Call, page_size: int) -> record_reads.PageQuery:
    """The requested page of a history; ``page_size`` is the default. A blank size means the largest page."""
    size = call.integer("pagesize", page_size) if call.query.get("pagesize", "?") else 0
    return record_reads.PageQuery(page_index=call.integer("pageindex", 1), page_size=size)


def history_reply(found: HistoryPage) -> Reply:
    """A page of history with its total."""
    return Reply(b'{"Total":%d,"Data":' % found.total + encode_json(found.items) + b"}")


async def post(call: Call) -> Write[Any]:
    write = await record_post.post(call.entity, call.actor, call.access, await call.json())
    key = call.headers.get(IDEMPOTENCY_KEY)
    return write if key is None else await once(call, write, key)


async def delete(call: Call) -> Write[list[int]]:
    return await record_delete.delete(call.entity, call.actor, call.access, call.query.get("ids"))


async def schema(call: Call) -> Reply:
    return Reply(schema_document(call.application))


def data_calls(passwords: Passwords) -> list[WireCall]:
    """The Data calls."""

    async def put(call: Call) -> Write[int]:
        return await record_put.put(call.entity, call.actor, call.access, await call.json(), passwords)

    return [
        WireCall(
            path="/api/Data/Get",
            method="GET",
            action=get_page,
            access=Data(Action.get),
            refuses_files=True,
            description=descriptions.GET,
        ),
        WireCall(
            path="/api/Data/GetByID",
            method="GET",
            action=get_by_id,
            access=Data(Action.get),
            refuses_files=True,
            description=descriptions.GET_BY_ID,
        ),
        WireCall(
            path="/api/Data/GetHistoryByID",
            method="GET",
            action=get_history,
            access=Data(Action.get),
            description=descriptions.GET_HISTORY,
            refuses_files=True,
        ),
        WireCall(
            path="/api/Data/Post",
            method="POST",
            action=post,
            description=descriptions.POST,
            access=Data(Action.post),
            body="json",
            audited=True,
            refuses_files=True,
        ),
        WireCall(
            path="/api/Data/Put",
            method="PUT",
            action=put,
            description=descriptions.PUT,
            access=Data(Action.put),
            body="json",
            audited=True,
            refuses_files=True,
        ),
        WireCall(
            path="/api/Data/Delete",
            method="DELETE",
            action=delete,
            description=descriptions.DELETE,
            access=Data(Action.delete),
            audited=True,
            refuses_files=True,
        ),
        WireCall(
            path="/api/Data/Schema",
            method="GET",
            action=schema,
            access=Schema(),
            refuses_files=True,
            description=descriptions.SCHEMA,
        ),
    ]
