"""Jobs on every provider: in one process at a time, at their interval, isolated from each other."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest

from apilane.plugin import Applications, Job
from tests.events.conftest import NewWorld
from tests.events.world import until


class Ticks:
    """A job that counts its runs, and whether two of them ran at a time."""

    def __init__(self, name: str, every_s: float = 0.02) -> None:
        self.runs = 0
        self.seen: list[str] = []
        self._is_running = False
        self.job = Job(name=name, every_s=every_s, run=self.run)

    async def run(self, applications: Applications) -> None:
        assert not self._is_running
        self._is_running = True
        self.seen = [each.token async for each in applications.each()]
        self.runs += 1
        self._is_running = False


def test_a_job_runs_in_one_process_and_moves_to_another(new_world: NewWorld) -> None:
    """Of several processes one runs the jobs; when it ends, another one goes on. A job sees every application."""

    async def scenario() -> None:
        async with new_world() as world:
            ticks = [Ticks("tick") for _ in range(3)]
            instances = [await world.start(jobs=[each.job]) for each in ticks]
            await until(lambda: max(each.runs for each in ticks) >= 3)
            leader = max(range(3), key=lambda place: ticks[place].runs)
            assert ticks[leader].seen == [world.token]
            assert sum(each.runs for each in ticks) == ticks[leader].runs
            await instances[leader].close()
            others = [each for each in ticks if each is not ticks[leader]]
            await until(lambda: max(each.runs for each in others) >= 3)
            assert min(each.runs for each in others) == 0

    asyncio.run(scenario())


def test_an_interval_lasts_across_restarts(new_world: NewWorld) -> None:
    """A job that ran is not repeated by a restart before its interval has passed; a job that is new runs at once."""

    async def scenario() -> None:
        async with new_world() as world:
            daily, other = Ticks("daily", 86_400), Ticks("other")
            first = await world.start(jobs=[daily.job])
            await until(lambda: daily.runs == 1)
            await first.close()
            await world.start(jobs=[daily.job, other.job])
            await until(lambda: other.runs >= 3)
            assert daily.runs == 1

    asyncio.run(scenario())


def test_a_job_that_fails_or_hangs_disturbs_no_other(new_world: NewWorld, caplog: pytest.LogCaptureFixture) -> None:
    """Errors, exits and time-outs are logged with job and plugin; the job is started again, and other jobs go on."""
    failures = 0

    async def fail(applications: Applications) -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            sys.exit("the way out")
        raise ValueError("a fault of the job")

    async def hang(applications: Applications) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with new_world() as world:
            ticks = Ticks("tick")
            jobs = [
                Job(name="failing", every_s=0.02, run=fail),
                Job(name="hanging", every_s=0.02, run=hang, timeout_s=0.1),
                ticks.job,
            ]
            await world.start(jobs=jobs)
            await until(lambda: ticks.runs >= 3 and failures >= 2 and caplog.text.count("did not end") >= 2)

    with caplog.at_level(logging.ERROR, "apilane.jobs"):
        asyncio.run(scenario())
    assert "the job failing of plugin 'giving' failed" in caplog.text
    assert "SystemExit: the way out" in caplog.text
    assert "ValueError: a fault of the job" in caplog.text
    assert "the job hanging of plugin 'giving' did not end within 0.1 s" in caplog.text


def test_a_leader_that_lost_its_lock_leaves(new_world: NewWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader whose lock is free again, as after a lost connection, stops its jobs and seeks the lock again."""
    monkeypatch.setattr("apilane.events.leader.CHECK_S", 0.05)
    cancelled = 0

    async def wait(applications: Applications) -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise

    async def scenario() -> None:
        async with new_world() as world:
            instance = await world.start(jobs=[Job(name="waiting", every_s=0.01, run=wait)])
            background = instance._background
            assert background is not None
            lock = background._store.background.leader_lock
            names = iter(["first", "lost"])

            def another() -> object:
                return instance.store.background._session.exclusive(next(names, "leader"))

            await until(lambda: bool(background._jobs._running))
            monkeypatch.setattr(background._store.background, "leader_lock", another)
            await until(lambda: cancelled == 1)
            monkeypatch.setattr(background._store.background, "leader_lock", lock)
            await until(lambda: bool(background._jobs._running))

    asyncio.run(scenario())
