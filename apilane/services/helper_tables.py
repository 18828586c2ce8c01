"""Helper tables of applications: the list of them, and their update when a database is opened."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Final

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.model.system import FIRST_HELPER_TABLES, HELPER_TABLES, HELPER_VERSIONS, OUTBOX_TABLE
from apilane.sql.dialect import Dialect
from apilane.storage.errors import Unavailable
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
    """Updates helper tables when this process first uses a database."""

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
