"""Connections to database servers: one pool for each database, and one limit for all pools of a driver.

All objects belong to one event loop. The driver defines what a connection is, and how it is opened and closed.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from apilane.storage.errors import Unavailable
from apilane.storage.patience import Patience
from apilane.storage.protocol import Load

__all__ = ["Pool", "PoolGroup"]

C = TypeVar("C")

_PERMIT: Final = object()
"""Given to a waiter instead of a connection: the waiter may open one."""


class PoolGroup:
    """The limit that pools share. The waiters of a pool are served in order, and pools with waiters take turns.

    ``limit``: largest number of open connections. ``share``: how many of them one pool may have, so that a database
    whose calls take long leaves connections to others; None: all. ``wait_s``: how long a caller waits for a connection.
    ``idle_s``: how long an unused connection stays open.
    """

    def __init__(self, limit: int, *, share: int | None = None, wait_s: float = 20.0, idle_s: float = 60.0) -> None:
        self.limit = max(limit, 1)
        self.share = self.limit if share is None else min(max(share, 1), self.limit)
        self.wait_s = wait_s
        self.patience = Patience(wait_s)  # asyncio.timeout takes 5 us more, and busy pools wait often
        self.idle_s = idle_s
        self.open = 0
        self.idle: set[Pool[Any]] = set()
        """Pools with an unused connection; at most ``limit`` entries, even with more pools."""
        self._waiting: OrderedDict[Pool[Any], None] = OrderedDict()

    @property
    def is_awaited(self) -> bool:
        """Whether a caller waits for a connection."""
        return bool(self._waiting)

    def load(self) -> Load:
        """The load of all pools."""
        idle = sum(pool.unused for pool in self.idle)
        return Load(self.open, idle, sum(pool.waiting for pool in self._waiting), 0)

    def longest_idle(self) -> Pool[Any] | None:
        """The pool whose connection has been unused for the longest time."""
        return min(self.idle, key=lambda pool: pool.idle_since, default=None)

    def await_turn(self, pool: Pool[Any]) -> None:
        self._waiting.setdefault(pool)

    def give_up(self, pool: Pool[Any]) -> None:
        self._waiting.pop(pool, None)

    def next(self, releasing: Pool[Any]) -> Pool[Any] | None:
        """The next pool that has waiters and may have a connection; it moves to the end of the queue. A pool that has
        its share gets only its own connections back.
        """
        for pool in self._waiting:
            if pool is releasing or pool.open < pool.share:
                self._waiting.move_to_end(pool)
                return pool
        return None

    def freed(self, owner: Pool[Any]) -> None:
        """A connection of ``owner`` was closed, so the next waiter may open one."""
        self.open -= 1
        owner.open -= 1
        pool = self.next(owner)
        if pool is not None:
            self.open += 1
            pool.open += 1
            pool.serve(_PERMIT)


class Pool(Generic[C]):
    """Connections to one database, opened when needed. ``connect`` raises ``StorageError``; ``disconnect`` raises
    nothing. ``share``: largest number of open connections; None: that of the group.
    """

    def __init__(
        self,
        group: PoolGroup,
        connect: Callable[[], Awaitable[C]],
        disconnect: Callable[[C], Awaitable[None]],
        share: int | None = None,
    ) -> None:
        self._group = group
        self.share = group.share if share is None else share
        self._connect = connect
        self._disconnect = disconnect
        self._idle: list[tuple[C, float]] = []
        self._waiters: deque[asyncio.Future[object]] = deque()
        self.in_use = 0
        """Connections that callers have now."""
        self.open = 0
        """Connections that are open or being opened."""
        self._sweep: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def idle_since(self) -> float:
        """The ``time.monotonic`` at which the longest unused connection was returned; infinite if there is none."""
        return self._idle[0][1] if self._idle else math.inf

    @property
    def unused(self) -> int:
        """Open connections that no caller has."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Callers that wait for a connection."""
        return len(self._waiters)

    def take(self) -> C | None:
        """An unused connection, to be returned by ``release``; None if there is none."""
        if not self._idle:
            return None
        self.in_use += 1
        connection = self._idle.pop()[0]
        if not self._idle:
            self._group.idle.discard(self)
        return connection

    async def acquire(self) -> C:
        """An unused or new connection, to be returned by ``release``. Unavailable when none was free in time."""
        connection = self.take()
        if connection is not None:
            return connection
        group = self._group
        may_open = self.open < self.share
        # While there is room or an unused connection, only pools that have their share are waiting.
        if may_open and group.open >= group.limit and (other := group.longest_idle()) is not None:
            other.drop_oldest()
        if may_open and group.open < group.limit:
            group.open += 1
            self.open += 1
        else:
            given = await self._wait()
            if given is not _PERMIT:
                self.in_use += 1
                return given  # type: ignore[return-value]  # ``release`` puts a connection of this pool there
        self.in_use += 1
        try:
            return await self._connect()
        except BaseException:
            self.in_use -= 1
            group.freed(self)
            raise

    async def _wait(self) -> object:
        waiter: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._group.await_turn(self)
        try:
            with self._group.patience:
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():  # the connection arrived at the same time
                self._put_back(waiter.result())
            elif waiter in self._waiters:  # otherwise ``serve`` has removed it and seen that it was cancelled
                self._waiters.remove(waiter)
                if not self._waiters:
                    self._group.give_up(self)
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"All database connections of this process ({self._group.limit}), or all that one database may "
                    f"have ({self.share}), were busy for {self._group.wait_s:.0f} s; raise "
                    "database_connections, or look for slow statements."
                ) from None
            raise

    def _put_back(self, given: object) -> None:
        if given is _PERMIT:
            self._group.freed(self)
        else:
            self.in_use += 1
            self.release(given)  # type: ignore[arg-type]

    def serve(self, given: object) -> None:
        """Give a connection of this pool, or the permit to open one, to the waiter that has waited longest."""
        waiter = self._waiters.popleft()
        if not self._waiters:
            self._group.give_up(self)
        if waiter.done():  # cancelled at the same time
            self._put_back(given)
        else:
            waiter.set_result(given)

    def release(self, connection: C, *, broken: bool = False) -> None:
        """Return a connection; if it is ``broken``, it is closed."""
        self.in_use -= 1
        if broken:
            self._drop(connection)
            return
        next = self._group.next(self)
        if next is None:
            self._idle.append((connection, monotonic()))
            self._group.idle.add(self)
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(self._group.idle_s, self._close_unused)
        elif next is self:
            self.serve(connection)
        else:
            self._close(connection)
            self.open -= 1
            next.open += 1
            next.serve(_PERMIT)

    def drop_oldest(self) -> None:
        """Close the connection that has been unused for the longest time."""
        connection = self._idle.pop(0)[0]
        if not self._idle:
            self._group.idle.discard(self)
        self._drop(connection)

    def drop_idle(self) -> None:
        """Close every unused connection, because the server is or was unreachable."""
        while self._idle:
            self.drop_oldest()

    def _drop(self, connection: C) -> None:
        self._close(connection)
        self._group.freed(self)

    def _close(self, connection: C) -> None:
        task = asyncio.ensure_future(self._disconnect(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _close_unused(self) -> None:
        self._sweep = None
        dead_before = monotonic() - self._group.idle_s
        while self._idle and self._idle[0][1] <= dead_before:
            self.drop_oldest()
        if self._idle:
            wait_s = self._idle[0][1] - dead_before
            self._sweep = asyncio.get_running_loop().call_later(wait_s, self._close_unused)

    async def close(self) -> None:
        """Wait for the connections in use, then close all. The pool may be used again."""
        while self.in_use or self._waiters:  # noqa: ASYNC110  # close is rare, and an event would slow down every read
            await asyncio.sleep(0.002)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self.drop_idle()
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)
