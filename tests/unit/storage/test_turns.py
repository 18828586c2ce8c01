"""Units keep turns after a deadlock, with a scripted connection."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence

from apilane.sql.script import Script, ScriptNotes
from apilane.sql.statement import Statement
from apilane.storage.errors import Deadlock
from apilane.storage.pool import PoolGroup
from apilane.storage.pooled import PooledSession
from apilane.storage.protocol import Result, ScriptStep, Step

TURN = Step(Statement("TURN"))
WRITE = Statement("WRITE", kind="update")


class Connection:
    """Notes the steps of all units in order; ``fails``: the errors of the writes, one by one."""

    usable = True

    def __init__(self, ran: list[str], fails: list[Exception | None], gate: asyncio.Event | None) -> None:
        self._ran = ran
        self._fails = fails
        self._gate = gate

    async def execute(self, step: Step | ScriptStep) -> Result:
        if isinstance(step, ScriptStep):
            self._ran.append("script")
            return Result()
        self._ran.append(f"{step.statement.text} {step.parameters[0]}" if step.parameters else step.statement.text)
        if self._gate is not None and step.parameters and step.parameters[0] == "slow":
            await self._gate.wait()
        if step is not TURN and self._fails and (failure := self._fails.pop(0)) is not None:
            raise failure
        await asyncio.sleep(0)
        return Result()

    async def begin(self) -> None:
        """Do nothing."""

    async def commit(self) -> None:
        """Do nothing."""

    async def rollback(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


class Session(PooledSession):
    """A session whose server finds deadlocks late."""

    turn = TURN


def _session(ran: list[str], fails: Sequence[Exception | None] = (), gate: asyncio.Event | None = None) -> Session:
    left = list(fails)

    async def connect() -> Connection:
        return Connection(ran, left, gate)

    return Session(PoolGroup(8), connect)  # type: ignore[arg-type]


def _unit(name: str, writes: int = 2) -> Generator[Step, Result, str]:
    for _ in range(writes):
        yield Step(WRITE, (name,))
    return name


def test_without_deadlocks() -> None:
    """Units keep no turns before the first deadlock."""
    ran: list[str] = []

    async def scenario() -> None:
        session = _session(ran)
        assert await asyncio.gather(*(session.run(lambda n=n: _unit(n)) for n in "ab")) == ["a", "b"]  # type: ignore[misc]

    asyncio.run(scenario())
    assert ran == ["WRITE a", "WRITE b", "WRITE a", "WRITE b"]


def test_after_a_deadlock() -> None:
    """The victim runs again in its turn, and so do later units and scripts that write; others run as before."""
    ran: list[str] = []
    script = Script(("UPDATE",))
    script.notes = ScriptNotes(writes=True)

    async def scenario() -> None:
        session = _session(ran, [Deadlock("victim")])
        assert await session.run(lambda: _unit("a")) == "a"
        await asyncio.gather(*(session.run(lambda n=n: _unit(n)) for n in "bc"))  # type: ignore[misc]
        await session.run_script(ScriptStep(script, {}))
        await session.run(lambda: _unit("single", 1), single=True)

    asyncio.run(scenario())
    assert ran[:4] == ["WRITE a", "TURN", "WRITE a", "WRITE a"]
    assert ran[4:10] == ["TURN", "WRITE b", "WRITE b", "TURN", "WRITE c", "WRITE c"]
    assert ran[10:] == ["TURN", "script", "WRITE single"]


def test_young_units_begin_again() -> None:
    """A young unit that runs while others meet in a deadlock begins again at its next step, in its turn."""
    ran: list[str] = []

    async def scenario() -> None:
        gate = asyncio.Event()
        session = _session(ran, [Deadlock("victim")], gate)
        slow = asyncio.ensure_future(session.run(lambda: _unit("slow")))
        await asyncio.sleep(0.01)
        assert await session.run(lambda: _unit("victim", 1)) == "victim"
        gate.set()
        assert await slow == "slow"

    asyncio.run(scenario())
    assert ran == ["WRITE slow", "WRITE victim", "TURN", "WRITE victim", "TURN", "WRITE slow", "WRITE slow"]


def test_a_slow_unit_does_not_hold_up_others() -> None:
    """A first attempt that waits behind a slow unit runs without a turn."""
    ran: list[str] = []

    async def scenario() -> None:
        gate = asyncio.Event()
        session = _session(ran, [Deadlock("victim")], gate)
        assert await session.run(lambda: _unit("victim", 1)) == "victim"
        slow = asyncio.ensure_future(session.run(lambda: _unit("slow", 1)))
        await asyncio.sleep(0.01)
        assert await session.run(lambda: _unit("other", 1)) == "other"
        gate.set()
        assert await slow == "slow"

    asyncio.run(scenario())
    assert ran[-3:] == ["TURN", "WRITE slow", "WRITE other"]
