"""Upgrading a control store of an older release when it is opened.

One process upgrades it, under a lock of the store; the others wait. Tables, their rows in ``H_Tables`` and the version
of the instance change in one unit.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Final

from apilane.control.statements import ControlStatements
from apilane.control.tables import FIRST_CONTROL_TABLES, ControlSchema
from apilane.sql.dialect import Dialect
from apilane.storage.errors import Unavailable
from apilane.storage.helper_tables import HelperTables, TableVersion
from apilane.storage.protocol import Session, Step

__all__ = ["tables_of_schema", "upgrade"]

LOCK: Final = "control-schema"
WAIT_S: Final = 60.0
LOOK_S: Final = 0.05

log = logging.getLogger("apilane.control")


def tables_of_schema(schema: ControlSchema) -> HelperTables:
    """The tables of the control store; each has the version of the whole schema."""
    tables = [TableVersion(table, schema.version) for table in schema.tables]
    return HelperTables(tables, FIRST_CONTROL_TABLES, is_control=True)


async def upgrade(session: Session, dialect: Dialect, statements: ControlStatements, schema: ControlSchema) -> None:
    """Return when the store has the version of ``schema``. After a StorageError it has its old version."""
    ends_at = monotonic() + WAIT_S
    while int((await session.fetch(statements.instance))[0][0]) < schema.version:
        async with session.exclusive(LOCK) as held:
            if held:
                values = {"version": schema.version}
                last = Step(statements.set_schema_version, statements.set_schema_version.parameters(values))
                done = await tables_of_schema(schema).bring_up_to_date(session, dialect, [last])
                if done is not None:
                    log.info("the control store has schema version %d now: %s", schema.version, done)
                return
        if monotonic() > ends_at:
            raise Unavailable(f"Another process has been changing the tables for {WAIT_S:.0f} s.")
        await asyncio.sleep(LOOK_S)
