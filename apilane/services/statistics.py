"""Stats Aggregate and Distinct: figures about the records that a caller may read
(docs/reference/protocol/query-language.md sections 5 and 6).

The access plan of ``get`` applies: its properties for everything that the call names, its records and its tenant.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from apilane.errors import ApilaneError, Code
from apilane.model.statistics import is_ascending, parse_property
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import EntityRuntime
from apilane.services.record_reads import NO_FILTER, PAGE_SIZE_MAX, is_long
from apilane.sql.aggregate import AggregateShape, DistinctShape
from apilane.sql.statement import Statement, Value
from apilane.storage.errors import NumberOutOfRange
from apilane.storage.protocol import Row

__all__ = ["DISTINCT_MAX", "AggregateQuery", "aggregate", "distinct"]

DISTINCT_MAX = 10_000
"""Distinct values of one answer (B-Q13)."""
MEASURES_AT_ONCE_MAX = 16
"""Aggregates that are compiled on the event loop, which takes about 2 ms."""


class AggregateQuery(Struct, frozen=True, kw_only=True):
    """The caller's parameters of an aggregate, as sent. None or blank means absent."""

    properties: str | None = None
    group_by: str | None = None
    filter: str | None = None
    order_direction: str | None = None
    page_index: int = 1
    page_size: int = 20

    def window(self) -> tuple[int, int]:
        """``(limit, offset)``; a size below 0 or above 1000 is 1000, an index below 1 is the first page."""
        size = self.page_size if 0 <= self.page_size <= PAGE_SIZE_MAX else PAGE_SIZE_MAX
        return size, min((max(self.page_index, 1) - 1) * size, 2**63 - 1)


async def aggregate(entity: EntityRuntime, actor: Actor, access: AccessPlan, query: AggregateQuery) -> Sequence[Struct]:
    """One page of the groups, or without ``group_by`` the one object on the first page."""
    statistics = entity.compiled.statistics
    measures = statistics.measures(query.properties, access.readable)
    groups = statistics.groups(query.group_by, access.readable) if query.group_by else ()
    make = statistics.maker(measures, groups)
    shape, bound = entity.filter(query.filter, access.readable) if query.filter else NO_FILTER
    limit, offset = query.window()
    if limit == 0 or (offset and not groups):
        return ()
    reach = access.reach(actor)
    if reach is None:  # nothing to count, to add up or to group
        return () if groups else make([tuple(0 if each.function == "count" else None for each in measures)])
    whole = AggregateShape(measures, groups, reach.predicate, shape, is_ascending(query.order_direction))
    is_slow = reach.is_long or len(measures) > MEASURES_AT_ONCE_MAX or is_long(shape, len(bound))
    statement = await statistics.aggregates.beside(whole) if is_slow else statistics.aggregates(whole)
    values = {**reach.parameters, **bound, "limit": limit, "offset": offset}
    return make(await _fetch(entity, statement, values))


async def _fetch(entity: EntityRuntime, statement: Statement, values: dict[str, Value]) -> Sequence[Row]:
    try:
        return await entity.session.fetch(statement, statement.parameters(values))
    except NumberOutOfRange as error:
        message = "Error on AggregateProperties: a sum has more digits than the database can hold; narrow the filter"
        raise ApilaneError(Code.ERROR, message, entity=entity.name) from error


async def distinct(
    entity: EntityRuntime, actor: Actor, access: AccessPlan, property: str | None, filter: str | None
) -> Sequence[Struct]:
    """The distinct values of a property in order, null first; the first ``DISTINCT_MAX`` of them."""
    name = parse_property(property, entity.entity, access.readable)
    shape, bound = entity.filter(filter, access.readable) if filter else NO_FILTER
    reach = access.reach(actor)
    if reach is None:
        return ()
    statistics, whole = entity.compiled.statistics, DistinctShape(name, reach.predicate, shape)
    is_slow = reach.is_long or is_long(shape, len(bound))
    statement = await statistics.distinct.beside(whole) if is_slow else statistics.distinct(whole)
    values = {**reach.parameters, **bound, "limit": DISTINCT_MAX, "offset": 0}
    return statistics.value_maker(name)(await entity.session.fetch(statement, statement.parameters(values)))
