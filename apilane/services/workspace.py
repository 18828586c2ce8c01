"""One application under its change lock: its definition in the control store, and the tables in its own database."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from apilane.control.folders import application_address
from apilane.control.records import PendingChange
from apilane.control.secrets import Secrets
from apilane.control.store import ControlStore, StoredApplication
from apilane.errors import ConfigurationError
from apilane.model.definition import ApplicationDefinition
from apilane.model.migration import Migration
from apilane.model.system import HELPER_TABLES
from apilane.security.encryption import Cipher
from apilane.services.application_tables import ApplicationTables
from apilane.services.moments import ADOPT, WAY_OUT, other_content, refuse_out_of_step
from apilane.storage.errors import OutOfStep, StorageError, Unavailable
from apilane.storage.helper_tables import HelperTables
from apilane.storage.protocol import Driver

__all__ = ["ApplicationWorkspace", "refuse_lost", "title_of"]

log = logging.getLogger("apilane.changes")


def title_of(definition: ApplicationDefinition) -> str:
    """Name and token, for messages."""
    return f"{definition.name} ({definition.token})"


def refuse_lost(tables: ApplicationTables, definition: ApplicationDefinition) -> None:
    """Raise ConfigurationError when the database file is missing."""
    if tables.are_lost:
        raise ConfigurationError(
            f"The database {tables.address} of application {title_of(definition)} is missing. "
            "Restore it from a backup; nothing was changed."
        )


class ApplicationWorkspace:
    """The data and tables that one change works on. ``locked`` makes it and holds the lock until the end.

    ``stored``: the application as last published, read once by ``begin``; None when it is new. Methods raise
    StorageError, and ConfigurationError whose text says why the change is refused.
    """

    def __init__(
        self,
        token: str,
        store: ControlStore,
        drivers: Mapping[str, Driver],
        helper_tables: HelperTables,
        data_dir: Path,
    ) -> None:
        self.token = token
        self.store = store
        self.helper_tables = helper_tables
        self.data_dir = data_dir
        self.stored: StoredApplication | None = None
        self._drivers = drivers
        self._tables: dict[tuple[str, str], ApplicationTables] = {}

    @classmethod
    @asynccontextmanager
    async def locked(
        cls,
        token: str,
        store: ControlStore,
        drivers: Mapping[str, Driver],
        helper_tables: HelperTables,
        data_dir: Path,
    ) -> AsyncIterator[ApplicationWorkspace | None]:
        """The workspace of an application; None while another process holds its lock."""
        async with store.change_lock(token) as held:
            yield cls(token, store, drivers, helper_tables, data_dir) if held else None

    @property
    def version(self) -> int:
        """Version of the stored application; 0 for a new one."""
        return self.stored.version if self.stored else 0

    def driver_of(self, definition: ApplicationDefinition) -> Driver:
        """The driver of a definition's provider."""
        return self._drivers[definition.storage_provider]

    def tables_of(self, definition: ApplicationDefinition, secrets: Secrets) -> ApplicationTables:
        """The tables of the application with this definition and these secrets (the address of its database)."""
        driver, address = self.driver_of(definition), application_address(self.data_dir, self.token, secrets)
        tables = self._tables.get((driver.name, address))
        if tables is None:
            tables = self._tables[driver.name, address] = ApplicationTables(driver, address)
        return tables

    async def begin(self) -> None:
        """Settle an interrupted change, and read the application."""
        await self.settle()
        self.stored = await self.store.application(self.token)

    async def settle(self, *, carry_on: bool = False) -> StoredApplication | None:
        """Publish the pending change, and return it, when the tables have its version; otherwise abandon it.

        ``carry_on``: where each schema statement commits, complete a change of tables that stopped half-way, because
        dropped columns cannot be brought back. None also when nothing is pending.
        """
        pending = await self.store.pending(self.token)
        if pending is None:
            return None
        tables = self.tables_of(pending.definition, pending.secrets)
        is_done = await tables.version() == pending.version
        if is_done or (carry_on and await self._carried_on(pending, tables)):
            log.info("application %s: publishing version %d, which its tables have", self.token, pending.version)
            return await self.store.publish(self.token)
        log.info("application %s: abandoning version %d, which its tables do not have", self.token, pending.version)
        await self.store.abandon(self.token)
        return None

    async def _carried_on(self, pending: PendingChange, tables: ApplicationTables) -> bool:
        """Complete the change of the tables; False when it can be abandoned. Raises Unavailable."""
        driver, stored = self.driver_of(pending.definition), await self.store.application(self.token)
        if stored is None or driver.features.transactional_ddl or stored.secrets != pending.secrets:
            return False
        before, after = ((*each.entities, *HELPER_TABLES) for each in (stored.definition, pending.definition))
        migration = Migration(before, after, pending.renames)
        cipher = Cipher(pending.secrets.encryption_key)
        log.info("application %s: carrying on with version %d, whose change stopped", self.token, pending.version)
        try:
            migration = await tables.with_structure(migration)
            ddl = driver.dialect.migrate(migration)
            await tables.change(migration, ddl, pending.version, cipher=cipher, new=False, report=lambda *_: None)
        except Unavailable:
            raise
        except StorageError as error:
            log.warning("application %s: version %d cannot be completed: %s", self.token, pending.version, error)
            return False
        return True

    async def bring_helper_tables_up_to_date(self, definition: ApplicationDefinition, secrets: Secrets) -> None:
        """Update the helper tables of an existing application before it is changed.

        A failure does not stop the change: the update is tried again when the application opens. Where every schema
        statement commits, an interrupted change of the entities can block the update until it is applied again.
        """
        try:
            done = await self.tables_of(definition, secrets).bring_up_to_date(self.helper_tables)
        except StorageError as error:
            log.warning("application %s: %s", self.token, error)
            return
        if done is not None:
            log.info("application %s: helper tables brought up to date: %s", self.token, done)

    def refuse_another_state(self, before: ApplicationDefinition | None, after: ApplicationDefinition) -> None:
        """A plan is made before the lock is taken, and is valid only for the definition that it was made from."""
        if before != (self.stored.definition if self.stored else None):
            raise ConfigurationError(
                f"Application {title_of(after)} was changed since the plan was made. "
                "Nothing was changed now; look at the new state and apply again."
            )

    def refuse_lost_database(self) -> None:
        """An existing application has a database; creating an empty one would hide the loss."""
        if self.stored is None:
            return
        refuse_lost(self.tables_of(self.stored.definition, self.stored.secrets), self.stored.definition)

    async def refuse_control_store(self, after: ApplicationDefinition, secrets: Secrets) -> None:
        """An application needs a database of its own: custom SQL could otherwise reach the instance's tables."""
        if self.stored is not None and secrets.connection_string == self.stored.secrets.connection_string:
            return
        try:
            holds = await self.tables_of(after, secrets).holds_control_store()
        except StorageError:
            return  # the next step meets the same database and says why it cannot be used
        if holds:
            raise ConfigurationError(
                f"The database of application {title_of(after)} is the control store of an instance. Give the "
                "application a database of its own; nothing was changed."
            )

    async def refuse_out_of_step(self, after: ApplicationDefinition, secrets: Secrets) -> None:
        """Refuse an application whose tables and definition are from different moments.

        The database that it will have is read. The present one may be gone for good.
        """
        if self.stored is None:
            return
        try:
            await refuse_out_of_step(self.store, self.stored, self.tables_of(after, secrets))
        except OutOfStep as error:
            raise ConfigurationError(f"{error} Nothing was changed. {ADOPT}") from error

    async def refuse_other_content(self) -> None:
        """Refuse tables with the right version that lack tables or columns of the definition."""
        if self.stored is None:
            return
        definition = self.stored.definition
        misfits = await self.tables_of(definition, self.stored.secrets).misfits(definition.entities)
        if misfits:
            raise ConfigurationError(f"{other_content(definition, misfits)} Nothing was changed. {ADOPT}")

    async def needs_adoption(self, after: ApplicationDefinition, secrets: Secrets) -> bool:
        """Whether the tables and the stored definition are from different moments."""
        try:
            await self.refuse_out_of_step(after, secrets)
            await self.refuse_other_content()
        except ConfigurationError:
            return True
        return False

    async def refuse_adoption(self, after: ApplicationDefinition, secrets: Secrets) -> None:
        """Refuse to take over tables that are not exactly those of ``after``."""
        tables, title = self.tables_of(after, secrets), title_of(after)
        if not await tables.version():
            raise ConfigurationError(f"The database of application {title} holds no tables to adopt. {WAY_OUT}")
        kept = {entity.name.lower() for entity in after.entities}
        before = self.stored.definition.entities if self.stored else ()
        gone = [entity for entity in before if entity.name.lower() not in kept]
        misfits = await tables.misfits(after.entities, gone=gone, exact=True)
        if misfits:
            raise ConfigurationError(
                f"The tables of application {title} are not those of the manifest: {'; '.join(misfits)}. Apply the "
                "manifest that describes them as they are; nothing was changed."
            )

    async def refuse_half_done(self) -> None:
        """Refuse tables that are between two definitions. This can happen where every schema statement commits."""
        if self.stored is None or self.driver_of(self.stored.definition).features.transactional_ddl:
            return
        for finding in await self.tables_of(self.stored.definition, self.stored.secrets).diagnose():
            if finding.serious:
                raise ConfigurationError(
                    f"Application {title_of(self.stored.definition)}: {finding.text}. {finding.advice}"
                )

    async def refuse_other_database(self, after: ApplicationDefinition, secrets: Secrets) -> None:
        """A new connection string must lead to the same tables, or to a copy of them."""
        if self.stored is None or secrets.connection_string == self.stored.secrets.connection_string:
            return
        found = await self.tables_of(after, secrets).version()
        if not 0 < found <= self.version:
            state = f"its tables at version {found}, newer than {self.version}" if found else "none of its tables"
            raise ConfigurationError(
                f"The new ConnectionString of application {title_of(after)} leads to a database with {state}. Copy the "
                "database there first; nothing was changed."
            )
