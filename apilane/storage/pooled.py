"""Sessions on a database server, shared by the drivers with an asynchronous client library.

This file contains reads, units, retries and the handling of lost connections. A driver supplies ``ServerConnection``:
one connection that runs statements and translates errors. Drivers with a blocking client have their own sessions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast

from apilane.sql.statement import Statement, Value
from apilane.storage.errors import ConnectionLost, Deadlock, StatementTimeout, StorageError, Unavailable
from apilane.storage.patience import Patience
from apilane.storage.pool import Pool, PoolGroup
from apilane.storage.protocol import Result, Row, ScriptStep, Step, Unit, UnitWithScripts
from apilane.storage.shared_trips import SharedTrips
from apilane.storage.turns import Attempt, Turns
from apilane.storage.units import drive_async

__all__ = [
    "NothingHappened",
    "PooledSession",
    "ReadsScripts",
    "ServerConnection",
    "SharesInserts",
    "SharesReads",
    "in_transaction",
    "repeated",
]

T = TypeVar("T")

REPEATING_S: Final = 20.0
"""How long a unit that ends as the victim of a deadlock is run again."""

LOOK_S: Final = 0.25
"""How much later than its time limit a call may end."""

PAUSE_MAX_S: Final = 0.5
"""Largest pause between two attempts."""

SHARED_MAX: Final = 256 * 1024
"""Largest number of characters in the values of one trip: servers limit its bytes, and sharing does not speed up long
rows.
"""


class ServerConnection(Protocol):
    """One connection, in autocommit outside ``begin`` and ``commit``. Methods raise only ``StorageError``.

    ``usable``: False once the connection is lost or in an unknown state (cancelled within a statement). Such a
    connection is closed.
    """

    @property
    def usable(self) -> bool: ...

    async def fetch(self, statement: Statement, parameters: Sequence[Value]) -> Sequence[Row]:
        """Rows of a read."""
        ...

    def stream(self, statement: Statement, parameters: Sequence[Value]) -> AsyncIterator[Sequence[Row]]:
        """Rows of a read in batches, from an asynchronous generator, which is closed when its reader stops early."""
        ...

    async def execute(self, step: Step | ScriptStep) -> Result:
        """One step of a unit."""
        ...

    async def run_script(self, step: ScriptStep) -> Result:
        """Run a script in a separate transaction; ``NothingHappened`` when the connection broke before its COMMIT."""
        ...

    async def begin(self) -> None: ...

    async def commit(self) -> None: ...

    async def rollback(self) -> None: ...

    async def close(self) -> None:
        """Never raises."""
        ...


class SharesReads(Protocol):
    """The connection type of sessions with ``PooledSession.shares_reads``."""

    async def fetch_each(self, statement: Statement, callers: Sequence[Sequence[Value]]) -> Sequence[Row]:
        """Run a statement ``of_one_row`` for the parameters of each caller in one trip. Returns the rows in the order
        of the callers; parameters without a row add none.
        """
        ...


class SharesInserts(Protocol):
    """The connection type of sessions with ``PooledSession.shares_inserts``."""

    async def insert_each(self, statement: Statement, callers: Sequence[Sequence[Value]]) -> Sequence[int]:
        """Insert the row of a statement ``of_one_row`` for the parameters of each caller in one trip. Returns the new
        IDs in the order of the callers. Inserts all rows or none; if it raises and the connection is still usable, it
        has inserted none.
        """
        ...


class ReadsScripts(Protocol):
    """The type of connections that are opened for ``PooledSession.connect_reading``: in autocommit, and read-only."""

    async def read_script(self, step: ScriptStep) -> Result | None:
        """Run a script whose notes say ``one_read``, under the same guards as ``run_script``. None: the result does not
        fit into one trip, and the script must run in a transaction."""
        ...


class NothingHappened(ConnectionLost):
    """The connection was lost before anything could be stored, so the work may be started again."""


class PooledSession:
    """See ``apilane.storage.protocol.Session``; a driver adds ``exclusive``, ``change_mark`` and ``diagnose``.

    If the connection is lost during a read, or during a unit before its commit, nothing was stored, and the work runs
    once more on a new connection. While a connection is in use, callers of the same statement ``of_one_row`` share a
    trip (``SharedTrips``), which takes as long as its slowest caller. If the trip fails, each caller runs its statement
    alone.

    ``connect_reading``: opens connections of type ``ReadsScripts``, if the driver has them. Scripts that only read run
    on a few of these, in one trip to the server instead of three or more.

    ``time_limit_s``: how long a call may take, with the wait for a connection, reconnecting and all attempts.
    """

    shares_reads: ClassVar[bool] = False
    """Whether connections are ``SharesReads``."""
    shares_inserts: ClassVar[bool] = False
    """Whether connections are ``SharesInserts``."""
    turn: ClassVar[Step | None] = None
    """The first step of units after a deadlock. It waits until no unit of another process has run it and has not ended.
    None: the server finds a deadlock at once, so that repeating the victims is enough.
    """

    def __init__(
        self,
        group: PoolGroup,
        connect: Callable[[], Awaitable[ServerConnection]],
        time_limit_s: float = REPEATING_S,
        connect_reading: Callable[[], Awaitable[ServerConnection]] | None = None,
    ) -> None:
        self._open = connect
        self._open_reading = connect_reading
        self._time_limit_s = time_limit_s
        self._start(group)

    def _start(self, group: PoolGroup) -> None:
        self.pool: Pool[ServerConnection] = Pool(group, self._open, _disconnect)
        self._reading: Pool[ServerConnection] | None = None
        half_of_rest = (group.limit - group.share) // 2  # the other half is always left to other databases
        if self._open_reading is not None and half_of_rest:
            self._reading = Pool(group, self._open_reading, _disconnect, share=half_of_rest)
        self._reads: SharedTrips[Row] = SharedTrips(self._fetch_each)
        self._inserts: SharedTrips[int] = SharedTrips(self._insert_each)
        self._patience = Patience(self._time_limit_s, LOOK_S)
        self._turns = None if self.turn is None else Turns(self.turn)

    async def fetch(self, statement: Statement, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        try:
            with self._patience:
                if statement.of_one_row and self.pool.in_use and self.shares_reads:
                    row = await self._reads.join(statement, parameters)
                    if row is not None:
                        return (row,)
                connection = self._take() or await self._acquire()
                try:
                    return await connection.fetch(statement, parameters)
                except ConnectionLost:
                    self.pool.drop_idle()
                finally:
                    self.pool.release(connection, broken=not connection.usable)
                return await self._with(lambda connection: connection.fetch(statement, parameters))
        except TimeoutError as error:
            raise self._too_late() from error

    async def stream(self, statement: Statement, parameters: Sequence[Value] = ()) -> AsyncIterator[Sequence[Row]]:
        """Rows in batches; uses a connection until it is exhausted or closed."""
        connection = self._take()
        if connection is None:
            connection = await self._in_time(self._acquire)
        try:
            generator = cast("AsyncGenerator[Sequence[Row], None]", connection.stream(statement, parameters))
            async with aclosing(generator) as batches:
                async for rows in batches:
                    yield rows
        except ConnectionLost:
            self.pool.drop_idle()
            raise
        finally:
            self.pool.release(connection, broken=not connection.usable)

    def run(
        self, make_unit: Callable[[], UnitWithScripts[T]], *, single: bool = False, alone: bool = False
    ) -> Coroutine[Any, Any, T]:
        """``single`` units commit with their only write, without BEGIN and COMMIT. ``alone`` has no effect here."""
        if not single:
            return self._in_time(lambda: self._run_again(make_unit))
        if self.shares_inserts and self.pool.in_use:
            return self._in_time(lambda: self._run_shared(make_unit))
        return self._in_time(lambda: self._run_single(make_unit))

    async def alter(self, make_unit: Callable[[], Unit[T]]) -> T:
        """Run the unit once. If schema statements commit separately, a failed unit may have been stored in part."""
        return await self._with(lambda connection: _run(connection, make_unit))

    async def run_script(self, step: ScriptStep) -> Result:
        notes = step.script.notes
        if notes is not None and notes.one_read and self._reading is not None:
            try:
                with self._patience:
                    result = await self._read_script(step, self._reading)
            except TimeoutError as error:
                raise self._too_late() from error
            if result is not None:
                return result
            notes.one_read = False  # until the driver finds again that it is
        if self._turns is not None and notes is not None and notes.writes:
            return await self._in_time(lambda: self._run_again(lambda: _script_unit(step)))
        return await self._in_time(lambda: repeated(lambda: self._with(lambda connection: connection.run_script(step))))

    def _run_again(self, make_unit: Callable[[], UnitWithScripts[T]]) -> Coroutine[Any, Any, T]:
        """Run a unit in a transaction, and again after a deadlock, then in its turn."""
        turns = self._turns
        if turns is None:
            return repeated(lambda: self._with(lambda connection: _run(connection, make_unit)))

        def work(attempt: Attempt) -> Awaitable[T]:
            return self._with(
                lambda connection: in_transaction(
                    connection, connection.begin, lambda: attempt.run(make_unit(), connection.execute)
                )
            )

        return repeated(lambda: turns.first(work), lambda: turns.again(work))

    async def _read_script(self, step: ScriptStep, pool: Pool[ServerConnection]) -> Result | None:
        """Run a script in autocommit; once more on a new connection if the connection was lost."""
        for may_be_lost in (True, False):
            connection = self._take(pool) or await self._acquire(pool)
            try:
                return await cast("ReadsScripts", connection).read_script(step)
            except ConnectionLost:
                pool.drop_idle()
                if not may_be_lost:
                    raise
            finally:
                pool.release(connection, broken=not connection.usable)
        raise AssertionError("the second run returns or raises")

    async def _in_time(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of the work, with all its attempts and connections. Unavailable when it takes too long."""
        try:
            with self._patience:
                return await work()
        except TimeoutError as error:
            raise self._too_late() from error

    def _too_late(self) -> Unavailable:
        return Unavailable(
            f"The database did not finish within {self._time_limit_s:g} s: it does not answer, or rows are locked."
        )

    async def _run_shared(self, make_unit: Callable[[], UnitWithScripts[T]]) -> T:
        """Share a trip if the unit only inserts one row."""
        unit = make_unit()
        try:
            step = next(unit)
            if isinstance(step, Step) and step.statement.of_one_row and step.statement.kind == "insert":
                new_id = await self._inserts.join(step.statement, step.parameters)
                if new_id is not None:
                    unit.send(Result((), 1, new_id))
                    raise RuntimeError("a single unit continued after its write")
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            unit.close()
        return await self._run_single(make_unit)

    def _run_single(self, make_unit: Callable[[], UnitWithScripts[T]]) -> Coroutine[Any, Any, T]:
        return repeated(lambda: self._with(lambda connection: _run_single(connection, make_unit())))

    async def _fetch_each(self, statement: Statement, callers: Sequence[Sequence[Value]]) -> Sequence[Row] | None:
        connection = self._take() or await self._acquire()
        try:
            rows = await cast("SharesReads", connection).fetch_each(statement, callers)
        except StorageError as error:
            if isinstance(error, (StatementTimeout, Unavailable)) and not isinstance(error, ConnectionLost):
                raise  # separate runs would take as long again
            return None
        finally:
            self.pool.release(connection, broken=not connection.usable)
        return rows if len(rows) == len(callers) else None  # otherwise the caller of a missing row is unknown

    async def _insert_each(self, statement: Statement, callers: Sequence[Sequence[Value]]) -> Sequence[int] | None:
        if sum([len(value) for parameters in callers for value in parameters if type(value) is str]) > SHARED_MAX:
            return None
        connection = self._take() or await self._acquire()
        try:
            return await cast("SharesInserts", connection).insert_each(statement, callers)
        except StorageError:
            if connection.usable:  # the trip was rolled back
                return None
            self.pool.drop_idle()
            raise
        finally:
            self.pool.release(connection, broken=not connection.usable)

    async def _with(self, work: Callable[[ServerConnection], Awaitable[T]]) -> T:
        connection = self._take() or await self._acquire()
        try:
            return await work(connection)
        except ConnectionLost:
            self.pool.drop_idle()
            raise
        finally:
            self.pool.release(connection, broken=not connection.usable)

    def _take(self, pool: Pool[ServerConnection] | None = None) -> ServerConnection | None:
        """An unused connection; None if there is none or it is known to be lost."""
        pool = pool or self.pool
        connection = pool.take()
        if connection is None or connection.usable:
            return connection
        pool.release(connection, broken=True)
        return None

    async def _acquire(self, pool: Pool[ServerConnection] | None = None) -> ServerConnection:
        """A connection that is not known to be lost. A restarting server closes unused connections too."""
        pool = pool or self.pool
        while True:
            connection = await pool.acquire()
            if connection.usable:
                return connection
            pool.release(connection, broken=True)

    async def close(self) -> None:
        await self._reads.close()
        await self._inserts.close()
        await self.pool.close()
        if self._reading is not None:
            await self._reading.close()

    def forget(self, group: PoolGroup) -> object:
        """After a fork: start again with new pools. Returns the parent's objects, which must be neither used nor closed
        here.
        """
        inherited = self.pool, self._reading, self._reads, self._inserts
        self._start(group)
        return inherited


async def repeated(work: Callable[[], Awaitable[T]], of_victim: Callable[[], Awaitable[T]] | None = None) -> T:
    """Repeat work after a deadlock, and once when the connection broke before anything could be stored.

    ``of_victim``: the work of the attempts after a deadlock, if they differ.
    """
    began = monotonic()
    attempt = 0
    while True:
        try:
            return await work()
        except Deadlock:
            pause_s = min(random.uniform(0, 0.002) * 2**attempt, random.uniform(0, PAUSE_MAX_S))
            if monotonic() - began + pause_s > REPEATING_S:
                raise
            await asyncio.sleep(pause_s)
            work = of_victim or work
        except NothingHappened:
            if attempt:
                raise
        attempt += 1


async def in_transaction(
    connection: ServerConnection, begin: Callable[[], Awaitable[None]], work: Callable[[], Awaitable[T]]
) -> T:
    """Begin, work and commit, or roll back. NothingHappened when the connection is lost before the commit is sent."""
    try:
        await begin()
        try:
            value = await work()
        except BaseException:
            if connection.usable:
                # A cancellation during the rollback makes the connection unusable, so no other caller gets it.
                await connection.rollback()
            raise
    except ConnectionLost as error:
        raise NothingHappened(str(error)) from error
    await connection.commit()
    return value


async def _run(connection: ServerConnection, make_unit: Callable[[], UnitWithScripts[T]]) -> T:
    return await in_transaction(connection, connection.begin, lambda: drive_async(make_unit(), connection.execute))


def _script_unit(step: ScriptStep) -> UnitWithScripts[Result]:
    return (yield step)


async def _run_single(connection: ServerConnection, unit: UnitWithScripts[T]) -> T:
    """Run a unit without BEGIN and COMMIT. Its write is sent once: it may be stored although the connection broke."""
    is_sent = False

    async def execute(step: Step | ScriptStep) -> Result:
        nonlocal is_sent
        is_sent = is_sent or not isinstance(step, Step) or step.statement.writes
        return await connection.execute(step)

    try:
        return await drive_async(unit, execute)
    except ConnectionLost as error:
        if is_sent:
            raise
        raise NothingHappened(str(error)) from error


async def _disconnect(connection: ServerConnection) -> None:
    await connection.close()
