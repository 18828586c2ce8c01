"""Data/Export: all matching records as CSV or JSON lines, made while they are sent
(docs/reference/protocol/wire-api.md section 4.10).

The caller's rules apply as to Data/Get. Only one batch of records is in memory.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any, Final, Literal, cast

import msgspec
from msgspec.structs import replace

from apilane.model.definition import Property, PropertyType
from apilane.model.formats import JSON
from apilane.model.json import encode_json
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import EntityRuntime
from apilane.services.record_reads import PageQuery, get_page, reading

__all__ = ["FORMATS", "BulkFormat", "count_matching", "exported_records"]

BulkFormat = Literal["csv", "jsonl"]
FORMATS: Final = ("csv", "jsonl")

_encode_lines = msgspec.json.Encoder(decimal_format="number").encode_lines
_needs_quotes = re.compile(r'[",\r\n]').search
_is_formula = re.compile(r"[=+\-@\t\r]").match


async def count_matching(entity: EntityRuntime, actor: Actor, access: AccessPlan, query: PageQuery) -> int:
    """The number of records that an export would have."""
    page = await get_page(
        entity, actor, access, replace(query, get_total=True, page_size=1, properties="ID", sort=None)
    )
    return page.total or 0


async def exported_records(
    entity: EntityRuntime,
    actor: Actor,
    access: AccessPlan,
    query: PageQuery,
    format: BulkFormat,
    *,
    safe: bool = False,
) -> AsyncIterator[bytes]:
    """The chunks of an export. The first batch is read before this returns, so failures can still be answered.

    ``safe``: texts that a spreadsheet would read as formulas get an apostrophe in front of them (CSV).
    """
    columns = entity.select(query.properties, access.properties) if query.properties else access.properties
    batches = await reading(entity, actor, access, query)
    first = await anext(batches, None)

    async def records() -> AsyncIterator[Sequence[Any]]:
        if first is not None:
            yield first
        async with aclosing(cast("Any", batches)) as rest:
            async for batch in rest:
                yield batch

    return _json_lines(records()) if format == "jsonl" else _csv(records(), entity, columns, safe=safe)


async def _json_lines(batches: AsyncIterator[Sequence[Any]]) -> AsyncIterator[bytes]:
    async with aclosing(cast("Any", batches)) as found:
        async for records in found:
            yield _encode_lines(records)


async def _csv(
    batches: AsyncIterator[Sequence[Any]], entity: EntityRuntime, columns: Sequence[str], *, safe: bool
) -> AsyncIterator[bytes]:
    texts = [_texts_of(entity.properties[name.lower()], safe=safe) for name in columns]
    yield ",".join(columns).encode() + b"\r\n"
    async with aclosing(cast("Any", batches)) as found:
        async for records in found:
            if not records:
                continue
            by_column = zip(*map(msgspec.structs.astuple, records), strict=True)
            cells = [make(values) for make, values in zip(texts, by_column, strict=True)]
            yield "".join([",".join(row) + "\r\n" for row in zip(*cells, strict=True)]).encode("utf-8", "replace")


def _texts_of(property: Property, *, safe: bool) -> Callable[[Sequence[Any]], list[str]]:
    """A function from the values of a column to its cells. An empty cell is null; ``""`` is the empty text."""
    if property.format == JSON:
        return lambda values: ["" if v is None else _quoted(_json_text(v)) for v in values]
    if property.type is PropertyType.Boolean:
        return lambda values: ["" if v is None else "true" if v else "false" for v in values]
    if property.type is PropertyType.String:
        return _safe_texts if safe else _texts
    return _numbers


def _texts(values: Sequence[Any]) -> list[str]:
    """Most columns have no text that needs quotes: one look at all of them takes a tenth of the time of each."""
    try:
        if "" not in values and not _needs_quotes("\0".join(values)):
            return list(values)
    except TypeError:  # nulls among them
        pass
    return ["" if v is None else _quoted(v) if not v or _needs_quotes(v) else v for v in map(_text, values)]


def _safe_texts(values: Sequence[Any]) -> list[str]:
    return _texts([f"'{v}" if v is not None and _is_formula(v) else v for v in map(_text, values)])


def _text(value: Any) -> str | None:
    return value if value is None or type(value) is str else str(value)


def _numbers(values: Sequence[Any]) -> list[str]:
    kinds = {*map(type, values)}
    if kinds <= {int, float}:
        return list(map(repr, values))
    return ["" if v is None else format(v, "f") if type(v) is Decimal else repr(v) for v in values]


def _json_text(value: Any) -> str:
    """The value of a Json property; a text that was stored before the format is no JSON."""
    return bytes(value).decode() if type(value) is msgspec.Raw else encode_json(value).decode()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
