"""What sessions on a server share, on a connection that does as it is told: who gets it, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence

import pytest

from apilane.sql.statement import Statement, Value
from apilane.storage.errors import ConnectionLost, UniqueViolation
from apilane.storage.pool import PoolGroup
from apilane.storage.pooled import PooledSession
from apilane.storage.protocol import Result, Row, ScriptStep, Step

READ = Step(Statement("SELECT 1"))
WRITE = Step(Statement("INSERT", writes=True))


class Connection:
    """Answers at once, but rolls back slowly; ``fails``: what its steps raise, one by one."""

    def __init__(self, fails: Sequence[Exception | None] = ()) -> None:
        self.usable = True
        self.ran: list[str] = []
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

    async def begin(self) -> None:
        """Nothing to do."""

    async def commit(self) -> None:
        """Nothing to do."""

    async def rollback(self) -> None:
        self.is_rolling_back = True
        try:
            await asyncio.sleep(0.05)
        except BaseException:
            self.usable = False
            raise
        self.is_rolling_back = False

    async def close(self) -> None:
        """Nothing to do."""


class Server:
    """Makes connections; the first one ``fails``."""

    def __init__(self, fails: Sequence[Exception | None] = ()) -> None:
        self.connections: list[Connection] = []
        self._fails = fails
        self.session = PooledSession(PoolGroup(1), self._connect)  # type: ignore[arg-type]

    async def _connect(self) -> Connection:
        self.connections.append(Connection(() if self.connections else self._fails))
        return self.connections[-1]

    @property
    def ran(self) -> list[list[str]]:
        """What ran on each connection."""
        return [connection.ran for connection in self.connections]


def _unit(*steps: Step) -> Generator[Step, Result, int]:
    results = []
    for step in steps:
        results.append((yield step))  # noqa: PERF401  # a unit, whose steps are answered
    return len(results)


def test_nobody_gets_a_connection_that_rolls_back() -> None:
    """A caller who leaves while his unit is undone takes the connection with him: the next one gets another."""

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
    """A single unit that loses its connection before its write is begun anew on another one."""

    async def scenario() -> None:
        server = Server([ConnectionLost("gone")])
        assert await server.session.run(lambda: _unit(READ, WRITE), single=True) == 2
        assert server.ran == [["SELECT 1"], ["SELECT 1", "INSERT"]]

    asyncio.run(scenario())


@pytest.mark.parametrize("fails", [[None, ConnectionLost("gone")], [None, None, ConnectionLost("gone")]])
def test_a_sent_write_is_not_repeated(fails: list[Exception | None]) -> None:
    """Once its write was sent a single unit is not begun anew, whether the write or a read after it failed."""

    async def scenario() -> None:
        server = Server(fails)
        with pytest.raises(ConnectionLost):
            await server.session.run(lambda: _unit(READ, WRITE, READ), single=True)
        assert [ran.count("INSERT") for ran in server.ran] == [1]

    asyncio.run(scenario())
