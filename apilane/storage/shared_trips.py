"""One trip to the server for several callers: statements of one row that are asked for in the same turn of the loop.

A server's client library takes 20 to 40 us of this process for a statement, and most of that is the trip. PostgreSQL by
asyncpg: a point read takes 27 us alone, 11 us as one of four and 7 us as one of eight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import Final, Generic, TypeVar

from apilane.sql.statement import Statement, Value

__all__ = ["SharedTrips"]

R = TypeVar("R")

MOST: Final = 8
"""Callers of one trip: the server answers all of them when it has done with the last."""


_Caller = tuple[Sequence[Value], "asyncio.Future[R | None]"]
"""The parameters and where the answer is awaited. A plain tuple, as a named one takes 0.3 us."""


class SharedTrips(Generic[R]):
    """``run`` makes a trip: it gives a result for each caller, or None when nothing was done.

    What it raises, all its callers get. It is not cancelled when one of them is.
    """

    __slots__ = ("_forming", "_run", "_under_way")

    def __init__(self, run: Callable[[Statement, Sequence[Sequence[Value]]], Awaitable[Sequence[R] | None]]) -> None:
        self._run = run
        self._forming: dict[Statement, list[_Caller[R]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def join(self, statement: Statement, parameters: Sequence[Value]) -> asyncio.Future[R | None]:
        """What the statement gave this caller; None: it was not run, and the caller does it without company."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R | None] = loop.create_future()
        callers = self._forming.get(statement)
        if callers is None:
            callers = self._forming[statement] = []
            loop.call_soon(self._depart, statement, callers)
        callers.append((parameters, answer))
        if len(callers) == MOST:
            self._depart(statement, callers)
        return answer

    def _depart(self, statement: Statement, callers: list[_Caller[R]]) -> None:
        if self._forming.get(statement) is not callers:
            return  # it was full and has left
        del self._forming[statement]
        waiting = [caller for caller in callers if not caller[1].done()]
        if waiting:
            task = asyncio.get_running_loop().create_task(self._travel(statement, waiting))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _travel(self, statement: Statement, callers: Sequence[_Caller[R]]) -> None:
        try:
            results = await self._run(statement, [parameters for parameters, _ in callers])
            if results is not None and len(results) != len(callers):
                raise RuntimeError(f"{len(results)} results for {len(callers)} callers of {statement}")
        except BaseException as error:
            for _, answer in callers:
                if not answer.done():
                    answer.set_exception(_copied(error))
            if not isinstance(error, Exception):
                raise
            return
        for place, (_, answer) in enumerate(callers):
            if not answer.done():
                answer.set_result(None if results is None else results[place])

    async def close(self) -> None:
        """Wait for the trips that are under way or about to be."""
        while self._forming or self._under_way:
            await asyncio.sleep(0)
            if self._under_way:
                await asyncio.wait(self._under_way)  # who gives up waiting cancels none of them


def _copied(error: BaseException) -> BaseException:
    try:
        return copy(error)
    except Exception:  # made by more than its arguments
        return error
