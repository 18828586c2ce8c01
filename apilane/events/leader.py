"""The background work of one process: delivery, and, in one process of the cluster, the leader's work.

The leader holds a lock of the control store. It starts the jobs, and looks into the outboxes of marked applications.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Final

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.events.claims import Claims
from apilane.events.delivery import Delivery, FindApplication, LoadedApplication
from apilane.events.jobs import Jobs
from apilane.events.outbox import MARK_KEPT_S, Outboxes
from apilane.plugin.observers import SeenDelivery, entered
from apilane.storage.errors import StorageError

__all__ = ["Background"]

LOOK_S: Final = 30.0
"""Time between two looks of the leader into the outbox of a marked application."""
CHECK_S: Final = 10.0
"""Time between two checks that the leader still has its lock; a lost connection to the store loses it silently."""

log = logging.getLogger("apilane.background")


class _Mark:
    """A mark as the leader knows it: since when it has this number, and when the leader looks again."""

    __slots__ = ("looks_at", "seen_at", "touches")

    def __init__(self, touches: int) -> None:
        self.touches = touches
        self.seen_at = self.looks_at = monotonic()


class Background:
    """``poll_s``: time between two looks of the leader for marks and due jobs, and of others for the leader's lock."""

    def __init__(
        self, store: ControlStore, hooks: Hooks, outboxes: Outboxes, find: FindApplication, poll_s: float
    ) -> None:
        self._store = store
        self._outboxes = outboxes
        self._find = find
        self._poll_s = poll_s
        self._delivery = Delivery(find, hooks.plugin_of, _around(hooks))
        self._jobs = Jobs(store.background, hooks.jobs, _Applications(store, find), hooks.plugin_of)
        self._marks: dict[str, _Mark] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._trouble = ""

    @staticmethod
    def is_needed(hooks: Hooks) -> bool:
        """Whether a plugin has messages or jobs; without them there is nothing to do."""
        return bool(hooks.outbox_handlers or hooks.jobs)

    def start(self) -> None:
        """Start to deliver, and to seek the leader's lock, until ``stop``."""
        self._outboxes.wake = self._delivery.wake
        self._tasks = [
            asyncio.create_task(self._delivery.run(), name="apilane-outbox"),
            asyncio.create_task(self._seek(), name="apilane-leader"),
        ]

    async def stop(self) -> None:
        """Stop; deliveries have a few seconds to end, jobs are cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._delivery.end()

    async def _seek(self) -> None:
        """Lead whenever no other process does."""
        while True:
            try:
                async with self._store.background.leader_lock() as held:
                    if held:
                        await self._lead()
            except Exception as error:  # the process must try again as long as it lives
                self._report(error)
            await asyncio.sleep(self._poll_s)

    async def _lead(self) -> None:
        """Do the leader's work until the lock is lost, or the store fails."""
        log.debug("this process leads the background work")
        self._marks.clear()
        checked = monotonic()
        try:
            await self._jobs.lead()
            while True:
                await self._jobs.start_due()
                if self._outboxes.handlers:
                    await self._look()
                self._trouble = ""
                await asyncio.sleep(self._poll_s)
                if monotonic() - checked > CHECK_S:
                    async with self._store.background.leader_lock() as is_free:
                        if is_free:
                            log.warning("this process has lost the lock of the leader; it leads no more")
                            return
                    checked = monotonic()
        finally:
            await self._jobs.stop()

    async def _look(self) -> None:
        """Look into the outboxes of marked applications: at once after a new mark, later from time to time."""
        marks = await self._store.background.marks()
        for token in self._marks.keys() - marks.keys():
            del self._marks[token]
        for token, touches in marks.items():
            known = self._marks.get(token)
            if known is None or known.touches != touches:
                known = self._marks[token] = _Mark(touches)
            if monotonic() < known.looks_at:
                continue
            known.looks_at = monotonic() + LOOK_S
            self._delivery.wake(token)
            if monotonic() - known.seen_at > MARK_KEPT_S and await self._is_done(token):
                await self._store.background.remove_mark(token, touches)

    async def _is_done(self, token: str) -> bool:
        """Whether an application has no message that waits, or does not exist any more."""
        try:
            application = await self._find(token)
            return application is None or await Claims(application.outbox).is_empty()
        except StorageError:
            return False  # the delivery has logged it

    def _report(self, error: Exception) -> None:
        """Log trouble once, until the work goes on."""
        if self._trouble != str(error):
            self._trouble = str(error)
            known = isinstance(error, StorageError)
            log.warning("the background work is interrupted: %s", error, exc_info=None if known else error)


class _Applications:
    """The applications for jobs; an ``apilane.plugin.Applications``."""

    def __init__(self, store: ControlStore, find: FindApplication) -> None:
        self._store = store
        self._find = find

    async def find(self, token: str) -> LoadedApplication | None:
        """The application with that token."""
        return await self._find(token)

    async def each(self) -> AsyncIterator[LoadedApplication]:
        """All applications, loaded one after another."""
        for name in await self._store.applications():
            try:
                application = await self._find(name.token)
            except StorageError as error:
                log.warning("a job leaves out application %s: %s", name.token, error)
                continue
            if application is not None:
                yield application


def _around(hooks: Hooks) -> Callable[[SeenDelivery], AbstractContextManager[object]]:
    functions = [observer.delivery for observer in hooks.observers if observer.delivery is not None]
    if not functions:
        return nullcontext
    return lambda seen: entered(functions, seen)
