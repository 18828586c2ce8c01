"""The Stats calls on the wire (docs/reference/protocol/wire-api.md section 6)."""

from __future__ import annotations

from apilane.model.definition import Action
from apilane.model.json import encode_json
from apilane.plugin.access import Data
from apilane.plugin.calls import WireCall
from apilane.plugin.replies import Reply
from apilane.services import statistics
from apilane.web import descriptions
from apilane.web.call import Call

__all__ = ["statistics_calls"]


async def aggregate(call: Call) -> Reply:
    asked = call.query.get
    query = statistics.AggregateQuery(
        properties=asked("properties"),
        group_by=asked("groupby"),
        filter=asked("filter"),
        order_direction=asked("orderdirection"),
        page_index=call.integer("pageindex", 1),
        page_size=call.integer("pagesize", 20),
    )
    return Reply(encode_json(await statistics.aggregate(call.entity, call.actor, call.access, query)))


async def distinct(call: Call) -> Reply:
    asked = call.query.get
    values = await statistics.distinct(call.entity, call.actor, call.access, asked("property"), asked("filter"))
    return Reply(encode_json(values))


def statistics_calls() -> list[WireCall]:
    """The Stats calls; both need the right to get the entity."""
    return [
        WireCall(
            path="/api/Stats/Aggregate",
            method="GET",
            action=aggregate,
            access=Data(Action.get),
            description=descriptions.AGGREGATE,
        ),
        WireCall(
            path="/api/Stats/Distinct",
            method="GET",
            action=distinct,
            access=Data(Action.get),
            description=descriptions.DISTINCT,
        ),
    ]
