"""References stay inside: a write may refer only to records of the caller's tenant and, where a constraint has
``WithinReach``, only to records that the caller may get (docs/reference/protocol/data-model.md section 5, B-X5).

The check runs in the unit of the write and locks the records referred to, so that none leaves before the commit. It
treats a record out of reach and one that does not exist alike. Entities without such references have no guard.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from apilane.errors import ApilaneError
from apilane.model.definition import Action
from apilane.plugin.identity import Actor
from apilane.runtime.access import Reach
from apilane.runtime.application import EntityRuntime
from apilane.services.record_locks import named_ids
from apilane.sql.statement import Value
from apilane.sql.write import padded, select_kept
from apilane.storage.errors import ForeignKeyViolation
from apilane.storage.protocol import Result, Step

__all__ = ["ReferenceGuard", "reference_guard"]

T = TypeVar("T")


def reference_guard(entity: EntityRuntime, actor: Actor, rows: Iterable[Mapping[str, Any]]) -> ReferenceGuard | None:
    """The guard of a write of ``rows`` (stored values by property); None when nothing has to be checked."""
    if not entity.guarded or actor.kind == "operator":
        return None
    names = {each.property for each in entity.guarded}
    used = {name for row in rows for name in names.intersection(row) if row[name] is not None}
    return ReferenceGuard(entity, actor, used) if used else None


class ReferenceGuard:
    """The checks of one write. ``load`` reads, in the unit, which references are allowed; ``broken`` then compares."""

    def __init__(self, entity: EntityRuntime, actor: Actor, used: Iterable[str]) -> None:
        self._entity = entity
        application = entity.application
        self._targets: list[tuple[str, EntityRuntime, Reach | None]] = []
        wanted = {*used}
        for constraint in entity.guarded:
            if constraint.property not in wanted:
                continue
            target = application.entities[constraint.entity.lower()]
            reach = _readable(target, actor) if constraint.within_reach else _of_tenant(target, actor)
            self._targets.append((constraint.property, target, reach))
        self._allowed: dict[str, set[Any]] = {}

    def load(self, rows: Iterable[Mapping[str, Value]]) -> Generator[Step, Result, None]:
        """Within a unit, before the write: read and lock the allowed records among those that ``rows`` refer to."""
        rows = list(rows)
        self._allowed = {}
        for name, target, reach in self._targets:
            allowed = self._allowed[name] = set()
            values: set[Any] = {row[name] for row in rows if row.get(name) is not None}
            if reach is None:
                continue
            for part in padded(sorted(values)):
                select = target.statement(select_kept, len(part), reach.predicate)
                found = (yield Step(select, select.parameters({**named_ids(part), **reach.parameters}))).rows
                allowed.update(row[0] for row in found)

    def broken(self, values: Mapping[str, Value]) -> ForeignKeyViolation | None:
        """The error of a row with a reference that is not allowed; it is that of a record that does not exist."""
        for name, allowed in self._allowed.items():
            value = values.get(name)
            if value is not None and value not in allowed:
                message = f"Foreign key constraint violation: {name}"
                return ForeignKeyViolation(message, table=self._entity.name, columns=(name,))
        return None

    def check(self, rows: Iterable[Mapping[str, Value]]) -> Generator[Step, Result, None]:
        """Within a unit, before the write: raise the error of the first row with a reference that is not allowed."""
        rows = list(rows)
        yield from self.load(rows)
        for error in filter(None, map(self.broken, rows)):
            raise error

    def before(
        self,
        rows: Iterable[dict[str, Value]],
        write: Callable[[Iterable[dict[str, Value]]], Generator[Step, Result, T]],
    ) -> Generator[Step, Result, T]:
        """Within a unit: the write of the rows, which raises at the first one with a reference that is not allowed."""
        rows = list(rows)
        yield from self.load(rows)
        return (yield from write(self._passing(rows)))

    def _passing(self, rows: Iterable[dict[str, Value]]) -> Iterator[dict[str, Value]]:
        for row in rows:
            if (error := self.broken(row)) is not None:
                raise error
            yield row


def _readable(target: EntityRuntime, actor: Actor) -> Reach | None:
    """The records that the caller may get; None: none."""
    try:
        return target.application.access(target, Action.get, actor).reach(actor)
    except ApilaneError:
        return None


def _of_tenant(target: EntityRuntime, actor: Actor) -> Reach:
    """The records of the caller's tenant, or those without one."""
    tenant = target.entity.tenant
    if tenant is None:
        return Reach()
    if actor.tenant is None:
        return Reach(predicate=((tenant, None),))
    return Reach(predicate=((tenant, "tenant"),), parameters={"tenant": actor.tenant})
