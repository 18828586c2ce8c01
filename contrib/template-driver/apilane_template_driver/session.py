"""One database: one thread with one connection. All work on the database waits in the queue of that thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import Any, TypeVar

from apilane.plugin.storage import (
    Finding,
    ForeignKeyViolation,
    Result,
    Row,
    ScriptStep,
    Statement,
    Step,
    Unit,
    UnitWithScripts,
    Unsupported,
    Value,
    drive,
    fold,
    name_lock,
)
from apilane_template_driver.errors import columns_of_index, translate

__all__ = ["TemplateSession"]

T = TypeVar("T")

BUSY_TIMEOUT_S = 20.0
"""Time to wait for other processes that write to the file."""
STATEMENT_TIMEOUT_S = 20.0
BATCH_ROWS = 500


class TemplateSession:
    """See ``apilane.storage.protocol.Session``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._ends_at = 0.0

    # The methods that Apilane calls. Their work runs in the thread.

    async def fetch(self, statement: Statement, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        return await self._in_thread(self._fetch, statement, parameters)

    async def stream(self, statement: Statement, parameters: Sequence[Value] = ()) -> AsyncIterator[Sequence[Row]]:
        """Read all rows into memory, then return batches. A driver for big tables must read in batches."""
        rows = await self.fetch(statement, parameters)
        for start in range(0, len(rows), BATCH_ROWS):
            yield rows[start : start + BATCH_ROWS]

    async def run(self, make_unit: Callable[[], UnitWithScripts[T]], *, single: bool = False, alone: bool = False) -> T:
        return await self._in_thread(self._write, make_unit)

    async def alter(self, make_unit: Callable[[], Unit[T]]) -> T:
        return await self._in_thread(self._alter, make_unit)

    async def run_script(self, step: ScriptStep) -> Result:
        raise Unsupported("This driver runs no custom SQL.")

    async def change_mark(self) -> Value:
        return await self._in_thread(self._mark)

    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]:
        return name_lock(f"{self._path}.locks", name)

    async def diagnose(self) -> Sequence[Finding]:
        problem = await self._in_thread(lambda connection: connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if problem != "ok":
            return [Finding(f"The file is damaged: {problem}", "Restore it from a backup.", serious=True)]
        return [Finding(f"SQLite {sqlite3.sqlite_version}, the file is intact")]

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.wrap_future(thread.submit(self._close))
            thread.shutdown()

    # Methods that run in the thread.

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Run work in the thread. Work that is cancelled before it begins does not run; begun work runs to its end."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="template-driver")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._translating, work, *arguments)

    def _translating(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            if self._connection is None:
                self._connection = self._open()
            self._ends_at = monotonic() + STATEMENT_TIMEOUT_S
            return work(self._connection, *arguments)
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise translate(error, self._path) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        # Unique indexes use it, so it must be deterministic.
        connection.create_function("apilane_fold", 1, lambda text: text and fold(text), deterministic=True)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.set_progress_handler(lambda: monotonic() > self._ends_at, 10_000)
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _mark(self, connection: sqlite3.Connection) -> Value:
        """A mark of the commits of other connections and of the writes of this one."""
        return f"{connection.execute('PRAGMA data_version').fetchone()[0]}.{connection.total_changes}"

    def _fetch(self, connection: sqlite3.Connection, statement: Statement, parameters: Sequence[Value]) -> list[Row]:
        return connection.execute(statement.text, parameters).fetchall()

    def _write(self, connection: sqlite3.Connection, make_unit: Callable[[], UnitWithScripts[T]]) -> T:
        connection.execute("BEGIN IMMEDIATE")
        try:
            value = drive(make_unit(), lambda step: self._execute(connection, step))
            self._ends_at = float("inf")  # no time limit for the commit
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return value

    def _alter(self, connection: sqlite3.Connection, make_unit: Callable[[], Unit[T]]) -> T:
        """Change tables. Tables are rebuilt while rows refer to them, so references are checked at the end."""
        self._ends_at = float("inf")

        def whole() -> Unit[T]:
            value = yield from make_unit()
            broken = (yield Step(Statement("PRAGMA foreign_key_check"))).rows
            if broken:
                raise ForeignKeyViolation(f"A row of {broken[0][0]} refers to a row that does not exist.")
            return value

        connection.execute("PRAGMA foreign_keys = OFF")
        try:
            return self._write(connection, whole)
        finally:
            connection.execute("PRAGMA foreign_keys = ON")

    def _execute(self, connection: sqlite3.Connection, step: Any) -> Result:
        if isinstance(step, ScriptStep):
            raise Unsupported("This driver runs no custom SQL.")
        self._ends_at = max(self._ends_at, monotonic() + STATEMENT_TIMEOUT_S)
        try:
            cursor = connection.execute(step.statement.text, step.parameters)
            rows = cursor.fetchall()
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise translate(error, self._path, columns_of_index(error, connection)) from error
        inserted = cursor.lastrowid if step.statement.kind == "insert" else None
        return Result(rows, max(cursor.rowcount, 0), inserted)
