"""The Data calls on the wire (docs/reference/protocol/wire-api.md section 4): translates an admitted call to a service
call, and its result to bytes.
"""

from __future__ import annotations

from apilane.model.definition import Action
from apilane.model.json import encode_json
from apilane.plugin.access import Data, Schema
from apilane.plugin.calls import WireCall, Write
from apilane.plugin.replies import Reply
from apilane.security.passwords import Passwords
from apilane.services import record_changes, record_reads
from apilane.services.schema import schema_document
from apilane.web.call import INT64, Call

__all__ = ["data_calls"]


async def get_by_id(call: Call) -> Reply:
    record_id = call.integer("id", 0, INT64)
    record = await record_reads.get_by_id(call.entity, call.actor, call.access, record_id, call.query.get("properties"))
    return Reply(encode_json(record))


async def get_page(call: Call, *, default_order: bool = True) -> Reply:
    asked = call.query.get
    query = record_reads.PageQuery(
        page_index=call.integer("pageindex", 1),
        page_size=call.integer("pagesize", 20),
        filter=asked("filter"),
        sort=asked("sort"),
        properties=asked("properties"),
        get_total=call.boolean("gettotal"),
        default_order=default_order,
    )
    page = await record_reads.get_page(call.entity, call.actor, call.access, query)
    records = encode_json(page.records)
    if page.total is None:
        return Reply(b'{"Data":' + records + b"}")
    return Reply(b'{"Total":%d,"Data":' % page.total + records + b"}")


async def post(call: Call) -> Write[list[int]]:
    return await record_changes.post(call.entity, call.actor, call.access, await call.json())


async def delete(call: Call) -> Write[list[int]]:
    return await record_changes.delete(call.entity, call.actor, call.access, call.query.get("ids"))


async def schema(call: Call) -> Reply:
    return Reply(schema_document(call.application))


def data_calls(passwords: Passwords) -> list[WireCall]:
    """The Data calls."""

    async def put(call: Call) -> Write[int]:
        return await record_changes.put(call.entity, call.actor, call.access, await call.json(), passwords)

    return [
        WireCall(path="/api/Data/Get", method="GET", action=get_page, access=Data(Action.get), refuses_files=True),
        WireCall(path="/api/Data/GetByID", method="GET", action=get_by_id, access=Data(Action.get), refuses_files=True),
        WireCall(
            path="/api/Data/Post",
            method="POST",
            action=post,
            access=Data(Action.post),
            body="json",
            audited=True,
            refuses_files=True,
        ),
        WireCall(
            path="/api/Data/Put",
            method="PUT",
            action=put,
            access=Data(Action.put),
            body="json",
            audited=True,
            refuses_files=True,
        ),
        WireCall(
            path="/api/Data/Delete",
            method="DELETE",
            action=delete,
            access=Data(Action.delete),
            audited=True,
            refuses_files=True,
        ),
        WireCall(path="/api/Data/Schema", method="GET", action=schema, access=Schema(), refuses_files=True),
    ]
