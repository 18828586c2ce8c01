"""The health of what a process depends on: its databases and outboxes. They are checked when the page is read, at most
once in ``KEPT_S`` seconds.

A dependency that fails makes the process degraded, not dead: other applications work on. The page is public, so an
entry names a provider and a number of databases; the log names the databases that do not answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic
from typing import Final, Literal, NamedTuple

from apilane.control.folders import is_lost
from apilane.instance.loaded import LoadedApplications
from apilane.instance.process import Process
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Session
from apilane.storage.registry import Drivers

__all__ = ["Health", "Part"]

KEPT_S: Final = 5.0
CHECK_S: Final = 2.0
"""Time that a database has to answer."""
FIRST_S: Final = 3.0
"""Time that a caller waits for the first check; later callers get the last result."""
AT_ONCE: Final = 8
DATABASES_MAX: Final = 100
"""Databases of a provider that are asked; of further ones only the files are looked for."""
OUTBOXES_MAX: Final = 100
OLD_MESSAGE_S: Final = 300.0

State = Literal["Healthy", "Degraded", "Unhealthy"]

log = logging.getLogger("apilane.health")


class Part(NamedTuple):
    """The state of a dependency. ``age_s``: how long ago it was checked, in seconds."""

    key: str
    state: State
    details: str
    age_s: float = 0.0


class Health:
    """The databases in use and the outboxes of one process."""

    def __init__(self, drivers: Drivers, applications: LoadedApplications, process: Process) -> None:
        self._drivers = drivers
        self._applications = applications
        self._process = process
        self._parts: Sequence[Part] = ()
        self._checked = 0.0
        self._checking: asyncio.Task[None] | None = None
        self._silent: dict[str, set[str]] = {}
        """Applications whose databases did not answer, by provider."""

    async def parts(self) -> list[Part]:
        """The last result; a new check starts when it is old, and the first one is waited for."""
        now = monotonic()
        if self._checking is None and now - self._checked > KEPT_S:
            self._checking = asyncio.create_task(self._check(), name="apilane-health")
        if not self._checked and self._checking is not None:
            await asyncio.wait({self._checking}, timeout=FIRST_S)
        age_s = max(0.0, monotonic() - self._checked) if self._checked else 0.0
        return [part._replace(age_s=age_s) for part in self._parts]

    async def close(self) -> None:
        """End a check that runs."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)

    async def _check(self) -> None:
        try:
            parts = [await self._databases(provider) for provider in self._drivers]
            self._parts = [*(part for part in parts if part is not None), *await self._outboxes()]
            self._checked = monotonic()
        except Exception:  # the next caller starts another check
            log.exception("the dependencies could not be checked")
        finally:
            self._checking = None

    async def _databases(self, provider: str) -> Part | None:
        driver = self._drivers[provider]
        sessions = self._applications.sessions(provider)
        if not sessions:
            return None
        lost = {address for address in sessions if is_lost(driver, address)}
        asked = [item for item in sessions.items() if item[0] not in lost][:DATABASES_MAX]
        turns = asyncio.Semaphore(AT_ONCE)

        async def ask(address: str, session: Session) -> None:
            async with turns:
                try:
                    async with asyncio.timeout(CHECK_S):
                        await session.fetch(self._applications.ping(provider))
                except (StorageError, TimeoutError):
                    lost.add(address)

        await asyncio.gather(*(ask(*item) for item in asked))
        self._report(provider, lost)
        details = f"{len(sessions) - len(lost)} of {len(sessions)} databases in use answer"
        return Part(f"Database {provider}", "Degraded" if lost else "Healthy", details)

    def _report(self, provider: str, lost: set[str]) -> None:
        """Log the applications of databases that do not answer, when there are new ones."""
        silent = self._applications.tokens_of(provider, lost)
        if silent - self._silent.get(provider, set()):
            log.warning("databases of %s do not answer; applications: %s", provider, ", ".join(sorted(silent)))
        self._silent[provider] = silent

    async def _outboxes(self) -> list[Part]:
        if not self._applications.outboxes.handlers:
            return []
        states = await self._process.outboxes(OUTBOXES_MAX)
        waiting, dead = sum(state.waiting for state in states), sum(state.dead for state in states)
        oldest_s = max((state.oldest_s for state in states if state.waiting), default=0.0)
        details = f"{waiting} messages wait, the oldest for {oldest_s:.0f} s; {dead} were given up"
        is_late = dead > 0 or oldest_s > OLD_MESSAGE_S
        return [Part("Outbox", "Degraded" if is_late else "Healthy", details)]
