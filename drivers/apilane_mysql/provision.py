"""Fresh databases for tests, by PyMySQL: short blocking work that needs no event loop."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pymysql

from apilane_mysql.address import read_address

__all__ = ["administer", "drop_database", "end_connections", "fresh_database"]


def administer(server: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements on the server of a URL whose user has the rights; returns the rows of the last one."""
    url = urlsplit(server)
    address = read_address(urlunsplit(url._replace(path=url.path if url.path.strip("/") else "/mysql")))
    with closing(
        pymysql.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            charset="utf8mb4",
            autocommit=True,
        )
    ) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall() or ())


def fresh_database(server: str) -> str:
    """The address of a new, empty database on the server at the URL ``server``, whose user may create databases."""
    name = f"apilane_{uuid4().hex[:16]}"
    administer(server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def drop_database(address: str) -> None:
    """Drop a database made by ``fresh_database``, even while it is in use."""
    name = read_address(address).database
    end_connections(address)
    administer(address, f"DROP DATABASE IF EXISTS `{name}`")


def end_connections(address: str) -> None:
    """End every connection to the database at ``address``, as a restart of its server does."""
    name = read_address(address).database
    listed = f"SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{name}' AND ID <> CONNECTION_ID()"  # noqa: S608  # name made by fresh_database
    for _ in range(500):
        found = administer(address, listed)
        if not found:
            return
        for (number,) in found:
            try:
                administer(address, f"KILL {number}")
            except pymysql.err.OperationalError as error:
                if error.args[0] != 1094:  # already ended
                    raise
    raise TimeoutError(f"connections to {name} did not end")
