"""Whether an application's tables and its definition belong together.

They are in two databases, so a backup of one can be restored without the other. The tables store the version of the
definition that last changed them; the audit tells which versions changed tables. ``table_fit`` compares their contents.
"""

from __future__ import annotations

from collections.abc import Sequence

from apilane.control.store import ControlStore, StoredApplication
from apilane.model.definition import ApplicationDefinition
from apilane.storage.errors import OutOfStep

__all__ = ["ADOPT", "WAY_OUT", "other_content", "refuse_out_of_step"]

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


async def refuse_out_of_step(store: ControlStore, stored: StoredApplication, found: int) -> None:
    """Raise OutOfStep unless ``found``, the version of the tables (0: none), belongs to the definition."""
    definition = stored.definition
    title = f"{definition.name} ({definition.token})"
    if found == stored.version:
        return
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
    needed = await store.version_of_tables(definition.token, found)
    if needed > found:
        raise OutOfStep(
            f"The tables of application {title} are at version {found}, its definition needs version {needed}: the "
            f"database is older than the control store. {WAY_OUT}"
        )
