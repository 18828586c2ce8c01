"""Application/ImportData: stores raw records with their IDs, all or none
(docs/reference/protocol/wire-api.md section 9).

The body is read as a stream: each record is checked, encrypted and put into a spool. One unit then stores all rows.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Generator, Iterable, Mapping, Sequence
from secrets import token_urlsafe
from time import monotonic
from typing import Final

from apilane.errors import ApilaneError, Code
from apilane.model.definition import ForeignKey
from apilane.model.hints import near, shown
from apilane.model.json import MalformedJson
from apilane.model.json_arrays import ObjectStream
from apilane.model.raw_values import raw_reader
from apilane.plugin.calls import Write
from apilane.runtime.application import EntityRuntime
from apilane.security.passwords import Passwords
from apilane.services.failures import named_violation, wire_error
from apilane.services.history_names import set_aside
from apilane.services.row_spool import RowSpool
from apilane.services.users import FOLDS, complete_user_values, encode_user_value, is_users
from apilane.sql.statement import Statement, Value
from apilane.sql.write import insert_row, update_where
from apilane.storage.errors import (
    ForeignKeyViolation,
    NotNullViolation,
    NumberOutOfRange,
    StorageError,
    UniqueViolation,
    ValueTooLong,
)
from apilane.storage.protocol import Result, Step

__all__ = ["IMPORT_MAX_BYTES", "import_records"]

IMPORT_MAX_BYTES: Final = 134_217_728
RECORD_MAX_CHARACTERS: Final = 30_000_000
"""The most characters of one record: the limit of other bodies."""
RECORDS_MAX: Final = 1_000_000
PASSWORDS_MAX: Final = 500
"""The most passwords of one import. Hashing each of them takes as long as one sign-in."""
MAX_ID: Final = 2**53 - 1
"""The largest integer that every JSON client reads exactly. It leaves IDs for the records that follow."""
UNIT_S: Final = 18.0
"""The longest time in the database. Other writers of SQLite wait meanwhile, and they give up after 20 s."""
STEPS_BETWEEN_LOOKS: Final = 256
TURN_S: Final = 0.005
_REFUSALS: Final = (UniqueViolation, ForeignKeyViolation, NotNullViolation, ValueTooLong, NumberOutOfRange)


async def import_records(
    entity: EntityRuntime, body: AsyncIterator[bytes], passwords: Passwords
) -> Write[Sequence[int]]:
    """Read all records of the body and check them; the write stores them, and its result is their IDs in order.

    Raises EMPTY_BODY for a body that is no JSON array of objects, NO_ID_PROVIDED and VALIDATION for a record.
    """
    if entity.entity.is_read_only or (entity.entity.is_system and entity.name == "Files"):
        raise ApilaneError(Code.ERROR, "Not allowed", entity=entity.name)
    job = _Import(entity, passwords)
    await job.read(body)
    spool = job.spool
    if not spool.count:
        return Write.nothing(())

    async def run() -> Sequence[int]:
        ids = await entity.session.run(job.steps, alone=True)
        entity.application.records_changed()
        return ids

    return Write(
        run=run,
        what=lambda: f"Application/ImportData {entity.name}: {spool.count} to store",
        outcome=lambda ids: f"{len(ids)} stored, IDs between {min(ids)} and {max(ids)}",
    )


class _Import:
    """One import: its rows of stored values, and the unit that stores them."""

    def __init__(self, entity: EntityRuntime, passwords: Passwords) -> None:
        self._entity = entity
        self._passwords = passwords if is_users(entity) else None
        self._hashed = 0
        self._unknown_password = ""
        exact = entity.application.driver.features.exact_decimals
        self._readers = {p.name: raw_reader(entity.name, p, exact_decimals=exact) for p in entity.entity.properties}
        self._columns = (*self._readers, *(FOLDS.values() if self._passwords else ()))
        self._late = _references_to_itself(entity)
        self.spool = RowSpool()

    async def read(self, body: AsyncIterator[bytes]) -> None:
        """Put the rows of all records into the spool, with pauses for other requests."""
        records = ObjectStream(RECORD_MAX_CHARACTERS)
        try:
            async for part in body:
                await self._add(records.feed(part))
            await self._add(records.end())
        except MalformedJson as error:
            at = f" after record {records.count}" if records.count else ""
            message = f"Empty body: expected a JSON array of records; {error}{at}"
            raise ApilaneError(Code.EMPTY_BODY, message, entity=self._entity.name) from error

    async def _add(self, records: Iterable[Mapping[str, object]]) -> None:
        turn_ends = monotonic() + TURN_S
        for record in records:
            if self.spool.count >= RECORDS_MAX:
                raise ApilaneError(Code.ERROR, f"At most {RECORDS_MAX} records in one import", entity=self._entity.name)
            try:
                row = await self._row(record)
            except ApilaneError as error:
                error.message += f": record {self.spool.count + 1} of the body"
                raise
            self.spool.add([row[name] for name in self._columns])
            if monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = monotonic() + TURN_S

    async def _row(self, record: Mapping[str, object]) -> dict[str, Value]:
        """The stored values of a record by column. A property that it does not have is null."""
        entity, given = self._entity, self._by_name(record)
        id = given.get("ID")
        if type(id) is not int or id <= 0:
            raise ApilaneError(Code.NO_ID_PROVIDED, entity=entity.name)
        if id > MAX_ID:
            text = f"Maximum allowed value {MAX_ID}"
            raise ApilaneError(Code.VALIDATION, text, property="ID", entity=entity.name)
        values: dict[str, Value] = {name: read(given.get(name)) for name, read in self._readers.items()}
        if self._passwords is None:
            return {name: entity.encode(entity.properties[name.lower()], value) for name, value in values.items()}
        await self._complete_user(values, self._passwords)
        return {name: encode_user_value(entity, name, value) for name, value in values.items()}

    async def _complete_user(self, values: dict[str, Value], passwords: Passwords) -> None:
        """Hash the password and fold the names. A user without a password gets one that no caller knows."""
        if values["Password"] is None:
            if not self._unknown_password:
                self._unknown_password = await passwords.hash(token_urlsafe())
            await complete_user_values(values, passwords)
            values["Password"] = self._unknown_password
            return
        self._hashed += 1
        if self._hashed > PASSWORDS_MAX:
            raise ApilaneError(Code.ERROR, f"At most {PASSWORDS_MAX} passwords in one import", entity=self._entity.name)
        await complete_user_values(values, passwords)

    def _by_name(self, record: Mapping[str, object]) -> Mapping[str, object]:
        """The record by schema names. Raises VALIDATION for an unknown name, whose value would be lost."""
        if record.keys() <= self._readers.keys():
            return record
        properties = self._entity.properties
        for typed in record:
            if typed.lower() not in properties:
                text = (
                    f"Validation error: {self._entity.name} has no property {shown(typed)}{near(typed, self._readers)}"
                )
                raise ApilaneError(Code.VALIDATION, text, entity=self._entity.name)
        return {properties[typed.lower()].name: value for typed, value in record.items()}

    def steps(self) -> Generator[Step, Result, Sequence[int]]:
        """The unit: it inserts all rows, then sets the references to records that come later in the body.

        The IDs move the sequence of the table beyond the highest one. They may be those of deleted records, whose
        history the new records do not get.
        """
        insert = self._entity.statement(insert_row, self._columns)
        at = self._columns.index("ID")
        ids, seen = array("q"), set[int]()
        waiting = array("q")
        ends = monotonic() + UNIT_S
        for row in self.spool.rows():
            ids.append(row[at])
            values = dict(zip(self._columns, row, strict=True))
            if self._late:
                seen.add(row[at])
                later = [name for name in self._late if values[name] is not None and values[name] not in seen]
                if later:
                    waiting.append(len(ids))
                    values |= dict.fromkeys(later)
            yield from self._store(insert, values, len(ids), ends)
        if waiting:
            yield from self._refer(waiting, ends)
        yield from set_aside(self._entity, ids)
        return ids

    def _refer(self, waiting: Sequence[int], ends: float) -> Generator[Step, Result, None]:
        """Set the references of the records at these positions."""
        update = self._entity.statement(update_where, self._late, (("ID", "id"),))
        positions = iter(waiting)
        wanted = next(positions, None)
        for position, row in enumerate(self.spool.rows(), 1):
            if position == wanted:
                values = dict(zip(self._columns, row, strict=True))
                bound = {f"new_{name}": values[name] for name in self._late}
                yield from self._store(update, {**values, **bound, "id": values["ID"]}, position, ends)
                wanted = next(positions, None)

    def _store(
        self, statement: Statement, values: Mapping[str, Value], position: int, ends: float
    ) -> Generator[Step, Result, None]:
        """One step. A violation becomes the caller's error, which names the record."""
        name = self._entity.name
        if position % STEPS_BETWEEN_LOOKS == 0 and monotonic() > ends:
            text = f"The import did not end within {UNIT_S:g} s, and nothing was stored. Send fewer records in one call"
            raise ApilaneError(Code.ERROR, text, entity=name)
        try:
            yield Step(statement, statement.parameters(values))
        except _REFUSALS as error:
            cause: StorageError = error
            if isinstance(error, ForeignKeyViolation | UniqueViolation):
                cause = yield from named_violation(self._entity, values, error)
            refusal = wire_error(cause, name)
            refusal.message += f": record {position} of the body, ID {values['ID']!r}"
            raise refusal from error


def _references_to_itself(entity: EntityRuntime) -> tuple[str, ...]:
    """The optional properties that refer to the entity itself. They are set last, because a record may refer to one
    that follows it.
    """
    return tuple(
        each.property
        for each in entity.entity.constraints
        if isinstance(each, ForeignKey)
        and each.entity.lower() == entity.name.lower()
        and not entity.properties[each.property.lower()].required
    )
