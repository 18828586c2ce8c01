"""Delivery of messages in one process: at once for messages that this process stored, when due for the others.

Several processes may deliver from one outbox; claims keep them apart (``apilane.events.claims``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from time import monotonic
from typing import Final, Protocol

from apilane.events.claims import Claim, Claims, wait_ms
from apilane.events.clock import now_ms
from apilane.events.outbox import ApplicationOutbox
from apilane.plugin.identity import ApplicationView
from apilane.plugin.observers import SeenDelivery
from apilane.plugin.outbox import OutboxHandler, PermanentFailure, RetryLater
from apilane.storage.errors import Deadlock, StorageError

__all__ = ["Delivery", "FindApplication", "LoadedApplication"]

LANES: Final = 4
"""Messages of one application that a process delivers at a time."""
AT_ONCE: Final = 32
"""Messages of all applications that a process delivers at a time."""
TROUBLE_S: Final = 30.0
"""Time until the next look after an outbox could not be read."""
END_S: Final = 5.0
"""Time that deliveries have to end when the process ends."""

log = logging.getLogger("apilane.outbox")


class LoadedApplication(ApplicationView, Protocol):
    """An application with its outbox."""

    @property
    def outbox(self) -> ApplicationOutbox: ...


Around = Callable[[SeenDelivery], AbstractContextManager[object]]
FindApplication = Callable[[str], Awaitable[LoadedApplication | None]]


class Delivery:
    """``plugin_of``: the name of the plugin that registered a handler, for the log. ``around``: entered around each
    attempt to deliver.
    """

    def __init__(self, find: FindApplication, plugin_of: Callable[[OutboxHandler], str], around: Around) -> None:
        self._around = around
        self._find = find
        self._plugin_of = plugin_of
        self._due: dict[str, float] = {}
        """By token: when to look into the outbox (``monotonic``)."""
        self._lanes: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._changed = asyncio.Event()
        self._is_ending = False

    def wake(self, token: str, after_s: float = 0.0) -> None:
        """Look into an outbox now, or in ``after_s`` seconds unless an earlier look is planned."""
        at = monotonic() + after_s
        if at < self._due.get(token, at + 1):
            self._due[token] = at
            self._changed.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            now = monotonic()
            for token in [token for token, at in self._due.items() if at <= now]:
                if self._lanes.get(token, 0) < LANES:
                    del self._due[token]
                    self._begin(token)
            self._changed.clear()
            waiting = [at for token, at in self._due.items() if self._lanes.get(token, 0) < LANES]
            try:
                async with asyncio.timeout(max(0.0, min(waiting) - monotonic()) if waiting else None):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def end(self) -> None:
        """Begin no more deliveries and wait for the others, a few seconds at most."""
        self._is_ending = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=END_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _begin(self, token: str) -> None:
        self._lanes[token] = self._lanes.get(token, 0) + 1
        task = asyncio.create_task(self._lane(token), name="apilane-delivery")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(token, done))

    def _ended(self, token: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._lanes[token] -= 1
        if not self._lanes[token]:
            del self._lanes[token]
        self._changed.set()

    async def _lane(self, token: str) -> None:
        """Deliver messages of an application, one after another, until none is due; then plan the next look."""
        try:
            application = await self._find(token)
            if application is None:
                return
            claims = Claims(application.outbox)
            while not self._is_ending:
                async with self._slots:
                    claim = await claims.take()
                    if claim is None:
                        break
                    if claim.has_more:
                        self.wake(token)
                    await self._deliver(application, claims, claim)
            due = await claims.next_due()
            if due is not None:
                self.wake(token, max(0.0, (due - now_ms()) / 1000))
        except Exception as error:  # one application must not stop the delivery of the others
            known = isinstance(error, StorageError)
            log.warning("the outbox of application %s: %s", token, error, exc_info=None if known else error)
            self.wake(token, 1.0 if isinstance(error, Deadlock) else TROUBLE_S)

    async def _deliver(self, application: LoadedApplication, claims: Claims, claim: Claim) -> None:
        handler = claim.handler
        limit = asyncio.timeout(handler.timeout_s)
        try:
            message = claims.message(claim)
            with self._around(SeenDelivery(application, message)):
                async with limit:
                    await handler.deliver(message, application)
        except PermanentFailure as error:
            is_mine = await self._bury(application, claims, claim, error)
        except asyncio.CancelledError:
            await asyncio.shield(claims.release(claim))
            raise
        except (Exception, SystemExit) as error:
            reason: BaseException = error
            if isinstance(error, TimeoutError) and limit.expired():
                reason = TimeoutError(f"not delivered within {handler.timeout_s:g} s")
            is_mine = await self._failed(application, claims, claim, reason)
        else:
            is_mine = await claims.delivered(claim)
        if not is_mine:
            log.warning(
                "application %s, message %d (%s): its claim had ended, so it may be delivered twice",
                *(application.token, claim.id, handler.kind),
            )

    async def _failed(self, application: LoadedApplication, claims: Claims, claim: Claim, error: BaseException) -> bool:
        handler = claim.handler
        if claim.attempt >= handler.attempts_max:
            return await self._bury(application, claims, claim, error)
        after_ms = int(error.after_s * 1000) if isinstance(error, RetryLater) else wait_ms(handler, claim.attempt)
        log.warning(
            "application %s, message %d (%s) of plugin %r: attempt %d of %d failed, next in %.0f s: %s",
            *(application.token, claim.id, handler.kind, self._plugin_of(handler)),
            *(claim.attempt, handler.attempts_max, after_ms / 1000, _text(error)),
            exc_info=None if isinstance(error, (RetryLater, OSError)) else error,
        )
        return await claims.postpone(claim, after_ms, _text(error))

    async def _bury(self, application: LoadedApplication, claims: Claims, claim: Claim, error: BaseException) -> bool:
        log.error(
            "application %s, message %d (%s) of plugin %r: given up after attempt %d: %s. See 'apilane outbox list'.",
            *(application.token, claim.id, claim.handler.kind, self._plugin_of(claim.handler)),
            *(claim.attempt, _text(error)),
        )
        return await claims.bury(claim, _text(error))


def _text(error: BaseException) -> str:
    if isinstance(error, (PermanentFailure, RetryLater)):
        return str(error) or type(error).__name__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
