"""The PostgreSQL driver: its sessions by connection string, and its features."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from apilane.plugin.storage import Features, PooledDriver
from apilane_postgresql.address import read_address
from apilane_postgresql.session import PostgreSQLSession

if TYPE_CHECKING:
    from apilane_postgresql.dialect import PostgreSQLDialect

__all__ = ["PostgreSQLDriver"]


class PostgreSQLDriver(PooledDriver[PostgreSQLSession]):
    """Addresses are connection strings (``apilane_postgresql.address``)."""

    name = "PostgreSQL"
    features = Features(transactional_ddl=True, reads_after_failure=False)
    client = "asyncpg"
    extra = "apilane[postgresql]"

    @cached_property
    def dialect(self) -> PostgreSQLDialect:
        """Made on first use, because its import is slow."""
        from apilane_postgresql.dialect import PostgreSQLDialect

        return PostgreSQLDialect()

    def make_session(self, address: str) -> PostgreSQLSession:
        return PostgreSQLSession(self, read_address(address))
