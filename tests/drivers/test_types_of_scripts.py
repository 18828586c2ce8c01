"""Values of every column type come out of custom SQL as the tables of the protocol page say, through each driver.

``docs/reference/protocol/query-language.md`` section 8.5: each row of its tables is a test.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pymysql
import pytest

from apilane.model.json import encode_json
from apilane.plugin.storage import Driver, ScriptStep, StorageError, read_script
from apilane.testing.conformance import DriverCase
from apilane.testing.conformance.case import open_database
from apilane.testing.plugin import ServerUrl
from apilane_mysql import MySQLDriver
from apilane_mysql import provision as mysql
from apilane_mysql.address import read_address
from apilane_postgresql import PostgreSQLDriver
from apilane_postgresql import provision as postgresql
from apilane_sqlite import SQLiteDriver
from apilane_sqlserver import SQLServerDriver
from apilane_sqlserver import provision as sqlserver
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "reference" / "protocol" / "query-language.md"


def rows(provider: str) -> list[tuple[str, str, str]]:
    """Type, value and answer of each row of a provider's table."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n#### {provider}\n")[2].partition("\n####")[0]
    return re.findall(r"^\| (`[^|]+|any) \| `(.+)` \| `(.+)` \|$", section, re.MULTILINE)


async def _answer(driver: Driver, address: str, text: str = "SELECT v FROM given") -> str:
    """The value of the column as it is sent to callers."""
    try:
        (result,) = (await driver.session(address).run_script(ScriptStep(read_script(text, driver.dialect), {}))).sets
    finally:
        await driver.close()
    ((value,),) = result.rows
    return encode_json(bool(value) if result.booleans == (0,) else value).decode()


def _type(cell: str) -> str:
    return "" if cell == "any" else cell.split("`")[1]


@pytest.mark.parametrize(("type", "value", "answer"), rows("SQLite"))
def test_sqlite(tmp_path: Path, type: str, value: str, answer: str) -> None:
    """A value of SQLite has the form of the table."""
    with closing(apsw.Connection(str(tmp_path / "data.db"))) as connection:
        connection.execute(f"CREATE TABLE given (v {_type(type)}); INSERT INTO given VALUES ({value})")
    assert asyncio.run(_answer(SQLiteDriver(), str(tmp_path / "data.db"))) == answer


def test_sqlite_text_that_is_no_text(tmp_path: Path) -> None:
    """A text that is not UTF-8 is a clear error, and its bytes can be read as a BLOB."""
    path = str(tmp_path / "data.db")
    with closing(apsw.Connection(path)) as connection:
        connection.execute("CREATE TABLE given (v TEXT); INSERT INTO given VALUES (CAST(x'ff41' AS TEXT))")
    with pytest.raises(StorageError, match=r"not UTF-8.*AS BLOB"):
        asyncio.run(_answer(SQLiteDriver(), path))
    assert asyncio.run(_answer(SQLiteDriver(), path, "SELECT CAST(v AS BLOB) FROM given")) == '"/0E="'


@pytest.fixture(scope="module")
def mysql_database(server_url: ServerUrl) -> Iterator[str]:
    """An empty database of MySQL or MariaDB."""
    address = mysql.fresh_database(server_url("mysql"))
    yield address
    mysql.drop_database(address)


def _mysql(address: str) -> Any:
    place = read_address(address)
    account = {"host": place.host, "port": place.port, "user": place.user, "password": place.password}
    return closing(pymysql.connect(**account, database=place.database, autocommit=True))


@pytest.mark.parametrize(("type", "value", "answer"), rows("MySQL and MariaDB"))
def test_mysql(mysql_database: str, type: str, value: str, answer: str) -> None:
    """A value of MySQL or MariaDB has the form of the table, also one that only a lax server stored."""
    with _mysql(mysql_database) as connection:
        cursor = connection.cursor()
        if "(MariaDB)" in type and "mariadb" not in connection.get_server_info().lower():
            pytest.skip(f"this server has no {type}")
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        cursor.execute("DROP TABLE IF EXISTS given")
        cursor.execute(f"CREATE TABLE given (v {_type(type)})")
        cursor.execute(f"INSERT INTO given VALUES ({value})")
    assert asyncio.run(_answer(MySQLDriver(), mysql_database)) == answer


def test_mysql_vectors(mysql_database: str) -> None:
    """A VECTOR column, which the client library cannot read, is a clear error; its bytes can be read as hex."""
    with _mysql(mysql_database) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS given")
        try:
            cursor.execute("CREATE TABLE given (v VECTOR(2))")
            cursor.execute("INSERT INTO given VALUES (STRING_TO_VECTOR('[1,2]'))")
        except pymysql.err.MySQLError as error:
            pytest.skip(f"this server has no vectors: {error}")
    with pytest.raises(StorageError, match="VECTOR_TO_STRING or HEX"):
        asyncio.run(_answer(MySQLDriver(), mysql_database))
    assert asyncio.run(_answer(MySQLDriver(), mysql_database, "SELECT HEX(v) FROM given")) == '"0000803F00000040"'


@pytest.fixture(scope="module")
def postgresql_database(server_url: ServerUrl) -> Iterator[str]:
    """A database of PostgreSQL with the types that the page names."""
    server = server_url("postgresql")
    address = asyncio.run(postgresql.fresh_database(server))
    types = re.findall(r"`(CREATE\sTYPE[^`]+)`", PAGE.read_text(encoding="utf-8"))
    asyncio.run(postgresql.execute(address, "; ".join(types)))
    yield address
    asyncio.run(postgresql.drop_database(address, server))


@pytest.mark.parametrize(("type", "value", "answer"), rows("PostgreSQL"))
def test_postgresql(postgresql_database: str, type: str, value: str, answer: str) -> None:
    """A value of PostgreSQL has the form of the table, also one that Python's types cannot hold."""
    make = f"DROP TABLE IF EXISTS given; CREATE TABLE given (v {_type(type)}); INSERT INTO given VALUES ({value})"
    asyncio.run(postgresql.execute(postgresql_database, make))
    assert asyncio.run(_answer(PostgreSQLDriver(), postgresql_database)) == answer


@pytest.fixture(scope="module")
def sqlserver_database(server_url: ServerUrl) -> Iterator[str]:
    """A database of SQL Server with tables, and so with the user that runs scripts."""
    server = server_url("sqlserver")
    case = DriverCase(make_driver=SQLServerDriver, fresh_address=lambda: sqlserver.fresh_database(server))
    with asyncio.Runner() as runner:
        database = open_database(case, runner)
        yield database.address
        database.close()
        sqlserver.drop_database(database.address)


@pytest.mark.parametrize(("type", "value", "answer"), rows("SQL Server"))
def test_sqlserver(sqlserver_database: str, type: str, value: str, answer: str) -> None:
    """A value of SQL Server has the form of the table."""
    text = f"SELECT CAST({value} AS {_type(type)}) AS v"
    assert asyncio.run(_answer(SQLServerDriver(), sqlserver_database, text)) == answer
