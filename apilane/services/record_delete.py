"""Data Delete (docs/reference/protocol/wire-api.md section 4.6), also of records that refer to each other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final

from apilane.errors import ApilaneError, Code, continued
from apilane.model.definition import Action, ForeignKey, OnDelete
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan, Reach
from apilane.runtime.application import EntityRuntime
from apilane.services.audit_trail import ids_text
from apilane.services.failures import referencing_properties
from apilane.services.history import snapshot, snapshot_columns
from apilane.services.record_bodies import check_writable, record_id
from apilane.services.record_handling import Handling, plan_of
from apilane.services.record_locks import named_ids
from apilane.services.references import References
from apilane.services.unit_writes import ChangedRows, UnitWrite
from apilane.services.users import is_users
from apilane.sql.write import (
    VALUES_PER_STATEMENT,
    delete_by_ids,
    detach_by_ids,
    let_go_by_ids,
    padded,
    select_by_ids,
)
from apilane.storage.errors import ForeignKeyViolation
from apilane.storage.protocol import Result, Row, Step

__all__ = ["delete"]

TURNS_MAX: Final = 16
"""The most attempts to delete records that refer to each other."""


async def delete(
    entity: EntityRuntime,
    actor: Actor,
    access: AccessPlan,
    ids: str | None,
    *,
    references: References | None = None,
) -> UnitWrite[list[int]]:
    """Delete the records with these comma-separated IDs that the caller may delete, all or none. The result is their
    IDs, ascending."""
    check_writable(entity, Action.delete)
    wanted = _parse_ids(ids)
    later = references.records(entity, ids) if references is not None else []
    if not wanted and not later:
        found = "the parameter ids is missing" if not ids else "no number above 0 in the parameter ids"
        message = continued(Code.NO_RECORDS_FOUND_TO_DELETE, f"{found}; expected IDs with commas, such as 1,2")
        raise ApilaneError(Code.NO_RECORDS_FOUND_TO_DELETE, message, entity=entity.name)
    reach = access.reach(actor)
    if reach is None:
        return UnitWrite.nothing([])
    handling = None
    if entity.application.record_handlers is not None and (plan := plan_of(entity, "delete")) is not None:
        records: list[dict[str, Any]] = [{"ID": id} for id in [*wanted, *(each.sent for each in later)]]
        handling = Handling(plan, entity, actor, "delete", records, references=references)
        await handling.before()

    def steps() -> Generator[Step, Result, list[int]]:
        ready = wanted if references is None else sorted({*wanted, *map(references.value, later)})
        return _delete_steps(entity, ready, reach, actor.user_id)

    write = UnitWrite.of(
        entity.session,
        steps,
        committed=(lambda _ids: entity.application.tokens.forget()) if is_users(entity) else None,
        rows=lambda: ChangedRows(entity, wanted, reach),
        what=lambda: f"Data/Delete {entity.name}: {ids_text(wanted)}",
        outcome=ids_text,
    )
    return write if handling is None else handling.around(write, lambda gone: [(0, id) for id in gone])


def _parse_ids(text: str | None) -> list[int]:
    """The positive 64-bit IDs of a comma-separated text, ascending, each once. Invalid entries are skipped (B-W7)."""
    found = {record_id(part) for part in (text or "").split(",")}
    return sorted(found - {0})


def _delete_steps(
    entity: EntityRuntime, ids: Sequence[int], reach: Reach, user_id: int | None
) -> Generator[Step, Result, list[int]]:
    """Within a unit: take snapshots, delete the records within reach, and return their IDs, ascending."""
    is_tracked = entity.entity.change_tracking
    columns = snapshot_columns(entity) if is_tracked else ("ID", *_references_to_itself(entity))
    found: list[Row] = []
    for chunk in padded(ids):  # locks the records in the order of their IDs, like ``lock_records``
        select = entity.statement(select_by_ids, columns, len(chunk), reach.predicate)
        rows = (yield Step(select, select.parameters({**named_ids(chunk), **reach.parameters}))).rows
        if is_tracked:
            for row in rows:
                yield from snapshot(entity, columns, row, user_id)
        found += rows
    yield from _detach(entity, columns, found)
    gone = [row[0] for row in found]
    yield from _delete_all(entity, gone)
    return gone


def _references_to_itself(entity: EntityRuntime) -> tuple[str, ...]:
    """The properties that refer to the entity itself and keep a record from being deleted."""
    return tuple(
        each.property
        for each in entity.entity.constraints
        if isinstance(each, ForeignKey)
        and each.on_delete is OnDelete.NoAction
        and each.entity.lower() == entity.name.lower()
    )


def _detach(entity: EntityRuntime, columns: Sequence[str], rows: Sequence[Row]) -> Generator[Step, Result, None]:
    """Within a unit: take the references between records that are about to be deleted out of the way.

    A database checks references after each statement, or after each row. Records that refer to each other could then
    not be deleted, or only in one statement.
    """
    by_row = entity.dialect.checks_references_by_row
    if not by_row and len(rows) <= VALUES_PER_STATEMENT:
        return
    gone = {row[0] for row in rows}
    for name in _references_to_itself(entity):
        is_required = entity.properties[name.lower()].required
        at = columns.index(name)
        for part in padded([row[0] for row in rows if row[at] in gone]):
            if is_required and by_row:  # not even a record that refers to itself could be deleted
                yield Step(entity.statement(let_go_by_ids, name, len(part)), part)
            else:
                yield Step(entity.statement(detach_by_ids, name, is_required, len(part)), part)


def _delete_all(entity: EntityRuntime, ids: Sequence[int]) -> Generator[Step, Result, None]:
    """Within a unit: delete these records, those with the largest IDs first."""
    stuck: list[int] = []
    failure: ForeignKeyViolation | None = None
    for part in reversed(list(padded(ids))):  # records mostly refer to older ones
        try:
            yield Step(entity.statement(delete_by_ids, len(part)), part)
        except ForeignKeyViolation as error:
            if not entity.application.driver.features.reads_after_failure:
                raise
            stuck += dict.fromkeys(part)
            failure = error
    if failure is not None:
        yield from _delete_in_turn(entity, stuck, failure)


def _delete_in_turn(
    entity: EntityRuntime, ids: Sequence[int], failure: ForeignKeyViolation
) -> Generator[Step, Result, None]:
    """Delete records that may refer to each other, one by one. Repeat in the reverse order while a pass deletes some.

    InnoDB checks references row by row. Other databases still see references from records of another statement.
    """
    statement = entity.statement(delete_by_ids, 1)
    for _ in range(TURNS_MAX):
        left = []
        for identifier in reversed(ids):
            try:
                yield Step(statement, (identifier,))
            except ForeignKeyViolation as error:
                left.append(identifier)
                failure = error
        if not left:
            return
        if len(left) == len(ids):
            break
        ids = left
    for identifier in ids:
        named_error = yield from referencing_properties(entity, identifier, failure)
        if named_error.columns:
            raise named_error from failure
    raise failure
