"""Creates, changes and drops databases for tests, on separate connections."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg

from apilane_postgresql.address import read_address, tls_url

__all__ = ["drop_database", "end_connections", "execute", "fresh_database"]


async def fresh_database(server: str) -> str:
    """The address of a new, empty database on the server at the URL ``server``, whose user may create databases."""
    name = f"apilane_{uuid4().hex[:16]}"
    await execute(_on(server, "postgres"), f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    return _on(server, name)


async def drop_database(address: str, server: str) -> None:
    """Drop a database made by ``fresh_database``, even while it is in use."""
    name = read_address(address).database
    await execute(_on(server, "postgres"), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def end_connections(address: str) -> None:
    """End every other connection to a database, and wait until they have ended."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    connection = await _connected(address)
    try:
        await connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
        while await connection.fetchval(f"SELECT count(*) {others}"):  # noqa: ASYNC110  # the server has no event for it
            await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def execute(address: str, text: str) -> None:
    """Run statements on a new connection."""
    connection = await _connected(address)
    try:
        await connection.execute(text)
    finally:
        await connection.close()


def _on(server: str, database: str) -> str:
    """The server's URL with another database."""
    start, mark, options = server.partition("?")
    scheme, _, rest = start.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{database}{mark}{options}"


async def _connected(text: str) -> asyncpg.Connection[asyncpg.Record]:
    address = read_address(text)
    return await asyncpg.connect(
        tls_url(address),
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password or None,
        database=address.database,
    )
