"""Round trips shared by callers of one statement: who shares one, and which result each caller gets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from apilane.sql.statement import Statement, Value
from apilane.storage.errors import ConnectionLost
from apilane.storage.shared_trips import MOST, SharedTrips

ONE, OTHER = Statement("SELECT 1"), Statement("SELECT 2")


class Trips:
    """Returns ten times the parameter; ``fails``: the errors of the trips; ``gate``: an event they wait for.

    ``missing``: the answers that are omitted.
    """

    def __init__(self, fails: Exception | None = None) -> None:
        self.made: list[tuple[Statement, list[Value]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.nothing_done = False
        self.missing = 0
        self._fails = fails
        self.shared: SharedTrips[int] = SharedTrips(self._run)

    async def _run(self, statement: Statement, callers: Sequence[Sequence[Value]]) -> list[int] | None:
        self.made.append((statement, [parameters[0] for parameters in callers]))
        await self.gate.wait()
        if self._fails is not None:
            raise self._fails
        answers = [10 * parameters[0] for parameters in callers]
        return None if self.nothing_done else answers[self.missing :]

    async def ask(self, number: int, statement: Statement = ONE) -> int | None:
        return await self.shared.join(statement, (number,))


def test_callers_of_one_turn_share_a_trip() -> None:
    """Callers of the same statement in one turn of the loop share a trip, and each gets its own result."""

    async def scenario() -> None:
        trips = Trips()
        assert await asyncio.gather(*(trips.ask(n) for n in range(5))) == [0, 10, 20, 30, 40]
        assert trips.made == [(ONE, [0, 1, 2, 3, 4])]
        assert await trips.ask(7) == 70
        assert trips.made[1:] == [(ONE, [7])]

    asyncio.run(scenario())


def test_other_statements_have_trips_of_their_own() -> None:
    """Concurrent callers of another statement get a separate trip."""

    async def scenario() -> None:
        trips = Trips()
        asked = (trips.ask(n, ONE if n % 2 else OTHER) for n in range(4))
        assert await asyncio.gather(*asked) == [0, 10, 20, 30]
        assert sorted(numbers for _, numbers in trips.made) == [[0, 2], [1, 3]]

    asyncio.run(scenario())


def test_a_trip_has_so_many_callers() -> None:
    """Beyond ``MOST`` callers the next ones get another trip at once."""

    async def scenario() -> None:
        trips = Trips()
        trips.gate.clear()
        answers = asyncio.gather(*(trips.ask(n) for n in range(2 * MOST + 1)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert [len(numbers) for _, numbers in trips.made] == [MOST, MOST, 1]
        trips.gate.set()
        assert await answers == [10 * n for n in range(2 * MOST + 1)]

    asyncio.run(scenario())


def test_callers_who_leave() -> None:
    """A caller that is cancelled before the trip is not part of it; one cancelled later does not affect the others."""

    async def scenario() -> None:
        trips = Trips()
        trips.gate.clear()
        early, late, stays = (asyncio.ensure_future(trips.ask(n)) for n in (1, 2, 3))
        await asyncio.sleep(0)  # the calls are queued, and the trip has not started
        early.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert trips.made == [(ONE, [2, 3])]
        late.cancel()
        await asyncio.sleep(0)
        trips.gate.set()
        assert await stays == 30
        for left in (early, late):
            with pytest.raises(asyncio.CancelledError):
                await left

    asyncio.run(scenario())


def test_nothing_was_done() -> None:
    """When a trip executed nothing, each caller learns that and can repeat its statement alone."""

    async def scenario() -> None:
        trips = Trips()
        trips.nothing_done = True
        assert await asyncio.gather(trips.ask(1), trips.ask(2)) == [None, None]

    asyncio.run(scenario())


def test_a_failed_trip() -> None:
    """The error of a trip is raised for all its callers, each with its own exception object."""

    async def scenario() -> None:
        trips = Trips(ConnectionLost("gone"))
        first, second = await asyncio.gather(trips.ask(1), trips.ask(2), return_exceptions=True)
        assert isinstance(first, ConnectionLost)
        assert isinstance(second, ConnectionLost)
        assert first is not second

    asyncio.run(scenario())


class Stubborn(Exception):
    """An exception that cannot be copied from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


@pytest.mark.parametrize(("fails", "missing"), [(Stubborn(1, 2), 0), (None, 1)])
def test_everybody_is_answered(fails: Exception | None, missing: int) -> None:
    """After any error, and for missing answers, callers get an error and never another caller's result."""

    async def scenario() -> None:
        trips = Trips(fails)
        trips.missing = missing
        answers = await asyncio.gather(*(trips.ask(n) for n in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Stubborn if fails else RuntimeError] * 3

    asyncio.run(asyncio.wait_for(scenario(), 5.0))


def test_close_waits_for_trips() -> None:
    """Closing waits for queued and running trips."""

    async def scenario() -> None:
        trips = Trips()
        asked = asyncio.ensure_future(trips.ask(1))
        await asyncio.sleep(0)
        await trips.shared.close()
        assert await asked == 10

    asyncio.run(asyncio.wait_for(scenario(), 5.0))
