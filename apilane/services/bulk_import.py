"""Data/Import: records from CSV or JSON lines, stored in batches (docs/reference/protocol/wire-api.md section 4.11).

Each batch is one transaction, all or nothing. A batch that fails is halved until the bad lines stand alone; the report
names them. A stop leaves whole batches behind, and the report says with which line to go on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from msgspec import Struct

from apilane.errors import ApilaneError, Code, DatabaseBusyError, RateLimitedError
from apilane.model.bulk_lines import CsvLines, JsonLines, Line, UnreadableLines
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import EntityRuntime
from apilane.services import record_post
from apilane.services.bulk_columns import Columns
from apilane.services.failures import wire_error
from apilane.services.unit_writes import UnitWrite
from apilane.storage.errors import (
    ForeignKeyViolation,
    NotNullViolation,
    NumberOutOfRange,
    Raised,
    StorageError,
    UniqueViolation,
    ValueTooLong,
)

__all__ = ["BATCH", "REFUSED_MAX", "BulkImport", "Granted", "ImportOptions", "ImportReport", "Refused"]

BATCH: Final = 1000
"""Lines of one transaction."""
BATCH_MAX_BYTES: Final = 8_388_608
"""A batch ends earlier when its lines have arrived in so many bytes."""
REFUSED_MAX: Final = 1000
"""An import stops after so many refused lines, so that the report has every one."""

_OF_A_LINE: Final = (UniqueViolation, ForeignKeyViolation, NotNullViolation, ValueTooLong, NumberOutOfRange, Raised)
log = logging.getLogger("apilane.import")


class ImportOptions(Struct, frozen=True, kw_only=True):
    """``start``: the number of the first line to store; CSV still begins with its header. ``dry_run``: everything is
    checked in a transaction that is rolled back. ``safe``: remove the apostrophe that a safe export has put in front.
    """

    format: str = "csv"
    dry_run: bool = False
    start: int = 1
    safe: bool = False


class Refused(Struct, frozen=True, rename="pascal"):
    """A line that was not stored, and the error that Data/Post would give."""

    line: int
    code: str
    message: str
    property: str | None


class Stopped(Struct, frozen=True, rename="pascal"):
    """Why an import ended before its last line. ``retry_after``: seconds."""

    code: str
    message: str
    retry_after: int | None = None


class ImportReport(Struct, rename="pascal", kw_only=True):
    """The result. ``next``: the line to go on with after a stop; None when all lines were handled."""

    stored: int = 0
    refused: list[Refused] = []
    ignored: list[str] = []
    """Properties of the lines that the caller may not write."""
    dry_run: bool = False
    stopped: Stopped | None = None
    next: int | None = None


class _Stop(Exception):
    """The import ends here. ``line``: the first one that was not handled. ``failure``: the error as it was raised."""

    def __init__(self, line: int, error: ApilaneError, failure: Exception | None = None) -> None:
        self.line = line
        self.error = error
        self.failure = error if failure is None else failure


class _Undone(Exception):
    """Rolls back a dry run."""


class _Entry(NamedTuple):
    line: int
    record: dict[str, object]


class Granted(NamedTuple):
    """The rights under which a batch is stored."""

    actor: Actor
    entity: EntityRuntime
    access: AccessPlan


class BulkImport:
    """One import. ``again``: checks the caller's rights before each batch but the first and counts one use; it raises
    the error of a caller who may not go on. None: the rights stay.
    """

    def __init__(
        self, granted: Granted, options: ImportOptions, again: Callable[[], Awaitable[Granted]] | None = None
    ) -> None:
        self._granted = granted
        self._options = options
        self._again = again
        self._batches = 0
        _, entity, access = granted
        self._lines = CsvLines() if options.format == "csv" else JsonLines()
        self._columns = Columns(entity, access, options.safe, by_header=options.format == "csv")
        self._next = options.start
        self.report = ImportReport(dry_run=options.dry_run)

    async def check(self) -> None:
        """Raise the error of Data/Post for a caller or an entity that it refuses as a whole."""
        actor, entity, access = self._granted
        await record_post.post(entity, actor, access, [])

    async def run(self, body: AsyncIterator[bytes]) -> ImportReport:
        """Store the lines of the body. Raises an error that occurs before anything was stored or refused."""
        report = self.report
        try:
            await self._run(body)
        except _Stop as stop:
            if not report.stored and not report.refused:
                raise stop.failure from None
            retry_after = getattr(stop.error, "retry_after_s", None)
            report.stopped = Stopped(stop.error.code.value, stop.error.message, retry_after)
            report.next = stop.line
            log.warning(
                "an import into %s stopped before line %d: %s", self._columns.entity.name, stop.line, stop.error
            )
        report.ignored = self._columns.ignored
        return report

    async def _run(self, body: AsyncIterator[bytes]) -> None:
        batch: list[_Entry] = []
        size = 0
        try:
            async for part in body:
                size += len(part)
                for line in self._lines.feed(part):
                    self._take(line, batch)
                    if len(batch) >= BATCH:
                        await self._store(batch)
                        size = len(part)
                if size > BATCH_MAX_BYTES:
                    await self._store(batch)
                    size = 0
            for line in self._lines.end():
                self._take(line, batch)
            await self._store(batch)
            if self._columns.is_missing:
                raise _Stop(1, ApilaneError(Code.EMPTY_BODY, entity=self._columns.entity.name))
        except UnreadableLines as error:
            await self._store(batch)
            text = f"Validation error: {error}"
            raise _Stop(self._next, ApilaneError(Code.VALIDATION, text, entity=self._columns.entity.name)) from error
        except ApilaneError as error:  # the body did not arrive
            raise _Stop(batch[0].line if batch else self._next, error) from error

    def _take(self, line: Line, batch: list[_Entry]) -> None:
        """Put the record of a line into the batch, or its problem into the report."""
        columns = self._columns
        if columns.is_missing:
            try:
                columns.read_header(line)
            except ApilaneError as error:
                raise _Stop(line.number, error) from error
            self._next = max(self._next, line.number + 1)
            return
        if line.number < self._options.start:
            return
        try:
            batch.append(_Entry(line.number, columns.record(line)))
        except ApilaneError as error:
            self._refuse(line.number, error, batch)
        self._next = line.number + 1

    def _refuse(self, line: int, error: ApilaneError, batch: Sequence[_Entry] = ()) -> None:
        """Put a line into the report. ``batch``: earlier lines that are not stored yet."""
        refused = self.report.refused
        if len(refused) >= REFUSED_MAX:
            text = f"More than {REFUSED_MAX} lines were refused: correct them, then go on"
            raise _Stop(batch[0].line if batch else line, ApilaneError(Code.ERROR, text))
        refused.append(Refused(line, error.code.value, error.message, error.property))

    async def _store(self, batch: list[_Entry]) -> None:
        """Store a batch and empty it. Parts that fail are halved, the first half first."""
        parts = [batch[:]] if batch else []
        kept: list[_Entry] = []
        batch.clear()
        if parts:
            await self._admit(parts[0][0].line)
        while parts:
            part = parts.pop()
            error = await self._stored(part, kept)
            if error is None:
                if self._options.dry_run:  # rolled back: the next parts are tried together with these
                    kept += part
                continue
            if len(part) == 1:
                self._refuse(part[0].line, error)
                continue
            half = len(part) // 2
            parts += [part[half:], part[:half]]
        self.report.refused.sort(key=lambda each: each.line)

    async def _admit(self, line: int) -> None:
        """Ask for the rights of a further batch. Raises _Stop when the caller may not go on."""
        self._batches += 1
        if self._batches == 1 or self._again is None:
            return
        try:
            self._granted = await self._again()
        except ApilaneError as error:
            raise _Stop(line, error) from error
        except StorageError as error:
            raise _Stop(line, wire_error(error, self._columns.entity.name), error) from error
        entity = self._granted.entity
        if entity.entity != self._columns.entity.entity:
            text = f"Something went wrong: {entity.name} was changed during the import"
            raise _Stop(line, ApilaneError(Code.ERROR, text, entity=entity.name))

    async def _stored(self, part: Sequence[_Entry], kept: Sequence[_Entry]) -> ApilaneError | None:
        """Store a part in one transaction; the error of a line when nothing was stored. Raises _Stop for others."""
        line = part[0].line
        try:
            actor, entity, access = self._granted
            records = [each.record for each in (*kept, *part)]
            write = await record_post.post(entity, actor, access, records)
            await (self._rehearse(entity, write) if self._options.dry_run else write.run())
        except (RateLimitedError, DatabaseBusyError) as error:
            raise _Stop(line, error) from error
        except ApilaneError as error:
            return error
        except _OF_A_LINE as error:
            return wire_error(error, self._columns.entity.name)
        except StorageError as error:
            raise _Stop(line, wire_error(error, self._columns.entity.name), error) from error
        except Exception as error:  # of a plugin that handles changes
            log.exception("an import into %s failed at line %d", self._columns.entity.name, line)
            raise _Stop(line, ApilaneError(Code.ERROR, entity=self._columns.entity.name), error) from error
        self.report.stored += len(part)
        return None

    async def _rehearse(self, entity: EntityRuntime, write: UnitWrite[Any]) -> None:
        def unit() -> Generator[Any, Any, None]:
            yield from write.steps()
            raise _Undone

        with suppress(_Undone):
            await entity.session.run(unit)
