"""The Custom calls (docs/reference/protocol/wire-api.md section 6): ``GET /api/Custom/{name}``, and ``POST`` for long
parameters and for operators, who try a query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from apilane.plugin import (
    Actor,
    ApilaneError,
    ApplicationView,
    CallDescription,
    CallView,
    Code,
    CustomEndpoint,
    Endpoint,
    JsonResult,
    Parameter,
    Reply,
    ResultSets,
    WireCall,
    Write,
    encode_json,
    json_text,
    kind_of,
    list_of,
)

__all__ = ["custom_calls", "try_out"]

ROWS_AT_ONCE = 500
"""Rows encoded before the event loop serves other requests: about 1 ms."""
ID_DIGITS_MAX = 18


async def encode_result_sets(sets: ResultSets, endpoint: Endpoint) -> bytes:
    """An array of arrays of rows as JSON; other requests are served in between.

    Raises TypeError when the endpoint's kind returned another shape.
    """
    if not _is_list(sets):
        raise _wrong(endpoint, sets, "a list of result sets")
    if len(sets) == 1 and type(sets[0]) is list and len(sets[0]) <= ROWS_AT_ONCE and {*map(type, sets[0])} <= {dict}:
        return encode_json(sets)  # nearly every answer; the way below takes 3 us more
    encoded = []
    for rows in sets:
        if not _is_list(rows):
            raise _wrong(endpoint, rows, "a list of rows as a result set")
        parts = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            some = rows[start : start + ROWS_AT_ONCE]
            if {*map(type, some)} != {dict}:
                some = [_row(endpoint, row) for row in some]
            parts.append(encode_json(some)[1:-1])
        encoded.append(b"[" + b",".join(parts) + b"]")
    return b"[" + b",".join(encoded) + b"]"


def _is_list(value: object) -> bool:
    return type(value) is list or (isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray))


def _row(endpoint: Endpoint, row: object) -> Mapping[str, object]:
    if not isinstance(row, Mapping):
        raise _wrong(endpoint, row, "a mapping of column names to values as a row")
    return dict(row)


def _wrong(endpoint: Endpoint, given: object, expected: str) -> TypeError:
    found = type(given).__name__
    return TypeError(f"the kind {endpoint.kind!r} of endpoint {endpoint.name} returned {found}, not {expected}")


async def run_endpoint(call: CallView) -> Write[tuple[int, bytes]] | Reply:
    """Run the endpoint that admission found. An endpoint of any kind may write, so operators' calls are audited."""
    parameters = call.typed_query()
    if call.actor.kind != "operator":
        return Reply((await _results(call, parameters))[1])
    return Write(
        run=lambda: _results(call, parameters),
        what=lambda: f"Custom {call.endpoint[0].name}",
        outcome=lambda done: f"result sets: {done[0]}",
        reply=lambda done: Reply(done[1]),
    )


async def post_endpoint(call: CallView) -> Reply:
    """Run the endpoint with the parameters of the body. For an operator, try the query of the body."""
    if call.actor.kind == "operator":
        return await try_query(call)
    return Reply((await _results(call, _posted(await call.json(), call.endpoint[0].name)))[1])


async def _results(call: CallView, parameters: Mapping[str, str]) -> tuple[int, bytes]:
    """The number of result sets, and their JSON."""
    endpoint, action = call.endpoint
    sets = await action.run(parameters, call.actor)
    if isinstance(sets, JsonResult):
        return 1, encode_json(sets.value)
    return len(sets), await encode_result_sets(sets, endpoint)


def _posted(body: object | None, endpoint: str) -> dict[str, str]:
    """The parameters of a body as text, as in a query string. Null counts as absent."""
    if body is None:
        raise ApilaneError(Code.EMPTY_BODY, entity=endpoint)
    if not isinstance(body, dict):
        found = f"The body must be a JSON object of parameters, and is {kind_of(body)}"
        raise ApilaneError(Code.ERROR, found, entity=endpoint)
    texts = {name: value if isinstance(value, str) else json_text(value) for name, value in body.items()}
    return {name: text for name, text in texts.items() if body[name] is not None}


async def try_query(call: CallView) -> Reply:
    """Run a body's query and roll back its writes (docs/reference/protocol/query-language.md section 8.4, B-Q9)."""
    body = await call.json()
    if body is not None and not isinstance(body, dict):
        expected = 'send a JSON object such as {"Query": "SELECT 1"}'
        raise ApilaneError(Code.REQUIRED, f"Required: {expected}; the body is {kind_of(body)}", property="Query")
    given = {key.lower(): value for key, value in body.items()} if isinstance(body, dict) else {}
    query = given.get("query")
    if not isinstance(query, str) or not query.strip():
        raise ApilaneError(Code.REQUIRED, property="Query")
    endpoint = Endpoint(name=call.last_part, query=query)
    sets = await try_out(call.application, endpoint, call.typed_query(), call.actor)
    return Reply(encode_json(sets.value) if isinstance(sets, JsonResult) else await encode_result_sets(sets, endpoint))


async def try_out(
    application: ApplicationView, endpoint: Endpoint, parameters: Mapping[str, str], operator: Actor
) -> ResultSets | JsonResult:
    """Run the query of an endpoint for an operator and roll back its writes.

    ``{Owner}`` takes the value of the parameter ``Owner``. Raises NOT_FOUND with HTTP status 404 for a kind without a
    plugin.
    """
    kind = application.endpoint_kinds.get(endpoint.kind.lower())
    if kind is None:
        raise ApilaneError(Code.NOT_FOUND, status=404)
    text = parameters.get("Owner", "").strip()
    is_id = text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS_MAX
    actor = replace(operator, user_id=int(text) if is_id else None)
    return await kind.compile(endpoint, application).run(parameters, actor, keep=False)


TRY = CallDescription(
    summary="Try a query; its writes are rolled back",
    parameters=(Parameter(name="Owner", type=int, text="The value of {Owner}; other parameters have their names."),),
    body={"type": "object", "required": ["Query"], "properties": {"Query": {"type": "string"}}},
    answer=list_of(list_of({"type": "object"})),
    example={"Query": "SELECT 1"},
    codes=(Code.REQUIRED, Code.NOT_FOUND),
)
"""The call of an operator. For other callers the document has an operation for each endpoint that allows POST."""


def custom_calls() -> list[WireCall]:
    """Both calls. ``POST`` is not audited, because an operator's writes are rolled back."""
    path = "/api/Custom/"
    run = CallDescription(summary="Run an endpoint", codes=(Code.NOT_FOUND, Code.VALIDATION))
    return [
        WireCall(path=path, method="GET", action=run_endpoint, access=CustomEndpoint(), audited=True, description=run),
        WireCall(
            path=path,
            method="POST",
            action=post_endpoint,
            access=CustomEndpoint(posted=True),
            body="json",
            audited=False,
            description=TRY,
        ),
    ]
