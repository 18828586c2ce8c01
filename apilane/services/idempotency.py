"""Requests that run once: the answer of a request with an ``Idempotency-Key`` is stored in the unit of its change.

A key belongs to a caller and a call. Keys and requests are stored as hashes, and the table is hidden from custom SQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from time import monotonic
from typing import Final, Generic, NamedTuple, TypeVar

from msgspec import Struct

from apilane.errors import ApilaneError, Code
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.identities import now_ms
from apilane.services.unit_writes import UnitWrite
from apilane.sql.write import delete_where, insert_row, select_where, update_where
from apilane.storage.errors import (
    ConnectionLost,
    ConnectionRefused,
    StatementTimeout,
    Unavailable,
    UniqueViolation,
)
from apilane.storage.protocol import Result, Step, UnitWithScripts

__all__ = ["ANSWER_MAX_BYTES", "KEPT_MS", "TABLE", "Done", "IdempotentRequest"]

T = TypeVar("T")

TABLE: Final = "H_Idempotency_Keys"
KEPT_MS: Final = 24 * 3_600_000
ANSWER_MAX_BYTES: Final = 1_000_000
WAIT_S: Final = 20.0
"""The longest wait for another request with the same key, like other waits for the database."""
PAUSE_S: Final = 0.002
PAUSE_MAX_S: Final = 0.1
"""The first and the longest pause between two looks."""
LOCK_DIGITS: Final = 3
"""Digits of the hash in the name of a lock. SQLite keeps a file for each name, so there are at most 4096 of them."""

USED: Final = "The Idempotency-Key was used for another request; use a new key for each request"
NOT_KEPT: Final = "The request with this Idempotency-Key was carried out; its answer was too large to be kept"
IN_FLIGHT: Final = "A request with this Idempotency-Key is still being carried out; send this one again later"


class _Stored(NamedTuple):
    id: int
    request: str
    answer: str | None
    created: int


class Done(Struct, Generic[T]):
    """The result of a write and its answer. ``result`` None: another request with the same key was faster, and the
    answer is its answer."""

    result: T | None
    answer: bytes


class _AlreadyUsed(Exception):
    pass


class IdempotentRequest:
    """One request. ``name``: hash of caller, call and key; ``digest``: hash of the request."""

    def __init__(self, application: ApplicationRuntime, name: str, digest: str) -> None:
        self._application = application
        self._session = application.session
        self._table = application.helpers[TABLE]
        self._name = name
        self._digest = digest
        self._expired: int | None = None
        self._waits = False

    async def answer(self) -> bytes | None:
        """The stored answer; None when the request was not carried out yet.

        Raises ERROR when the key was used for another request, or when the answer was not kept.
        """
        select = self._table.statement(select_where, ("ID", "Request", "Answer", "Created"), (("Name", "name"),))
        rows = await self._session.fetch(select, (self._name,))
        if not rows:
            return None
        stored = _Stored(*rows[0])
        if stored.created <= now_ms() - KEPT_MS:
            self._expired = stored.id
            return None
        if stored.request != self._digest:
            raise ApilaneError(Code.ERROR, USED)
        if stored.answer is None:
            raise ApilaneError(Code.ERROR, NOT_KEPT)
        return stored.answer.encode()

    async def run(self, write: UnitWrite[T], encode: Callable[[T], bytes]) -> Done[T]:
        """Run the unit of a write, and store its answer in it.

        Raises ERROR with HTTP status 409 when another request with the same key takes too long.
        """
        ends_at = monotonic() + WAIT_S
        async with self._turn(ends_at):
            with self._deadline(ends_at):
                return await self._run(write, encode)

    @asynccontextmanager
    async def _turn(self, ends_at: float) -> AsyncIterator[None]:
        """Wait for requests with the same key that are known to run, without a connection and outside of the queue of
        the writer: on SQLite those of all processes, else those of this process. Raises ERROR with HTTP status 409.

        The database finds the others (``_claim``).
        """
        pause = PAUSE_S
        while True:
            async with self._lock() as mine:
                if mine:
                    yield
                    return
            if monotonic() > ends_at:
                raise ApilaneError(Code.ERROR, IN_FLIGHT, status=409)
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_MAX_S)

    @contextmanager
    def _deadline(self, ends_at: float) -> Iterator[None]:
        """End the wait for another process that has the key. A request that has begun its own work is not ended."""
        task, is_late = asyncio.current_task(), False

        def look() -> None:
            nonlocal is_late
            if self._waits and task is not None:
                is_late = True
                task.cancel()

        timer = asyncio.get_running_loop().call_later(ends_at - monotonic(), look)
        try:
            yield
        except asyncio.CancelledError:
            if is_late and task is not None and not task.uncancel():
                raise ApilaneError(Code.ERROR, IN_FLIGHT, status=409) from None
            raise
        finally:
            timer.cancel()

    def _lock(self) -> AbstractAsyncContextManager[bool]:
        if self._application.driver.features.embedded:
            return self._session.exclusive(f"idempotency-{self._name[:LOCK_DIGITS]}")
        return _entered(self._application.running_keys, self._name)

    async def _run(self, write: UnitWrite[T], encode: Callable[[T], bytes]) -> Done[T]:
        try:
            result, answer = await self._session.run(lambda: self._steps(write, encode), alone=write.alone)
        except _AlreadyUsed:
            known = await self.answer()
            if known is None:
                raise ApilaneError(Code.ERROR, IN_FLIGHT, status=409) from None
            return Done(None, known)
        except (Unavailable, StatementTimeout) as error:
            if self._waits and not isinstance(error, (ConnectionLost, ConnectionRefused)):
                raise ApilaneError(Code.ERROR, IN_FLIGHT, status=409) from error
            raise
        if write.committed is not None:
            write.committed(result)
        return Done(result, answer)

    def _steps(self, write: UnitWrite[T], encode: Callable[[T], bytes]) -> UnitWithScripts[tuple[T, bytes]]:
        yield from self._claim()
        result = yield from write.steps()
        answer = encode(result)
        if len(answer) <= ANSWER_MAX_BYTES:
            update = self._table.statement(update_where, ("Answer",), (("Name", "name"),))
            yield Step(update, update.parameters({"new_Answer": answer.decode(), "name": self._name}))
        return result, answer

    def _claim(self) -> Generator[Step, Result, None]:
        """Insert the key. A unit with the same key waits here until the first one ends."""
        if self._expired is not None:
            yield Step(self._table.statement(delete_where, (("ID", "id"),)), (self._expired,))
        insert = self._table.statement(insert_row, ("Name", "Request", "Created"))
        values = {"Name": self._name, "Request": self._digest, "Created": now_ms()}
        self._waits = True
        try:
            yield Step(insert, insert.parameters(values))
        except UniqueViolation as error:
            raise _AlreadyUsed from error
        self._waits = False


@asynccontextmanager
async def _entered(running: set[str], name: str) -> AsyncIterator[bool]:
    """Keep the name in the set; gives False when it is there already."""
    if name in running:
        yield False
        return
    running.add(name)
    try:
        yield True
    finally:
        running.discard(name)
