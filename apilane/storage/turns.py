"""The order of units after a deadlock.

PostgreSQL finds a deadlock after its ``deadlock_timeout``, 1 s by default. If the victims run again together, they meet
again, and each deadlock takes that time again. So victims run one after another; young units that run meanwhile begin
again, as victims do; and for a time first attempts keep turns too. 160 transactions of 16 clients that change three
rows in random order take 3 s; without turns 152 of them fail in 200 s (``python -m tests.load.deadlocks``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, Protocol, TypeVar

from apilane.storage.errors import Deadlock
from apilane.storage.protocol import Result, ScriptStep, Step, UnitWithScripts
from apilane.storage.units import drive_async

__all__ = ["Attempt", "Turns"]

T = TypeVar("T")

KEPT_S: Final = 10.0
"""How long after a deadlock first attempts keep turns."""
SLOW_S: Final = 1.0
"""A first attempt that waits behind a unit of this age runs without a turn: a slow unit must not hold up all others."""
YOUNG_S: Final = 5.0
"""A unit that has run for longer does not begin again because others met in a deadlock."""

Execute = Callable[[Step | ScriptStep], Awaitable[Result]]


class Attempt(Protocol):
    """One attempt at a unit."""

    def run(self, unit: UnitWithScripts[T], execute: Execute) -> Awaitable[T]:
        """The unit's value, within a transaction."""
        ...


class _InTurn:
    """Waits for the turns of other processes, in the database."""

    def __init__(self, turn: Step) -> None:
        self._turn = turn

    async def run(self, unit: UnitWithScripts[T], execute: Execute) -> T:
        await execute(self._turn)
        return await drive_async(unit, execute)


class _Free:
    """Begins again, as the victim of a deadlock does, when other units met in one."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._deadlocks = turns.deadlocks
        self._young_until = monotonic() + YOUNG_S

    async def run(self, unit: UnitWithScripts[T], execute: Execute) -> T:
        async def execute_or_leave(step: Step | ScriptStep) -> Result:
            if self._turns.deadlocks != self._deadlocks and monotonic() < self._young_until:
                raise Deadlock("Other units met in a deadlock, so units keep turns now.")
            return await execute(step)

        return await drive_async(unit, execute_or_leave)


class Turns:
    """The turns of one session, in one event loop. ``turn``: the first step of a unit that has its turn."""

    def __init__(self, turn: Step) -> None:
        self.deadlocks = 0
        """How many there were."""
        self._in_turn = _InTurn(turn)
        self._turn = asyncio.Lock()
        self._kept_until = 0.0
        self._began = 0.0
        """When the unit began that has its turn."""

    async def first(self, work: Callable[[Attempt], Awaitable[T]]) -> T:
        """The result of a first attempt."""
        if monotonic() >= self._kept_until or not await self._comes_soon():
            return await work(_Free(self))
        try:
            self._began = monotonic()
            return await work(self._in_turn)
        finally:
            self._turn.release()

    async def again(self, work: Callable[[Attempt], Awaitable[T]]) -> T:
        """The result of another attempt, after a deadlock."""
        self.deadlocks += 1
        self._kept_until = monotonic() + KEPT_S
        async with self._turn:
            self._began = monotonic()
            return await work(self._in_turn)

    async def _comes_soon(self) -> bool:
        """Wait for a turn. False: the unit that has it is slow."""
        while True:
            try:
                async with asyncio.timeout(SLOW_S):
                    return await self._turn.acquire()
            except TimeoutError:
                if monotonic() - self._began >= SLOW_S:
                    return False
