"""Data Post, Put and Delete (docs/reference/protocol/wire-api.md sections 4.4 to 4.6): checks in the order of
docs/reference/protocol/errors.md section 3.2, and writes in one unit.

Each call does all checks and returns a ``Write``, which the caller runs. An array body is written in one transaction
(B-W6). Units are built from ``*_steps`` generators, so that transactions can join them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from itertools import pairwise
from time import monotonic
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from apilane.errors import ApilaneError, Code
from apilane.model.definition import Action, ForeignKey, OnDelete
from apilane.model.json import MalformedJson, decode_json
from apilane.model.numbers import parse_number
from apilane.plugin.calls import Write
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan, Reach
from apilane.runtime.application import EntityRuntime
from apilane.runtime.identities import now_ms
from apilane.security.passwords import Passwords
from apilane.services.audit_trail import ids_text
from apilane.services.failures import broken_reference, referencing_properties
from apilane.services.history import snapshot, snapshot_columns
from apilane.services.users import complete_user_values, encode_user_value, is_users, revoke_mail_tokens, revoke_tokens
from apilane.sql.statement import Statement, Value
from apilane.sql.write import (
    VALUES_PER_STATEMENT,
    delete_by_ids,
    detach_by_ids,
    insert_row,
    padded,
    select_by_ids,
    update_row,
)
from apilane.storage.errors import ForeignKeyViolation
from apilane.storage.protocol import Result, Row, Step

__all__ = ["Change", "add", "delete", "delete_steps", "insert_steps", "parse_ids", "post", "put", "update_steps"]

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
            raise ApilaneError(Code.ERROR, entity=entity.name) from None
    if isinstance(body, dict):
        yield body
    elif isinstance(body, list):
        for element in body:
            if element is not None:
                yield from _records(element, entity)
    else:
        raise ApilaneError(Code.ERROR, entity=entity.name)


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


def _check_writable(entity: EntityRuntime, action: Action) -> None:
    allowed = not entity.entity.is_read_only
    if entity.entity.is_system:
        if action is Action.post:
            allowed = allowed and entity.name not in ("Users", "Files")
        elif action is Action.put:
            allowed = allowed and entity.name != "Files"
    if not allowed:
        raise ApilaneError(Code.ERROR, "Not allowed", entity=entity.name)


def _forgetting(entity: EntityRuntime, run: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """``run``; after a write to Users it also clears the cache of identities."""
    if not is_users(entity):
        return run

    async def run_and_forget() -> T:
        done = await run()
        entity.application.tokens.forget()
        return done

    return run_and_forget


# --- Post ---------------------------------------------------------------------------------------------------------


def insert_steps(
    entity: EntityRuntime, statement: Statement, rows: Sequence[dict[str, Value]]
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
    entity: EntityRuntime, access: AccessPlan, actor: Actor, record: Mapping[str, object], now: int
) -> dict[str, Value]:
    given = _by_name(record, entity)
    row: dict[str, Value] = {"Created": now}
    if "Owner" in entity.readers:
        row["Owner"] = actor.user_id
    if access.tenant_column is not None:
        row[access.tenant_column] = actor.tenant
    for name, write in entity.writers_of(access.properties):
        value = given.get(name)
        row[name] = value if value is None else write(value)
    return row


def add(entity: EntityRuntime, actor: Actor, access: AccessPlan, values: Mapping[str, object]) -> Write[int]:
    """Store one record with ``values``, which the server made; they may be system properties. The result is its ID."""
    row = _new_row(entity, replace(access, properties=tuple(values)), actor, values, now_ms())
    statement = entity.statement(insert_row, tuple(row))

    async def run() -> int:
        (identifier,) = await entity.session.run(lambda: insert_steps(entity, statement, [row]), single=True)
        return identifier

    return Write(run=run, what=lambda: f"{entity.name}: 1 to create", outcome=lambda made: ids_text([made]))


async def post(entity: EntityRuntime, actor: Actor, access: AccessPlan, body: object | None) -> Write[list[int]]:
    """Store all records of the body or none; the result is their IDs in the order of the body. None: no body."""
    if body is None:
        raise ApilaneError(Code.EMPTY_BODY, entity=entity.name)
    _check_writable(entity, Action.post)
    if not access.properties:
        raise ApilaneError(Code.NO_PROPERTIES_PROVIDED, entity=entity.name)
    now = now_ms()
    rows = await _each(body, entity, lambda record: _new_row(entity, access, actor, record, now))
    if not rows:
        return Write.nothing([])
    statement = entity.statement(insert_row, tuple(rows[0]))
    return Write(
        run=lambda: entity.session.run(lambda: insert_steps(entity, statement, rows), single=len(rows) == 1),
        what=lambda: f"Data/Post {entity.name}: {len(rows)} to create",
        outcome=ids_text,
    )


# --- Put ----------------------------------------------------------------------------------------------------------


class Change(Struct, frozen=True):
    """One record to update: stored values by column."""

    id: int
    values: dict[str, Value]


def record_id(value: object) -> int:
    """An ``ID`` sent as number or numeric text; 0 when it is not a valid ID."""
    number = parse_number(value)
    if number is None or not 0 < number <= MAX_ID:
        return 0
    return int(number) if number == int(number) else 0


def _change(entity: EntityRuntime, access: AccessPlan, record: Mapping[str, object]) -> Change:
    given = _by_name(record, entity)
    present = [name for name in access.properties if name in given]
    if not present:
        raise ApilaneError(Code.NO_PROPERTIES_PROVIDED, entity=entity.name)
    identifier = record_id(given.get("ID"))
    if not identifier:
        raise ApilaneError(Code.NO_ID_PROVIDED, entity=entity.name)
    write = entity.readers if is_users(entity) else entity.writers  # ``_complete_users`` encodes the values of users
    return Change(identifier, {name: write[name](given[name]) for name in present})


async def _complete_users(entity: EntityRuntime, changes: Sequence[Change], passwords: Passwords) -> list[Change]:
    """Changes of users with passwords hashed, case-folded columns added and other values encoded."""
    if sum("Password" in change.values for change in changes) > PASSWORDS_MAX:
        raise ApilaneError(Code.ERROR, f"At most {PASSWORDS_MAX} passwords in one call", entity=entity.name)
    completed = []
    for change in changes:
        values = dict(change.values)
        await complete_user_values(values, passwords)
        stored = {name: encode_user_value(entity, name, value) for name, value in values.items()}
        completed.append(Change(change.id, stored))
    return completed


def update_steps(
    entity: EntityRuntime, changes: Sequence[Change], reach: Reach, user_id: int | None
) -> Generator[Step, Result, int]:
    """Within a unit: take snapshots, change the records that the caller may change, and return their number."""
    is_tracked = entity.entity.change_tracking
    columns = snapshot_columns(entity) if is_tracked else ()
    matched = 0
    yield from _lock_in_order(entity, [change.id for change in changes], reach)
    for change in changes:
        if is_tracked:
            select = entity.statement(select_by_ids, columns, 1, reach.predicate)
            rows = (yield Step(select, select.parameters({"id0": change.id, **reach.parameters}))).rows
            if not rows:
                continue
            yield from snapshot(entity, columns, rows[0], user_id)
        matched += yield from _update_one(entity, change, reach)
    return matched


def _lock_in_order(entity: EntityRuntime, ids: Sequence[int], reach: Reach) -> Generator[Step, Result, None]:
    """Within a unit: lock the records in the order of their IDs, so that units that change the same records wait for
    each other instead of becoming deadlock victims. Updates in that order need no locks in advance.
    """
    if not entity.dialect.locks_rows or all(a <= b for a, b in pairwise(ids)):
        return
    for chunk in padded(sorted(set(ids))):
        select = entity.statement(select_by_ids, ("ID",), len(chunk), reach.predicate)
        yield Step(select, select.parameters({**_named(chunk), **reach.parameters}))


def _named(ids: Sequence[int]) -> dict[str, Value]:
    """IDs by the names of the parameters of ``select_by_ids``."""
    return {f"id{position}": id for position, id in enumerate(ids)}


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
    return f"{names} of {ids_text(change.id for change in changes)}"


async def put(
    entity: EntityRuntime, actor: Actor, access: AccessPlan, body: object | None, passwords: Passwords
) -> Write[int]:
    """Update all records of the body or none; the result is how many matched. Records that the caller may not change
    do not match."""
    if body is None:
        raise ApilaneError(Code.EMPTY_BODY, entity=entity.name)
    _check_writable(entity, Action.put)
    changes = await _each(body, entity, lambda record: _change(entity, access, record))
    reach = access.reach(actor)
    if reach is None or not changes:
        return Write.nothing(0)
    if is_users(entity):
        changes = await _complete_users(entity, changes, passwords)
    single = len(changes) == 1 and not entity.entity.change_tracking and not is_users(entity)
    return Write(
        run=_forgetting(
            entity,
            lambda: entity.session.run(lambda: update_steps(entity, changes, reach, actor.user_id), single=single),
        ),
        what=lambda: f"Data/Put {entity.name}: {_changes_text(entity, changes)}",
        outcome=lambda matched: f"{matched} matched",
    )


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
    for chunk in padded(ids):  # locks the records in the order of their IDs, like ``_lock_in_order``
        select = entity.statement(select_by_ids, columns, len(chunk), reach.predicate)
        rows = (yield Step(select, select.parameters({**_named(chunk), **reach.parameters}))).rows
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
        if is_required and by_row:
            continue  # the reference cannot be empty, and a record that refers to itself cannot be deleted either
        at = columns.index(name)
        for part in padded([row[0] for row in rows if row[at] in gone]):
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


async def delete(entity: EntityRuntime, actor: Actor, access: AccessPlan, ids: str | None) -> Write[list[int]]:
    """Delete the records with these comma-separated IDs that the caller may delete, all or none. The result is their
    IDs, ascending."""
    _check_writable(entity, Action.delete)
    wanted = parse_ids(ids)
    if not wanted:
        raise ApilaneError(Code.NO_RECORDS_FOUND_TO_DELETE, entity=entity.name)
    reach = access.reach(actor)
    if reach is None:
        return Write.nothing([])
    return Write(
        run=_forgetting(entity, lambda: entity.session.run(lambda: delete_steps(entity, wanted, reach, actor.user_id))),
        what=lambda: f"Data/Delete {entity.name}: {ids_text(wanted)}",
        outcome=ids_text,
    )
