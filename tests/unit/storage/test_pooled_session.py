"""Common behaviour of sessions on a server, with a scripted connection: connections, repeats, and shared inserts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from time import monotonic

import pytest

from apilane.sql.statement import Statement, Value
from apilane.storage.errors import ConnectionLost, Deadlock, Unavailable, UniqueViolation
from apilane.storage.pool import PoolGroup
from apilane.storage.pooled import SHARED_MAX, PooledSession
from apilane.storage.protocol import Result, Row, ScriptStep, Step

READ = Step(Statement("SELECT 1"))
WRITE = Step(Statement("INSERT", kind="insert"))
INSERT_ONE = Statement("INSERT one", kind="insert", of_one_row=True)


class Connection:
    """Answers at once, but rolls back slowly; ``fails``: the errors of its steps, one by one."""

    def __init__(self, fails: Sequence[Exception | None] = ()) -> None:
        self.usable = True
        self.ran: list[str] = []
        self.together: list[int] = []
        self.fails = list(fails)
        self.is_rolling_back = False

    async def fetch(self, statement: Statement, parameters: Sequence[Value]) -> Sequence[Row]:
        assert not self.is_rolling_back
        return ((1,),)

    async def execute(self, step: Step | ScriptStep) -> Result:
        assert isinstance(step, Step)
        self.ran.append(step.statement.text)
        failure = self.fails.pop(0) if self.fails else None
        if isinstance(failure, ConnectionLost):
            self.usable = False
        if failure is not None:
            raise failure
        return Result((), 1, 1)

    async def insert_each(self, statement: Statement, callers: Sequence[Sequence[Value]]) -> Sequence[int]:
        self.together.append(len(callers))
        await self.execute(Step(statement))
        return range(100, 100 + len(callers))

    async def begin(self) -> None:
        """Do nothing."""

    async def commit(self) -> None:
        """Do nothing."""

    async def rollback(self) -> None:
        self.is_rolling_back = True
        try:
            await asyncio.sleep(0.05)
        except BaseException:
            self.usable = False
            raise
        self.is_rolling_back = False

    async def close(self) -> None:
        """Do nothing."""


class Server:
    """Creates connections; the first one, or the one with the number ``failing``, has the errors ``fails``."""

    def __init__(self, fails: Sequence[Exception | None] = (), *, failing: int = 0) -> None:
        self.connections: list[Connection] = []
        self._fails = fails
        self._failing = failing
        self.session = PooledSession(PoolGroup(1), self._connect)  # type: ignore[arg-type]

    async def _connect(self) -> Connection:
        self.connections.append(Connection(self._fails if len(self.connections) == self._failing else ()))
        return self.connections[-1]

    @property
    def ran(self) -> list[list[str]]:
        """The statements on each connection."""
        return [connection.ran for connection in self.connections]


def _unit(*steps: Step) -> Generator[Step, Result, int]:
    results = []
    for step in steps:
        results.append((yield step))  # noqa: PERF401  # a unit, whose steps are answered
    return len(results)


def test_a_connection_that_rolls_back_is_not_reused() -> None:
    """A connection that is rolling back for a cancelled caller is not given to the next caller."""

    async def scenario() -> None:
        server = Server([UniqueViolation("twice")])
        task = asyncio.create_task(server.session.run(lambda: _unit(WRITE, WRITE)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await server.session.fetch(READ.statement) == ((1,),)
        assert len(server.connections) == 2

    asyncio.run(scenario())


def test_reads_before_the_write_are_repeated() -> None:
    """A single unit that loses its connection before its write is repeated on another connection."""

    async def scenario() -> None:
        server = Server([ConnectionLost("gone")])
        assert await server.session.run(lambda: _unit(READ, WRITE), single=True) == 2
        assert server.ran == [["SELECT 1"], ["SELECT 1", "INSERT"]]

    asyncio.run(scenario())


@pytest.mark.parametrize("fails", [[None, ConnectionLost("gone")], [None, None, ConnectionLost("gone")]])
def test_a_sent_write_is_not_repeated(fails: list[Exception | None]) -> None:
    """A single unit whose write was sent is not repeated, whether the write or a later read failed."""

    async def scenario() -> None:
        server = Server(fails)
        with pytest.raises(ConnectionLost):
            await server.session.run(lambda: _unit(READ, WRITE, READ), single=True)
        assert [ran.count("INSERT") for ran in server.ran] == [1]

    asyncio.run(scenario())


class Hanging(Connection):
    """A connection whose statements never end."""

    async def fetch(self, statement: Statement, parameters: Sequence[Value]) -> Sequence[Row]:
        try:
            await asyncio.sleep(60)
        finally:
            self.usable = False
        return ()

    async def execute(self, step: Step | ScriptStep) -> Result:
        await self.fetch(READ.statement, ())
        return Result()


def test_a_call_has_one_time_limit() -> None:
    """Deadlocks that are repeated, a statement that hangs, connecting and waiting share the time limit of a call."""

    async def deadlocked() -> Connection:
        return Connection([Deadlock("victim")] * 10_000)

    async def hanging() -> Connection:
        return Hanging()

    async def unreachable() -> Connection:
        await asyncio.sleep(60)
        raise AssertionError

    async def scenario(connect: Callable[[], Awaitable[Connection]]) -> None:
        session = PooledSession(PoolGroup(1), connect, 0.2)  # type: ignore[arg-type]
        calls = [session.run(lambda: _unit(WRITE, WRITE)), session.run(lambda: _unit(WRITE), single=True)]
        if connect is not deadlocked:
            calls.append(session.fetch(READ.statement))  # type: ignore[arg-type]
        began = monotonic()
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(answer, Unavailable), answer
        assert monotonic() - began < 1
        await session.close()

    for connect in (deadlocked, hanging, unreachable):
        asyncio.run(scenario(connect))


class Sharing(PooledSession):
    """A session that sends inserts of several callers together."""

    shares_inserts = True


def _insert(number: int, text: str = "") -> Generator[Step, Result, int]:
    return (yield Step(INSERT_ONE, (number, text))).new_id


async def _insert_in_company(server: Server, text: str = "") -> list[int | BaseException]:
    """Run two inserts while another connection is in use."""
    server.session = Sharing(PoolGroup(3), server._connect)  # type: ignore[arg-type]
    held = await server.session.pool.acquire()
    try:
        runs = (server.session.run(lambda n=n: _insert(n, text), single=True) for n in range(2))  # type: ignore[misc]
        return await asyncio.gather(*runs, return_exceptions=True)
    finally:
        server.session.pool.release(held)


def test_inserts_in_company() -> None:
    """While connections are in use inserts of one statement are sent together; a lone insert is sent at once."""

    async def scenario() -> None:
        server = Server()
        assert await _insert_in_company(server) == [100, 101]
        assert server.connections[1].together == [2]
        assert await server.session.run(lambda: _insert(0), single=True) == 1
        assert [connection.together for connection in server.connections] == [[], [2]]

    asyncio.run(scenario())


def test_refused_in_company() -> None:
    """Inserts that the server refuses together are repeated one by one, because none was stored."""

    async def scenario() -> None:
        server = Server([UniqueViolation("twice")], failing=1)
        assert await _insert_in_company(server) == [1, 1]
        assert server.connections[1].together == [2]

    asyncio.run(scenario())


def test_lost_in_company() -> None:
    """Inserts that were sent when the connection broke are not repeated; their callers get the error."""

    async def scenario() -> None:
        server = Server([ConnectionLost("gone")], failing=1)
        answers = await _insert_in_company(server)
        assert [type(answer) for answer in answers] == [ConnectionLost, ConnectionLost]
        assert sum(len(ran) for ran in server.ran) == 1

    asyncio.run(scenario())


def test_long_rows_go_alone() -> None:
    """Rows with long texts are not sent together, because a server limits the size of a packet."""

    async def scenario() -> None:
        server = Server()
        assert await _insert_in_company(server, "x" * SHARED_MAX) == [1, 1]
        assert all(connection.together == [] for connection in server.connections)

    asyncio.run(scenario())
