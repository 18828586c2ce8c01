"""Custom endpoints on the wire (wire-api.md section 6): ``GET /api/Custom/{name}``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from apilane.model.definition import RuleKind
from apilane.runtime.instance import Instance
from apilane.runtime.records import encode
from apilane.services.endpoints import action_of, find_endpoint
from apilane.storage.endpoints import ResultSets
from apilane.web.call import Call
from apilane.web.front import Route
from apilane.web.reply import Reply

__all__ = ["custom_routes", "encode_result_sets"]

ROWS_AT_ONCE = 500
"""Rows encoded before others get their turn on the event loop: about 1 ms."""


async def encode_result_sets(sets: ResultSets) -> bytes:
    """An array of arrays of rows as JSON; however long, it holds up nobody else."""
    encoded = []
    for rows in sets:
        parts = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            parts.append(encode(rows[start : start + ROWS_AT_ONCE])[1:-1])
        encoded.append(b"[" + b",".join(parts) + b"]")
    return b"[" + b",".join(encoded) + b"]"


async def run_endpoint(call: Call) -> Reply:
    application, actor = call.application, call.actor
    endpoint = find_endpoint(application, call.last_part)
    action = action_of(application, endpoint)
    limit = None if actor.owner is not None else application.permit(RuleKind.CustomEndpoint, endpoint.name, actor)
    if limit is not None:
        await call.count(endpoint.name, RuleKind.CustomEndpoint.value, limit)
    return Reply(await encode_result_sets(await action.run(call.typed_query(), actor)))


def custom_routes(instance: Instance) -> Mapping[str, Route]:
    """The call of all endpoints; none when no plugin knows what to do with one."""
    if not instance.hooks.endpoint_kinds:
        return {}
    return {"/api/custom/": Route(GET=run_endpoint)}
