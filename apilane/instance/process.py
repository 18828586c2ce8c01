"""The process as observers see it (``apilane.plugin.ProcessView``)."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from apilane.control.store import ControlStore
from apilane.instance.loaded import LoadedApplications
from apilane.plugin.observers import CacheUse, OutboxState
from apilane.sql.statement import Value
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Load, ReportsLoad
from apilane.storage.registry import Drivers

__all__ = ["Process"]

READ_S: Final = 2.0
"""Time that an application has to give the state of its outbox."""


class Process:
    """The state of this process."""

    def __init__(self, store: ControlStore, drivers: Drivers, applications: LoadedApplications) -> None:
        self._store = store
        self._drivers = drivers
        self._applications = applications

    def loads(self) -> dict[str, Load]:
        """See ``ProcessView``."""
        return {name: driver.load() for name, driver in self._drivers.items() if isinstance(driver, ReportsLoad)}

    def caches(self) -> list[CacheUse]:
        """See ``ProcessView``."""
        misses = self._applications.misses
        return [CacheUse("applications", None, misses.applications), CacheUse("identities", None, misses.identities)]

    def applications(self) -> int:
        """See ``ProcessView``."""
        return len(self._applications.live())

    async def outboxes(self, most: int) -> list[OutboxState]:
        """See ``ProcessView``."""
        if not self._applications.outboxes.handlers:
            return []
        try:
            marked = sorted(await self._store.background.marks())[:most]
        except StorageError:
            return []
        found = []
        for token in marked:
            try:
                async with asyncio.timeout(READ_S):
                    state = await self._outbox(token)
            except (StorageError, TimeoutError):
                continue
            if state is not None and (state.waiting or state.dead):
                found.append(state)
        return found

    async def _outbox(self, token: str) -> OutboxState | None:
        application = await self._applications.find(token)
        if application is None:
            return None
        outbox = application.outbox
        counted = {}
        for dead in (outbox.no, outbox.yes):
            values: dict[str, Value] = {"dead": dead}
            statement = outbox.statements.depth
            counted[dead] = (await outbox.session.fetch(statement, statement.parameters(values)))[0]
        waiting, oldest_ms = counted[outbox.no]
        age_s = 0.0 if oldest_ms is None else max(0.0, time.time() - int(oldest_ms) / 1000)
        return OutboxState(token, int(waiting), int(counted[outbox.yes][0]), age_s)
