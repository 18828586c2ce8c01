"""Related records in one read: the ``expand`` of Data Get and GetByID
(docs/reference/protocol/wire-api.md section 4.9).

Every step of a path (``expand_paths``) is read under the caller's get rules of its entity. A step needs the right to
read the property that it follows, because its result tells the value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET, Struct

from apilane.model.definition import Direction, SortKey
from apilane.plugin.identity import Actor
from apilane.runtime.access import Reach
from apilane.runtime.application import EntityRuntime
from apilane.runtime.records import EXPANDED
from apilane.services.expand_paths import Granted, Step, references, refusal
from apilane.sql.expansion import OrderKey, Rights, select_referring, select_targets
from apilane.sql.keyset import total_order
from apilane.sql.statement import Statement

__all__ = ["EACH_MAX", "RECORDS_MAX", "Reading", "attach"]

EACH_MAX: Final = 100
"""The most records of a list."""
RECORDS_MAX: Final = 20_000
"""The most related records of one answer."""
VALUES_MAX: Final = 1024
"""References of one statement. Only lists within lists have more."""
AT_ONCE_MAX: Final = 128
"""References of a statement that is compiled on the event loop."""
_NAMES: Final = tuple(f"expand{number}" for number in range(VALUES_MAX))


class Reading(Struct):
    """The state of one expansion. ``left``: how many related records it may still read."""

    actor: Actor
    granted: Granted
    each: int
    left: int = RECORDS_MAX


async def attach(
    records: Sequence[Struct], columns: Sequence[str], shown: Sequence[str], steps: Mapping[str, Step], reading: Reading
) -> None:
    """Give the records what the steps lead to. They are expandable (``EntityRuntime.maker``).

    ``columns``: of the records; they begin with those to show, and have ``references``.
    """
    if not records:
        return
    expanded: list[dict[str, Any]] = [{} for _ in records]
    for step in steps.values():
        source = f"f{columns.index('ID' if step.is_list else step.reference)}"
        values = [getattr(record, source) for record in records]
        related = await _related(step, [value for value in dict.fromkeys(values) if value is not None], reading)
        key = step.key
        none: Any = [] if step.is_list else None
        for document, value in zip(expanded, values, strict=True):
            document[key] = related.get(value, none)
    place = columns.index(EXPANDED) if EXPANDED in columns else len(columns)  # a property of this name gives way
    name = f"f{place}"
    for record, document in zip(records, expanded, strict=True):
        setattr(record, name, document)
    for position in range(len(shown), len(columns)):
        if position != place:
            for record in records:
                setattr(record, f"f{position}", UNSET)


async def _related(step: Step, values: Sequence[Any], reading: Reading) -> dict[Any, Any]:
    """By value: the target record, or the list of records that refer to it."""
    entity, access = step.entity, reading.granted[step.entity.name]
    reach = access.reach(reading.actor)
    if reach is None or not values:
        return {}
    columns = shown = access.properties
    if step.picked is not None:
        columns = shown = entity.select(",".join(step.picked), access.properties)
    if step.steps:
        columns = tuple(dict.fromkeys((*shown, *references(step.steps))))
    keys: list[Any] = []
    rows: list[Any] = []
    for start in range(0, len(values), VALUES_MAX):
        part = list(values[start : start + VALUES_MAX])
        count = 1 << (len(part) - 1).bit_length()
        part += part[-1:] * (count - len(part))
        named = {**reach.parameters, **dict(zip(_NAMES, part, strict=False))}
        if step.is_list:
            named |= {"each": reading.each, "limit": reading.left + 1, "offset": 0}
        statement = await _statement(step, columns, count, reach)
        answer = await entity.session.fetch(statement, statement.parameters(named))
        reading.left -= len(answer)
        if reading.left < 0:
            raise refusal(
                entity, f"expand leads to more than {RECORDS_MAX} records; read smaller pages, or lower expandLimit"
            )
        if step.is_list:
            keys += [row[0] for row in answer]
            rows += [row[1:] for row in answer]
        else:
            rows += answer
    records = entity.maker(columns, expandable=bool(step.steps))(rows)
    if not step.is_list:
        at = columns.index("ID")
        keys = [row[at] for row in rows]
    if step.steps:
        await attach(records, columns, shown, step.steps, reading)
    if not step.is_list:
        return dict(zip(keys, records, strict=True))
    lists: dict[Any, list[Any]] = {}
    for key, record in zip(keys, records, strict=True):
        lists.setdefault(key, []).append(record)
    return lists


async def _statement(step: Step, columns: tuple[str, ...], count: int, reach: Reach) -> Statement:
    rights = Rights(reach.predicate, reach.masks)
    build: tuple[Any, ...] = (select_targets, columns, count, rights)
    if step.is_list:
        build = (select_referring, columns, (step.reference, count), _order(step.entity), rights)
    if count > AT_ONCE_MAX or reach.is_long:
        return await asyncio.to_thread(step.entity.statement, *build)
    return step.entity.statement(*build)


def _order(entity: EntityRuntime) -> tuple[OrderKey, ...]:
    """The default order of an entity."""

    def key(each: SortKey) -> OrderKey:
        return each.property, entity.properties[each.property.lower()], each.direction is Direction.DESC

    return tuple(map(key, total_order(entity.entity.default_order)))
