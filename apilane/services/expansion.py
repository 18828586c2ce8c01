"""Related records in one read: the ``expand`` of Data Get and GetByID
(docs/reference/protocol/wire-api.md section 4.9).

A path has steps. A step follows a foreign key (``CustomerID``), or lists the records that point here
(``Orders(CustomerID)``). Paths with the same beginning share it. Every step is read under the caller's get rules of its
entity. A step needs the right to read the property that it follows, because its result tells the value.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import astuple

from apilane.errors import DEFAULT_MESSAGES, ApilaneError, Code
from apilane.model.definition import Direction, ForeignKey, SortKey
from apilane.model.hints import choice
from apilane.model.hints import shown as quoted
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan, Reach
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.runtime.records import RecordMaker, row_maker
from apilane.sql.expansion import OrderKey, Rights, select_referring, select_targets
from apilane.sql.keyset import total_order
from apilane.sql.statement import Statement

__all__ = [
    "DEPTH_MAX",
    "EACH_MAX",
    "PATHS_MAX",
    "RECORDS_MAX",
    "Granted",
    "Step",
    "attach",
    "check",
    "entities_of",
    "parse_expand",
    "references",
]

PATHS_MAX: Final = 5
DEPTH_MAX: Final = 3
EXPANDED: Final = "Expanded"
EACH_MAX: Final = 100
"""The most records of a list."""
RECORDS_MAX: Final = 20_000
"""The most related records of one answer."""
VALUES_MAX: Final = 1024
"""References of one statement. Only lists within lists have more."""
AT_ONCE_MAX: Final = 128
"""References of a statement that is compiled on the event loop."""
_NAMES: Final = tuple(f"expand{number}" for number in range(VALUES_MAX))

Granted = Mapping[str, AccessPlan]
"""The caller's access plans by entity name."""

_list_step = re.compile(r"\s*([A-Za-z_]+)\s*\(\s*([A-Za-z_]+)\s*\)\s*").fullmatch


class Step(Struct, kw_only=True):
    """One step of a path, with the steps that follow it."""

    key: str
    """Its name in answers."""
    entity: EntityRuntime
    """The entity of the related records."""
    reference: str
    """The property that is followed: of the records that have it, or of the listed ones (``is_list``)."""
    is_list: bool
    steps: dict[str, Step] = field(default_factory=dict)
    picked: list[str] | None = None
    """Requested properties; None: all that the caller may read."""


def parse_expand(text: str, properties: str | None, entity: EntityRuntime) -> dict[str, Step]:
    """The first steps by key. ``properties``: the parameter ``expandProperties``. Raises ERROR."""
    paths = [path for path in text.split(",") if path.strip()]
    if len(paths) > PATHS_MAX:
        raise _refusal(entity, f"expand takes at most {PATHS_MAX} paths, found {len(paths)}")
    steps: dict[str, Step] = {}
    known: dict[str, Step] = {}
    for path in paths:
        parts = path.split(".")
        if len(parts) > DEPTH_MAX:
            raise _refusal(entity, f"a path of expand has at most {DEPTH_MAX} steps, found {len(parts)}")
        at, here, keys = steps, entity, []
        for part in parts:
            made = _step(part, here)
            step = at.setdefault(made.key, made)
            keys.append(step.key)
            known[".".join(keys).lower()] = step
            at, here = step.steps, step.entity
    if properties and properties.strip():
        _pick(properties, known, entity)
    return steps


def _step(part: str, entity: EntityRuntime) -> Step:
    application = entity.application
    listed = _list_step(part)
    if listed is not None:
        other = application.entities[name] if (name := listed[1].lower()) in _names(application) else None
        for key in _keys(other):
            if key.property.lower() == listed[2].lower() and key.entity == entity.name:
                assert other is not None  # noqa: S101 - it has the key
                return Step(key=f"{other.name}({key.property})", entity=other, reference=key.property, is_list=True)
        detail = f"no foreign key {quoted(listed[2])} of {quoted(listed[1])} points to {entity.name}"
        raise _refusal(entity, f"unknown path {quoted(part.strip())} in expand: {detail}")
    wanted = part.strip().lower()
    for key in _keys(entity):
        if key.property.lower() == wanted:
            target = application.entities[key.entity.lower()]
            return Step(key=key.property, entity=target, reference=key.property, is_list=False)
    possible = choice(part.strip(), [key.property for key in _keys(entity) if not key.is_system])
    detail = f"it is not a foreign key of {entity.name}{possible}"
    raise _refusal(entity, f"unknown path {quoted(part.strip())} in expand: {detail}")


def _names(application: ApplicationRuntime) -> set[str]:
    return {each.name.lower() for each in application.definition.entities}


def _keys(entity: EntityRuntime | None) -> list[ForeignKey]:
    return [] if entity is None else [each for each in entity.entity.constraints if isinstance(each, ForeignKey)]


def _pick(text: str, known: Mapping[str, Step], entity: EntityRuntime) -> None:
    """Read ``Path:Name,Name,Path:Name``; a ``;`` separates too."""
    step: Step | None = None
    for item in re.split("[,;]", text):
        path, colon, name = item.rpartition(":")
        if colon:
            step = known.get("".join(path.lower().split()))
            if step is None:
                raise _refusal(entity, f"unknown path {quoted(path.strip())} in expandProperties{choice(path, known)}")
            step.picked = step.picked or []
        if step is None or step.picked is None:
            raise _refusal(entity, f"expandProperties is Path:Name,Name; found {quoted(text)}")
        step.picked.append(name.strip())


def entities_of(steps: Iterable[Step]) -> list[EntityRuntime]:
    """The entities of all steps, each once."""
    found: dict[str, EntityRuntime] = {}
    for step in steps:
        found[step.entity.name] = step.entity
        found |= {each.name: each for each in entities_of(step.steps.values())}
    return list(found.values())


def check(steps: Mapping[str, Step], entity: EntityRuntime, access: AccessPlan, granted: Granted) -> None:
    """Raise ERROR when the caller may not read a property that is followed."""
    for step in steps.values():
        plan = granted[step.entity.name]
        holder, rights = (step.entity, plan) if step.is_list else (entity, access)
        if step.reference.lower() not in rights.readable:
            raise _refusal(holder, f"Property '{step.reference}' is not allowed in expand")
        if step.steps:
            check(step.steps, step.entity, plan, granted)


def references(steps: Mapping[str, Step]) -> tuple[str, ...]:
    """The properties that records must have so that the steps can be followed."""
    return tuple(dict.fromkeys([*(step.reference for step in steps.values() if not step.is_list), "ID"]))


class Reading(Struct):
    """The state of one expansion. ``left``: how many related records it may still read."""

    actor: Actor
    granted: Granted
    each: int
    left: int = RECORDS_MAX


async def attach(
    records: Sequence[Struct], columns: Sequence[str], shown: Sequence[str], steps: Mapping[str, Step], reading: Reading
) -> Sequence[Any]:
    """Records with what the steps lead to, ready to encode. ``columns``: of the records; they begin with those to show,
    and have ``references``.
    """
    if not records:
        return []
    expanded: list[dict[str, Any]] = []
    for step in steps.values():
        source = f"f{columns.index('ID' if step.is_list else step.reference)}"
        values = [getattr(record, source) for record in records]
        related = await _related(step, [value for value in dict.fromkeys(values) if value is not None], reading)
        key = step.key
        none: Any = [] if step.is_list else None
        if expanded:
            for document, value in zip(expanded, values, strict=True):
                document[key] = related.get(value, none)
        else:
            expanded = [{key: related.get(value, none)} for value in values]
    width = len(shown)
    if width == len(columns):
        rows = [(*astuple(record), document) for record, document in zip(records, expanded, strict=True)]
    else:
        rows = [(*astuple(record)[:width], document) for record, document in zip(records, expanded, strict=True)]
    if EXPANDED in shown:  # a property of this name gives way
        return [dict(zip((*shown, EXPANDED), row, strict=True)) for row in rows]
    return _maker(tuple(shown))(rows)


@lru_cache(256)
def _maker(shown: tuple[str, ...]) -> RecordMaker:
    """Makes records with these properties and ``Expanded``. One encoded Struct takes half the time of a dictionary."""
    return row_maker("ExpandedRecord", (*shown, EXPANDED), [None] * (len(shown) + 1))


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
            raise _refusal(
                entity, f"expand leads to more than {RECORDS_MAX} records; read smaller pages, or lower expandLimit"
            )
        if step.is_list:
            keys += [row[0] for row in answer]
            rows += [row[1:] for row in answer]
        else:
            rows += answer
    records = entity.maker(columns)(rows)
    if not step.is_list:
        at = columns.index("ID")
        keys = [row[at] for row in rows]
    made = await attach(records, columns, shown, step.steps, reading) if step.steps else records
    if not step.is_list:
        return dict(zip(keys, made, strict=True))
    lists: dict[Any, list[Any]] = {}
    for key, record in zip(keys, made, strict=True):
        lists.setdefault(key, []).append(record)
    return lists


async def _statement(step: Step, columns: tuple[str, ...], count: int, reach: Reach) -> Statement:
    rights = Rights(reach.predicate, reach.masks)
    build: tuple[Any, ...] = (select_targets, columns, count, rights)
    if step.is_list:
        build = (select_referring, columns, (step.reference, count), _order(step.entity), rights)
    if count > AT_ONCE_MAX:
        return await asyncio.to_thread(step.entity.statement, *build)
    return step.entity.statement(*build)


def _order(entity: EntityRuntime) -> tuple[OrderKey, ...]:
    """The default order of an entity."""

    def key(each: SortKey) -> OrderKey:
        return each.property, entity.properties[each.property.lower()], each.direction is Direction.DESC

    return tuple(map(key, total_order(entity.entity.default_order)))


def _refusal(entity: EntityRuntime, detail: str) -> ApilaneError:
    return ApilaneError(Code.ERROR, f"{DEFAULT_MESSAGES[Code.ERROR]}: {detail}", entity=entity.name)
