"""Custom endpoints on the wire (wire-api.md section 6): ``GET /api/Custom/{name}``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from apilane.errors import ApilaneError, Code, unauthorized
from apilane.instance import Instance
from apilane.model.definition import Endpoint, RuleKind
from apilane.runtime.records import encode
from apilane.services.audit_trail import audited
from apilane.services.endpoints import action_of, find_endpoint, try_out
from apilane.storage.endpoints import ResultSets
from apilane.web.call import Call
from apilane.web.front import Route, check_content_type
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


async def try_endpoint(call: Call) -> Reply:
    """Run the text of a body for an owner and undo what it writes (query-language.md section 8.4, B-Q9)."""
    if call.actor.owner is None:
        raise unauthorized()
    check_content_type(call)
    body = await call.json()
    given = {key.lower(): value for key, value in body.items()} if isinstance(body, dict) else {}
    query = given.get("query")
    if not isinstance(query, str) or not query.strip():
        raise ApilaneError(Code.REQUIRED, property="Query")
    endpoint = Endpoint(name=call.last_part, query=query)
    return Reply(await encode_result_sets(await try_out(call.application, endpoint, call.typed_query(), call.actor)))


def custom_routes(instance: Instance) -> Mapping[str, Route]:
    """The call of all endpoints; none when no plugin knows what to do with one."""
    if not instance.hooks.endpoint_kinds:
        return {}

    async def run_endpoint(call: Call) -> Reply:
        application, actor = call.application, call.actor
        endpoint = find_endpoint(application, call.last_part)
        action = action_of(application, endpoint)
        limit = application.permit(RuleKind.CustomEndpoint, endpoint.name, actor)
        if limit is not None:
            await call.count(endpoint.name, RuleKind.CustomEndpoint.value, limit)
        parameters = call.typed_query()
        sets = await audited(
            instance.audit_trail,
            application,
            actor,
            lambda: action.run(parameters, actor),
            what=lambda: f"Custom {endpoint.name}",
            outcome=lambda done: f"result sets: {len(done)}",
        )
        return Reply(await encode_result_sets(sets))

    return {"/api/custom/": Route(GET=run_endpoint, POST=try_endpoint)}
