"""Changes of records with handlers of plugins around them: what the handlers see, and what they may change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from apilane.events.outbox import Adding
from apilane.events.record_handlers import Change, HandlerPlan
from apilane.model.formats import JSON
from apilane.model.system import is_secret
from apilane.plugin.identity import Actor
from apilane.plugin.records import RecordAction, RecordEvent
from apilane.runtime.application import EntityRuntime
from apilane.services.references import Deferred, References
from apilane.services.unit_writes import UnitWrite
from apilane.storage.protocol import Step, UnitWithScripts

__all__ = ["Handling", "handled_value", "plan_of", "seen"]

T = TypeVar("T")
ID: Final = "ID"


def plan_of(entity: EntityRuntime, action: RecordAction) -> HandlerPlan | None:
    """The handlers of an action on an entity, if any."""
    handlers = entity.application.record_handlers
    return None if handlers is None else handlers.plan(entity.entity, action)


def seen(
    entity: EntityRuntime, names: Iterable[str], given: Mapping[str, object], references: References | None
) -> dict[str, Any]:
    """The values of a sent record as handlers see them; references stay as sent."""
    readers: Iterable[tuple[str, Callable[[Any], Any]]] = [(n, entity.readers[n]) for n in names if n in given]
    if references is not None:
        readers = references.deferring(entity, readers)
    values = ((name, read(given[name])) for name, read in readers)
    return {
        name: value.sent if type(value) is Deferred else handled_value(entity, name, value) for name, value in values
    }


def handled_value(entity: EntityRuntime, name: str, value: Any) -> Any:
    """A read value as handlers see it: of a Json property, the value that its text holds."""
    if value is not None and entity.properties[name.lower()].format == JSON:
        return msgspec.json.decode(value)
    return value


class Handling:
    """The handlers of one change. ``names``: the properties that the caller may write."""

    def __init__(
        self,
        plan: HandlerPlan,
        entity: EntityRuntime,
        actor: Actor,
        action: RecordAction,
        records: list[dict[str, Any]],
        *,
        names: Sequence[str] = (),
        references: References | None = None,
    ) -> None:
        application = entity.application
        self._plan = plan
        self._entity = entity
        self._references = references
        self._change = Change(application, application.outbox, actor, entity.name, action, records=records)
        self._names = names
        self._ids = [record.get(ID) for record in records]
        self._records = list(records)
        self._outbox: Adding | None = None

    async def before(self, *, may_change: bool = True) -> None:
        """Run the before-handlers, then prepare the outbox if the unit will add messages. ``may_change`` False: they
        may only refuse.
        """
        before = [dict(record) for record in self._records]
        all = self._entity.application.record_handlers
        assert all is not None  # noqa: S101 - there is a plan
        unchanged = None if may_change and self._change.action != "delete" else before
        await all.all.run_before(self._plan, self._change, lambda: self._problem(unchanged))
        if self._change.steps or self._plan.kinds:
            self._outbox = await self._entity.application.outbox.begin()

    def _problem(self, unchanged: list[dict[str, Any]] | None) -> str | None:
        """What a handler has done with the records that it may not do."""
        now: Any = self._change.records
        if (
            not isinstance(now, list)
            or len(now) != len(self._records)
            or any(a is not b for a, b in zip(now, self._records, strict=True))
        ):
            return "replaced, added or removed records; it may only change the values in them"
        if unchanged is not None and now != unchanged:
            return "changed the values of a change that it may only refuse"
        for record, id in zip(now, self._ids, strict=True):
            if record.get(ID) != id:
                return "changed the ID of a record"
            for name in record:
                if name != ID and not self._may_write(name):
                    return f"set {name!r}; expected a property of {self._entity.name} that handlers may write"
        return None

    def _may_write(self, name: object) -> bool:
        if name in self._names:
            return True
        property = self._entity.properties.get(name.lower()) if isinstance(name, str) else None
        return property is not None and property.name == name and not property.is_system

    @property
    def names(self) -> tuple[str, ...]:
        """The properties to write now, in the order of the schema."""
        written = {name for record in self._records for name in record} | set(self._names)
        return tuple(p.name for p in self._entity.entity.properties if p.name in written and p.name != ID)

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The records in the form of a body, to be checked again."""
        return [{name: _sendable(value) for name, value in record.items()} for record in self._records]

    def around(
        self, write: UnitWrite[T], changed: Callable[[T], Iterable[tuple[int, int]]], *, single: bool = False
    ) -> UnitWrite[T]:
        """The write with the messages in its unit, and the after-handlers after its commit.

        ``changed``: the changed records of a result, each as its place in the records and its ID. ``single``: of the
        write alone (``Session.run``).
        """
        messages = self._change.steps if self._outbox is not None else []

        def steps() -> UnitWithScripts[T]:
            result = yield from write.steps()
            for step in messages:  # noqa: UP028 - the driver sends results, which a list cannot receive
                yield step
            if self._plan.kinds:
                for record in self._final(changed(result)):
                    yield from self._events(record)
            return result

        def committed(result: T) -> None:
            if write.committed is not None:
                write.committed(result)
            if self._outbox is not None:
                self._outbox.wake()
            self._finish(changed(result))

        return UnitWrite.of(
            self._entity.session,
            steps if self._outbox is not None else write.steps,
            single=single and self._outbox is None,
            what=write.what or str,
            outcome=write.outcome,
            committed=committed,
            rows=write.rows,
        )

    def _final(self, changed: Iterable[tuple[int, int]]) -> list[dict[str, Any]]:
        """The changed records with their IDs and without secrets; references are replaced."""
        replaced = self._references.replaced if self._references is not None else lambda value: value
        hidden = {p.name for p in self._entity.entity.properties if is_secret(self._entity.entity, p)}
        return [
            {ID: id, **{n: replaced(v) for n, v in self._records[place].items() if n != ID and n not in hidden}}
            for place, id in changed
        ]

    def _events(self, record: dict[str, Any]) -> Iterable[Step]:
        assert self._outbox is not None  # noqa: S101 - ``before`` has made it
        values = {name: value for name, value in record.items() if name != ID}
        event = RecordEvent(entity=self._entity.name, action=self._change.action, id=record[ID], values=values)
        for kind in self._plan.kinds:
            yield self._outbox.step(kind, event)

    def _finish(self, changed: Iterable[tuple[int, int]]) -> None:
        all = self._entity.application.record_handlers
        if self._plan.after and all is not None:
            change = self._change
            done = Change(
                change.application,
                self._entity.application.outbox,
                change.actor,
                change.entity,
                change.action,
                records=self._final(changed),
                is_stored=True,
            )
            all.all.run_after(self._plan, done)


def _sendable(value: object) -> object:
    """A value in a form that the readers of properties take: numbers with decimals as texts."""
    if isinstance(value, Decimal):
        return str(value)
    return repr(value) if type(value) is float else value
