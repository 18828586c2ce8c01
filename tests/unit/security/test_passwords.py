"""Argon2id hashing: correct results, equal time for unknown users, limited concurrency, no blocked loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from statistics import median

import pytest

from apilane.security.passwords import Passwords, Verdict


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(time_cost=1, memory_kib=64, parallelism=1, concurrency=2)
    yield made
    made.close()


@pytest.mark.better("B-D3")
def test_right_and_wrong(passwords: Passwords) -> None:
    """A hash verifies only its own password, and two hashes of one password differ."""

    async def scenario() -> None:
        first, second = await passwords.hash("Correct horse"), await passwords.hash("Correct horse")
        assert first != second
        assert first.startswith("$argon2id$v=19$m=64,t=1,p=1$")
        assert await passwords.verify(first, "Correct horse") == Verdict(ok=True, rehash=False)
        assert await passwords.verify(first, "correct horse") == Verdict(ok=False, rehash=False)

    asyncio.run(scenario())


def test_a_missing_user_has_no_right_password(passwords: Passwords) -> None:
    """For a missing user or a damaged hash the answer is no."""

    async def scenario() -> None:
        assert not (await passwords.verify(None, "anything")).ok
        assert not (await passwords.verify("", "anything")).ok
        assert not (await passwords.verify("$argon2id$v=19$m=64,t=1,p=1$x$y", "anything")).ok

    asyncio.run(scenario())


def test_odd_texts(passwords: Passwords) -> None:
    """Empty, non-ASCII, NUL and lone-surrogate passwords can be hashed and verified."""

    async def scenario() -> None:
        for text in ("", "Καφές", "a\0b", "\udcff", "x" * 400):
            stored = await passwords.hash(text)
            assert (await passwords.verify(stored, text)).ok
            assert not (await passwords.verify(stored, text + "!")).ok

    asyncio.run(scenario())


def test_rehash_when_parameters_change(passwords: Passwords) -> None:
    """The right password with a hash of older parameters asks for a new hash; a wrong password does not."""
    stronger = Passwords(time_cost=2, memory_kib=128, parallelism=1, concurrency=1)

    async def scenario() -> None:
        stored = await passwords.hash("pass word")
        assert await stronger.verify(stored, "pass word") == Verdict(ok=True, rehash=True)
        assert await stronger.verify(stored, "pass-word") == Verdict(ok=False, rehash=False)

    asyncio.run(scenario())
    stronger.close()


def test_a_missing_user_takes_as_long() -> None:
    """A missing user takes as long as a wrong password: the times differ by less than a third."""
    real = Passwords()

    async def timed(stored: str | None) -> float:
        start = time.thread_time_ns()
        real._verify(stored, "wrong")
        return time.thread_time_ns() - start

    async def scenario() -> None:
        stored = await real.hash("right")
        wrong = median([await timed(stored) for _ in range(9)])
        missing = median([await timed(None) for _ in range(9)])
        assert 2 / 3 < missing / wrong < 3 / 2

    asyncio.run(scenario())
    real.close()


def test_concurrency_is_bounded_and_lazy() -> None:
    """With any number of callers only ``concurrency`` threads hash, and none exists before the first call."""
    made = Passwords(time_cost=1, memory_kib=8192, parallelism=1, concurrency=2)

    def threads() -> int:
        return sum(thread.name.startswith("apilane-passwords") for thread in threading.enumerate())

    assert threads() == 0

    async def scenario() -> int:
        pending = [asyncio.ensure_future(made.hash(str(n))) for n in range(20)]
        most = 0
        while not all(each.done() for each in pending):
            most = max(most, threads())
            await asyncio.sleep(0.001)
        return most

    assert asyncio.run(scenario()) == 2
    made.close()
    assert threads() == 0


def test_cancelled_callers_leave_the_queue() -> None:
    """Cancelled callers cause no hash, and the callers behind them are served at once."""
    made = Passwords(time_cost=4, memory_kib=65536, parallelism=1, concurrency=1)

    async def scenario() -> None:
        start = time.perf_counter()
        await made.hash("one")
        one = time.perf_counter() - start
        waiting = [asyncio.ensure_future(made.hash(str(n))) for n in range(50)]
        await asyncio.sleep(0)
        for each in waiting:
            each.cancel()
        start = time.perf_counter()
        await made.hash("last")
        assert time.perf_counter() - start < 10 * one

    asyncio.run(scenario())
    made.close()
