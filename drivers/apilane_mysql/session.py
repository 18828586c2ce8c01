"""One database on a server: the pooled session, named locks, changes of tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeVar

from apilane.plugin.storage import (
    ConnectionRefused,
    Finding,
    PooledDriver,
    PooledSession,
    ServerAddress,
    Statement,
    Unavailable,
    Unit,
    Value,
)
from apilane_mysql.progress import SchemaChange

if TYPE_CHECKING:
    from apilane_mysql.connection import Keys, MySQLConnection

__all__ = ["MySQLSession"]

T = TypeVar("T")

ALTER_WAIT_S: Final = 60
_LOCK: Final = Statement("SELECT GET_LOCK(%s, %s)")
INSTALL: Final = "pip install apilane[mysql]"


class MySQLSession(PooledSession):
    """See ``apilane.storage.protocol.Session``. Belongs to one event loop; after ``close`` it opens again when used."""

    shares_inserts = True

    def __init__(self, driver: PooledDriver[Any], address: ServerAddress) -> None:
        self.address = address
        self._driver = driver
        self._keys: Keys = {}
        super().__init__(driver.group, self._connect, driver.limits.call_s, lambda: self._connect(only_reads=True))

    async def _connect(self, *, only_reads: bool = False) -> MySQLConnection:
        try:
            from apilane_mysql.connection import connect
        except ImportError as error:
            raise ConnectionRefused(f"MySQL needs asyncmy: {INSTALL}") from error
        return await connect(
            self.address,
            limits=self._driver.limits,
            limit=self._driver.group.limit,
            keys=self._keys,
            only_reads=only_reads,
        )

    async def alter(self, make_unit: Callable[[], Unit[T]]) -> T:
        """Run a unit of schema statements, each of which commits. ``progress`` describes how a stopped unit continues.

        The unit has a separate connection, whose statements have no time limit. Another change of the same database is
        waited for, because both would write to the same progress table.
        """
        connection = await self._connect()
        connection.let_take_long(yes=True)
        try:
            rows = await connection.fetch(_LOCK, (self._lock("/alter"), ALTER_WAIT_S))
            if rows[0][0] != 1:
                raise Unavailable(f"Another process has been changing the tables of {self.address.place} for too long.")
            return await SchemaChange(connection).run(make_unit)
        finally:
            self._keys.clear()
            await connection.close()

    async def change_mark(self) -> Value:
        """Always None: the server has no commit counter that is cheaper to read than the tables."""
        return None

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        """A named lock of the server, whose name includes the database. It is held on a separate connection."""
        connection = await self._connect()
        try:
            rows = await connection.fetch(_LOCK, (self._lock(name), 0))
            yield rows[0][0] == 1
        finally:
            await connection.close()

    def _lock(self, name: str) -> str:
        key = blake2b(f"{self.address.database}/{name}".encode(), digest_size=24, person=b"apilane").hexdigest()
        return f"apilane-{key}"

    async def diagnose(self) -> Sequence[Finding]:
        """Version, character set, rights, TLS, tables of other programs, and connections."""
        from apilane_mysql.diagnosis import diagnose

        connection = await self._connect()
        try:
            return await diagnose(connection, self._driver.group.limit)
        finally:
            await connection.close()
