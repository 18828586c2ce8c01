"""Storage on MySQL 8 and 9 and on MariaDB 10.11 and later.

Registers the driver; the other modules of this package hold the rest. The client libraries are imported on first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from apilane.plugin import hookimpl
from apilane_mysql.driver import MySQLDriver

if TYPE_CHECKING:
    from apilane.plugin.storage import Settings

__all__ = ["MySQLDriver", "apilane_register_drivers"]


@hookimpl
def apilane_register_drivers(settings: Settings) -> Sequence[MySQLDriver]:
    """The MySQL driver, with its share of the settings' limits."""
    return [
        MySQLDriver(
            connections=max(settings.database_connections // settings.workers, 2),
            idle_s=settings.database_idle_s,
            statement_timeout_s=settings.statement_timeout_s,
        ),
    ]
