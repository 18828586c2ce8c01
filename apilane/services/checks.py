"""Conditions of post and put rules, which SQL decides within the unit: before and after the write
(docs/reference/protocol/security.md section 3.3).
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Sequence

from apilane.errors import unauthorized
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan, Reach
from apilane.runtime.application import EntityRuntime
from apilane.runtime.conditions import NamedShape
from apilane.services.users import FOLDS, is_users
from apilane.sql.statement import Value
from apilane.sql.write import padded, select_flags
from apilane.storage.protocol import Result, Step

__all__ = ["check_update", "checked_inserts", "checks_of", "narrowed"]


def _flags(
    entity: EntityRuntime, shapes: tuple[NamedShape | None, ...], ids: Iterable[int], reach: Reach
) -> Generator[Step, Result, dict[int, Sequence[bool]]]:
    """Which conditions each record meets, by ID."""
    found: dict[int, Sequence[bool]] = {}
    for part in padded(list(ids)):
        select = entity.statement(select_flags, shapes, len(part), True)
        named = {f"id{position}": id for position, id in enumerate(part)}
        rows = (yield Step(select, select.parameters({**named, **reach.parameters}))).rows
        found.update({row[0]: [bool(flag) for flag in row[1:]] for row in rows})
    return found


def _require(entity: EntityRuntime, names: Collection[str], reach: Reach, holds: Sequence[bool]) -> None:
    """Raise UNAUTHORIZED unless each property has a rule that holds; without properties, one rule must hold."""
    granted = [each.names for each, met in zip(reach.alternatives, holds, strict=True) if met]
    if not granted or not frozenset[str]().union(*granted).issuperset(names):
        raise unauthorized(entity.name)


def checks_of(access: AccessPlan, actor: Actor, entity: EntityRuntime) -> Reach:
    """The reach whose checks a new record must meet."""
    reach = access.reach(actor)
    if reach is None:
        raise unauthorized(entity.name)
    return reach


def checked_inserts(
    entity: EntityRuntime,
    inserts: Generator[Step, Result, list[int]],
    sent: Sequence[Collection[str]],
    reach: Reach,
) -> Generator[Step, Result, list[int]]:
    """Within a unit: insert, then check the stored records. ``sent``: the properties that each record names."""
    ids = yield from inserts
    flags = yield from _flags(entity, tuple(each.check for each in reach.alternatives), ids, reach)
    for id, names in zip(ids, sent, strict=True):
        _require(entity, names, reach, flags[id])
    return ids


def narrowed(
    entity: EntityRuntime, id: int, values: dict[str, Value], reach: Reach
) -> Generator[Step, Result, tuple[dict[str, Value], Sequence[bool]]]:
    """Within a unit, before an update: the values of the properties of the rules that the record meets, and these
    rules. No values: the record is out of reach, or nothing remains of the update.

    Values of other columns were made by the server. They stay, except those that follow a property that does not.
    """
    alternatives = reach.alternatives
    flags = yield from _flags(entity, tuple(each.where for each in alternatives), [id], reach)
    before = flags.get(id, [False] * len(alternatives))
    granted = frozenset[str]().union(*(each.names for each, met in zip(alternatives, before, strict=True) if met))
    refused = frozenset(reach.properties) - granted
    if granted.isdisjoint(values):
        return {}, before
    dropped = refused | {FOLDS[name] for name in refused if is_users(entity) and name in FOLDS}
    return {name: value for name, value in values.items() if name not in dropped}, before


def check_update(
    entity: EntityRuntime, id: int, values: Collection[str], reach: Reach, before: Sequence[bool]
) -> Generator[Step, Result, None]:
    """Within a unit, after an update: raise UNAUTHORIZED unless each property has a rule whose ``Where`` held before
    and whose ``Check`` holds now.
    """
    shapes = tuple(each.check for each in reach.alternatives)
    after = (yield from _flags(entity, shapes, [id], reach)).get(id, [False] * len(shapes))
    holds = [was and now for was, now in zip(before, after, strict=True)]
    _require(entity, frozenset(reach.properties).intersection(values), reach, holds)
