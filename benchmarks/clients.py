"""The client libraries of the floors on database servers: connect, read rows, insert a row; a small class for each.

Each is the library of the product's driver with its own statements; nothing else of the product is used.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import URL

Rows = Sequence[tuple[Any, ...]]
POOL_SIZE = 10


class Client(Protocol):
    """One connection. ``rows`` reads; ``insert`` commits one row and returns its ID; ``execute`` is for cleaning up."""

    @classmethod
    async def connect(cls, url: URL) -> Client: ...

    async def rows(self, text: str, parameters: Sequence[Any]) -> Rows: ...

    async def insert(self, text: str, parameters: Sequence[Any]) -> int: ...

    async def execute(self, text: str) -> None: ...


class Asyncmy:
    """MySQL."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, url: URL) -> Asyncmy:
        import asyncmy  # type: ignore[import-not-found, unused-ignore]

        return cls(
            await asyncmy.connect(
                host=url.host or "127.0.0.1",
                port=url.port or 3306,
                user=url.username,
                password=url.password or "",
                database=url.database,
                charset="utf8mb4",
                autocommit=True,
            )
        )

    async def rows(self, text: str, parameters: Sequence[Any]) -> Rows:
        async with self._connection.cursor() as cursor:
            await cursor.execute(text, parameters)
            found: Rows = await cursor.fetchall()
            return found

    async def insert(self, text: str, parameters: Sequence[Any]) -> int:
        async with self._connection.cursor() as cursor:
            await cursor.execute(text, parameters)
            return int(cursor.lastrowid)

    async def execute(self, text: str) -> None:
        async with self._connection.cursor() as cursor:
            await cursor.execute(text)


class Psycopg:
    """PostgreSQL, if the product's statements use ``%s`` or ``%(name)s``."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, url: URL) -> Psycopg:
        import psycopg  # type: ignore[import-not-found, unused-ignore]

        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return cls(await psycopg.AsyncConnection.connect(address, autocommit=True, prepare_threshold=0))

    async def rows(self, text: str, parameters: Sequence[Any]) -> Rows:
        cursor = await self._connection.execute(text, parameters)
        found: Rows = await cursor.fetchall()
        return found

    async def insert(self, text: str, parameters: Sequence[Any]) -> int:
        cursor = await self._connection.execute(text, parameters)
        return int((await cursor.fetchone())[0]) if cursor.description else 0

    async def execute(self, text: str) -> None:
        await self._connection.execute(text)


class Asyncpg:
    """PostgreSQL, if the product's statements use ``$1``."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, url: URL) -> Asyncpg:
        import asyncpg  # type: ignore[import-untyped, unused-ignore]

        return cls(await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)))

    async def rows(self, text: str, parameters: Sequence[Any]) -> Rows:
        found: Rows = await self._connection.fetch(text, *parameters)
        return found

    async def insert(self, text: str, parameters: Sequence[Any]) -> int:
        return int(await self._connection.fetchval(text, *parameters) or 0)

    async def execute(self, text: str) -> None:
        await self._connection.execute(text)


class Pyodbc:
    """SQL Server; the library has no asynchronous calls, so each call runs in a thread."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, url: URL) -> Pyodbc:
        from apilane_sqlserver.address import read_address
        from apilane_sqlserver.odbc import choose_driver, connection_string, load_pyodbc, packaged_library

        pyodbc = load_pyodbc()
        address = read_address(url.render_as_string(hide_password=False))
        driver = choose_driver(address.driver, pyodbc.drivers(), packaged_library())
        return cls(await asyncio.to_thread(pyodbc.connect, connection_string(address, driver), autocommit=True))

    async def rows(self, text: str, parameters: Sequence[Any]) -> Rows:
        found: Rows = await asyncio.to_thread(lambda: self._connection.execute(text, parameters).fetchall())
        return found

    async def insert(self, text: str, parameters: Sequence[Any]) -> int:
        def work() -> int:
            marks = iter("NULL" if value is None else "?" for value in parameters)  # it would look up a null's type
            whole = re.sub(r"\?", lambda _: next(marks), text)
            cursor = self._connection.execute(whole, [value for value in parameters if value is not None])
            while cursor.description is None:  # row counts precede the ID
                if not cursor.nextset():
                    return 0
            return int(cursor.fetchone()[0])

        return await asyncio.to_thread(work)

    async def execute(self, text: str) -> None:
        await asyncio.to_thread(self._connection.execute, text)


PROVIDERS = {"mysql": "MySQL", "postgresql": "PostgreSQL", "sqlserver": "SQLServer"}
"""Provider names in manifests, by the names of ``--driver``."""


def client_of(driver: str, statement: str) -> type[Client]:
    """The library for this driver whose parameter marks the product's ``statement`` uses."""
    if driver == "mysql":
        return Asyncmy
    if driver == "sqlserver":
        return Pyodbc
    return Asyncpg if "$1" in statement else Psycopg


class Pool:
    """Connections for the requests of one process, opened on first use."""

    def __init__(self, kind: type[Client], url: str, size: int = POOL_SIZE) -> None:
        self._kind, self._url, self._left = kind, sa.make_url(url), size
        self._idle: asyncio.LifoQueue[Client] = asyncio.LifoQueue()

    async def _take(self) -> Client:
        if self._idle.empty() and self._left:
            self._left -= 1
            return await self._kind.connect(self._url)
        return await self._idle.get()

    async def rows(self, text: str, parameters: Sequence[Any]) -> Rows:
        client = await self._take()
        try:
            return await client.rows(text, parameters)
        finally:
            self._idle.put_nowait(client)

    async def insert(self, text: str, parameters: Sequence[Any]) -> int:
        client = await self._take()
        try:
            return await client.insert(text, parameters)
        finally:
            self._idle.put_nowait(client)
