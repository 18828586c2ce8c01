"""Helper tables of applications: the list of them, and their update when a database is opened."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Final

from apilane.control.store import ControlStore, StoredApplication
from apilane.dispatch import Hooks
from apilane.model.system import FIRST_HELPER_TABLES, HELPER_TABLES, HELPER_VERSIONS, OUTBOX_TABLE
from apilane.security.encryption import Cipher
from apilane.services.record_survey import RecordsDoNotFit
from apilane.services.unique_texts import ADVICE, has_first_structure, upgrade_unit
from apilane.sql.dialect import Dialect
from apilane.storage.errors import StorageError, Unavailable
from apilane.storage.helper_tables import HelperTables, TableVersion
from apilane.storage.protocol import Session

__all__ = ["TableUpkeep", "helper_tables_of"]

LOCK_WAIT_S: Final = 10.0
"""Time to wait for another process that changes the application. The next request waits again."""
LOOK_S: Final = 0.05

log = logging.getLogger("apilane.tables")


def helper_tables_of(hooks: Hooks) -> HelperTables:
    """The tables of the core and of every loaded plugin."""
    return HelperTables(
        [
            *(TableVersion(table, HELPER_VERSIONS.get(table.name, 1)) for table in HELPER_TABLES),
            *((TableVersion(OUTBOX_TABLE),) if hooks.outbox_handlers else ()),
            *(TableVersion(table.entity, table.version, hooks.plugin_of(table)) for table in hooks.tables),
        ],
        FIRST_HELPER_TABLES,
    )


class TableUpkeep:
    """Updates helper tables, and the structure of the others, when this process first uses a database."""

    def __init__(self, store: ControlStore, tables: HelperTables) -> None:
        self.tables = tables
        self._store = store

    async def bring_up_to_date(self, token: str, session: Session, dialect: Dialect) -> None:
        """Return when the database of an application has the required tables; usually after one read.

        Changes are made under the application's change lock. While another process holds it, this call waits. Raises
        Unavailable, whose text says why the application cannot be used.
        """
        ends_at = monotonic() + LOCK_WAIT_S
        while await self.tables.missing(session, dialect) is not None:
            async with self._store.change_lock(token) as held:
                if held:
                    done = await self.tables.bring_up_to_date(session, dialect)
                    log.info("application %s: helper tables brought up to date: %s", token, done or "nothing to do")
                    return
            if monotonic() > ends_at:
                raise Unavailable(f"Another process has been changing application {token} for {LOCK_WAIT_S:.0f} s.")
            await asyncio.sleep(LOOK_S)

    async def upgrade_structure(self, stored: StoredApplication, session: Session, dialect: Dialect) -> None:
        """Upgrade the unique constraints of an older release, once.

        If that is impossible, for example because records are equal now, the reason is logged, and the application is
        used as it is.
        """
        token, entities = stored.definition.token, stored.definition.entities
        if not await has_first_structure(session, dialect):
            return
        cipher = Cipher(stored.secrets.encryption_key)
        try:
            async with self._store.change_lock(token) as held:
                current = await self._store.application(token)
                if not held or current is None or current.version != stored.version:
                    return  # another process changes the application: it upgrades it, or the next opening does
                if await has_first_structure(session, dialect):
                    await session.alter(lambda: upgrade_unit(entities, stored.version, dialect, cipher))
                    log.info("application %s: unique constraints compare texts as filters do now", token)
        except RecordsDoNotFit as error:
            log.warning("application %s: texts that were unique are equal now:\n%s\n%s", token, error, ADVICE)
        except StorageError as error:
            log.warning("application %s: its unique constraints could not be upgraded: %s", token, error)
