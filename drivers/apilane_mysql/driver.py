"""The MySQL driver: its sessions by connection string, and its features."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from apilane.plugin.storage import Features, PooledDriver
from apilane_mysql.address import read_address
from apilane_mysql.session import MySQLSession

if TYPE_CHECKING:
    from apilane_mysql.dialect import MySQLDialect

__all__ = ["MySQLDriver"]


class MySQLDriver(PooledDriver[MySQLSession]):
    """Addresses are connection strings (``apilane_mysql.address``)."""

    name = "MySQL"
    features = Features(transactional_ddl=False, reads_after_failure=True)
    client = "asyncmy"
    extra = "apilane[mysql]"

    @cached_property
    def dialect(self) -> MySQLDialect:
        """Made on first use, because its import is slow."""
        from apilane_mysql.dialect import MySQLDialect

        return MySQLDialect()

    def make_session(self, address: str) -> MySQLSession:
        return MySQLSession(self, read_address(address))
