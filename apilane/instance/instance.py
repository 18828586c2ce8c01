"""An instance in one process: settings, plugins, drivers, control store, loaded applications."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from apilane.control.first_use import LostInstance, control_address
from apilane.control.store import ControlStore
from apilane.dispatch import freeze
from apilane.errors import ConfigurationError
from apilane.events.leader import Background
from apilane.instance.health import Health
from apilane.instance.loaded import LoadedApplications
from apilane.instance.observing import closed, opened
from apilane.instance.places import FileMark, file_mark
from apilane.instance.process import Process
from apilane.plugins import load_plugins
from apilane.runtime.operators import Operators
from apilane.security.passwords import Passwords
from apilane.services.account_mail import AccountMail
from apilane.services.audit_trail import AuditTrail
from apilane.services.data_api import Data
from apilane.services.definition_changes import DefinitionChanges
from apilane.services.helper_tables import TableUpkeep, helper_tables_of
from apilane.services.housekeeping import sweep
from apilane.settings import Settings
from apilane.storage.errors import StorageError

__all__ = ["Instance", "open_instance"]

PLACES_POLL_S: Final = 1.0

log = logging.getLogger("apilane.instance")


class Instance:
    """The instance of ``settings``. ``plugins``: plugin objects in addition to the installed ones. ``instance_id``: the
    instance that must be there already (``ControlStore.instance_id``); a worker of a running server creates none.

    The constructor loads plugins and drivers and opens nothing. It raises ConfigurationError, whose text names the
    problem. ``store``, ``operators``, ``changes``, ``audit_trail`` and ``applications`` exist once it is open.
    """

    store: ControlStore
    operators: Operators
    changes: DefinitionChanges
    audit_trail: AuditTrail
    applications: LoadedApplications

    def __init__(self, settings: Settings, plugins: Sequence[object] = (), *, instance_id: str | None = None) -> None:
        self.settings = settings
        self.instance_id = instance_id
        self.plugins = load_plugins(settings, plugins)
        self.hooks = freeze(self.plugins, settings)
        self.drivers = self.hooks.drivers
        self.helper_tables = helper_tables_of(self.hooks)
        self.passwords = Passwords(
            settings.argon2_time_cost,
            settings.argon2_memory_kib,
            settings.argon2_parallelism,
            settings.argon2_concurrency,
        )
        self.is_open = False
        """Whether calls can be served. It becomes false while the control store is not in its place."""
        self._is_closed = False
        self._is_joined = False
        self._mark: FileMark = None
        self._tasks: list[asyncio.Task[None]] = []
        self._is_observed = False
        self.health: Health | None = None
        """Of an instance that serves."""
        self._background: Background | None = None
        self._opening = asyncio.Lock()

    async def open(self, *, create: bool = True, serve: bool = True) -> None:
        """Open the control store; later calls return immediately.

        ``create``: the first use creates the instance, and changes that a crash interrupted are settled. Without it
        nothing is created or changed, and NoInstance is raised where there is no instance. ``serve``: follow changes
        made by other processes and delete expired rows, until ``close``. Raises ConfigurationError when the instance
        cannot be used, and StorageError. After the control store was lost, a call opens it again, and never creates it.
        """
        async with self._opening:
            if self.is_open:
                return
            if self._is_closed:
                raise ConfigurationError("This instance was closed; create another application.")
            if self._is_joined:
                await self._open_again()
                return
            store = await ControlStore.open(self.settings, self.drivers, create=create, instance_id=self.instance_id)
            try:
                await self._join(store, settle=create, serve=serve)
            except BaseException:
                await store.close()
                raise
            self._mark = self._control_mark()
            self._is_joined = self.is_open = True

    async def _join(self, store: ControlStore, *, settle: bool, serve: bool) -> None:
        """Create the objects that use the opened store."""
        self.store = store
        self.operators = Operators(store.operator_tokens)
        self.audit_trail = AuditTrail(store)
        self.changes = DefinitionChanges(store, self.drivers, self.helper_tables, self.settings.data_dir)
        if settle:
            await self.changes.recover_all()
        upkeep = TableUpkeep(store, self.helper_tables)
        self.applications = LoadedApplications(
            store,
            self.hooks,
            self.changes,
            upkeep,
            self.settings,
            data=lambda application: Data(application, self.passwords, self.audit_trail),
            accounts=lambda application: AccountMail(application, self.passwords),
        )
        if serve:
            await self.applications.follow()
            if Background.is_needed(self.hooks):
                applications, poll_s = self.applications, self.settings.background_poll_s
                self._background = Background(store, self.hooks, applications.outboxes, applications.find, poll_s)
                self._background.start()
            process = Process(store, self.drivers, self.applications)
            self.health = Health(self.drivers, self.applications, process)
            await opened(self.hooks, process)
            self._is_observed = True
            self._tasks = [
                asyncio.create_task(self._delete_expired(), name="apilane-housekeeping"),
                asyncio.create_task(self._watch_places(), name="apilane-places"),
            ]

    def _control_mark(self) -> FileMark:
        return file_mark(self.drivers[self.settings.control_provider], control_address(self.settings))

    async def _open_again(self) -> None:
        """Continue when this instance's control store is in its place again."""
        mark = self._control_mark()
        if mark is None:
            raise LostInstance(self.settings)
        if mark != self._mark:
            await self.store.enter_replaced(self.settings)
            await self.applications.start_over()
            self._mark = mark
        self.is_open = True
        log.warning("the control store is in its place again; calls are served")

    def check_place(self) -> bool:
        """Whether the control store is still in its place; if not, the instance is not open any more."""
        if self.is_open and self._control_mark() != self._mark:
            self.is_open = False
            log.error("the control store %s is gone or was replaced; no calls are served", self._store_place())
        return self.is_open

    def _store_place(self) -> str:
        return "at control_url" if self.settings.control_url else f"in {self.settings.data_dir}"

    async def _watch_places(self) -> None:
        while True:
            await asyncio.sleep(PLACES_POLL_S)
            if not self.check_place():
                with contextlib.suppress(ConfigurationError, StorageError):
                    await self.open()
            if self.is_open:
                await self.applications.leave_replaced()

    async def _delete_expired(self) -> None:
        while True:
            await asyncio.sleep(self.settings.housekeeping_s)
            for application in self.applications.live():
                try:
                    await sweep(application)
                except Exception:  # one failure must not stop the housekeeping
                    log.warning("housekeeping failed in application %s", application.token, exc_info=True)

    async def close(self) -> None:
        """Finish accepted work and close every database. The instance cannot be opened again."""
        if self._is_closed:
            return
        self._is_closed = True
        self.is_open = False
        if self._is_joined:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._is_observed:
                await closed(self.hooks)
            if self.health is not None:
                await self.health.close()
            await self.applications.record_handlers.end()
            if self._background is not None:
                await self._background.stop()
            await self.applications.close()
            await self.store.close()
        for driver in self.drivers.values():
            await driver.close()
        self.passwords.close()


@asynccontextmanager
async def open_instance(
    settings: Settings,
    plugins: Sequence[object] = (),
    *,
    create: bool = True,
    serve: bool = False,
    instance_id: str | None = None,
) -> AsyncIterator[Instance]:
    """The instance of ``settings``, open inside ``async with``. Arguments as for ``Instance`` and ``Instance.open``."""
    instance = Instance(settings, plugins, instance_id=instance_id)
    try:
        await instance.open(create=create, serve=serve)
        yield instance
    finally:
        await instance.close()
