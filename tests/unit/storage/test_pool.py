"""Connection pools: one limit for many databases, fair turns, and no connection lost when callers are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from apilane.storage.errors import ConnectionRefused, Unavailable
from apilane.storage.pool import Pool, PoolGroup

Scenario = Callable[[], Awaitable[None]]


class Server:
    """A server that counts its open connections."""

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self.numbers = count(1)
        self.open: set[int] = set()
        self.most = 0
        self.delay_s = delay_s
        self.refuses = False

    async def connect(self) -> int:
        number = next(self.numbers)
        self.open.add(number)
        self.most = max(self.most, len(self.open))
        try:
            await asyncio.sleep(self.delay_s)
            if self.refuses:
                raise ConnectionRefused("refused")
        except BaseException:
            self.open.discard(number)
            raise
        return number

    async def disconnect(self, connection: int) -> None:
        self.open.remove(connection)

    def pool(self, group: PoolGroup) -> Pool[int]:
        return Pool(group, self.connect, self.disconnect)


def test_kept_and_used_again() -> None:
    """A released connection is given to the next caller."""

    async def scenario() -> None:
        server = Server()
        pool = server.pool(PoolGroup(3))
        first = await pool.acquire()
        pool.release(first)
        assert await pool.acquire() == first
        pool.release(first)
        await pool.close()
        assert not server.open

    asyncio.run(scenario())


def test_never_more_than_the_limit() -> None:
    """Many callers of several pools share the limit, and all are served."""

    async def scenario() -> None:
        server = Server(delay_s=0.001)
        group = PoolGroup(4)
        pools = [server.pool(group) for _ in range(3)]
        served = 0

        async def call(pool: Pool[int]) -> None:
            nonlocal served
            connection = await pool.acquire()
            await asyncio.sleep(0.001)
            pool.release(connection)
            served += 1

        await asyncio.gather(*(call(pools[n % 3]) for n in range(120)))
        assert served == 120
        assert group.open <= 4
        assert group.open == len(server.open)
        for pool in pools:
            await pool.close()
        assert group.open == 0

    asyncio.run(scenario())


def test_a_pool_gets_no_more_than_its_share() -> None:
    """Callers of one pool leave connections to other pools, and get the whole share again and again."""

    async def scenario() -> None:
        server = Server()
        group = PoolGroup(4, share=3)
        busy, calm = server.pool(group), server.pool(group)
        held = [await busy.acquire() for _ in range(3)]
        waiting = [asyncio.ensure_future(busy.acquire()) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert busy.open == 3
        for _ in range(2):  # the neighbour does not wait
            calm.release(await asyncio.wait_for(calm.acquire(), 0.1))
        busy.release(held.pop())
        busy.release(held.pop(), broken=True)
        held += await asyncio.wait_for(asyncio.gather(*waiting), 0.5)
        assert (busy.open, calm.open, group.open) == (3, 1, 4)
        for connection in held:
            busy.release(connection)
        for pool in (busy, calm):
            await pool.close()
        assert (busy.open, calm.open, group.open) == (0, 0, 0)

    asyncio.run(scenario())


def test_unused_connection_of_another_pool_makes_room() -> None:
    """A pool at the limit replaces an unused connection of another pool."""

    async def scenario() -> None:
        server = Server()
        group = PoolGroup(1)
        one, two = server.pool(group), server.pool(group)
        one.release(await one.acquire())
        connection = await asyncio.wait_for(two.acquire(), 1)
        assert group.open == 1
        two.release(connection)
        await two.close()
        await one.close()
        assert not server.open

    asyncio.run(scenario())


def test_pools_take_turns() -> None:
    """Callers of another pool do not wait until all callers of a busy pool are served."""

    async def scenario() -> None:
        server = Server()
        group = PoolGroup(1)
        busy, quiet = server.pool(group), server.pool(group)
        order: list[str] = []

        async def call(pool: Pool[int], name: str) -> None:
            connection = await pool.acquire()
            await asyncio.sleep(0)
            order.append(name)
            pool.release(connection)

        await asyncio.gather(*(call(busy, "busy") for _ in range(20)), call(quiet, "quiet"))
        assert order.index("quiet") <= 3

    asyncio.run(scenario())


def test_full_pool_names_the_setting() -> None:
    """A caller that waits too long gets the name of the setting to raise, and the others continue."""

    async def scenario() -> None:
        server = Server()
        pool = server.pool(PoolGroup(1, wait_s=0.02))
        held = await pool.acquire()
        with pytest.raises(Unavailable, match="database_connections"):
            await pool.acquire()
        pool.release(held)
        pool.release(await pool.acquire())
        await pool.close()

    asyncio.run(scenario())


def test_cancelled_waiters_lose_nothing() -> None:
    """Callers that are cancelled while they wait, or when they are served, lose no connection."""

    async def scenario() -> None:
        server = Server(delay_s=0.0005)
        group = PoolGroup(2)
        pools = [server.pool(group), server.pool(group)]

        async def call(pool: Pool[int]) -> None:
            connection = await pool.acquire()
            try:
                await asyncio.sleep(0)
            finally:
                pool.release(connection)

        for turn in range(30):
            tasks = [asyncio.ensure_future(call(pools[n % 2])) for n in range(20)]
            for _ in range(turn % 7):
                await asyncio.sleep(0)
            for task in tasks[turn % 3 :: 3]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert group.open <= 2
        for pool in pools:
            await asyncio.wait_for(pool.close(), 1)
        assert group.open == 0
        assert not server.open
        assert not group.is_awaited

    asyncio.run(scenario())


def test_refused_connections_free_their_place() -> None:
    """Connections that the server refuses do not count: later as many can be opened as before."""

    async def scenario() -> None:
        server = Server()
        server.refuses = True
        group = PoolGroup(2)
        pool = server.pool(group)
        answers = await asyncio.gather(*(pool.acquire() for _ in range(5)), return_exceptions=True)
        assert all(isinstance(answer, ConnectionRefused) for answer in answers)
        assert group.open == 0
        server.refuses = False
        assert len({await pool.acquire(), await pool.acquire()}) == 2

    asyncio.run(scenario())


def test_broken_ones_are_closed() -> None:
    """A broken connection is closed and its place is free; unused ones stay until they are dropped."""

    async def scenario() -> None:
        server = Server()
        group = PoolGroup(2)
        pool = server.pool(group)
        one, two = await pool.acquire(), await pool.acquire()
        pool.release(one)
        pool.release(two, broken=True)
        await asyncio.sleep(0)
        assert server.open == {one}
        pool.drop_idle()
        await pool.close()
        assert not server.open
        assert group.open == 0

    asyncio.run(scenario())


def test_unused_ones_are_closed_in_time() -> None:
    """An unused connection is closed after the idle time, and the group keeps no reference to its pool."""

    async def scenario() -> None:
        server = Server()
        group = PoolGroup(2, idle_s=0.02)
        pool = server.pool(group)
        pool.release(await pool.acquire())
        assert group.idle == {pool}
        await asyncio.sleep(0.08)
        assert not server.open
        assert not group.idle
        assert group.open == 0

    asyncio.run(scenario())


def test_close_waits_for_what_is_in_use() -> None:
    """Closing waits for connections that are being opened and for those in use."""

    async def scenario() -> None:
        server = Server(delay_s=0.01)
        pool = server.pool(PoolGroup(2))

        async def call() -> None:
            connection = await pool.acquire()
            await asyncio.sleep(0.01)
            pool.release(connection)

        task = asyncio.ensure_future(call())
        await asyncio.sleep(0)
        await pool.close()
        assert task.done()
        assert not server.open

    asyncio.run(scenario())
