"""Storage in Microsoft SQL Server and Azure SQL, by pyodbc in threads of the driver.

Registers the driver; everything else is in the modules beside. Neither pyodbc nor SQLAlchemy's dialect is imported
before a database is asked for: an instance without one pays nothing for this package.
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
    """The SQL Server driver, under the settings' limits."""
    return [
        SQLServerDriver(
            connections=max(settings.database_connections // settings.workers, 2),
            idle_s=settings.database_idle_s,
            statement_timeout_s=settings.statement_timeout_s,
        )
    ]
