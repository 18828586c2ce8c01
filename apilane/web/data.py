"""The Data calls on the wire (wire-api.md section 4): from a call to a service and back to bytes."""

from __future__ import annotations

from collections.abc import Mapping

from apilane.instance import Instance
from apilane.model.definition import Action, RuleKind
from apilane.runtime.access import Access
from apilane.runtime.application import EntityRuntime
from apilane.runtime.records import encode
from apilane.services import reading, writing
from apilane.services.schema import schema_document
from apilane.web.call import INT64, Call
from apilane.web.front import Route
from apilane.web.reply import Reply

__all__ = ["data_routes"]


async def _granted(call: Call, action: Action) -> tuple[EntityRuntime, Access]:
    """The entity a call names and the caller's plan for it, the use counted; what every Data call begins with."""
    entity = call.application.entity(call.query.get("entity", ""))
    call.entity_name = entity.name
    access = call.application.access(entity, action, call.actor)
    if access.limit is not None:
        await call.count(entity.name, action, access.limit)
    return entity, access


async def get_by_id(call: Call) -> Reply:
    entity, access = await _granted(call, Action.get)
    record_id = call.integer("id", 0, INT64)
    record = await reading.get_by_id(entity, call.actor, access, record_id, call.query.get("properties"))
    return Reply(encode(record))


async def get_page(call: Call) -> Reply:
    entity, access = await _granted(call, Action.get)
    asked = call.query.get
    query = reading.PageQuery(
        page_index=call.integer("pageindex", 1),
        page_size=call.integer("pagesize", 20),
        filter=asked("filter"),
        sort=asked("sort"),
        properties=asked("properties"),
        get_total=call.boolean("gettotal"),
    )
    page = await reading.get_page(entity, call.actor, access, query)
    records = encode(page.records)
    if page.total is None:
        return Reply(b'{"Data":' + records + b"}")
    return Reply(b'{"Total":%d,"Data":' % page.total + records + b"}")


async def schema(call: Call) -> Reply:
    limit = call.application.permit(RuleKind.Schema, "Schema", call.actor)
    if limit is not None:
        await call.count("Schema", RuleKind.Schema.value, limit)
    return Reply(schema_document(call.application))


def data_routes(instance: Instance) -> Mapping[str, Route]:
    """The Data calls by path."""

    async def post(call: Call) -> Reply:
        entity, access = await _granted(call, Action.post)
        return Reply(encode(await writing.post(entity, call.actor, access, await call.json(), instance.audit_trail)))

    async def put(call: Call) -> Reply:
        entity, access = await _granted(call, Action.put)
        body, passwords, trail = await call.json(), instance.passwords, instance.audit_trail
        return Reply(b"%d" % await writing.put(entity, call.actor, access, body, passwords=passwords, trail=trail))

    async def delete(call: Call) -> Reply:
        entity, access = await _granted(call, Action.delete)
        ids, trail = call.query.get("ids"), instance.audit_trail
        return Reply(encode(await writing.delete(entity, call.actor, access, ids, trail)))

    return {
        "/api/data/get": Route(is_data=True, GET=get_page),
        "/api/data/getbyid": Route(is_data=True, GET=get_by_id),
        "/api/data/post": Route(is_data=True, takes_json=True, POST=post),
        "/api/data/put": Route(is_data=True, takes_json=True, PUT=put),
        "/api/data/delete": Route(is_data=True, DELETE=delete),
        "/api/data/schema": Route(is_data=True, GET=schema),
    }
