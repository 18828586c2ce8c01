"""Everything one process holds while it serves: settings, frozen hooks, drivers, control store, applications."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from apilane.control.secrets import Secrets
from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.errors import ConfigurationError
from apilane.model.definition import ApplicationDefinition
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.applications import Applications
from apilane.runtime.owners import Owners
from apilane.security.passwords import Passwords
from apilane.settings import Settings

__all__ = ["Instance"]

log = logging.getLogger("apilane.instance")


class Instance:
    """Opened once per process, before the first request; ``store``, ``owners`` and ``applications`` exist from then on.

    ``recover`` finishes or undoes definition changes that a crash left half-way; ``address`` tells where an
    application's database is; ``sweep`` deletes what has expired in one. These are services, handed in by
    ``apilane.app``.
    """

    store: ControlStore
    owners: Owners
    applications: Applications

    def __init__(
        self,
        settings: Settings,
        hooks: Hooks,
        *,
        address: Callable[[Settings, ApplicationDefinition, Secrets], str],
        recover: Callable[[Instance], Awaitable[None]],
        sweep: Callable[[ApplicationRuntime], Awaitable[int]],
    ) -> None:
        self.settings = settings
        self.hooks = hooks
        self.drivers = hooks.drivers
        self.passwords = Passwords(
            settings.argon2_time_cost,
            settings.argon2_memory_kib,
            settings.argon2_parallelism,
            settings.argon2_concurrency,
        )
        self.is_open = False
        self._is_closed = False
        self._address = address
        self._recover = recover
        self._sweep = sweep
        self._sweeping: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Open the control store and start to watch it. Later calls return at once."""
        async with self._opening:
            if self.is_open:
                return
            if self._is_closed:
                raise ConfigurationError("This instance was closed; create another application.")
            self.store = await ControlStore.open(self.settings, self.drivers)
            self.owners = Owners(self.store.owner_tokens)
            await self._recover(self)
            self.applications = Applications(
                self.store,
                self.drivers,
                lambda stored: self._address(self.settings, stored.definition, stored.secrets),
                gates=self.hooks.gates,
                endpoint_kinds=self.hooks.endpoint_kinds,
                recover=lambda: self._recover(self),
                poll_s=self.settings.definition_poll_s,
                settings=self.hooks.settings,
            )
            await self.applications.start()
            self._sweeping = asyncio.create_task(self._keep_house(), name="apilane-housekeeping")
            self.is_open = True

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self.settings.housekeeping_s)
            for application in self.applications.live():
                try:
                    await self._sweep(application)
                except Exception:  # whatever it is, the next turn comes
                    log.warning("housekeeping failed in application %s", application.token, exc_info=True)

    async def close(self) -> None:
        """Finish what was accepted and let go of everything."""
        self._is_closed = True
        if not self.is_open:
            return
        self.is_open = False
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        await self.applications.close()
        await self.store.close()
        for driver in self.drivers.values():
            await driver.close()
        self.passwords.close()
