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
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import fields

from apilane.errors import DEFAULT_MESSAGES, ApilaneError, Code
from apilane.model.definition import Direction, ForeignKey, SortKey
from apilane.model.hints import choice, shown
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.sql.expansion import OrderKey, select_referring, select_targets
from apilane.sql.keyset import total_order
from apilane.sql.statement import Statement

__all__ = ["DEPTH_MAX", "EACH_MAX", "PATHS_MAX", "RECORDS_MAX", "Granted", "Step", "attach", "parse_expand", "settle"]

PATHS_MAX: Final = 5
DEPTH_MAX: Final = 3
EACH_MAX: Final = 100
"""The most records of a list."""
RECORDS_MAX: Final = 20_000
"""The most related records of one answer."""
VALUES_MAX: Final = 1024
"""References of one statement. Only lists within lists have more."""
AT_ONCE_MAX: Final = 128
"""References of a statement that is compiled on the event loop."""
EXPANDED: Final = "Expanded"

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
    """Requested properties; None: all."""
    columns: tuple[str, ...] = ()
    """Properties in answers; set by ``settle``."""


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
        detail = f"no foreign key {shown(listed[2])} of {shown(listed[1])} points to {entity.name}"
        raise _refusal(entity, f"unknown path {shown(part.strip())} in expand: {detail}")
    wanted = part.strip().lower()
    for key in _keys(entity):
        if key.property.lower() == wanted:
            target = application.entities[key.entity.lower()]
            return Step(key=key.property, entity=target, reference=key.property, is_list=False)
    possible = choice(part.strip(), [key.property for key in _keys(entity) if not key.is_system])
    detail = f"it is not a foreign key of {entity.name}{possible}"
    raise _refusal(entity, f"unknown path {shown(part.strip())} in expand: {detail}")


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
                raise _refusal(entity, f"unknown path {shown(path.strip())} in expandProperties{choice(path, known)}")
            step.picked = step.picked or []
        if step is None or step.picked is None:
            raise _refusal(entity, f"expandProperties is Path:Name,Name; found {shown(text)}")
        step.picked.append(name.strip())


def entities_of(steps: Iterable[Step]) -> list[EntityRuntime]:
    """The entities of all steps, each once."""
    found: dict[str, EntityRuntime] = {}
    for step in steps:
        found[step.entity.name] = step.entity
        found |= {each.name: each for each in entities_of(step.steps.values())}
    return list(found.values())


def settle(steps: Mapping[str, Step], entity: EntityRuntime, access: AccessPlan, granted: Granted) -> None:
    """Choose the properties of every step. Raises ERROR when the caller may not read a property that is followed."""
    for step in steps.values():
        plan = granted[step.entity.name]
        holder, rights = (step.entity, plan) if step.is_list else (entity, access)
        if step.reference.lower() not in rights.readable:
            raise _refusal(holder, f"Property '{step.reference}' is not allowed in expand")
        names = plan.properties if step.picked is None else step.entity.select(",".join(step.picked), plan.properties)
        step.columns = names
        settle(step.steps, step.entity, plan, granted)


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
    records: Sequence[Struct], columns: Sequence[str], steps: Mapping[str, Step], reading: Reading
) -> list[Any]:
    """Records with ``columns`` and what the steps lead to, ready to encode. ``records`` have ``references`` too."""
    if not records:
        return []
    names = {each.encode_name: each.name for each in fields(type(records[0]))}
    found: list[tuple[Step, str, Mapping[Any, Any]]] = []
    for step in steps.values():
        source = names["ID" if step.is_list else step.reference]
        values = dict.fromkeys(value for record in records if (value := getattr(record, source)) is not None)
        found.append((step, source, await _related(step, list(values), reading)))
    fitting = [(name, names[name]) for name in columns if name in names]
    made = []
    for record in records:
        document = {name: getattr(record, attribute) for name, attribute in fitting}
        document[EXPANDED] = {
            step.key: related.get(getattr(record, source), [] if step.is_list else None)
            for step, source, related in found
        }
        made.append(document)
    return made


async def _related(step: Step, values: Sequence[Any], reading: Reading) -> dict[Any, Any]:
    """By value: the target record, or the list of records that refer to it."""
    entity, access = step.entity, reading.granted[step.entity.name]
    reach = access.reach(reading.actor)
    if reach is None or not values:
        return {}
    extra = [name for name in (references(step.steps) if step.steps else ("ID",)) if name not in step.columns]
    columns = (*step.columns, *extra)
    keys: list[Any] = []
    rows: list[Any] = []
    for start in range(0, len(values), VALUES_MAX):
        part = values[start : start + VALUES_MAX]
        count = 1 << (len(part) - 1).bit_length()
        named = {f"expand{number}": part[min(number, len(part) - 1)] for number in range(count)}
        statement = await _statement(step, columns, count, reach.predicate)
        limits = {"each": reading.each, "limit": reading.left + 1, "offset": 0}
        answer = await entity.session.fetch(statement, statement.parameters({**reach.parameters, **named, **limits}))
        reading.left -= len(answer)
        if reading.left < 0:
            raise _refusal(
                entity,
                f"expand leads to more than {RECORDS_MAX} records; read smaller pages, or lower expandLimit",
            )
        keys += [row[0] for row in answer]
        rows += [row[1:] for row in answer] if step.is_list else answer
    records = entity.maker(columns)(rows)
    if not step.is_list:
        name = f"f{columns.index('ID')}"
        keys = [getattr(record, name) for record in records]
    if step.steps:
        made: Sequence[Any] = await attach(records, step.columns, step.steps, reading)
    else:
        made = records
    if not step.is_list:
        return dict(zip(keys, made, strict=True))
    lists: dict[Any, list[Any]] = {}
    for key, record in zip(keys, made, strict=True):
        lists.setdefault(key, []).append(record)
    return lists


async def _statement(step: Step, columns: tuple[str, ...], count: int, predicate: Any) -> Statement:
    build: tuple[Any, ...] = (select_targets, columns, count, predicate)
    if step.is_list:
        build = (select_referring, columns, (step.reference, count), _order(step.entity), predicate)
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
