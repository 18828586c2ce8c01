"""Storage in Microsoft SQL Server and Azure SQL, by pyodbc in the driver's threads.

Registers the driver; the other modules of this package hold the rest. pyodbc and SQLAlchemy's dialect are imported with
the first database, so that an instance without one does not pay for this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from apilane.plugin import hookimpl
from apilane_sqlserver.driver import SQLServerDriver

if TYPE_CHECKING:
    from apilane.plugin.storage import Settings

__all__ = ["SQLServerDriver", "apilane_register_drivers"]


@hookimpl
def apilane_register_drivers(settings: Settings) -> Sequence[SQLServerDriver]:
    """The SQL Server driver, with the settings' limits."""
    return [
        SQLServerDriver(
            connections=max(settings.database_connections // settings.workers, 2),
            idle_s=settings.database_idle_s,
            statement_timeout_s=settings.statement_timeout_s,
        )
    ]
