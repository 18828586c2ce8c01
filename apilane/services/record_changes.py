"""Data Post, Put and Delete (docs/reference/protocol/wire-api.md sections 4.4 to 4.6): checks in the order of
docs/reference/protocol/errors.md section 3.2, and writes in one unit.

Each call does all checks and returns a ``UnitWrite``, which the caller runs. An array body is written in one
transaction (B-W6). ``references``: of the transaction that the write is a part of; its values may refer to records that
do not exist yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, Final, TypeVar

from msgspec import Struct

from apilane.errors import ApilaneError, Code, continued
from apilane.model.definition import Action, ForeignKey, OnDelete
from apilane.model.hints import kind_of, unfit_keys
from apilane.model.json import MalformedJson, decode_json
from apilane.model.numbers import parse_number
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan, Reach
from apilane.runtime.application import EntityRuntime
from apilane.runtime.compiled import ValueReader
from apilane.runtime.identities import now_ms
from apilane.security.passwords import Passwords
from apilane.services.audit_trail import ids_text
from apilane.services.checks import check_update, checked_inserts, checks_of, narrowed
from apilane.services.default_values import add_defaults
from apilane.services.failures import broken_reference, referencing_properties
from apilane.services.history import snapshot, snapshot_columns
from apilane.services.record_handling import Handling, plan_of, seen
from apilane.services.record_locks import is_ascending, lock_records, named_ids
from apilane.services.references import Deferred, References
from apilane.services.unit_writes import ChangedRows, UnitWrite
from apilane.services.users import complete_user_values, encode_user_value, is_users, revoke_mail_tokens, revoke_tokens
from apilane.sql.statement import Statement, Value
from apilane.sql.write import (
    VALUES_PER_STATEMENT,
    delete_by_ids,
    detach_by_ids,
    insert_row,
    let_go_by_ids,
    padded,
    select_by_ids,
    update_row,
)
from apilane.storage.errors import ForeignKeyViolation
from apilane.storage.protocol import Result, Row, Step

__all__ = [
    "Change",
    "add",
    "delete",
    "delete_steps",
    "insert_steps",
    "parse_ids",
    "post",
    "put",
    "update_steps",
]

T = TypeVar("T")

RECORDS_MAX = 100_000
"""The most records of one body. All are checked and held in memory before the first one is stored."""
PASSWORDS_MAX = 10
"""The most passwords of one body. Hashing each of them takes as long as one sign-in."""
TURN_S = 0.005
"""Longest time a body is processed before the event loop serves other requests."""
TURNS_MAX = 16
"""The most attempts to delete records that refer to each other."""
MAX_ID = 2**63 - 1


def _records(body: object, entity: EntityRuntime) -> Iterator[dict[str, object]]:
    """The objects of a free-form body: one, or the non-null elements of nested lists. A JSON text is decoded again."""
    if isinstance(body, str):
        try:
            body = decode_json(body.encode())
        except (MalformedJson, UnicodeEncodeError):
            raise _not_records(body, entity) from None
    if isinstance(body, dict):
        yield body
    elif isinstance(body, list):
        for element in body:
            if element is not None:
                yield from _records(element, entity)
    else:
        raise _not_records(body, entity)


def _not_records(body: object, entity: EntityRuntime) -> ApilaneError:
    return ApilaneError(
        Code.ERROR, entity=entity.name, told=f"expected a JSON object or an array of objects, found {kind_of(body)}"
    )


async def _each(body: object, entity: EntityRuntime, read: Callable[[Mapping[str, object]], T]) -> list[T]:
    """The results of ``read`` for the records, with pauses for other requests. Raises ERROR beyond ``RECORDS_MAX``."""
    record = body[0] if type(body) is list and len(body) == 1 else body
    if type(record) is dict:
        return [read(record)]
    turn_ends = monotonic() + TURN_S
    made: list[T] = []
    for record in _records(body, entity):
        if len(made) >= RECORDS_MAX:
            raise ApilaneError(Code.ERROR, f"At most {RECORDS_MAX} records in one call", entity=entity.name)
        made.append(read(record))
        if monotonic() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = monotonic() + TURN_S
    return made


def _by_name(record: Mapping[str, object], entity: EntityRuntime) -> Mapping[str, object]:
    """The record with keys in the spelling of the schema (B-W1). Of keys that differ only in letter case the last
    counts."""
    if record.keys() <= entity.readers.keys():  # true for nearly every request
        return record
    properties = entity.properties
    return {properties[key].name if (key := typed.lower()) in properties else key: v for typed, v in record.items()}


_EXPECTED_BODY: Final = "expected a JSON object, or an array of objects"
_WHY_NOT: Final = {
    ("Users", Action.post): "Account/Register creates users",
    ("Files", Action.post): "Files/Post creates files",
    ("Files", Action.put): "a file is replaced by another one with Files/Post",
}


def _check_writable(entity: EntityRuntime, action: Action) -> None:
    why = _WHY_NOT.get((entity.name, action)) if entity.entity.is_system else None
    if why is None and entity.entity.is_read_only:
        why = "the entity is read-only"
    if why is not None:
        raise ApilaneError(Code.ERROR, f"Not allowed: {why}", entity=entity.name)


# --- Post ---------------------------------------------------------------------------------------------------------


def insert_steps(
    entity: EntityRuntime, statement: Statement, rows: Iterable[dict[str, Value]]
) -> Generator[Step, Result, list[int]]:
    """Within a unit: insert rows of stored values, and return the new IDs in order."""
    ids = []
    for values in rows:
        try:
            result = yield Step(statement, statement.parameters(values))
        except ForeignKeyViolation as error:
            raise (yield from broken_reference(entity, values, error)) from error
        ids.append(result.new_id)
    return ids


def _new_row(
    entity: EntityRuntime,
    system_values: Mapping[str, Value],
    writers: Iterable[tuple[str, ValueReader]],
    record: Mapping[str, object],
) -> dict[str, Value]:
    given = _by_name(record, entity)
    row = dict(system_values)
    for name, write in writers:
        value = given.get(name)
        row[name] = value if value is None else write(value)
    return row


def add(entity: EntityRuntime, actor: Actor, access: AccessPlan, values: Mapping[str, object]) -> UnitWrite[int]:
    """Store one record with ``values``, which the server made; they may be system properties. The result is its ID."""
    row = _new_row(entity, _system_values(entity, actor, access), entity.writers_of(tuple(values)), values)
    statement = entity.statement(insert_row, tuple(row))
    reach = None if access.conditions is None else checks_of(access, actor, entity)

    def steps() -> Generator[Step, Result, int]:
        made = insert_steps(entity, statement, [row])
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


async def post(
    entity: EntityRuntime,
    actor: Actor,
    access: AccessPlan,
    body: object | None,
    *,
    references: References | None = None,
) -> UnitWrite[list[int]]:
    """Store all records of the body or none; the result is their IDs in the order of the body. None: no body."""
    if body is None:
        raise ApilaneError(Code.EMPTY_BODY, continued(Code.EMPTY_BODY, _EXPECTED_BODY), entity=entity.name)
    _check_writable(entity, Action.post)
    if not access.properties:
        message = continued(Code.NO_PROPERTIES_PROVIDED, "no rule of the caller names a property that post can write")
        raise ApilaneError(Code.NO_PROPERTIES_PROVIDED, message, entity=entity.name)
    system_values = _system_values(entity, actor, access)
    writers = entity.writers_of(access.properties)
    if references is not None:
        writers = references.deferring(entity, writers)

    def new_row(record: Mapping[str, object]) -> dict[str, Value]:
        row = _new_row(entity, system_values, writers, record)
        return add_defaults(entity, row, _by_name(record, entity)) if entity.defaults else row

    rows = await _each(body, entity, new_row)
    if not rows:
        return UnitWrite.nothing([])
    handling = None
    if entity.application.record_handlers is not None and (plan := plan_of(entity, "create")) is not None:
        names = access.properties
        records = await _each(body, entity, lambda record: seen(entity, names, _by_name(record, entity), references))
        handling = Handling(plan, entity, actor, "create", records, names=names, references=references)
        await handling.before()
        writers = entity.writers_of(handling.names)
        if references is not None:
            writers = references.deferring(entity, writers)
        rows = await _each(handling.sent, entity, new_row)
    statement = entity.statement(insert_row, tuple(rows[0]))

    reach = None if access.conditions is None else checks_of(access, actor, entity)
    sent = (
        []
        if reach is None
        else await _each(
            body,
            entity,
            lambda record: frozenset(access.properties).intersection(_by_name(record, entity)),
        )
    )

    def steps() -> Generator[Step, Result, list[int]]:
        made = insert_steps(entity, statement, rows if references is None else map(references.values, rows))
        return made if reach is None else checked_inserts(entity, made, sent, reach)

    write = UnitWrite.of(
        entity.session,
        steps,
        single=len(rows) == 1 and reach is None,
        what=lambda: f"Data/Post {entity.name}: {len(rows)} to create",
        outcome=ids_text,
    )
    return write if handling is None else handling.around(write, enumerate, single=len(rows) == 1)


# --- Put ----------------------------------------------------------------------------------------------------------


class Change(Struct, frozen=True):
    """One record to update: stored values by column. In a transaction, ID and values may be ``Deferred``."""

    id: Any
    values: dict[str, Value]


def record_id(value: object) -> int:
    """An ``ID`` sent as number or numeric text; 0 when it is not a valid ID."""
    number = parse_number(value)
    if number is None or not 0 < number <= MAX_ID:
        return 0
    return int(number) if number == int(number) else 0


def _change(
    entity: EntityRuntime, names: Sequence[str], record: Mapping[str, object], references: References | None
) -> Change:
    given = _by_name(record, entity)
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
    return Change(identifier, {name: write[name](given[name]) for name in present})


async def _complete_users(entity: EntityRuntime, changes: Sequence[Change], passwords: Passwords) -> list[Change]:
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
        completed.append(Change(change.id, stored))
    return completed


def update_steps(
    entity: EntityRuntime,
    changes: Sequence[Change],
    reach: Reach,
    user_id: int | None,
    changed: list[tuple[int, int]] | None = None,
) -> Generator[Step, Result, int]:
    """Within a unit: take snapshots, change the records that the caller may change, and return their number.

    ``changed``: gets place and ID of each change that matched.
    """
    is_tracked = entity.entity.change_tracking
    columns = snapshot_columns(entity) if is_tracked else ()
    matched = 0
    ids = [change.id for change in changes]
    if entity.dialect.locks_rows and not is_ascending(ids):
        yield from lock_records(entity, ids, reach)
    before: Sequence[bool] = ()
    for place, asked in enumerate(changes):
        change = asked
        if reach.alternatives:
            values, before = yield from narrowed(entity, change.id, change.values, reach)
            if not values:
                continue
            change = Change(change.id, values)
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


def _update_one(entity: EntityRuntime, change: Change, reach: Reach) -> Generator[Step, Result, int]:
    values: dict[str, Value] = {f"new_{name}": value for name, value in change.values.items()}
    values.update(reach.parameters, id=change.id)
    reset = None
    if is_users(entity) and "Email" in change.values:
        reset = ("EmailConfirmed", "Email")
        values["reset_flag"] = entity.application.dialect.encode_boolean(False)
    update = entity.statement(update_row, tuple(change.values), reach.predicate, reset)
    try:
        result = yield Step(update, update.parameters(values))
    except ForeignKeyViolation as error:
        raise (yield from broken_reference(entity, change.values, error)) from error
    if result.matched and reset:  # tokens that were mailed to the old address become invalid
        yield from revoke_mail_tokens(entity.application, change.id)
    if result.matched and is_users(entity) and "Password" in change.values:
        yield from revoke_tokens(entity.application, change.id)
    return result.matched


def _changes_text(entity: EntityRuntime, changes: Sequence[Change]) -> str:
    """The changed properties and the IDs, without values, for the audit."""
    written = {name for change in changes for name in change.values}
    names = ", ".join(p.name for p in entity.entity.properties if p.name in written)
    return f"{names} of {ids_text(_known(change.id for change in changes))}"


def _known(ids: Iterable[Any]) -> list[int]:
    """The IDs without those of records that the transaction creates."""
    return [id for id in ids if type(id) is int]


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
        raise ApilaneError(Code.EMPTY_BODY, continued(Code.EMPTY_BODY, _EXPECTED_BODY), entity=entity.name)
    _check_writable(entity, Action.put)
    names: Sequence[str] = access.properties
    changes = await _each(body, entity, lambda record: _change(entity, names, record, references))
    reach = access.reach(actor)
    if reach is None or not changes:
        return UnitWrite.nothing(0)
    handling: Handling | None = None
    changed: list[tuple[int, int]] | None = None
    if entity.application.record_handlers is not None and (plan := plan_of(entity, "update")) is not None:
        records = await _each(body, entity, lambda record: seen(entity, names, _by_name(record, entity), references))
        for record, change in zip(records, changes, strict=True):
            record["ID"] = change.id.sent if type(change.id) is Deferred else change.id
        handling, changed = Handling(plan, entity, actor, "update", records, names=names, references=references), []
        await handling.before()
        names = handling.names
        changes = await _each(handling.sent, entity, lambda record: _change(entity, names, record, references))
    changes_users = is_users(entity)
    if changes_users:
        changes = await _complete_users(entity, changes, passwords)

    def steps() -> Generator[Step, Result, int]:
        ready = changes if references is None else [_resolved(change, references) for change in changes]
        if changed is not None:
            changed.clear()
        return update_steps(entity, ready, reach, actor.user_id, changed)

    write = UnitWrite.of(
        entity.session,
        steps,
        single=len(changes) == 1
        and not entity.entity.change_tracking
        and not changes_users
        and access.conditions is None,
        committed=(lambda _matched: entity.application.tokens.forget()) if changes_users else None,
        rows=lambda: ChangedRows(entity, _known(change.id for change in changes), reach),
        what=lambda: f"Data/Put {entity.name}: {_changes_text(entity, changes)}",
        outcome=lambda matched: f"{matched} matched",
    )
    return write if handling is None else handling.around(write, lambda _matched: tuple(changed or ()))


def _resolved(change: Change, references: References) -> Change:
    return Change(references.value(change.id), references.values(change.values))


# --- Delete -------------------------------------------------------------------------------------------------------


def parse_ids(text: str | None) -> list[int]:
    """The positive 64-bit IDs of a comma-separated text, ascending, each once. Invalid entries are skipped (B-W7)."""
    found = {record_id(part) for part in (text or "").split(",")}
    return sorted(found - {0})


def delete_steps(
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
    _check_writable(entity, Action.delete)
    wanted = parse_ids(ids)
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
        return delete_steps(entity, ready, reach, actor.user_id)

    write = UnitWrite.of(
        entity.session,
        steps,
        committed=(lambda _ids: entity.application.tokens.forget()) if is_users(entity) else None,
        rows=lambda: ChangedRows(entity, wanted, reach),
        what=lambda: f"Data/Delete {entity.name}: {ids_text(wanted)}",
        outcome=ids_text,
    )
    return write if handling is None else handling.around(write, lambda gone: [(0, id) for id in gone])
