"""Named locks between all processes that use a database, on any machine."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from apilane.storage.protocol import Result, Step
from apilane.testing.conformance.case import Database

__all__ = ["Exclusion"]

LONGEST = "a" * 50 + "-0123456789-AZ"


class _OwnError(Exception):
    """Raised inside a lock."""


class Exclusion:
    """The tests that the module docstring describes."""

    def test_one_holds_a_lock(self, db: Database) -> None:
        """A second caller gets False without waiting, in the same session or another driver. Afterwards the lock is
        free."""
        other = db.case.make_driver()
        there = other.session(db.address)

        async def scenario() -> None:
            for name in ("changes", LONGEST):
                async with db.session.exclusive(name) as mine:
                    assert mine
                    for session in (db.session, there):
                        async with asyncio.timeout(5), session.exclusive(name) as second:
                            assert not second
                    async with there.exclusive(f"b{name[1:]}") as another:
                        assert another
                async with there.exclusive(name) as theirs:
                    assert theirs
            await other.close()

        db.wait(scenario())

    def test_units_go_on_beside_a_lock(self, db: Database) -> None:
        """Reads and units of all callers work while the lock is held, also those of the holder."""

        async def hold() -> None:
            async with db.session.exclusive("changes") as mine:
                assert mine
                await db.session.fetch(db.reading("ID").statement)
                await asyncio.gather(*(db.session.run(lambda: _insert(db)) for _ in range(30)))

        db.wait(hold())
        assert len(db.rows("ID")) == 30

    def test_freed_by_failure(self, db: Database) -> None:
        """An error inside the lock and a cancelled holder release the lock."""
        other = db.case.make_driver()
        there = other.session(db.address)

        async def hold(entered: asyncio.Event) -> None:
            async with there.exclusive("changes"):
                entered.set()
                await asyncio.sleep(60)

        async def is_free() -> bool:
            async with db.session.exclusive("changes") as mine:
                return mine

        async def scenario() -> None:
            with pytest.raises(_OwnError):
                async with there.exclusive("changes"):
                    raise _OwnError
            assert await is_free()
            entered = asyncio.Event()
            holder = asyncio.ensure_future(hold(entered))
            await entered.wait()
            assert not await is_free()
            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)
            for _ in range(500):
                if await is_free():
                    break
                await asyncio.sleep(0.01)
            assert await is_free()
            await other.close()

        db.wait(scenario())

    def test_one_of_many_wins(self, db: Database) -> None:
        """Of several concurrent callers exactly one gets the lock."""

        async def ask(barrier: asyncio.Barrier) -> bool:
            async with db.session.exclusive("changes") as mine:
                await barrier.wait()
                return mine

        async def scenario() -> int:
            barrier = asyncio.Barrier(4)
            return sum(await asyncio.gather(*(ask(barrier) for _ in range(4))))

        assert db.wait(scenario()) == 1


def _insert(db: Database) -> Generator[Step, Result, None]:
    yield db.inserting()
