"""The applications that this process serves: loaded on first use, replaced within a second of a change by any process.

A new version of an application uses the session of the old one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection
from time import monotonic

import sqlalchemy as sa
from msgspec.structs import replace

from apilane.control.folders import application_address, is_lost
from apilane.control.records import StoredApplication
from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.events.outbox import Outboxes
from apilane.events.record_handlers import RecordHandlers
from apilane.instance.observing import around_statements
from apilane.instance.places import FileMark, file_mark
from apilane.logs import protect_names
from apilane.model.system import system_entities
from apilane.plugin.accounts import Accounts
from apilane.plugin.data import ApplicationData
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.compiled import Compilations
from apilane.runtime.trust import Misses
from apilane.security.tokens import canonical_guid
from apilane.services.application_tables import ApplicationTables
from apilane.services.definition_changes import DefinitionChanges
from apilane.services.helper_tables import TableUpkeep
from apilane.services.moments import record_fingerprint, refuse_out_of_step
from apilane.settings import Settings
from apilane.sql.statement import Statement, Value, compile_statement
from apilane.sql.tables import table_of
from apilane.storage.errors import OutOfStep, Unavailable
from apilane.storage.protocol import Driver, Session

__all__ = ["LoadedApplications"]

APPLICATIONS_KEPT = 1000
"""Runtimes kept in memory. One takes 100 to 250 KB once its entities have been used; shared definitions take less."""
UNKNOWN_KEPT = 10_000
"""Tokens remembered as unknown, so that many calls with such tokens need no queries. Any change clears them."""
OUT_OF_STEP_S = 1.0
PUBLISH_WAIT_S = 5.0
"""Time to wait for the definition of tables that are changed already; it usually follows within 10 ms."""

log = logging.getLogger("apilane.applications")


class LoadedApplications:
    """Finds an application by the token of a request. ``changes`` settles interrupted changes of other processes,
    ``data`` and ``accounts`` make these APIs of an application."""

    def __init__(
        self,
        store: ControlStore,
        hooks: Hooks,
        changes: DefinitionChanges,
        upkeep: TableUpkeep,
        settings: Settings,
        *,
        data: Callable[[ApplicationRuntime], ApplicationData],
        accounts: Callable[[ApplicationRuntime], Accounts],
    ) -> None:
        self._store = store
        self._drivers = hooks.drivers
        self._gates = hooks.gates
        self._settings = hooks.settings
        self._endpoint_kinds = {kind.name.lower(): kind for kind in hooks.endpoint_kinds}
        self.outboxes = Outboxes(store.background, hooks.outbox_handlers)
        self.record_handlers = RecordHandlers(hooks)
        self.misses = Misses()
        self._around = around_statements(hooks)
        self._changes = changes
        self._upkeep = upkeep
        self._data = data
        self._accounts = accounts
        self._data_dir = settings.data_dir
        self._poll_s = settings.definition_poll_s
        self._compilations = Compilations()
        self._live: OrderedDict[str, ApplicationRuntime] = OrderedDict()
        self._unknown: dict[str, None] = {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self._opening: dict[tuple[str, str], asyncio.Task[None]] = {}
        """Databases whose helper tables are being checked."""
        self._opened: dict[tuple[str, str], FileMark] = {}
        """Databases in use, with the file that was opened."""
        self._out_of_step: dict[str, tuple[str, float]] = {}
        """Why the tables of an application do not belong to its definition, and until when that is not checked."""
        self._tables: dict[str, dict[str, sa.Table]] = {}
        """Helper tables of plugins, by name of the driver."""
        self._pings: dict[str, Statement] = {}
        self._mark: Value = None
        self._sequence = 0
        self._generation = 0
        self._watching: asyncio.Task[None] | None = None
        self._recovering: asyncio.Task[None] | None = None
        """Settles changes whose processes have stopped."""
        self.find_live = self._live.get
        """The loaded runtime of a canonical token, or None."""

    def live(self) -> tuple[ApplicationRuntime, ...]:
        """The applications loaded now."""
        return tuple(self._live.values())

    def sessions(self, provider: str) -> dict[str, Session]:
        """The databases of a provider that were opened and are in their places, by address."""
        return {address: self._sessions[name, address] for name, address in self._opened if name == provider}

    def tokens_of(self, provider: str, addresses: Collection[str]) -> set[str]:
        """The loaded applications on these databases of a provider."""
        chosen = {id(self._sessions[provider, address]) for address in addresses}
        return {runtime.token for runtime in self._live.values() if id(runtime.session) in chosen}

    def ping(self, provider: str) -> Statement:
        """A short read that every application's database answers."""
        known = self._pings.get(provider)
        if known is None:
            dialect = self._drivers[provider].dialect
            users = next(table_of(entity, dialect) for entity in system_entities(None) if entity.name == "Users")
            read = sa.select(sa.func.min(users.c["ID"]))
            known = self._pings[provider] = compile_statement(read, dialect.sqlalchemy)
        return known

    async def follow(self) -> None:
        """Follow the changes of other processes from now on, until ``close``."""
        self._mark = await self._store.mark()
        self._sequence = await self._store.sequence()
        self._watching = asyncio.create_task(self._watch(), name="apilane-definitions")

    async def close(self) -> None:
        """Stop following and close the session of every database."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._recovering is not None:
            self._recovering.cancel()
            await asyncio.gather(self._recovering, return_exceptions=True)
        for opening in self._opening.values():
            opening.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        for session in self._sessions.values():
            await session.close()

    async def find(self, typed: str) -> ApplicationRuntime | None:
        """The application of a token in any textual form; None when there is none."""
        token = canonical_guid(typed)
        if token is None or token in self._unknown:
            return None
        return self._live.get(token) or await self._load(token)

    async def reload(self, token: str) -> ApplicationRuntime | None:
        """Read the definition again after a statement failed because the tables differ from the definition in memory.

        Tables are changed shortly before their definition is published. This call waits for that, and settles the
        change when its process has stopped in between. Raises Unavailable while the change goes on.
        """
        deadline = monotonic() + PUBLISH_WAIT_S
        while token in await self._store.pending_tokens():
            left_s = deadline - monotonic()
            if left_s <= 0:
                raise Unavailable(f"The tables of application {token} are being changed.")
            if self._recovering is None or self._recovering.done():
                self._recovering = asyncio.create_task(self._changes.recover_all(), name="apilane-recovery")
            await asyncio.wait({self._recovering}, timeout=left_s)  # it goes on when this call ends
            await asyncio.sleep(0.02)
        runtime = self._live.pop(token, None)
        if runtime is not None:  # the database may have been restored from a backup
            for key in [key for key, session in self._sessions.items() if session is runtime.session]:
                self._opened.pop(key, None)
        return await self._load(token)

    async def _load(self, token: str) -> ApplicationRuntime | None:
        generation = self._generation
        known = self._out_of_step.get(token)
        if known is not None and monotonic() < known[1]:
            raise OutOfStep(known[0])
        self.misses.applications += 1
        stored = await self._store.application(token)
        if stored is None:
            if generation == self._generation:
                if len(self._unknown) >= UNKNOWN_KEPT:
                    self._unknown.clear()
                self._unknown[token] = None
            return None
        driver = self._drivers[stored.definition.storage_provider]
        session = await self._session(driver, stored)
        self._out_of_step.pop(token, None)
        runtime = ApplicationRuntime(
            replace(stored, definition=self._compilations.share(stored.definition, driver)),
            driver,
            session,
            self._gates,
            self._endpoint_kinds,
            tables=self._helper_tables(driver),
            compilations=self._compilations,
            settings=self._settings,
            outboxes=self.outboxes,
            record_handlers=self.record_handlers,
            misses=self.misses,
        )
        protect_names(
            each.name for entity in stored.definition.entities for each in entity.properties if each.encrypted
        )
        runtime.data = self._data(runtime)
        runtime.accounts = self._accounts(runtime)
        if generation == self._generation:  # not replaced while it was being read
            self._live[token] = runtime
            self._make_room()
        return runtime

    def _make_room(self) -> None:
        """Drop the first application of the queue that was not used; used ones move to the end of the queue."""
        while len(self._live) > APPLICATIONS_KEPT:
            token, oldest = self._live.popitem(last=False)
            if oldest.is_used:
                oldest.is_used = False
                self._live[token] = oldest

    async def _session(self, driver: Driver, stored: StoredApplication) -> Session:
        """The session of an application's database, the same for all its versions.

        Raises Unavailable for a missing file, because opening it would create an empty one and hide the loss, and when
        the helper tables cannot be updated.
        """
        address = application_address(self._data_dir, stored.definition.token, stored.secrets)
        if is_lost(driver, address):
            raise Unavailable(f"The database {address} is missing; restore it from a backup.")
        key = driver.name, address
        if key not in self._opened:
            await self._open_database(driver, address, stored)
        return self._sessions[key]

    async def _open_database(self, driver: Driver, address: str, stored: StoredApplication) -> None:
        """Prepare the first use of a database in this process; all callers wait for the same task."""
        key = driver.name, address
        if key not in self._sessions:
            session = driver.session(address)
            self._sessions[key] = self._around(driver.name, session) if self._around else session
        opening = self._opening.get(key)
        if opening is None:
            coroutine = self._prepare(stored, driver, address)
            opening = self._opening[key] = asyncio.create_task(coroutine, name="apilane-tables")
            opening.add_done_callback(lambda done: self._note_opened(key, done))
        await asyncio.shield(opening)  # a caller that is cancelled does not interrupt it

    async def _prepare(self, stored: StoredApplication, driver: Driver, address: str) -> None:
        """Check that the tables belong to the definition, then create and change helper tables."""
        token = stored.definition.token
        tables = ApplicationTables(driver, address)
        deadline = monotonic() + PUBLISH_WAIT_S
        current: StoredApplication | None = stored
        while current is not None:
            try:
                await refuse_out_of_step(self._store, current, tables)
                break
            except OutOfStep as error:
                seen = current.version
                is_changing = token in await self._store.pending_tokens()
                if is_changing:  # tables are changed shortly before their definition is published
                    await self._changes.recover_all()
                    await asyncio.sleep(0.02)
                current = await self._store.application(token)
                if monotonic() > deadline or (not is_changing and current is not None and current.version == seen):
                    self._note_out_of_step(token, str(error))
                    raise
        session = self._sessions[driver.name, address]
        await self._upkeep.bring_up_to_date(token, session, driver.dialect)
        if current is not None:
            await self._upkeep.upgrade_structure(current, session, driver.dialect)
            await record_fingerprint(self._store, current, tables)

    def _note_out_of_step(self, token: str, text: str) -> None:
        """Keep the reason for a second, so that refused calls need no queries, and log it once."""
        known = self._out_of_step.get(token)
        if known is None or known[0] != text:
            log.error("%s", text)
        self._out_of_step[token] = text, monotonic() + OUT_OF_STEP_S

    def _note_opened(self, key: tuple[str, str], opening: asyncio.Task[None]) -> None:
        del self._opening[key]
        if not opening.cancelled() and opening.exception() is None:
            self._opened[key] = file_mark(self._drivers[key[0]], key[1])

    async def start_over(self) -> None:
        """Forget everything read from the control store, because another file is in its place now."""
        self._mark, self._sequence = await self._store.mark(), await self._store.sequence()
        self._generation += 1
        self._unknown.clear()
        self._live.clear()
        await self.leave_replaced()

    async def leave_replaced(self) -> None:
        """Leave the database files that are deleted or replaced; the next call opens or misses what is there now."""
        moved = [key for key, mark in self._opened.items() if file_mark(self._drivers[key[0]], key[1]) != mark]
        for key in moved:
            log.warning("the database %s was deleted or replaced while it was open", key[1])
            del self._opened[key]
            for token, runtime in list(self._live.items()):
                if runtime.session is self._sessions[key]:
                    del self._live[token]
        if moved:
            self._generation += 1
            await asyncio.gather(*(self._sessions[key].close() for key in moved))

    def _helper_tables(self, driver: Driver) -> dict[str, sa.Table]:
        tables = self._tables.get(driver.name)
        if tables is None:
            tables = self._tables[driver.name] = self._upkeep.tables.tables(driver.dialect)
        return tables

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self.refresh()
            except Exception:  # a worker that stops following would always serve old definitions
                log.warning("the control store cannot be read for changes; trying again", exc_info=True)

    async def refresh(self) -> None:
        """Drop the applications that changed in the control store since the last call."""
        mark = await self._store.mark()
        if mark is not None and mark == self._mark:
            return
        sequence, tokens = await self._store.changes(self._sequence)
        self._mark, self._sequence = mark, sequence
        if tokens:
            self._generation += 1
            self._unknown.clear()
            for token in tokens:
                self._live.pop(token, None)
