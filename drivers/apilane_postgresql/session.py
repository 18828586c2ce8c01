"""One database on a server: the pooled session, named locks, and checks that only PostgreSQL has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from apilane.plugin.storage import (
    ConnectionRefused,
    Finding,
    PooledDriver,
    PooledSession,
    Result,
    ServerAddress,
    ServerConnection,
    Statement,
    Step,
    Unit,
    Value,
    drive_async,
    in_transaction,
    repeated,
)

if TYPE_CHECKING:
    from apilane_postgresql.connection import PostgreSQLConnection

__all__ = ["PostgreSQLSession"]

T = TypeVar("T")

INSTALL: Final = "pip install apilane[postgresql]"

_MARK: Final = Statement("SELECT pg_current_snapshot()::text")
_TURN: Final = 1634756716
"""Advisory locks with this number order units after a deadlock; the number has no other meaning."""
_WITHOUT_LIMIT: Final = Step(Statement("SET LOCAL statement_timeout = 0", kind="command"))
_BUT_NOT_FOR_LOCKS: Final = Step(Statement("SET LOCAL lock_timeout = '20s'", kind="command"))


class PostgreSQLSession(PooledSession):
    """See ``apilane.storage.protocol.Session``. Belongs to one event loop; after ``close`` it opens again when used."""

    shares_reads = True
    shares_inserts = True
    turn = Step(Statement(f"SELECT pg_catalog.pg_advisory_xact_lock({_TURN}, pg_catalog.hashtext(current_schema()))"))

    def __init__(self, driver: PooledDriver[Any], address: ServerAddress) -> None:
        self.address = address
        self._driver = driver
        self._constraints: dict[tuple[str, str], tuple[str, ...]] = {}
        super().__init__(driver.group, self._connect, driver.limits.call_s, lambda: self._connect(only_reads=True))

    async def _connect(self, *, only_reads: bool = False) -> PostgreSQLConnection:
        try:
            from apilane_postgresql.connection import connect
        except ImportError as error:
            raise ConnectionRefused(f"PostgreSQL needs asyncpg: {INSTALL}") from error
        return await connect(
            self.address,
            limits=self._driver.limits,
            limit=self._driver.group.limit,
            constraints=self._constraints,
            only_reads=only_reads,
        )

    async def alter(self, make_unit: Callable[[], Unit[T]]) -> T:
        """Run the unit as one transaction: schema statements can be undone. Only waits for locks are limited."""
        self._constraints.clear()

        def unit() -> Generator[Step, Result, T]:
            yield _WITHOUT_LIMIT
            yield _BUT_NOT_FOR_LOCKS
            return (yield from make_unit())

        async def work(connection: ServerConnection) -> T:
            with cast("PostgreSQLConnection", connection).unhurried():
                return await in_transaction(
                    connection, connection.begin, lambda: drive_async(unit(), connection.execute)
                )

        return await repeated(lambda: self._with(work))

    async def change_mark(self) -> Value:
        """The text of the current snapshot: it changes only when a writing transaction of the server ends."""
        return str((await self.fetch(_MARK))[0][0])

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        """An advisory lock of the database, held on a separate connection outside the pool."""
        key = int.from_bytes(blake2b(name.encode(), digest_size=8, person=b"apilane").digest(), signed=True)
        connection = await self._connect()
        try:
            rows = await connection.fetch(Statement("SELECT pg_try_advisory_lock($1)"), (key,))
            yield bool(rows[0][0])
        finally:
            await connection.close()

    async def diagnose(self) -> Sequence[Finding]:
        """Version, encoding, rights, TLS, tables of other programs, and connections."""
        from apilane_postgresql.diagnosis import diagnose

        connection = await self._connect()
        try:
            return await diagnose(connection, self.address, self._driver.group.limit)
        finally:
            await connection.close()
