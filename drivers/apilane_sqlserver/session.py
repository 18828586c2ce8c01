"""One database: the pool's connections; a thread of the driver uses one for the duration of a read or a unit.

A whole unit is one hand-over to a thread and back. If a read finds its connection lost, it runs once more on a new one.
The same holds for a unit that had not begun to commit, because none of it was stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from apilane.plugin.storage import (
    ConnectionLost,
    Deadlock,
    Finding,
    NothingHappened,
    Pool,
    Result,
    Row,
    ScriptStep,
    Statement,
    Step,
    StorageError,
    Unavailable,
    Unit,
    UnitWithScripts,
    Value,
    drive,
    repeated,
)
from apilane_sqlserver.address import SQLServerAddress
from apilane_sqlserver.connection import Connection
from apilane_sqlserver.diagnosis import diagnose

if TYPE_CHECKING:
    from apilane_sqlserver.driver import SQLServerDriver

__all__ = ["SQLServerSession"]

T = TypeVar("T")

BATCH_ROWS: Final = 500

TAKE_LOCK: Final = (
    "DECLARE @result INT; "
    "EXECUTE @result = sys.sp_getapplock @Resource = ?, @LockMode = N'Exclusive', @LockOwner = N'Session', "
    "@LockTimeout = 0; SELECT @result"
)
"""0 or 1: granted. The lock belongs to the connection and ends with it."""
FREE_LOCK: Final = "EXECUTE sys.sp_releaseapplock @Resource = ?, @LockOwner = N'Session'"
"""Sent before the connection is closed, because the server notices a closed connection late."""


class SQLServerSession:
    """See ``apilane.storage.protocol.Session``. Belongs to one event loop; after ``close`` it opens again when used."""

    def __init__(self, driver: SQLServerDriver, address: SQLServerAddress) -> None:
        self.address = address
        self._driver = driver
        self._pool: Pool[Connection] = Pool(driver.group, self._open, self._close)
        self._stopping: set[asyncio.Future[None]] = set()

    async def fetch(self, statement: Statement, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        """Rows of a read. If readers wait for writers, it may be a deadlock victim, and then it runs once more."""

        async def work() -> Sequence[Row]:
            try:
                return await self._with(lambda connection: connection.fetch(statement, parameters))
            except (ConnectionLost, Deadlock):
                return await self._with(lambda connection: connection.fetch(statement, parameters))

        return await self._in_time(work())

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work, with all its attempts and connections. Unavailable when it takes too long."""
        try:
            async with asyncio.timeout(self._driver.limits.call_s):
                return await work
        except TimeoutError as error:
            text = f"did not finish within {self._driver.limits.call_s:g} s: it does not answer, or rows are locked"
            raise Unavailable(f"The database {self.address.place} {text}.") from error

    async def stream(self, statement: Statement, parameters: Sequence[Value] = ()) -> AsyncIterator[Sequence[Row]]:
        """Rows in batches of 500; keeps a connection until exhausted or closed."""
        connection = await self._pool.acquire()
        caller = connection.prepare()
        batches = connection.batches(statement, parameters, BATCH_ROWS)
        reading: asyncio.Future[list[Row] | None] = self._driver.in_thread(_next, batches)
        try:
            while rows := await asyncio.shield(reading):
                yield rows
                reading = self._driver.in_thread(_next, batches)
        finally:
            if not reading.done():  # the reader left
                connection.abandon()
                await self._driver.in_thread(connection.stop, caller)
                await asyncio.wait([reading])
            await asyncio.shield(self._driver.in_thread(batches.close))
            self._pool.release(connection, broken=not connection.usable)

    async def run(self, make_unit: Callable[[], UnitWithScripts[T]], *, single: bool = False, alone: bool = False) -> T:
        """``single`` units commit with their only write, without BEGIN and COMMIT. ``alone`` has no effect."""
        work = _single if single else _in_transaction
        return await self._in_time(repeated(lambda: self._with(lambda connection: work(connection, make_unit))))

    async def run_script(self, step: ScriptStep) -> Result:
        """The script as the only statement; it runs again if the first try had no effect."""

        def unit() -> Generator[ScriptStep, Result, Result]:
            return (yield step)

        return await self.run(unit, alone=True)

    async def alter(self, make_unit: Callable[[], Unit[T]]) -> T:
        """One transaction without a time limit."""
        return await self._with(lambda connection: _altering(connection, make_unit))

    async def change_mark(self) -> Value:
        """None: SQL Server shows changes of a database only to logins with rights on the whole server."""
        return None

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        """An application lock on a separate connection outside the pool."""
        connection = await self._open()
        is_mine = False
        try:
            ((result,),) = await self._driver.in_thread(connection.query, TAKE_LOCK, (name,))
            is_mine = result >= 0
            yield is_mine
        finally:
            await asyncio.shield(self._driver.in_thread(_leave, connection, name if is_mine else None))

    async def diagnose(self) -> Sequence[Finding]:
        """Version, isolation and rights."""
        try:
            return await self._with(diagnose)
        except ConnectionLost:
            return await self._with(diagnose)

    async def close(self) -> None:
        await self._pool.close()

    def forget(self) -> object:
        """After a fork: start again; returns what the parent opened."""
        inherited = self._pool
        self._pool = Pool(self._driver.group, self._open, self._close)
        return inherited

    async def _open(self) -> Connection:
        return await self._driver.open(self.address)

    async def _close(self, connection: Connection) -> None:
        await self._driver.in_thread(connection.close)

    async def _with(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` with a connection in a thread; if the caller leaves, it is cancelled."""
        connection = await self._pool.acquire()
        caller = connection.prepare()
        running = self._driver.in_thread(work, connection)

        def release(done: asyncio.Future[T]) -> None:
            if not done.cancelled():
                error = done.exception()  # the caller raises it; a caller that left needs no warning
                if isinstance(error, ConnectionLost):
                    self._pool.drop_idle()
            self._pool.release(connection, broken=not connection.usable)

        running.add_done_callback(release)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            connection.abandon()
            stopping = self._driver.in_thread(connection.stop, caller)
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
            raise


def _leave(connection: Connection, lock: str | None) -> None:
    if lock is not None:
        with suppress(StorageError):  # the lock also ends with the connection
            connection.query(FREE_LOCK, (lock,))
    connection.close()


def _next(batches: Iterator[list[Row]]) -> list[Row] | None:
    return next(batches, None)


def _single(connection: Connection, make_unit: Callable[[], UnitWithScripts[T]]) -> T:
    """The write is sent only once, because the server may have stored it before the connection broke."""
    is_sent = False

    def execute(step: Step | ScriptStep) -> Result:
        nonlocal is_sent
        is_sent = is_sent or not isinstance(step, Step) or step.statement.writes
        return connection.execute(step)

    try:
        return drive(make_unit(), execute)
    except ConnectionLost as error:
        if is_sent:
            raise
        raise NothingHappened(str(error)) from error


def _in_transaction(connection: Connection, make_unit: Callable[[], UnitWithScripts[T]]) -> T:
    failed: list[Exception] = []

    def execute(step: Step | ScriptStep) -> Result:
        """After a failure the transaction has ended: a later step would be stored without the earlier ones."""
        if failed:
            raise failed[0]
        try:
            return connection.execute(step)
        except Exception as error:
            failed.append(error)
            raise

    try:
        connection.begin()
        try:
            value = drive(make_unit(), execute)
            if failed:
                raise failed[0]
        except BaseException:
            if connection.usable:
                connection.rollback()
            raise
    except ConnectionLost as error:
        raise NothingHappened(str(error)) from error
    connection.commit()
    return value


def _altering(connection: Connection, make_unit: Callable[[], Unit[T]]) -> T:
    with connection.unlimited():
        return _in_transaction(connection, make_unit)
