"""Deadlocks and waits for rows on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from functools import partial
from random import Random
from urllib.parse import urlsplit

import pytest

from apilane.sql.statement import Statement
from apilane.storage.errors import Unavailable
from apilane.storage.protocol import Result, Step
from apilane.testing.conformance import Database, DriverCase
from apilane.testing.conformance.case import open_database
from apilane.testing.plugin import ServerUrl
from apilane_postgresql import PostgreSQLDriver
from apilane_postgresql.provision import drop_database, execute, fresh_database

MakeDatabase = Callable[[float], Database]


@pytest.fixture
def make_db(server_url: ServerUrl) -> Iterator[MakeDatabase]:
    """A database whose calls end after a number of seconds."""
    server = server_url("postgresql")
    made: list[Database] = []
    with asyncio.Runner() as runner:

        def make(timeout_s: float) -> Database:
            case = DriverCase(
                make_driver=lambda: PostgreSQLDriver(statement_timeout_s=timeout_s),
                fresh_address=lambda: asyncio.run(fresh_database(server)),
            )
            made.append(open_database(case, runner))
            return made[-1]

        yield make
        for database in made:
            database.close()
            asyncio.run(drop_database(database.address, server))


def test_deadlocks_with_the_default_timeout(make_db: MakeDatabase) -> None:
    """Units of two processes that change three rows in random order all succeed when the server takes 1 s, its default,
    to find a deadlock.
    """
    db = make_db(20)
    database = urlsplit(db.address).path.removeprefix("/")
    db.wait(execute(db.address, f"ALTER DATABASE {database} SET deadlock_timeout = '1s'"))
    ids = [db.insert(Count=0) for _ in range(3)]
    add = Statement('UPDATE "Things" SET "Count" = "Count" + 1 WHERE "ID" = $1', kind="update")
    random = Random(5)

    def unit(order: list[int]) -> Generator[Step, Result, None]:
        for id in order:
            yield Step(add, (id,))

    async def scenario() -> None:
        other = db.case.make_driver()
        sessions = (db.session, other.session(db.address))
        orders = [random.sample(ids, len(ids)) for _ in range(60)]
        await asyncio.gather(*(sessions[n % 2].run(partial(unit, order)) for n, order in enumerate(orders)))
        await other.close()

    db.wait(scenario())
    assert db.rows("Count") == [(60,)] * 3


def test_a_time_limit_within_a_wait_for_a_row(make_db: MakeDatabase) -> None:
    """A statement that waits for one row after another is Unavailable when its time is over, not a StatementTimeout."""
    db = make_db(2)
    first, second = db.insert(Count=0), db.insert(Count=0)
    change = Statement('UPDATE "Things" SET "Count" = 1 WHERE "ID" = $1', kind="update")

    def unit() -> Generator[Step, Result, None]:
        yield Step(Statement('UPDATE "Things" SET "Count" = 2', kind="update"))

    async def scenario() -> None:
        holders = [await db.session._connect() for _ in range(2)]
        for holder, id in zip(holders, (first, second), strict=True):
            await holder.begin()
            await holder.execute(Step(change, (id,)))
        waiting = asyncio.ensure_future(db.session.run(unit))
        await asyncio.sleep(0.8)
        await holders[0].rollback()
        with pytest.raises(Unavailable, match="locked"):
            await waiting
        for holder in holders:
            await holder.close()

    db.wait(scenario())
