"""Data Post (docs/reference/protocol/wire-api.md section 4.4): new records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from functools import partial

from apilane.errors import ApilaneError, Code, continued
from apilane.events.record_handlers import HandlerPlan
from apilane.model.definition import Action
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan, Reach
from apilane.runtime.application import EntityRuntime
from apilane.runtime.identities import now_ms
from apilane.services.audit_trail import ids_text
from apilane.services.checks import checked_inserts, checks_of
from apilane.services.default_values import add_defaults
from apilane.services.failures import named_violation
from apilane.services.record_bodies import by_name, check_writable, each_record, empty_body
from apilane.services.record_handling import Handling, plan_of, seen
from apilane.services.reference_guards import ReferenceGuard, reference_guard
from apilane.services.references import References
from apilane.services.unit_writes import UnitWrite
from apilane.sql.statement import Statement, Value
from apilane.sql.write import insert_row
from apilane.storage.errors import ForeignKeyViolation, UniqueViolation
from apilane.storage.protocol import Result, Step

__all__ = ["Posts", "add", "post"]


async def post(entity: EntityRuntime, actor: Actor, access: AccessPlan, body: object | None) -> UnitWrite[list[int]]:
    """Check all records of the body (None: there is none). The write stores all or none; its result is their IDs in
    the order of the body.
    """
    if body is None:
        raise empty_body(entity)
    return await Posts(entity, actor, access).add(body)


class Posts:
    """The Posts of one caller to one entity: a single one, or those of a transaction.

    ``references``: of the transaction; values may refer to records that do not exist yet. Raises ERROR when no Post is
    possible.
    """

    def __init__(
        self, entity: EntityRuntime, actor: Actor, access: AccessPlan, references: References | None = None
    ) -> None:
        check_writable(entity, Action.post)
        if not access.properties:
            found = "no rule of the caller names a property that post can write"
            message = continued(Code.NO_PROPERTIES_PROVIDED, found)
            raise ApilaneError(Code.NO_PROPERTIES_PROVIDED, message, entity=entity.name)
        self._entity = entity
        self._actor = actor
        self._access = access
        self._references = references
        self._system_values = _system_values(entity, actor, access)
        self._row_of = _row_maker(entity, access.properties, self._system_values, references)
        self._plan = plan_of(entity, "create") if entity.application.record_handlers is not None else None

    async def add(self, body: object) -> UnitWrite[list[int]]:
        """Check all records of a body; see ``post``."""
        entity = self._entity
        rows = [self._row_of(body)] if type(body) is dict else await each_record(body, entity, self._row_of)
        if not rows:
            return UnitWrite.nothing([])
        handling = None
        if self._plan is not None:
            handling = await self._handled(self._plan, body)
            body, names = handling.sent, handling.names
            rows = await each_record(body, entity, _row_maker(entity, names, self._system_values, self._references))
        access, reach = self._access, None
        sent: Sequence[Collection[str]] = ()
        if access.conditions is not None:
            reach = checks_of(access, self._actor, entity)
            granted = frozenset(access.properties)
            sent = await each_record(body, entity, lambda record: granted.intersection(by_name(record, entity)))
        guard = reference_guard(entity, self._actor, rows) if entity.guarded else None
        single = len(rows) == 1 and reach is None and guard is None
        write = UnitWrite.of(
            entity.session,
            partial(self._steps, rows, guard, sent, reach),
            single=single,
            what=partial(_told, entity, rows),
            outcome=ids_text,
        )
        return write if handling is None else handling.around(write, enumerate, single=single)

    async def _handled(self, plan: HandlerPlan, body: object) -> Handling:
        """The change after the before-handlers of plugins."""
        entity, names, references = self._entity, self._access.properties, self._references
        records = await each_record(
            body, entity, lambda record: seen(entity, names, by_name(record, entity), references)
        )
        handling = Handling(plan, entity, self._actor, "create", records, names=names, references=references)
        await handling.before()
        return handling

    def _steps(
        self,
        rows: Sequence[dict[str, Value]],
        guard: ReferenceGuard | None,
        sent: Sequence[Collection[str]],
        reach: Reach | None,
    ) -> Generator[Step, Result, list[int]]:
        entity, references = self._entity, self._references
        statement = entity.statement(insert_row, tuple(rows[0]))
        ready = rows if references is None else map(references.values, rows)
        if guard is None:
            made = _insert_steps(entity, statement, ready)
        else:
            made = guard.before(ready, partial(_insert_steps, entity, statement))
        return made if reach is None else checked_inserts(entity, made, sent, reach)


def _told(entity: EntityRuntime, rows: Sequence[object]) -> str:
    return f"Data/Post {entity.name}: {len(rows)} to create"


def _row_maker(
    entity: EntityRuntime,
    names: tuple[str, ...],
    system_values: Mapping[str, Value],
    references: References | None = None,
) -> Callable[[Mapping[str, object]], dict[str, Value]]:
    """The function that makes the row of a sent record: the system values, and its properties with these names."""
    writers = entity.writers_of(names)
    if references is not None:
        writers = references.deferring(entity, writers)

    def row_of(record: Mapping[str, object]) -> dict[str, Value]:
        given = by_name(record, entity)
        row = dict(system_values)
        for name, write in writers:
            value = given.get(name)
            row[name] = value if value is None else write(value)
        return add_defaults(entity, row, given) if entity.defaults else row

    return row_of


def add(entity: EntityRuntime, actor: Actor, access: AccessPlan, values: Mapping[str, object]) -> UnitWrite[int]:
    """Store one record with ``values``, which the server made; they may be system properties. The result is its ID."""
    row = _row_maker(entity, tuple(values), _system_values(entity, actor, access))(values)
    statement = entity.statement(insert_row, tuple(row))
    reach = None if access.conditions is None else checks_of(access, actor, entity)

    def steps() -> Generator[Step, Result, int]:
        made = _insert_steps(entity, statement, [row])
        (identifier,) = yield from made if reach is None else checked_inserts(entity, made, [()], reach)
        return identifier

    return UnitWrite.of(
        entity.session,
        steps,
        single=reach is None,
        what=lambda: f"{entity.name}: 1 to create",
        outcome=lambda made: ids_text([made]),
    )


def _system_values(entity: EntityRuntime, actor: Actor, access: AccessPlan) -> dict[str, Value]:
    """The values of a new record that the server sets."""
    values: dict[str, Value] = {"Created": now_ms()}
    if "Owner" in entity.readers:
        values["Owner"] = actor.user_id
    if access.tenant_column is not None:
        values[access.tenant_column] = actor.tenant
    return values


def _insert_steps(
    entity: EntityRuntime, statement: Statement, rows: Iterable[dict[str, Value]]
) -> Generator[Step, Result, list[int]]:
    """Within a unit: insert rows of stored values, and return the new IDs in order."""
    ids = []
    for values in rows:
        try:
            result = yield Step(statement, statement.parameters(values))
        except (ForeignKeyViolation, UniqueViolation) as error:
            raise (yield from named_violation(entity, values, error)) from error
        ids.append(result.new_id)
    return ids
