"""Storage in PostgreSQL 13 and later.

Registers the driver; the other modules of this package hold the rest. asyncpg is imported with the first connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from apilane.plugin import hookimpl
from apilane_postgresql.driver import PostgreSQLDriver

if TYPE_CHECKING:
    from apilane.plugin.storage import Settings

__all__ = ["PostgreSQLDriver", "apilane_register_drivers"]


@hookimpl
def apilane_register_drivers(settings: Settings) -> Sequence[PostgreSQLDriver]:
    """The PostgreSQL driver, with this process's share of the settings' connections."""
    return [
        PostgreSQLDriver(
            connections=max(settings.database_connections // max(settings.workers, 1), 2),
            idle_s=settings.database_idle_s,
            statement_timeout_s=settings.statement_timeout_s,
        ),
    ]
