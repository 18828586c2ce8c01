"""Callers at the same time, callers who leave, sessions that close."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from functools import partial

from apilane.storage.protocol import Result, Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import MAKERS

__all__ = ["Concurrency"]


class Concurrency:
    """See the module."""

    def test_readers_and_writers(self, db: Database) -> None:
        """Readers see whole units only, and nobody fails because of the others."""

        def pair(n: int) -> Generator[Step, Result, None]:
            yield db.inserting(Count=n)
            yield db.inserting(Count=n)

        async def scenario() -> list[int]:
            read = db.reading("Count").statement
            sizes: list[int] = []

            async def reader() -> None:
                for _ in range(50):
                    sizes.append(len(await db.session.fetch(read)))
                    await asyncio.sleep(0)

            writers = (db.session.run(partial(pair, n)) for n in range(50))
            await asyncio.gather(reader(), reader(), *writers)
            return sizes

        assert all(size % 2 == 0 for size in db.wait(scenario()))
        assert len(db.rows("ID")) == 100

    def test_two_sessions_of_one_database(self, db: Database) -> None:
        """A second session sees what the first one wrote."""
        db.insert(Name="x")
        other = db.driver.session(db.address)
        assert len(db.wait(other.fetch(db.reading("ID").statement))) == 1

    def test_more_callers_than_connections(self, db: Database) -> None:
        """However many read and write at once, everybody is served."""
        read = db.reading("ID").statement

        async def scenario() -> None:
            reads = (db.session.fetch(read) for _ in range(150))
            writes = (db.session.run(lambda: _insert(db)) for _ in range(150))
            await asyncio.gather(*reads, *writes)

        db.wait(scenario())
        assert len(db.rows("ID")) == 150

    def test_cancelled_reads(self, db: Database) -> None:
        """Readers who leave take nothing along: whoever comes afterwards gets his own rows."""
        db.write(*(db.inserting(Count=n) for n in range(300)))
        read, other = db.reading("Count").statement, db.reading("ID", entity=MAKERS).statement

        async def scenario() -> list[int]:
            for turn in range(40):
                tasks = [asyncio.ensure_future(db.session.fetch(read)) for _ in range(3)]
                await asyncio.sleep(0 if turn % 3 else 0.0005)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            return [len(await db.session.fetch(statement)) for statement in (other, read) * 20]

        assert db.wait(scenario()) == [0, 300] * 20

    def test_cancelled_callers(self, db: Database) -> None:
        """A cancelled caller's unit happened whole or not at all; everybody else's is untouched."""

        def pair(n: int) -> Generator[Step, Result, None]:
            yield db.inserting(Count=n)
            yield db.inserting(Count=n)

        async def scenario() -> None:
            tasks = [asyncio.ensure_future(db.session.run(partial(pair, n))) for n in range(60)]
            for turn, task in enumerate(tasks):
                await asyncio.sleep(0 if turn % 4 else 0.001)
                if turn % 3 == 0:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        db.wait(scenario())
        counts = [row[0] for row in db.rows("Count")]
        assert all(counts.count(n) == 2 for n in range(60) if n % 3)
        assert all(counts.count(n) in {0, 2} for n in range(0, 60, 3))

    def test_cancelled_before_it_began(self, db: Database) -> None:
        """A unit whose caller left before it was submitted leaves no trace."""

        async def scenario() -> None:
            task = asyncio.ensure_future(db.session.run(lambda: _insert(db)))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        db.wait(scenario())
        assert db.rows("ID") == []

    def test_close_finishes_what_was_accepted(self, db: Database) -> None:
        """Closing waits for units under way."""

        async def scenario() -> list[None]:
            tasks = [asyncio.ensure_future(db.session.run(lambda: _insert(db))) for _ in range(20)]
            await asyncio.sleep(0)
            await db.session.close()
            return await asyncio.gather(*tasks)

        assert len(db.wait(scenario())) == 20
        session = db.driver.session(db.address)
        assert len(db.wait(session.fetch(db.reading("ID").statement))) == 20


def _insert(db: Database) -> Generator[Step, Result, None]:
    yield db.inserting()
