"""One database: a reading connection on the event loop, a pool for long reads, a writer for units.

``fetch`` is the most frequent call. A short read costs the loop less than handing it to a thread and back, so every
read is tried on the loop first, under a time limit that SQLite checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

import apsw

from apilane.plugin.storage import (
    Finding,
    Result,
    Row,
    Script,
    ScriptNotes,
    ScriptStep,
    Statement,
    StorageError,
    Unavailable,
    Unit,
    UnitWithScripts,
    Value,
    name_lock,
)
from apilane_sqlite.connection import LOOP_PROGRESS_STEPS, Deadline, open_connection, read_in_place
from apilane_sqlite.diagnosis import diagnose
from apilane_sqlite.errors import FAILURES, is_busy, translate
from apilane_sqlite.reader import Batches, Readers
from apilane_sqlite.script import WritesError
from apilane_sqlite.short_script import ShortRead, ShortScripts
from apilane_sqlite.writer import WAIT_LIMIT_S, Writer, WriteRequest

if TYPE_CHECKING:
    from apilane_sqlite.driver import SQLiteDriver

__all__ = ["SQLiteSession"]

T = TypeVar("T")

LOOP_LIMIT_S: Final = 0.002
LOOP_PATIENCE: Final = 4
BATCH_ROWS: Final = 500
POOL_READS_AT_ONCE: Final = 2
"""Concurrent long reads of one database; the other threads remain for other databases."""
SCRIPTS_AT_ONCE: Final = 2
"""Per database, so that endless scripts leave threads to other databases."""

WRITES_BETWEEN_LOOKS: Final = 1024
"""Writes between two checks of the file's size, which may have outgrown the page cache."""
POOL_S: Final = 10.0
"""How long a slow shape runs in the pool. Not forever: the cause may have been a busy machine or the values of that
one call."""


class SQLiteSession:
    """See ``apilane.storage.protocol.Session``. Belongs to one event loop; after ``close`` it opens again when used."""

    def __init__(self, driver: SQLiteDriver, path: str) -> None:
        self.path = path
        self._driver = driver
        self._connection: apsw.Connection | None = None
        self._execute: Callable[..., Any] | None = None
        self._deadline = Deadline(0.0, patience=LOOP_PATIENCE)
        self._opening: asyncio.Task[None] | None = None
        self._openings = 0
        self._writes = 0
        self._slow: dict[Statement | Script, float] = {}
        """Shapes and scripts that took too long, with the end of their time in threads by ``time.monotonic``."""
        self._short_scripts = ShortScripts(path, self._deadline)
        self._opens_for_scripts = False
        self._readers = Readers(path, driver.statement_timeout_s)
        self._writer = Writer(path, driver.statement_timeout_s)
        self._scripts = asyncio.Semaphore(SCRIPTS_AT_ONCE)
        self._pool_turns = asyncio.Semaphore(POOL_READS_AT_ONCE)

    async def fetch(self, statement: Statement, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        """Rows of a read; on the loop, or for some seconds in the pool after the same shape took too long."""
        execute = self._execute
        if execute is not None and not statement.counts_all and not (self._slow and self._is_slow(statement)):
            self._deadline.at = monotonic() + LOOP_LIMIT_S
            try:
                return execute(statement.text, parameters).fetchall()  # type: ignore[no-any-return]
            except apsw.InterruptError:
                self._note_slow(statement)
            except FAILURES as error:
                if not is_busy(error):
                    raise translate(error, self.path) from error
            except UnicodeDecodeError:
                pass  # the readers return the row without this text
            return await self._fetch_in_pool(statement, parameters)
        if statement.counts_all or self._is_slow(statement):  # counting does not check the clock between pages
            return await self._fetch_in_pool(statement, parameters)
        await self._open()
        return await self.fetch(statement, parameters)

    def _is_slow(self, statement: Statement | Script) -> bool:
        """Whether it recently took too long in this database."""
        until = self._slow.get(statement)
        if until is None:
            return False
        if monotonic() < until:
            return True
        del self._slow[statement]
        return False

    def _note_slow(self, statement: Statement | Script) -> None:
        now = monotonic()
        self._slow = {known: until for known, until in self._slow.items() if until > now}
        self._slow[statement] = now + POOL_S

    async def _fetch_in_pool(self, statement: Statement, parameters: Sequence[Value]) -> Sequence[Row]:
        if self._execute is None:
            await self._open()
        self._deadline.at = monotonic()
        ticket = Deadline()
        try:
            async with asyncio.timeout(WAIT_LIMIT_S):
                await self._pool_turns.acquire()
        except TimeoutError:
            raise Unavailable(f"Long reads of {self.path} waited for {WAIT_LIMIT_S:.0f} s.") from None
        try:
            return await self._driver.in_thread(self._readers.read, statement.text, parameters, ticket)
        except asyncio.CancelledError:
            ticket.cancelled = True
            raise
        finally:
            self._pool_turns.release()

    async def stream(self, statement: Statement, parameters: Sequence[Value] = ()) -> AsyncIterator[Sequence[Row]]:
        """Rows in batches of 500, all from one snapshot; keeps a connection until exhausted or closed."""
        await self._open()
        batches = Batches(self._readers, statement.text, parameters, BATCH_ROWS)
        try:
            while rows := await self._driver.in_thread(batches.next):
                yield rows
        finally:
            batches.cancel()
            await asyncio.shield(self._driver.in_thread(batches.close))

    async def run(self, make_unit: Callable[[], UnitWithScripts[T]], *, single: bool = False, alone: bool = False) -> T:
        return await self._write(WriteRequest(make_unit, single=single, alone=alone))  # type: ignore[no-any-return]

    async def alter(self, make_unit: Callable[[], Unit[T]]) -> T:
        return await self._write(WriteRequest(make_unit, alters=True))  # type: ignore[no-any-return]

    async def run_script(self, step: ScriptStep) -> Result:
        """Runs short reads on the loop, others in threads and in parallel to writes. A script that has tried to write
        always runs in the writer.
        """
        notes = step.script.notes
        if type(notes) is ShortRead and not (self._slow and self._is_slow(step.script)):
            if self._short_scripts.execute is None:
                await self._open_for_scripts()
            result = self._run_on_loop(step, notes)
            if result is not None:
                return result
        if notes is None or not notes.writes:
            try:
                return await self._read_by_script(step)
            except WritesError:
                step.script.notes = ScriptNotes(writes=True)

        def unit() -> Generator[ScriptStep, Result, Result]:
            return (yield step)

        return await self.run(unit, alone=True)

    def _run_on_loop(self, step: ScriptStep, notes: ShortRead) -> Result | None:
        """None: the script must run in a thread, which also finds the message for a failure."""
        if self._short_scripts.execute is None:
            return None
        self._deadline.at = monotonic() + LOOP_LIMIT_S
        try:
            return self._short_scripts.run(step, notes)
        except apsw.InterruptError:
            self._note_slow(step.script)
        except (*FAILURES, StorageError, UnicodeDecodeError):
            pass
        return None

    async def _open_for_scripts(self) -> None:
        """Open the connection of short scripts. If that fails, or another call does it, scripts run in threads."""
        await self._open()
        if self._opens_for_scripts:
            return
        self._opens_for_scripts = True
        try:
            opened = await self._driver.in_thread(self._short_scripts.open, self._driver.mmap_mib)
            self._short_scripts.use(opened)
        except (apsw.Error, OSError):
            pass
        finally:
            self._opens_for_scripts = False

    async def _read_by_script(self, step: ScriptStep) -> Result:
        if self._execute is None:
            await self._open()
        self._deadline.at = monotonic()
        try:
            async with asyncio.timeout(WAIT_LIMIT_S):
                await self._scripts.acquire()
        except TimeoutError:
            text = f"The scripts of {self.path} were busy for {WAIT_LIMIT_S:.0f} s."
            raise Unavailable(text) from None
        ticket = Deadline()
        try:
            return await self._driver.in_script_thread(self._readers.run, step, ticket)
        except asyncio.CancelledError:
            ticket.cancelled = True
            raise
        finally:
            self._scripts.release()

    async def _write(self, request: WriteRequest) -> Any:
        if self._execute is None:
            await self._open()
        self._deadline.at = monotonic()
        self._writer.submit(request)
        self._writes += 1
        if self._writes % WRITES_BETWEEN_LOOKS == 0 and self._connection is not None:
            read_in_place(self._connection, self.path, self._driver.mmap_mib)
        return await request.future

    async def change_mark(self) -> Value:
        """Changes when another connection, of this process or another, commits, and when the file is opened again."""
        await self._open()
        assert self._execute is not None  # noqa: S101  # opened above
        self._deadline.at = monotonic() + LOOP_LIMIT_S
        try:
            version = self._execute("PRAGMA data_version").fetchone()[0]
        except apsw.Error as error:
            if is_busy(error):
                return f"{self._openings}.busy"
            raise translate(error, self.path) from error
        return f"{self._openings}.{version}"

    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]:
        """A lock on a file of that name in a folder beside the database."""
        return name_lock(f"{self.path}.locks", name)

    async def diagnose(self) -> Sequence[Finding]:
        """Version, free space and rights; reads the whole file once."""
        await self._open()
        return await self._driver.in_thread(diagnose, self.path)

    async def close(self) -> None:
        """Finish all accepted work, then close every connection."""
        await self._writer.stop()
        while self.busy:  # noqa: ASYNC110  # rare, and an event would cost every read
            await asyncio.sleep(0.002)
        await self._driver.let_go(self)

    # For the driver.

    @property
    def busy(self) -> bool:
        """Whether work is in flight."""
        return self._opening is not None or self._readers.busy > 0 or self._writer.busy or self._opens_for_scripts

    @property
    def last_used(self) -> float:
        """By ``time.monotonic``. Reads on the loop set only their deadline, which serves as this time."""
        return self._deadline.at

    @property
    def queued_writes(self) -> int:
        """The number of units that wait or run."""
        return self._writer.queued

    def detach(self) -> list[apsw.Connection]:
        """Every idle connection, for the driver to close; the next call opens again."""
        connections = self._readers.detach_idle() + self._short_scripts.detach()
        if self._connection is not None:
            connections.append(self._connection)
        self._connection = self._execute = None
        self._writer.release()
        return connections

    def forget(self) -> object:
        """After a fork: start again. Returns what the parent opened, which must be neither used nor closed here."""
        inherited = (self._connection, self._readers, self._writer, self._opening, self._short_scripts)
        self._connection = self._execute = self._opening = None
        self._readers = Readers(self.path, self._driver.statement_timeout_s)
        self._writer = Writer(self.path, self._driver.statement_timeout_s)
        self._short_scripts = ShortScripts(self.path, self._deadline)
        self._opens_for_scripts = False
        self._scripts = asyncio.Semaphore(SCRIPTS_AT_ONCE)
        self._pool_turns = asyncio.Semaphore(POOL_READS_AT_ONCE)
        return inherited

    async def _open(self) -> None:
        if self._execute is not None:
            return
        if self._opening is None:
            self._opening = asyncio.create_task(self._open_connection())
            self._opening.add_done_callback(self._opened)
        await asyncio.shield(self._opening)

    async def _open_connection(self) -> None:
        """Off the loop: this creates a new file, or recovers one after a crash."""
        try:
            connection = await self._driver.in_thread(
                lambda: open_connection(
                    self.path,
                    busy_timeout_ms=0,
                    deadline=self._deadline,
                    progress_steps=LOOP_PROGRESS_STEPS,
                    plans_once=True,
                )
            )
            read_in_place(connection, self.path, self._driver.mmap_mib)
        except (apsw.Error, OSError) as error:
            raise translate(error, self.path) from error
        self._openings += 1
        self._connection = connection
        self._execute = connection.execute
        self._deadline.at = monotonic()
        self._driver.opened(self)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # the waiting callers raise it; without waiting callers it is ignored
