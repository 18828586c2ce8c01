"""The outbox of an application: messages are added within units, and looked at by operators.

Before an application's first message is stored, the control store marks the application. The leader looks into the
outbox of every marked application, so a message is delivered also when the process that stored it has ended. The leader
removes a mark that was not renewed for ``MARK_KEPT_S``, if the outbox is empty; a process renews a mark before it is
``MARK_TRUSTED_S`` old, and adds no message under a mark older than ``ADDING_MAX_S``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, NamedTuple
from uuid import uuid4

import msgspec

from apilane.control.background import BackgroundStore
from apilane.events.clock import now_ms
from apilane.events.statements import ADDED, OutboxStatements
from apilane.plugin.outbox import OutboxHandler
from apilane.security.encryption import Cipher
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, Value
from apilane.storage.protocol import Result, Session, Step

__all__ = ["MARK_KEPT_S", "Adding", "ApplicationOutbox", "ListedMessage", "Outboxes", "context_of"]

MARK_TRUSTED_S: Final = 60.0
ADDING_MAX_S: Final = 600.0
MARK_KEPT_S: Final = 900.0
PAYLOAD_MAX: Final = 1_000_000
PAGE: Final = 500

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def context_of(kind: str) -> str:
    """The context of the encryption: the payload of one kind does not decrypt as that of another."""
    return f"outbox:{kind.lower()}"


class ListedMessage(NamedTuple):
    """A message as operators see it, without its payload. ``is_dead``: it is not tried again."""

    id: int
    kind: str
    attempts: int
    due: int
    is_dead: bool
    error: str | None
    created: int


class Outboxes:
    """The outboxes of all applications in this process. ``wake`` is called with a token after messages were added."""

    def __init__(self, store: BackgroundStore, handlers: Sequence[OutboxHandler]) -> None:
        self.handlers: Mapping[str, OutboxHandler] = {handler.kind.lower(): handler for handler in handlers}
        """By kind in lower case, because some databases compare without letter case."""
        self.wake: Callable[[str], None] = lambda token: None
        self._store = store
        self._marked: dict[str, float] = {}
        self._statements: dict[str, OutboxStatements] = {}
        """By name of the dialect."""

    def of(self, token: str, session: Session, dialect: Dialect, cipher: Cipher) -> ApplicationOutbox:
        """The outbox of an application."""
        return ApplicationOutbox(self, token, session, dialect, cipher)

    def statements(self, dialect: Dialect) -> OutboxStatements:
        """The statements for a dialect."""
        found = self._statements.get(dialect.name)
        if found is None:
            found = self._statements[dialect.name] = OutboxStatements(
                dialect, [each.kind for each in self.handlers.values()]
            )
        return found

    async def mark(self, token: str) -> float:
        """Mark an application unless this process has just done it; returns when it was marked (``monotonic``)."""
        marked = self._marked.get(token)
        if marked is None or monotonic() - marked > MARK_TRUSTED_S:
            marked = monotonic()
            await self._store.mark(token)
            self._marked[token] = marked
        return marked


class Adding:
    """Adds messages within units, as long as the application is marked."""

    def __init__(self, outbox: ApplicationOutbox, ends_at: float) -> None:
        self._outbox = outbox
        self._ends_at = ends_at

    def add(self, kind: str, payload: object) -> Generator[Step, Result, None]:
        """Within a unit: store a message."""
        yield self.step(kind, payload)

    def step(self, kind: str, payload: object) -> Step:
        """The step of ``add``."""
        if monotonic() > self._ends_at:
            raise RuntimeError(f"adding() was entered more than {ADDING_MAX_S:.0f} s ago; enter it again")
        return self._outbox.adding_step(kind, payload)

    def wake(self) -> None:
        """Start the delivery of what was added."""
        self._outbox.wake()


class ApplicationOutbox:
    """The outbox of one application; an ``apilane.plugin.Outbox``."""

    def __init__(self, all: Outboxes, token: str, session: Session, dialect: Dialect, cipher: Cipher) -> None:
        self.token = token
        self.session = session
        self.cipher = cipher
        self.handlers = all.handlers
        self._all = all
        self._dialect = dialect
        self.no, self.yes = dialect.encode_boolean(False), dialect.encode_boolean(True)

    @property
    def statements(self) -> OutboxStatements:
        """The statements of the application's provider."""
        return self._all.statements(self._dialect)

    @asynccontextmanager
    async def adding(self) -> AsyncIterator[Adding]:
        """Mark the application; at the end the delivery of added messages starts."""
        adding = await self.begin()
        try:
            yield adding
        finally:
            self.wake()

    async def begin(self) -> Adding:
        """Mark the application. The caller wakes the delivery after the commit."""
        return Adding(self, await self._all.mark(self.token) + ADDING_MAX_S)

    def wake(self) -> None:
        """Start the delivery of messages that were added."""
        self._all.wake(self.token)

    async def send(self, kind: str, payload: object) -> None:
        """Store one message in a separate unit."""
        async with self.adding() as outbox:
            await self.session.run(lambda: outbox.add(kind, payload), single=True)

    def adding_step(self, kind: str, payload: object) -> Step:
        """The step that stores a message."""
        handler = self.handlers.get(kind.lower())
        if handler is None:
            known = ", ".join(sorted(each.kind for each in self.handlers.values())) or "none"
            raise LookupError(f"no loaded plugin delivers messages of the kind {kind!r} (there are: {known})")
        text = _encode(payload).decode()
        if len(text) > PAYLOAD_MAX:
            raise ValueError(
                f"a message of the kind {kind!r} has {len(text)} characters of JSON; at most {PAYLOAD_MAX} are stored"
            )
        now = now_ms()
        values = (handler.kind, str(uuid4()), self.cipher.encrypt(text, context_of(kind)), 0, now, self.no, now)
        insert = self.statements.insert
        return Step(insert, insert.parameters(dict(zip(ADDED, values, strict=True))))

    # For operators

    async def messages(self, *, dead_only: bool = False) -> AsyncIterator[ListedMessage]:
        """All messages, or the dead ones, oldest first."""
        statement = self.statements.list_dead if dead_only else self.statements.list
        offset = 0
        while True:
            values: dict[str, Value] = {"dead": self.yes, "limit": PAGE, "offset": offset}
            rows = await self.session.fetch(statement, statement.parameters(values))
            for id, kind, attempts, due, is_dead, error, created in rows:
                text = None if error is None else self.cipher.decrypt(error, context_of(kind))
                yield ListedMessage(int(id), kind, int(attempts), int(due), bool(is_dead), text, int(created))
            if len(rows) < PAGE:
                return
            offset += PAGE

    async def replay(self, ids: Sequence[int]) -> list[int]:
        """Let dead messages be delivered again, with all their attempts; the IDs of those that were dead."""
        await self._all.mark(self.token)
        revived: dict[str, Value] = {"new_Dead": self.no, "new_Due": now_ms(), "new_Attempts": 0}
        done = await self._each_dead(self.statements.replay, ids, revived)
        self._all.wake(self.token)
        return done

    async def drop(self, ids: Sequence[int]) -> list[int]:
        """Delete dead messages; the IDs of those that were dead."""
        return await self._each_dead(self.statements.drop, ids, {})

    async def _each_dead(self, statement: Statement, ids: Sequence[int], values: Mapping[str, Value]) -> list[int]:
        def unit() -> Generator[Step, Result, list[int]]:
            done = []
            for id in sorted(set(ids)):
                bound = statement.parameters({**values, "id": id, "dead": self.yes})
                if (yield Step(statement, bound)).matched:
                    done.append(id)
            return done

        return await self.session.run(unit)
