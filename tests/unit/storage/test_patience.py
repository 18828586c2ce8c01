"""One timer for many waits: a wait over the limit ends with TimeoutError, others are not affected, and no timer is
left.
"""

from __future__ import annotations

import asyncio

import pytest

from apilane.storage.patience import Patience

LIMIT_S = 0.05


async def _wait(patience: Patience, seconds: float) -> str:
    with patience:
        await asyncio.sleep(seconds)
        return "done"


def test_long_waits_end() -> None:
    """Waits over the limit end with TimeoutError; shorter ones complete."""

    async def scenario() -> list[object]:
        patience = Patience(LIMIT_S)
        waits = (_wait(patience, seconds) for seconds in (30.0, 0.0, 30.0, LIMIT_S / 5))
        return list(await asyncio.gather(*waits, return_exceptions=True))

    first, second, third, fourth = asyncio.run(asyncio.wait_for(scenario(), 5.0))
    assert isinstance(first, TimeoutError)
    assert isinstance(third, TimeoutError)
    assert (second, fourth) == ("done", "done")


def test_each_wait_has_the_whole_time() -> None:
    """A task may wait repeatedly: the limit applies to each wait."""

    async def scenario() -> None:
        patience = Patience(LIMIT_S * 4)
        for _ in range(6):
            await _wait(patience, LIMIT_S)

    asyncio.run(asyncio.wait_for(scenario(), 5.0))


def test_a_task_goes_on_after_its_wait_ended() -> None:
    """After a TimeoutError the task is not cancelled, and later awaits are not affected."""

    async def scenario() -> str:
        patience = Patience(LIMIT_S)
        with pytest.raises(TimeoutError):
            await _wait(patience, 30.0)
        await asyncio.sleep(LIMIT_S)
        return await _wait(patience, 0.0)

    assert asyncio.run(asyncio.wait_for(scenario(), 5.0)) == "done"


def test_cancelled_by_another_task() -> None:
    """A cancellation is not mistaken for the time limit, even when both come at once."""

    async def scenario(*, at_once: bool) -> None:
        patience = Patience(LIMIT_S)
        task = asyncio.create_task(_wait(patience, 30.0))
        await asyncio.sleep(0)
        if at_once:
            patience._waits[task] = (0.0, *patience._waits[task][1:])
            patience._look(asyncio.get_running_loop())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not patience._waits
        assert not patience._ended

    asyncio.run(scenario(at_once=False))
    asyncio.run(scenario(at_once=True))


def test_cancelled_before() -> None:
    """A task that ignored an earlier cancellation still has time limits."""

    async def scenario() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await _wait(Patience(LIMIT_S), 30.0)

    asyncio.run(asyncio.wait_for(scenario(), 5.0))


def test_the_timer_rests_and_moves() -> None:
    """Without waits there is no timer, and each event loop gets its own."""
    patience = Patience(LIMIT_S)

    async def leave_a_timer() -> None:
        await _wait(patience, 0.0)
        assert patience._timer is not None

    async def too_long() -> None:
        with pytest.raises(TimeoutError):
            await _wait(patience, 30.0)
        await asyncio.sleep(LIMIT_S)
        assert patience._timer is None

    asyncio.run(leave_a_timer())
    asyncio.run(asyncio.wait_for(too_long(), 5.0))
