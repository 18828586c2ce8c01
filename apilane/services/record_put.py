"""Data Put (docs/reference/protocol/wire-api.md section 4.5): changes of records."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from apilane.errors import ApilaneError, Code, continued
from apilane.model.definition import Action
from apilane.model.hints import kind_of, unfit_keys
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan, Reach
from apilane.runtime.application import EntityRuntime
from apilane.security.passwords import Passwords
from apilane.services.audit_trail import ids_text
from apilane.services.checks import check_update, narrowed
from apilane.services.failures import named_violation
from apilane.services.history import snapshot, snapshot_columns
from apilane.services.record_bodies import by_name, check_writable, each_record, empty_body, record_id
from apilane.services.record_handling import Handling, plan_of, seen
from apilane.services.record_locks import is_ascending, lock_records
from apilane.services.reference_guards import ReferenceGuard, reference_guard
from apilane.services.references import Deferred, References
from apilane.services.unit_writes import ChangedRows, UnitWrite
from apilane.services.users import complete_user_values, encode_user_value, is_users, revoke_mail_tokens, revoke_tokens
from apilane.sql.statement import Value
from apilane.sql.write import select_by_ids, update_row
from apilane.storage.errors import ForeignKeyViolation, UniqueViolation
from apilane.storage.protocol import Result, Step

__all__ = ["put"]

PASSWORDS_MAX: Final = 10
"""The most passwords of one body. Hashing each of them takes as long as one sign-in."""


class _Change(Struct, frozen=True):
    """One record to update: stored values by column. In a transaction, ID and values may be ``Deferred``."""

    id: Any
    values: dict[str, Value]


async def put(
    entity: EntityRuntime,
    actor: Actor,
    access: AccessPlan,
    body: object | None,
    passwords: Passwords,
    *,
    references: References | None = None,
) -> UnitWrite[int]:
    """Update all records of the body or none; the result is how many matched. Records that the caller may not change
    do not match."""
    if body is None:
        raise empty_body(entity)
    check_writable(entity, Action.put)
    names: Sequence[str] = access.properties
    changes = await each_record(body, entity, lambda record: _change(entity, names, record, references))
    reach = access.reach(actor)
    if reach is None or not changes:
        return UnitWrite.nothing(0)
    handling: Handling | None = None
    changed: list[tuple[int, int]] | None = None
    if entity.application.record_handlers is not None and (plan := plan_of(entity, "update")) is not None:
        records = await each_record(
            body, entity, lambda record: seen(entity, names, by_name(record, entity), references)
        )
        for record, change in zip(records, changes, strict=True):
            record["ID"] = change.id.sent if type(change.id) is Deferred else change.id
        handling, changed = Handling(plan, entity, actor, "update", records, names=names, references=references), []
        await handling.before()
        names = handling.names
        changes = await each_record(handling.sent, entity, lambda record: _change(entity, names, record, references))
    changes_users = is_users(entity)
    if changes_users:
        changes = await _complete_users(entity, changes, passwords)

    guard = reference_guard(entity, actor, (change.values for change in changes)) if entity.guarded else None

    def steps() -> Generator[Step, Result, int]:
        ready = changes if references is None else [_resolved(change, references) for change in changes]
        if changed is not None:
            changed.clear()
        return _update_steps(entity, ready, reach, actor.user_id, changed=changed, guard=guard)

    write = UnitWrite.of(
        entity.session,
        steps,
        single=len(changes) == 1
        and not entity.entity.change_tracking
        and not changes_users
        and access.conditions is None
        and guard is None,
        committed=(lambda _matched: entity.application.tokens.forget()) if changes_users else None,
        rows=lambda: ChangedRows(entity, _known(change.id for change in changes), reach),
        what=lambda: f"Data/Put {entity.name}: {_changes_text(entity, changes)}",
        outcome=lambda matched: f"{matched} matched",
    )
    return write if handling is None else handling.around(write, lambda _matched: tuple(changed or ()))


def _resolved(change: _Change, references: References) -> _Change:
    return _Change(references.value(change.id), references.values(change.values))


def _change(
    entity: EntityRuntime, names: Sequence[str], record: Mapping[str, object], references: References | None
) -> _Change:
    given = by_name(record, entity)
    present = [name for name in names if name in given]
    if not present:
        found = unfit_keys((key for key in record if key.lower() != "id"), names)
        message = continued(Code.NO_PROPERTIES_PROVIDED, found)
        raise ApilaneError(Code.NO_PROPERTIES_PROVIDED, message, entity=entity.name)
    sent = given.get("ID")
    identifier = record_id(sent) or (references.record(entity, sent) if references is not None else None)
    if not identifier:
        found = f"the body needs an ID above 0, found {kind_of(given['ID']) if 'ID' in given else 'none'}"
        raise ApilaneError(Code.NO_ID_PROVIDED, continued(Code.NO_ID_PROVIDED, found), entity=entity.name)
    write = entity.readers if is_users(entity) else entity.writers  # ``_complete_users`` encodes the values of users
    if references is not None:
        write = dict(references.deferring(entity, [(name, write[name]) for name in present]))
    return _Change(identifier, {name: write[name](given[name]) for name in present})


async def _complete_users(entity: EntityRuntime, changes: Sequence[_Change], passwords: Passwords) -> list[_Change]:
    """Changes of users with passwords hashed, case-folded columns added and other values encoded."""
    if sum("Password" in change.values for change in changes) > PASSWORDS_MAX:
        raise ApilaneError(Code.ERROR, f"At most {PASSWORDS_MAX} passwords in one call", entity=entity.name)
    completed = []
    for change in changes:
        values = dict(change.values)
        await complete_user_values(values, passwords)
        stored = {
            name: value if type(value) is Deferred else encode_user_value(entity, name, value)
            for name, value in values.items()
        }
        completed.append(_Change(change.id, stored))
    return completed


def _update_steps(
    entity: EntityRuntime,
    changes: Sequence[_Change],
    reach: Reach,
    user_id: int | None,
    *,
    changed: list[tuple[int, int]] | None = None,
    guard: ReferenceGuard | None = None,
) -> Generator[Step, Result, int]:
    """Within a unit: take snapshots, change the records that the caller may change, and return their number.

    ``changed``: gets place and ID of each change that matched. ``guard``: of the references in the changes.
    """
    is_tracked = entity.entity.change_tracking
    columns = snapshot_columns(entity) if is_tracked else ()
    matched = 0
    ids = [change.id for change in changes]
    if entity.dialect.locks_rows and not is_ascending(ids):
        yield from lock_records(entity, ids, reach)
    if guard is not None:
        yield from guard.load(change.values for change in changes)
    before: Sequence[bool] = ()
    for place, asked in enumerate(changes):
        change = asked
        if reach.alternatives:
            values, before = yield from narrowed(entity, change.id, change.values, reach)
            if not values:
                continue
            change = _Change(change.id, values)
        if guard is not None and (error := guard.broken(change.values)) is not None:
            select = entity.statement(select_by_ids, ("ID",), 1, reach.predicate)
            if (yield Step(select, select.parameters({"id0": change.id, **reach.parameters}))).rows:
                raise error
            continue
        if is_tracked:
            select = entity.statement(select_by_ids, columns, 1, reach.predicate)
            rows = (yield Step(select, select.parameters({"id0": change.id, **reach.parameters}))).rows
            if not rows:
                continue
            yield from snapshot(entity, columns, rows[0], user_id)
        found = yield from _update_one(entity, change, reach)
        if found and reach.alternatives:
            yield from check_update(entity, change.id, change.values, reach, before)
        if found and changed is not None:
            changed.append((place, change.id))
        matched += found
    return matched


def _update_one(entity: EntityRuntime, change: _Change, reach: Reach) -> Generator[Step, Result, int]:
    values: dict[str, Value] = {f"new_{name}": value for name, value in change.values.items()}
    values.update(reach.parameters, id=change.id)
    reset = None
    if is_users(entity) and "Email" in change.values:
        reset = ("EmailConfirmed", "Email")
        values["reset_flag"] = entity.application.dialect.encode_boolean(False)
    within = reach.outer if reach.alternatives else reach.predicate  # ``narrowed`` has decided about the conditions
    update = entity.statement(update_row, tuple(change.values), within, reset)
    try:
        result = yield Step(update, update.parameters(values))
    except (ForeignKeyViolation, UniqueViolation) as error:
        raise (yield from named_violation(entity, change.values, error)) from error
    if result.matched and reset:  # tokens that were mailed to the old address become invalid
        yield from revoke_mail_tokens(entity.application, change.id)
    if result.matched and is_users(entity) and "Password" in change.values:
        yield from revoke_tokens(entity.application, change.id)
    return result.matched


def _changes_text(entity: EntityRuntime, changes: Sequence[_Change]) -> str:
    """The changed properties and the IDs, without values, for the audit."""
    written = {name for change in changes for name in change.values}
    names = ", ".join(p.name for p in entity.entity.properties if p.name in written)
    return f"{names} of {ids_text(_known(change.id for change in changes))}"


def _known(ids: Iterable[Any]) -> list[int]:
    """The IDs without those of records that the transaction creates."""
    return [id for id in ids if type(id) is int]
