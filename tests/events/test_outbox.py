"""The outbox on every provider: stored with its cause, delivered at least once, kept when it fails."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Generator

import pytest
from msgspec import Struct

from apilane.events.claims import Claims, wait_ms
from apilane.instance import Instance
from apilane.plugin import OutboxHandler, OutboxMessage, PermanentFailure, RetryLater
from apilane.plugin.storage import Result, Statement, Step, is_private
from apilane.runtime.identities import now_ms
from apilane.sql.write import insert_row
from tests.events.conftest import NewWorld
from tests.events.world import Post, World, until

QUICK = {"first_retry_s": 0.01, "longest_retry_s": 0.05}


class Letter(Struct):
    """A typed payload."""

    to: str
    count: int = 1


async def is_empty(world: World, instance: Instance) -> bool:
    return not await world.messages(instance)


async def dead(world: World, instance: Instance) -> list[str | None]:
    return [each.error for each in await world.messages(instance) if each.is_dead]


def test_a_message_is_stored_with_its_cause(new_world: NewWorld) -> None:
    """A committed unit delivers its message and removes it; a unit that is rolled back leaves no message."""
    post = Post(payload=Letter)

    async def scenario() -> None:
        async with new_world() as world:
            instance = await world.start(post.handler)
            application = await world.application(instance)
            items = application.entities["items"]
            insert = items.statement(insert_row, ("Title", "Created"))

            async def store(title: str, *, fails: bool) -> None:
                async with application.outbox.adding() as outbox:

                    def unit() -> Generator[Step, Result, None]:
                        made = yield Step(insert, insert.parameters({"Title": title, "Created": now_ms()}))
                        yield from outbox.add("mail", Letter(title, made.new_id))
                        if fails:
                            raise ValueError("the cause fails")

                    await application.session.run(unit)

            with pytest.raises(ValueError, match="the cause fails"):
                await store("lost", fails=True)
            await store("kept", fails=False)
            await until(lambda: is_empty(world, instance))
            assert [letter.to for letter in post.payloads] == ["kept"]
            assert post.payloads[0].count > 0

    asyncio.run(scenario())


def test_several_processes_deliver_each_message_once(new_world: NewWorld) -> None:
    """Processes that look at the same time never deliver one message together, and every message is delivered."""
    busy: set[str] = set()
    done: Counter[str] = Counter()

    async def deliver(message: OutboxMessage, application: object) -> None:
        assert message.key not in busy
        busy.add(message.key)
        await asyncio.sleep(0.001)
        busy.remove(message.key)
        done[message.payload] += 1

    async def scenario() -> None:
        handler = OutboxHandler(kind="mail", deliver=deliver)
        async with new_world() as world:
            instances = [await world.start(handler) for _ in range(3)]
            application = await world.application(instances[0])
            for part in range(4):
                async with application.outbox.adding() as outbox:

                    def unit(part: int = part) -> Generator[Step, Result, None]:
                        for number in range(25):
                            yield from outbox.add("mail", f"{part}/{number}")

                    await application.session.run(unit)
                for instance in instances:
                    instance.applications.outboxes.wake(world.token)
            await until(lambda: is_empty(world, instances[0]))

    asyncio.run(scenario())
    assert sorted(done.values()) == [1] * 100


def test_one_of_many_claims_succeeds(new_world: NewWorld) -> None:
    """Of many claims at the same moment, through several connections, exactly one gets the message, until it ends."""

    async def scenario() -> None:
        async with new_world() as world:
            instances = [await world.start(Post().handler, serve=False) for _ in range(3)]
            outboxes = [(await world.application(instance)).outbox for instance in instances]
            await outboxes[0].send("mail", "x")
            for _ in range(5):
                taken = await asyncio.gather(*(Claims(outbox).take() for outbox in outboxes * 4))
                (claim,) = [each for each in taken if each is not None]
                assert await Claims(outboxes[1]).take() is None
                assert await Claims(outboxes[0]).release(claim)
                assert not await Claims(outboxes[1]).delivered(claim)
            (message,) = await world.messages(instances[0])
            assert message.attempts == 5

    asyncio.run(scenario())


def test_failures_are_tried_again(new_world: NewWorld, caplog: pytest.LogCaptureFixture) -> None:
    """After an error, an exit, a time-out or a wish to wait, the same message comes with the next attempt's number."""

    async def act(message: OutboxMessage) -> None:
        if message.attempt == 1:
            raise RuntimeError("not today")
        if message.attempt == 2:
            raise RetryLater(0.01, "greylisted")
        if message.attempt == 3:
            await asyncio.Event().wait()
        if message.attempt == 4:
            sys.exit("the way out")

    post = Post(act, timeout_s=0.2, **QUICK)

    async def scenario() -> None:
        async with new_world() as world:
            instance = await world.start(post.handler)
            await (await world.application(instance)).outbox.send("mail", {"to": "Anna"})
            await until(lambda: is_empty(world, instance))

    with caplog.at_level(logging.WARNING, "apilane.outbox"):
        asyncio.run(scenario())
    assert [(each.attempt, each.payload) for each in post.attempts] == [(n, {"to": "Anna"}) for n in (1, 2, 3, 4, 5)]
    assert len({each.key for each in post.attempts}) == 1
    assert "plugin 'giving': attempt 1 of 20 failed" in caplog.text
    for text in ("not today", "greylisted", "not delivered within 0.2 s", "the way out"):
        assert text in caplog.text


def test_what_is_given_up_is_kept(new_world: NewWorld) -> None:
    """A permanent failure, and the last attempt, leave a dead message with its error, which an operator replays or
    drops."""
    refuses = True

    async def act(message: OutboxMessage) -> None:
        if refuses:
            raise PermanentFailure("no such address") if message.payload == "a" else OSError("unreachable")

    post = Post(act, attempts_max=2, **QUICK)

    async def both_dead(world: World, instance: Instance) -> bool:
        return len(await dead(world, instance)) == 2

    async def scenario() -> None:
        nonlocal refuses
        async with new_world() as world:
            instance = await world.start(post.handler)
            outbox = (await world.application(instance)).outbox
            for payload in ("a", "b"):
                await outbox.send("mail", payload)
            await until(lambda: both_dead(world, instance))
            assert sorted(str(each) for each in await dead(world, instance)) == [
                "OSError: unreachable",
                "no such address",
            ]
            assert Counter(each.payload for each in post.attempts) == {"a": 1, "b": 2}
            first, second = [each.id for each in await world.messages(instance)]
            assert await outbox.drop([first, 999]) == [first]
            refuses = False
            assert await outbox.replay([first, second]) == [second]
            await until(lambda: is_empty(world, instance))
            assert post.payloads == ["b"]

    asyncio.run(scenario())


def test_a_restart_delivers_without_a_call(new_world: NewWorld) -> None:
    """Messages that a process stored and did not deliver are delivered by another one, although no call arrives
    there."""
    post = Post()

    async def scenario() -> None:
        async with new_world() as world:
            stopped = await world.start(post.handler, serve=False)
            await (await world.application(stopped)).outbox.send("mail", "left behind")
            assert await stopped.store.background.marks() == {world.token: 1}
            await world.start(post.handler)
            await until(lambda: is_empty(world, stopped))
            assert post.payloads == ["left behind"]

    asyncio.run(scenario())


def test_a_message_waits_for_its_plugin(new_world: NewWorld) -> None:
    """A message whose plugin is not loaded waits, and is delivered when the plugin is back."""
    other, post = OutboxHandler(kind="other", deliver=Post().deliver), Post()

    async def scenario() -> None:
        async with new_world() as world:
            first = await world.start(post.handler, serve=False)
            await (await world.application(first)).outbox.send("mail", "x")
            without = await world.start(other)
            outbox = (await world.application(without)).outbox
            await outbox.send("other", "y")
            await until(lambda: _only_one(world, first))
            assert await Claims(outbox).next_due() is None
            assert not await Claims(outbox).is_empty()
            await without.close()
            await world.start(post.handler)
            await until(lambda: is_empty(world, first))

    asyncio.run(scenario())
    assert post.payloads == ["x"]


async def _only_one(world: World, instance: Instance) -> bool:
    return len(await world.messages(instance)) == 1


def test_payloads_are_not_readable(new_world: NewWorld) -> None:
    """The row holds no part of the payload or of the error, custom SQL cannot use the table, and a row that is moved to
    another kind does not open."""
    assert is_private("H_Outbox")

    async def act(message: OutboxMessage) -> None:
        raise PermanentFailure("Anna was not reached")

    post = Post(act)

    async def scenario() -> None:
        async with new_world() as world:
            instance = await world.start(post.handler, OutboxHandler(kind="other", deliver=Post().deliver))
            application = await world.application(instance)
            await application.outbox.send("mail", {"link": "https://example.com/reset?token=s3cret"})
            await until(lambda: _one_dead(world, instance))
            quote = application.dialect.sqlalchemy.identifier_preparer.quote_identifier
            table = quote("H_Outbox")
            rows = await application.session.fetch(Statement(f"SELECT * FROM {table}"))
            assert "s3cret" not in repr(rows)
            assert "Anna" not in repr(rows)
            moved = Statement(f"UPDATE {table} SET {quote('Kind')} = 'other'", kind="update")
            await application.session.run(lambda: (Step(each) for each in [moved]))  # type: ignore[arg-type, return-value]
            (message,) = await world.messages(instance)
            assert await application.outbox.replay([message.id]) == [message.id]
            await until(lambda: _one_dead(world, instance))
            assert await dead(world, instance) == [
                "the payload cannot be decrypted; the row was changed outside apilane"
            ]

    asyncio.run(scenario())


async def _one_dead(world: World, instance: Instance) -> bool:
    return len(await dead(world, instance)) == 1


def test_a_message_that_kills_its_process_is_given_up(new_world: NewWorld) -> None:
    """Attempts are counted when they begin, so a message whose delivery ends the process does not come for ever."""

    async def scenario() -> None:
        async with new_world() as world:
            instance = await world.start(Post(attempts_max=2).handler, serve=False)
            outbox = (await world.application(instance)).outbox
            await outbox.send("mail", "poison")
            claims = Claims(outbox)
            for _ in range(2):
                claim = await claims.take()
                assert claim is not None
                assert await claims.release(claim)  # as if the claim had ended
            assert await claims.take() is None
            assert await dead(world, instance) == ["the process ended during the last attempt"]

    asyncio.run(scenario())


def test_the_end_of_a_process_hands_its_messages_over(new_world: NewWorld) -> None:
    """A process that is stopped during a delivery makes the message due at once, for the other processes."""
    began = asyncio.Event()

    async def act(message: OutboxMessage) -> None:
        began.set()
        if message.attempt == 1:
            await asyncio.Event().wait()

    post = Post(act)

    async def scenario() -> None:
        async with new_world() as world:
            instance = await world.start(post.handler)
            await (await world.application(instance)).outbox.send("mail", "x")
            await began.wait()
            await instance.close()
            after = await world.start(post.handler)
            await until(lambda: is_empty(world, after))

    asyncio.run(scenario())
    assert [each.attempt for each in post.attempts] == [1, 2]


def test_unfit_messages_are_refused(new_world: NewWorld) -> None:
    """A kind without a handler and a payload that is too large or not JSON are refused, and nothing is stored."""

    async def scenario() -> None:
        async with new_world() as world:
            instance = await world.start(Post().handler, serve=False)
            outbox = (await world.application(instance)).outbox
            with pytest.raises(LookupError, match=r"no loaded plugin delivers messages of the kind 'sms' .*mail"):
                await outbox.send("sms", "x")
            with pytest.raises(ValueError, match="at most 1000000 are stored"):
                await outbox.send("mail", "x" * 1_000_000)
            with pytest.raises(TypeError):
                await outbox.send("mail", object())
            assert await is_empty(world, instance)

    asyncio.run(scenario())


def test_the_time_between_attempts_grows() -> None:
    """The wait doubles with each attempt up to the longest one, give or take a quarter, for any number of attempts."""
    handler = OutboxHandler(kind="mail", deliver=Post().deliver)
    for attempt, expected_s in ((1, 10), (2, 20), (5, 160), (10, 3600), (5000, 3600)):
        waits = {wait_ms(handler, attempt) for _ in range(50)}
        assert expected_s * 750 <= min(waits) < max(waits) <= expected_s * 1250
