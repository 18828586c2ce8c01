"""Storage in SQLite files: the embedded provider, and the reference for drivers.

Registers the driver; the other modules of this package hold the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from apilane.plugin import hookimpl
from apilane_sqlite.dialect import SQLiteDialect
from apilane_sqlite.driver import SQLiteDriver

if TYPE_CHECKING:
    from apilane.plugin.storage import Settings

__all__ = ["SQLiteDialect", "SQLiteDriver", "apilane_register_drivers"]


@hookimpl
def apilane_register_drivers(settings: Settings) -> Sequence[SQLiteDriver]:
    """The SQLite driver, with the settings' limits."""
    return [
        SQLiteDriver(
            open_databases=settings.open_databases,
            statement_timeout_s=settings.statement_timeout_s,
            mmap_mib=settings.sqlite_mmap_mib,
        ),
    ]
