"""Fresh databases for tests, on a server whose login may create them."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import uuid4

from apilane_sqlserver.address import read_address
from apilane_sqlserver.naming import quoted
from apilane_sqlserver.odbc import choose_driver, connection_string, load_pyodbc, packaged_library

__all__ = ["drop_database", "end_connections", "fresh_database"]

PREFIX: Final = "apilane_test_"


def fresh_database(url: str) -> str:
    """The address of a new, empty database on the server at ``url``; the server's certificate is not checked."""
    name = f"{PREFIX}{uuid4().hex}"
    _at_server(
        url,
        f"CREATE DATABASE {quoted(name)}",
        f"ALTER DATABASE {quoted(name)} SET READ_COMMITTED_SNAPSHOT ON",
        f"ALTER DATABASE {quoted(name)} SET DELAYED_DURABILITY = FORCED",
    )
    return _address(url, name)


def drop_database(address: str) -> None:
    """Drop a database made by ``fresh_database``."""
    name = urlsplit(address).path.lstrip("/")
    if not name.startswith(PREFIX):
        raise ValueError("this is not a database of a test")
    _at_server(
        address,
        f"ALTER DATABASE {quoted(name)} SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
        f"DROP DATABASE {quoted(name)}",
    )


def end_connections(address: str) -> None:
    """End every connection to the database at ``address``. Committed data stays, even with delayed durability."""
    name = quoted(urlsplit(address).path.lstrip("/"))
    _at_server(
        address,
        f"EXECUTE {name}.sys.sp_flush_log",
        f"ALTER DATABASE {name} SET OFFLINE WITH ROLLBACK IMMEDIATE",
        f"ALTER DATABASE {name} SET ONLINE",
    )


def _address(url: str, database: str) -> str:
    parts = urlsplit(url)
    options = {"TrustServerCertificate": "yes"} | dict(parse_qsl(parts.query))
    return urlunsplit((parts.scheme, parts.netloc, f"/{database}", urlencode(options), ""))


def _at_server(url: str, *statements: str) -> None:
    address = read_address(_address(url, "master"))
    pyodbc: Any = load_pyodbc()
    driver = choose_driver(address.driver, pyodbc.drivers(), packaged_library())
    connection = pyodbc.connect(connection_string(address, driver), autocommit=True, timeout=15)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()
