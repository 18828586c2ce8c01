"""Whether an application's tables and its definition belong together.

They are in two databases, so a backup of one can be restored without the other. The tables store the version of the
definition that last changed them, and a fingerprint of its entities, because two moments can have the same version.
The audit tells which versions changed tables, and their entities. ``table_fit`` compares the contents of the tables.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from apilane.control.store import ControlStore, StoredApplication
from apilane.model.definition import ApplicationDefinition
from apilane.services.application_tables import ApplicationTables
from apilane.storage.errors import OutOfStep, StorageError

__all__ = ["ADOPT", "WAY_OUT", "other_content", "record_fingerprint", "refuse_out_of_step"]

log = logging.getLogger("apilane.tables")

MISFITS_SHOWN = 5
WAY_OUT = "Restore the control store and the database from backups of the same moment."
ADOPT = (
    "Without such backups: `apilane apply --adopt-tables FILE`, with the manifest that describes the tables as they "
    "are, takes them over; after that apply the newest manifest."
)


def other_content(definition: ApplicationDefinition, misfits: Sequence[str]) -> OutOfStep:
    """The error for tables that have the right version and are others."""
    shown = "; ".join(misfits[:MISFITS_SHOWN]) + (" ..." if len(misfits) > MISFITS_SHOWN else "")
    return OutOfStep(
        f"The tables of application {definition.name} ({definition.token}) are not those of its definition, although "
        f"both have the same version: {shown}. {WAY_OUT}"
    )


async def refuse_out_of_step(store: ControlStore, stored: StoredApplication, tables: ApplicationTables) -> None:
    """Raise OutOfStep unless the tables belong to the definition, by their version and their fingerprint."""
    definition = stored.definition
    title = f"{definition.name} ({definition.token})"
    found = await tables.version()
    if found == 0:
        raise OutOfStep(
            f"The database of application {title} holds no tables of an application, although its definition is at "
            f"version {stored.version}. {WAY_OUT}"
        )
    if found > stored.version:
        raise OutOfStep(
            f"The tables of application {title} are at version {found}, its definition at {stored.version}: the "
            f"control store is older than the database. {WAY_OUT}"
        )
    needed = found if found == stored.version else await store.version_of_tables(definition.token, found)
    if needed > found:
        raise OutOfStep(
            f"The tables of application {title} are at version {found}, its definition needs version {needed}: the "
            f"database is older than the control store. {WAY_OUT}"
        )
    recorded = await tables.fingerprint(found)
    wanted = await store.fingerprint(definition.token, found) if recorded is not None else None
    if recorded != wanted and wanted is not None:
        raise OutOfStep(
            f"The tables of application {title} are at version {found}, as its definition needs, but that version had "
            f"other entities when the tables were changed: one of the two databases was restored alone. {WAY_OUT}"
        )


async def record_fingerprint(store: ControlStore, stored: StoredApplication, tables: ApplicationTables) -> None:
    """Record the fingerprint of the entities that the tables have, unless it is recorded.

    A failure is logged: the next opening records it.
    """
    token = stored.definition.token
    try:
        found = await tables.version()
        if not found or await tables.fingerprint(found) is not None:
            return
        fingerprint = await store.fingerprint(token, found)
        if fingerprint is not None:
            await tables.record_fingerprint(found, fingerprint)
    except StorageError as error:
        log.info("application %s: its fingerprint was not recorded: %s", token, error)
