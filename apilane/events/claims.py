"""Claims of messages: which one is next, and what becomes of it. Every step is conditional on the claim."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator
from typing import Final

import msgspec
from msgspec import Struct

from apilane.events.clock import now_ms
from apilane.events.outbox import ApplicationOutbox, context_of
from apilane.plugin.outbox import OutboxHandler, OutboxMessage, PermanentFailure
from apilane.sql.statement import Statement, Value
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Result, Step

__all__ = ["Claim", "Claims", "wait_ms"]

LEASE_MARGIN_S: Final = 30.0
"""A claim lasts this much longer than the handler may take: for the clocks of machines, and for slow commits."""
LOOKED_AT: Final = 8
ERROR_MAX: Final = 2000
ENDING_PAUSES_S: Final = (0.1, 1.0, 5.0)


class Claim(Struct, frozen=True, kw_only=True):
    """A message that this process alone may deliver until ``until``. ``has_more``: others were due at the same time."""

    handler: OutboxHandler
    id: int
    key: str
    stored: str
    attempt: int
    until: int
    created: int
    has_more: bool


def wait_ms(handler: OutboxHandler, attempt: int) -> int:
    """The time until the next attempt, with a random part, so that failures at the same time spread out."""
    wait_s = min(handler.longest_retry_s, handler.first_retry_s * 2.0 ** min(attempt - 1, 60))
    return int(wait_s * random.uniform(0.75, 1.25) * 1000)


class Claims:
    """The claims on the outbox of one application."""

    def __init__(self, outbox: ApplicationOutbox) -> None:
        self._outbox = outbox
        self._statements = outbox.statements

    async def next_due(self) -> int | None:
        """When the next message with a handler is due, in Unix milliseconds; None when there is none."""
        statement = self._statements.next_due
        values: dict[str, Value] = {"dead": self._outbox.no, **self._statements.kinds}
        rows = await self._outbox.session.fetch(statement, statement.parameters(values))
        return None if rows[0][0] is None else int(rows[0][0])

    async def is_empty(self) -> bool:
        """Whether no message waits, of any kind."""
        rows = await self._outbox.session.fetch(self._statements.first_waiting, (self._outbox.no,))
        return rows[0][0] is None

    async def take(self) -> Claim | None:
        """Claim a message that is due; None when none is left. A message without attempts left is buried."""
        due = self._statements.due
        while True:
            values: dict[str, Value] = {
                **self._statements.kinds,
                "dead": self._outbox.no,
                "now": now_ms(),
                "limit": LOOKED_AT,
                "offset": 0,
            }
            rows = list(await self._outbox.session.fetch(due, due.parameters(values)))
            if not rows:
                return None
            random.shuffle(rows)  # the workers that look at the same time try different messages first
            for id, kind, key, stored, attempts, seen, created in rows:
                handler = self._outbox.handlers[kind.lower()]
                until = now_ms() + int((handler.timeout_s + LEASE_MARGIN_S) * 1000)
                claim = Claim(
                    handler=handler,
                    id=int(id),
                    key=key,
                    stored=stored,
                    attempt=int(attempts) + 1,
                    until=until,
                    created=int(created),
                    has_more=len(rows) > 1,
                )
                if not await self._claim(claim, int(seen)):
                    continue
                if attempts < handler.attempts_max:
                    return claim
                await self.bury(claim, "the process ended during the last attempt")

    async def _claim(self, claim: Claim, seen: int) -> bool:
        values: dict[str, Value] = {"id": claim.id, "seen": seen}
        return await self._run(self._statements.claim, values, new_Due=claim.until, new_Attempts=claim.attempt)

    def message(self, claim: Claim) -> OutboxMessage:
        """The message. Raises PermanentFailure when its payload cannot be read."""
        text = self._outbox.cipher.decrypt(claim.stored, context_of(claim.handler.kind))
        if text is None:
            raise PermanentFailure("the payload cannot be decrypted; the row was changed outside apilane")
        try:
            payload = msgspec.json.decode(text, type=claim.handler.payload)
        except msgspec.DecodeError as error:
            raise PermanentFailure(f"the payload does not fit the handler of this release: {error}") from error
        return OutboxMessage(
            id=claim.id,
            key=claim.key,
            kind=claim.handler.kind,
            payload=payload,
            attempt=claim.attempt,
            created=claim.created,
        )

    # Every method below returns False when the claim has ended and another process has claimed the message.

    async def delivered(self, claim: Claim) -> bool:
        """Delete a delivered message."""
        return await self._end(self._statements.delete, claim)

    async def postpone(self, claim: Claim, wait_ms: int, error: str) -> bool:
        """Let a message be tried again later."""
        values: dict[str, Value] = {"new_Due": now_ms() + wait_ms, "new_Error": self._sealed(claim, error)}
        return await self._end(self._statements.postpone, claim, **values)

    async def release(self, claim: Claim) -> bool:
        """Let another process deliver a message at once, because this one ends."""
        return await self._run(self._statements.release, _of(claim), new_Due=now_ms())

    async def bury(self, claim: Claim, error: str) -> bool:
        """Try a message no more, and keep it for the operator."""
        values: dict[str, Value] = {"new_Dead": self._outbox.yes, "new_Error": self._sealed(claim, error)}
        return await self._end(self._statements.bury, claim, **values)

    def _sealed(self, claim: Claim, error: str) -> str:
        """The text of an error, which may name parts of the payload."""
        return self._outbox.cipher.encrypt(
            error[:ERROR_MAX].encode("utf-8", "replace").decode(), context_of(claim.handler.kind)
        )

    async def _end(self, statement: Statement, claim: Claim, **new: Value) -> bool:
        """Store the end of a delivery; a short failure of the database must not repeat the delivery."""
        for pause_s in ENDING_PAUSES_S:
            try:
                return await self._run(statement, _of(claim), **new)
            except StorageError:
                await asyncio.sleep(pause_s)
        return await self._run(statement, _of(claim), **new)

    async def _run(self, statement: Statement, values: dict[str, Value], **new: Value) -> bool:
        parameters = statement.parameters({**values, **new})

        def unit() -> Generator[Step, Result, bool]:
            return bool((yield Step(statement, parameters)).matched)

        return await self._outbox.session.run(unit, single=True)


def _of(claim: Claim) -> dict[str, Value]:
    return {"id": claim.id, "seen": claim.until}
