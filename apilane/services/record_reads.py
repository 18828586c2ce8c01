"""Data Get and GetByID: the records that a caller may read (docs/reference/protocol/wire-api.md sections 4.1 and 4.2).

As in all services, ``ApilaneError`` is an error of the caller, and ``StorageError`` is not caught here:
``apilane.web`` turns it into an answer (``apilane.services.failures``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, cast

from msgspec import Struct

from apilane.errors import ApilaneError, Code
from apilane.model.definition import SortKey
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import EntityRuntime
from apilane.runtime.compiled import BoundFilter
from apilane.services.cursors import read_on
from apilane.sql.filter import FilterShape, LeafShape
from apilane.sql.select import ReadShape
from apilane.sql.statement import Statement, Value
from apilane.sql.write import padded, select_any, select_flags
from apilane.storage.protocol import Row

__all__ = [
    "NO_FILTER",
    "PAGE_SIZE_MAX",
    "Page",
    "PageQuery",
    "find",
    "get_by_id",
    "get_page",
    "is_long",
    "reading",
    "stream",
    "visible_properties",
]

PAGE_SIZE_MAX = 1000
CONDITIONS_AT_ONCE_MAX = 16
VALUES_AT_ONCE_MAX = 128
"""Limits of a filter that is compiled on the event loop, which takes about 2 ms; 500 conditions take 0.1 s."""


class PageQuery(Struct, frozen=True, kw_only=True):
    """The caller's parameters of a list, as sent. None or blank means absent."""

    page_index: int = 1
    page_size: int = 20
    filter: str | None = None
    sort: str | None = None
    properties: str | None = None
    get_total: bool = False
    default_order: bool = True
    """Whether a blank ``sort`` means the default order of the entity; otherwise ``ID``."""
    cursor: bool = False
    """Whether the page gets the cursor of the next one."""
    after: str | None = None
    """The cursor to read on from; the index of the page does not count then."""
    also: tuple[str, ...] = ()
    """Properties that the records get in addition to the requested ones, so that they can be expanded."""

    def window(self) -> tuple[int, int]:
        """``(limit, offset)``; a size outside 1..1000 is 1000 (B-W4), an index below 1 is the first page.

        An offset beyond 63 bits is cut to the largest one, which is beyond the end too.
        """
        size = self.page_size if 0 < self.page_size <= PAGE_SIZE_MAX else PAGE_SIZE_MAX
        return size, min((max(self.page_index, 1) - 1) * size, 2**63 - 1)


class Page(Struct, frozen=True):
    """Records ready to encode; ``total`` is set only on request."""

    records: Sequence[Struct]
    total: int | None
    next: str | None = None
    """The cursor of the next page; None after the last one, and without cursors."""


async def get_by_id(
    entity: EntityRuntime,
    actor: Actor,
    access: AccessPlan,
    record_id: int,
    properties: str | None,
    *,
    also: tuple[str, ...] = (),
) -> Struct:
    """The record with that ID. Raises NOT_FOUND when it does not exist or the caller may not read it.

    ``also``: as in ``PageQuery``.
    """
    columns = access.properties if not properties else entity.select(properties, access.properties)
    if also:
        columns = tuple(dict.fromkeys((*columns, *also)))
    reach = access.reach(actor)
    if reach is None:
        raise ApilaneError(Code.NOT_FOUND, "Record not found")
    if reach.is_long:
        statement, make = await asyncio.to_thread(entity.by_id, columns, reach.predicate, reach.masks)
    else:
        statement, make = entity.by_id(columns, reach.predicate, reach.masks)
    values = {"id": record_id, **reach.parameters} if reach.parameters else {"id": record_id}
    rows = await entity.session.fetch(statement, statement.parameters(values))
    if not rows:
        raise ApilaneError(Code.NOT_FOUND, "Record not found")
    return (entity.maker(columns, expandable=True) if also else make)(rows)[0]


async def visible_properties(entity: EntityRuntime, actor: Actor, access: AccessPlan, record_id: int) -> frozenset[str]:
    """The properties of one record that the caller may read. Raises NOT_FOUND as ``get_by_id`` does."""
    await get_by_id(entity, actor, access, record_id, "ID")
    reach = access.reach(actor)
    if reach is None or not reach.masks:
        return frozenset(access.properties)
    shapes = tuple(each.where for each in reach.alternatives)
    statement = entity.statement(select_flags, shapes, 1, False)
    rows = await entity.session.fetch(statement, statement.parameters({"id0": record_id, **reach.parameters}))
    if not rows:
        raise ApilaneError(Code.NOT_FOUND, "Record not found")
    met = [each.names for each, flag in zip(reach.alternatives, rows[0][1:], strict=True) if flag]
    return frozenset({"ID"}.union(*met))


def is_long(shape: FilterShape | None, values: int) -> bool:
    """Whether a filter with that many values takes too long to compile on the event loop."""
    return values > VALUES_AT_ONCE_MAX or (shape is not None and _conditions(shape) > CONDITIONS_AT_ONCE_MAX)


def _conditions(shape: FilterShape) -> int:
    """The number of conditions; a list of numbers is one."""
    return 1 if isinstance(shape, LeafShape) else sum(map(_conditions, shape.items))


NO_FILTER: BoundFilter = (None, {})


async def get_page(entity: EntityRuntime, actor: Actor, access: AccessPlan, query: PageQuery) -> Page:
    """One page of the matching records, in a stable order, with the total on request."""
    shape, bound = entity.filter(query.filter, access.readable) if query.filter else NO_FILTER
    order = entity.sort(query.sort, access.readable)
    if order is None:  # the default order is not checked against access rules (B-D9)
        order = entity.entity.default_order if query.default_order else ()
    columns = access.properties if not query.properties else entity.select(query.properties, access.properties)
    if query.also:
        columns = tuple(dict.fromkeys((*columns, *query.also)))
    reach = access.reach(actor)
    if reach is None:
        return Page((), 0 if query.get_total else None)
    values = {**reach.parameters, **bound}
    read = ReadShape(columns, reach.predicate, shape, order, True, masks=reach.masks)
    is_slow = reach.is_long or (len(bound) > CONDITIONS_AT_ONCE_MAX and is_long(shape, len(bound)))
    total = None
    if query.get_total:
        counted = reach.predicate, shape
        count = await entity.count.beside(*counted) if is_slow else entity.count(*counted)
        total = (await entity.session.fetch(count, count.parameters(values)))[0][0]
    values["limit"], values["offset"] = query.window()
    make = entity.maker(columns, expandable=True) if query.also else entity.maker(columns)
    if query.cursor or query.after:
        rows, following = await read_on(entity, read, values, query.after, is_slow=is_slow)
        return Page(make(rows), total, following)
    statement = await entity.read.beside(read) if is_slow else entity.read(read)
    rows = await entity.session.fetch(statement, statement.parameters(values))
    return Page(make(rows), total)


async def reading(
    entity: EntityRuntime, actor: Actor, access: AccessPlan, query: PageQuery
) -> AsyncIterator[Sequence[Struct]]:
    """All matching records in batches, after the query was checked; the page of the query does not count."""
    shape, bound = entity.filter(query.filter, access.readable) if query.filter else NO_FILTER
    order = entity.sort(query.sort, access.readable)
    columns = access.properties if not query.properties else entity.select(query.properties, access.properties)
    reach = access.reach(actor)
    if order is None:
        order = entity.entity.default_order if query.default_order else (SortKey("ID"),)
    if reach is None:
        return _none()
    read = ReadShape(columns, reach.predicate, shape, order, False, masks=reach.masks)
    statement = await entity.read.beside(read)
    return _made(entity, columns, statement, statement.parameters({**reach.parameters, **bound}))


async def _none() -> AsyncIterator[Sequence[Struct]]:
    empty: Sequence[Sequence[Struct]] = ()
    for records in empty:
        yield records


async def _made(
    entity: EntityRuntime, columns: tuple[str, ...], statement: Statement, values: Sequence[Value]
) -> AsyncIterator[Sequence[Struct]]:
    make = entity.maker(columns)
    async with aclosing(cast("Any", entity.session.stream(statement, values))) as batches:
        async for rows in batches:
            yield make(rows)


async def stream(
    entity: EntityRuntime, actor: Actor, access: AccessPlan, query: PageQuery
) -> AsyncIterator[Sequence[Struct]]:
    """All matching records in batches; the page of the query does not count."""
    async for records in await reading(entity, actor, access, query):
        yield records


async def find(
    entity: EntityRuntime,
    actor: Actor,
    access: AccessPlan,
    where: tuple[str, Sequence[Value]],
    columns: tuple[str, ...],
) -> list[Row]:
    """Stored values of ``columns`` of the records that the caller can access and that have one of some values in a
    property. ``where``: the property and the values."""
    property, values = where
    reach = access.reach(actor)
    found: list[Row] = []
    if reach is None:
        return found
    for part in padded(values):
        select = entity.statement(select_any, columns, (property, len(part)), reach.predicate)
        named = {f"value{position}": value for position, value in enumerate(part)}
        found += await entity.session.fetch(select, select.parameters({**named, **reach.parameters}))
    return found
