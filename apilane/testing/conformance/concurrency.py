"""Concurrent callers, cancelled callers, and closed sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from functools import partial

from apilane.sql.select import ReadShape, select_records
from apilane.sql.write import BY_ID
from apilane.storage.errors import NotNullViolation, UniqueViolation
from apilane.storage.protocol import Result, Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import MAKERS, THINGS

__all__ = ["Concurrency"]


class Concurrency:
    """The tests that the module docstring describes."""

    def test_readers_and_writers(self, db: Database) -> None:
        """Readers see only complete units, and no call fails because of the others."""

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

    def test_same_read_by_many(self, db: Database) -> None:
        """Concurrent readers by ID each get their own row, or none when it does not match or does not exist."""
        ids = [db.insert(Count=n % 3, Name=f"thing {n}") for n in range(30)]
        shape = ReadShape(("Name", "ID"), (BY_ID, ("Count", "count")))
        read = select_records(THINGS, db.table(THINGS), shape, db.dialect)
        asked = [(id, count) for count in range(3) for id in (*ids, 0, *ids[::-1])]

        async def scenario() -> list[list[tuple[object, ...]]]:
            reads = [db.session.fetch(read, read.parameters({"id": id, "count": count})) for id, count in asked]
            return [[tuple(row) for row in rows] for rows in await asyncio.gather(*reads)]

        expected = [[(f"thing {ids.index(id)}", id)] if id and ids.index(id) % 3 == n else [] for id, n in asked]
        assert db.wait(scenario()) == expected

    def test_same_insert_by_many(self, db: Database) -> None:
        """Callers that insert concurrently each get the ID of their own row. A refused row gives its caller the reason
        and does not affect other callers."""
        insert = db.inserting(Code="", Count=0).statement

        def unit(n: int) -> Generator[Step, Result, int]:
            values = {"Name": None if n % 10 == 3 else f"thing {n}", "Code": f"code {n // 2 if n % 10 == 5 else n}"}
            return (yield Step(insert, insert.parameters({**values, "Count": n}))).new_id

        async def scenario() -> list[int | BaseException]:
            await db.session.run(partial(unit, 0), single=True)
            runs = (db.session.run(partial(unit, n), single=True) for n in range(1, 100))
            return await asyncio.gather(*runs, return_exceptions=True)

        told = db.wait(scenario())
        stored = dict(db.rows("Count", "ID"))
        for n, answer in enumerate(told, 1):
            if n % 10 == 3:
                assert isinstance(answer, NotNullViolation)
            elif isinstance(answer, BaseException):  # one of the two rows with this code, the first or the second
                assert isinstance(answer, UniqueViolation)
                assert n not in stored
            else:
                assert stored.pop(n) == answer
        assert list(stored) == [0]
        refused = [n for n, answer in enumerate(told, 1) if isinstance(answer, UniqueViolation)]
        assert len(refused) == 10  # codes 2, 7, 12 ... are inserted twice

    def test_same_insert_by_callers_who_leave(self, db: Database) -> None:
        """Cancelled callers do not affect others: each other caller has its row, and each row belongs to one caller."""
        insert = db.inserting(Count=0, Grade=0).statement

        def unit(n: int) -> Generator[Step, Result, int]:
            return (yield Step(insert, insert.parameters({"Name": "x", "Count": n, "Grade": n}))).new_id

        async def scenario() -> dict[int, int]:
            tasks = [asyncio.ensure_future(db.session.run(partial(unit, n), single=True)) for n in range(80)]
            for turn, task in enumerate(tasks):
                if turn % 7 == 0:
                    await asyncio.sleep(0 if turn % 2 else 0.0005)
                if turn % 3 == 0:
                    task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            return {n: answer for n, answer in enumerate(answers) if isinstance(answer, int)}

        told = db.wait(scenario())
        assert {n for n in range(80) if n % 3} <= told.keys()
        rows = db.rows("Count", "ID", "Grade")
        assert all(count == grade for count, _, grade in rows)
        assert {count: id for count, id, _ in rows}.items() >= told.items()

    def test_more_callers_than_connections(self, db: Database) -> None:
        """More concurrent reads and writes than connections are all served."""
        read = db.reading("ID").statement

        async def scenario() -> None:
            reads = (db.session.fetch(read) for _ in range(150))
            writes = (db.session.run(lambda: _insert(db)) for _ in range(150))
            await asyncio.gather(*reads, *writes)

        db.wait(scenario())
        assert len(db.rows("ID")) == 150

    def test_cancelled_reads(self, db: Database) -> None:
        """Cancelled readers do not affect others: each later reader gets its own rows."""
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
        """A cancelled caller's unit is stored completely or not at all. Units of other callers are not affected."""

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
        """A unit whose caller is cancelled before it is submitted changes nothing."""

        async def scenario() -> None:
            task = asyncio.ensure_future(db.session.run(lambda: _insert(db)))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        db.wait(scenario())
        assert db.rows("ID") == []

    def test_close_finishes_what_was_accepted(self, db: Database) -> None:
        """Closing waits for running units."""

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
