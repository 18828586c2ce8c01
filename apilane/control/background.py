"""The part of the control store for work in the background: the leader's lock, marks of outboxes, starts of jobs."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from apilane.control.statements import ControlStatements
from apilane.sql.statement import Statement, Value
from apilane.storage.errors import UniqueViolation
from apilane.storage.protocol import Result, Session, Step

__all__ = ["BackgroundStore"]

_LEADER: Final = "leader"
_TRIES: Final = 2


class BackgroundStore:
    """Shared by the tasks of a process. Methods raise StorageError when the store is down."""

    def __init__(self, session: Session, statements: ControlStatements) -> None:
        self._session = session
        self._statements = statements

    def leader_lock(self) -> AbstractAsyncContextManager[bool]:
        """Hold the lock of the leader; gives False while another process, or task, holds it."""
        return self._session.exclusive(_LEADER)

    async def mark(self, token: str) -> None:
        """Mark an application, or renew its mark; durable when this returns."""
        touch, insert = self._statements.touch_outbox_mark, self._statements.insert_outbox_mark
        values: Mapping[str, Value] = {"token": token, "touches": 1}

        def unit() -> Generator[Step, Result, None]:
            if not (yield Step(touch, touch.parameters(values))).matched:
                yield Step(insert, insert.parameters(values))

        for _ in range(_TRIES):
            with suppress(UniqueViolation):  # another process has inserted the mark
                await self._session.run(unit)
                return
        await self._session.run(unit)

    async def marks(self) -> dict[str, int]:
        """The marked applications, each with the number of its marks so far."""
        return {token: int(touches) for token, touches in await self._session.fetch(self._statements.outbox_marks)}

    async def remove_mark(self, token: str, touches: int) -> bool:
        """Remove a mark unless it was renewed after ``touches`` marks; whether it was removed."""
        return bool(await self._run(self._statements.delete_outbox_mark, {"token": token, "touches": touches}))

    async def job_starts(self) -> dict[str, int]:
        """The last start of each job, in Unix milliseconds."""
        return {name: int(started) for name, started in await self._session.fetch(self._statements.job_runs)}

    async def start_job(self, name: str, seen: int | None, now: int) -> bool:
        """Note that a job starts now; False when another process has started it since ``seen`` (None: never)."""
        if seen is not None:
            return bool(await self._run(self._statements.start_job_run, {"name": name, "seen": seen, "now": now}))
        try:
            await self._run(self._statements.insert_job_run, {"name": name, "started": now})
        except UniqueViolation:
            return False
        return True

    async def _run(self, statement: Statement, values: Mapping[str, Value]) -> int:
        def unit() -> Generator[Step, Result, int]:
            return (yield Step(statement, statement.parameters(values))).matched

        return await self._session.run(unit, single=True)
