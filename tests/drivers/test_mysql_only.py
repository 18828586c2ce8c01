"""Behaviour that only MySQL has: bad input at the server, hanging servers, limits, and refused custom SQL."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator, Iterator
from functools import partial
from time import monotonic
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from asyncmy.errors import OperationalError

from apilane.model.definition import Entity, Property, Unique
from apilane.model.migration import Migration
from apilane.sql.script import read_script
from apilane.sql.statement import Statement
from apilane.storage.errors import (
    ConnectionRefused,
    Deadlock,
    StatementTimeout,
    StorageError,
    Unavailable,
    UniqueViolation,
    ValueTooLong,
)
from apilane.storage.protocol import Result, ScriptStep, Step
from apilane.testing.conformance.tables import ENTITIES, key
from apilane.testing.plugin import ServerUrl
from apilane_mysql import MySQLDriver
from apilane_mysql.guard import Judged, judge
from apilane_mysql.provision import administer, drop_database, fresh_database

ONE = Statement("SELECT 1")
SLOW = Statement("SELECT SLEEP(30)")


@pytest.fixture
def address(server_url: ServerUrl) -> Iterator[str]:
    """An empty database."""
    made = fresh_database(server_url("mysql"))
    yield made
    drop_database(made)


@pytest.fixture
def limited(address: str) -> Iterator[Callable[[str], str]]:
    """Makes a user with some rights on the database, and returns the address with that user."""
    made: list[str] = []
    database = address.rpartition("/")[2]

    def make(rights: str, more: str = "") -> str:
        name = f"u{uuid4().hex[:12]}"
        made.append(name)
        administer(
            address,
            f"CREATE USER {name}@'%' IDENTIFIED BY 'Limited-pw-1' {more}",
            f"GRANT {rights} ON {database}.* TO {name}@'%'",
        )
        url = urlsplit(address)
        return urlunsplit(url._replace(netloc=f"{name}:Limited-pw-1@{url.hostname}:{url.port}"))

    yield make
    for name in made:
        administer(address, f"DROP USER {name}@'%'")


def _unit(*texts: str) -> Callable[[], Generator[Step, Result, None]]:
    def unit() -> Generator[Step, Result, None]:
        for text in texts:
            yield Step(Statement(text, kind="ddl"))

    return unit


def test_user_without_rights_to_change_tables(address: str, limited: Callable[[str], str]) -> None:
    """Changing tables is refused, the message names user and setting, nothing is changed; doctor says what to grant."""
    poor = limited("SELECT, INSERT, UPDATE, DELETE")

    async def scenario() -> None:
        driver = MySQLDriver()
        session = driver.session(poor)
        texts = driver.dialect.migrate(Migration((), ENTITIES))
        with pytest.raises(ConnectionRefused, match="Grant it all privileges") as caught:
            await session.alter(_unit(*texts))
        assert "Limited-pw-1" not in str(caught.value)
        serious = [finding for finding in await session.diagnose() if finding.serious]
        assert "CREATE" in serious[0].advice
        await driver.close()

    asyncio.run(scenario())
    assert administer(address, f"SHOW TABLES FROM {address.rpartition('/')[2]}") == []


def test_two_changes_at_once(address: str) -> None:
    """Two processes that make the same tables run one after the other: one makes them, the other finds them made."""

    async def scenario() -> None:
        drivers = [MySQLDriver(), MySQLDriver()]
        texts = drivers[0].dialect.migrate(Migration((), ENTITIES))
        changes = [driver.session(address).alter(_unit(*texts)) for driver in drivers]
        (failure,) = (end for end in await asyncio.gather(*changes, return_exceptions=True) if end is not None)
        assert isinstance(failure, StorageError)
        assert "already exists" in str(failure)
        assert not isinstance(failure, UniqueViolation)
        for driver in drivers:
            await driver.close()

    asyncio.run(scenario())
    database = address.rpartition("/")[2]
    assert administer(address, f"SELECT COUNT(*) FROM {database}.H_Schema_Progress") == [(0,)]
    assert len(administer(address, f"SHOW TABLES FROM {database}")) == len(ENTITIES) + 1


def test_deadlock_of_lone_inserts(address: str) -> None:
    """A lone insert that is a deadlock victim runs again, and its connection serves the next caller.

    Two callers wait for the same key while a third one releases it: each then waits for the other.
    """

    async def scenario() -> None:
        driver = MySQLDriver()
        session = driver.session(address)
        await session.alter(_unit("CREATE TABLE Codes (ID BIGINT AUTO_INCREMENT PRIMARY KEY, Code INT UNIQUE)"))
        holder = (await session._connect()).raw
        for code in range(10):
            await holder.begin()
            await holder.query(f"INSERT INTO Codes (Code) VALUES ({code})")
            text = f"INSERT INTO Codes (Code) VALUES ({code})"
            both = [asyncio.ensure_future(session.run(_unit(text), single=True)) for _ in range(2)]
            await asyncio.sleep(0.05)
            await holder.rollback()
            answers = await asyncio.gather(*both, return_exceptions=True)
            assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", "UniqueViolation"]
        holder.close()
        connections = [await session.pool.acquire() for _ in range(2)]
        for code, connection in enumerate(connections, 10):
            await connection.execute(Step(Statement(f"INSERT INTO Codes (Code) VALUES ({code})", kind="insert")))
            session.pool.release(connection)
        rows = await session.fetch(Statement("SELECT Code FROM Codes ORDER BY Code"))
        assert [row[0] for row in rows] == list(range(12))
        await driver.close()

    asyncio.run(scenario())


def test_commit_that_fails(address: str) -> None:
    """A connection whose COMMIT failed, for example by a cluster conflict, is not used again."""

    async def scenario() -> None:
        driver = MySQLDriver()
        connection = await driver.session(address)._connect()

        async def conflict() -> None:
            raise OperationalError(1213, "Deadlock found when trying to get lock")

        await connection.begin()
        connection.raw.commit = conflict
        with pytest.raises(Deadlock):
            await connection.commit()
        assert not connection.usable
        await connection.close()
        await driver.close()

    asyncio.run(scenario())


def test_connection_limit_of_the_server(limited: Callable[..., str]) -> None:
    """At the server's limit further callers get an error with the setting's name, and are served after it is over."""
    single = limited("ALL", "WITH MAX_USER_CONNECTIONS 1")

    async def scenario() -> None:
        driver = MySQLDriver(connections=4)
        session = driver.session(single)
        slow = asyncio.ensure_future(session.fetch(Statement("SELECT SLEEP(1)")))
        await asyncio.sleep(0.4)
        with pytest.raises(Unavailable, match="database_connections"):
            await session.fetch(ONE)
        await slow
        assert await session.fetch(ONE)
        await driver.close()

    asyncio.run(scenario())


def test_full_pool(address: str) -> None:
    """A caller that waits too long for a connection of the pool gets an error that names the setting."""

    async def scenario() -> None:
        driver = MySQLDriver(connections=1, wait_s=0.2)
        session = driver.session(address)
        slow = asyncio.ensure_future(session.fetch(Statement("SELECT SLEEP(1)")))
        await asyncio.sleep(0.4)
        with pytest.raises(Unavailable, match="database_connections"):
            await session.fetch(ONE)
        await slow
        await driver.close()

    asyncio.run(scenario())


def test_hanging_server(address: str) -> None:
    """A server that accepts the connection and never answers, or stops within an answer, costs only the time limit."""

    async def scenario() -> None:
        silent = socket.create_server(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        driver = MySQLDriver(statement_timeout_s=0.5)
        begun = monotonic()
        with pytest.raises(ConnectionRefused, match=f":{port} did not answer within 1 s"):
            await driver.session(f"mysql://u:p@127.0.0.1:{port}/d?connect-timeout=1").fetch(ONE)
        session = driver.session(address)
        with pytest.raises(StatementTimeout):
            await session.fetch(SLOW)
        assert monotonic() - begun < 10
        assert await session.fetch(ONE)
        await driver.close()
        silent.close()

    asyncio.run(scenario())
    left = administer(
        address, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(30)%'"
    )
    assert left == [(0,)]


def test_values_over_the_packet(address: str) -> None:
    """A statement over ``max_allowed_packet`` is ValueTooLong with its column, wherever it runs; later calls work."""

    async def scenario() -> None:
        driver = MySQLDriver()
        session = driver.session(address)

        def unit(*steps: Step) -> Generator[Step, Result, None]:
            for step in steps:  # noqa: UP028 -- a tuple cannot receive the results
                yield step

        table = Statement("CREATE TABLE packets (ID BIGINT PRIMARY KEY AUTO_INCREMENT, Body LONGTEXT)", kind="ddl")
        await session.alter(lambda: unit(Step(table)))
        ((most,),) = await session.fetch(Statement("SELECT @@max_allowed_packet"))
        small = Step(Statement("INSERT INTO packets (Body) VALUES ('small')", kind="insert"))
        insert = Statement("INSERT INTO packets (Body) VALUES (%s)", ("Body",), kind="insert")
        update = Statement("UPDATE packets SET Body = %s WHERE ID = %s", ("new_Body", "id"), kind="update")
        for size in (most, most + 10, 2 * most):
            text = "x" * size
            for step in (Step(insert, (text,)), Step(update, (text, 1))):
                for steps in ((step,), (small, step)):
                    with pytest.raises(ValueTooLong) as caught:
                        await session.run(partial(unit, *steps), single=len(steps) == 1)
                    assert caught.value.columns == ("Body",)
            with pytest.raises(ValueTooLong):
                await session.fetch(Statement("SELECT ID FROM packets WHERE Body = %s"), (text,))
            assert await session.fetch(Statement("SELECT count(*) FROM packets")) == ((0,),)
        await session.run(partial(unit, Step(insert, ("x" * (most // 2),))))
        await driver.close()

    asyncio.run(scenario())


def test_session_settings(address: str) -> None:
    """Modes, time zone, character set and isolation do not depend on the server; one statement at a time."""

    async def scenario() -> None:
        driver = MySQLDriver()
        session = driver.session(address)
        ((modes, zone, charset, infile),) = await session.fetch(
            Statement("SELECT @@sql_mode, @@time_zone, @@character_set_connection, 'x\\'y'")
        )
        assert "STRICT_ALL_TABLES" in modes
        assert "NO_BACKSLASH_ESCAPES" not in modes
        assert (zone, charset, infile) == ("+00:00", "utf8mb4", "x'y")
        with pytest.raises(StorageError):
            await session.fetch(Statement("SELECT 1; SELECT 2"))
        await driver.close()

    asyncio.run(scenario())


def test_tls_that_is_not_there(address: str) -> None:
    """A certificate that cannot be verified, or a server without TLS, is refused if the mode requires it."""

    async def scenario() -> None:
        driver = MySQLDriver()
        for mode in ("verify-ca", "verify-identity"):
            with pytest.raises(ConnectionRefused, match=r"TLS|(?i:certificate)|ssl"):
                await driver.session(f"{address}?ssl-mode={mode}").fetch(ONE)
        assert await driver.session(f"{address}?ssl-mode=disabled").fetch(ONE)
        with pytest.raises(ConnectionRefused, match="ssl-mode=sometimes"):
            driver.session(f"{address}?ssl-mode=sometimes")
        with pytest.raises(ConnectionRefused, match="ssl-ca"):
            await driver.session(f"{address}?ssl-mode=verify-ca&ssl-ca=/nowhere.pem").fetch(ONE)
        await driver.close()

    asyncio.run(scenario())


def test_what_it_cannot_store_is_named() -> None:
    """Too long Strings, keys and rows, and uniqueness without a Maximum are reported with their place."""
    entity = Entity(
        name="Many",
        properties=(
            key(),
            Property(name="Huge", maximum=20_000),
            Property(name="Endless"),
            Property(name="Long", maximum=900),
        ),
        constraints=(Unique(properties=("Endless",)), Unique(properties=("Long",))),
    )
    wide = Entity(name="Wide", properties=(key(), *(Property(name=f"T{n}", maximum=9000) for n in "abc")))
    places = dict(MySQLDriver().dialect.problems((entity, wide, *ENTITIES)))
    assert list(places) == [
        "Entities[Many].Properties[Huge].Maximum",
        "Entities[Many].Constraints[Unique Endless]",
        "Entities[Many].Constraints[Unique Long]",
        "Entities[Wide].Properties",
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT LOAD_FILE('/etc/passwd')",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "LOAD DATA INFILE '/tmp/x' INTO TABLE Things",
        "SELECT * FROM mysql.user",
        "SELECT * FROM information_schema.TABLES",
        "SELECT mysql.user.Host FROM Things",
        "SET GLOBAL max_connections = 1",
        "SET @a = 1",
        "SELECT @@version",
        "SELECT @a := 1",
        "SELECT GET_LOCK('a', 1)",
        "SELECT SLEEP(1)",
        "SELECT BENCHMARK(1000000, MD5('a'))",
        "SELECT my_own_function(1)",
        "CALL p()",
        "PREPARE s FROM 'DROP TABLE Things'",
        "EXECUTE IMMEDIATE 'DROP TABLE Things'",
        "DO SLEEP(1)",
        "HANDLER Things OPEN",
        "LOCK TABLES Things WRITE",
        "KILL 1",
        "USE mysql",
        "SHOW GRANTS",
        "EXPLAIN ANALYZE SELECT 1",
        "BEGIN",
        "XA START 'a'",
        "SAVEPOINT a",
        "GRANT ALL ON *.* TO x",
        "SELECT /*+ SET_VAR(sql_mode = '') */ 1",
        "UPDATE Things, Users SET Password = 'x'",
        "UPDATE Things t JOIN Users u ON 1 = 1 SET u.Password = 'x'",
        "UPDATE Users SET Roles = 'x' WHERE Password LIKE 'a%'",
        "DELETE FROM Users WHERE Password LIKE 'a%'",
        "DELETE Users FROM Users JOIN Things ON Users.Password = Things.Name",
        "REPLACE INTO Users (ID) VALUES (1)",
        "INSERT INTO Things (ID) VALUES (1) ON DUPLICATE KEY UPDATE Name = (SELECT COUNT(*) FROM mysql.user)",
        "REVOKE ALL ON *.* FROM x",
        "SELECT TIMESTAMPDIFF(`DAY, NOW(), NOW()), SLEEP(2), TIMESTAMPDIFF(DAY`, NOW(), NOW())",
        "SELECT EXTRACT(`DAY FROM NOW()), (SELECT Host FROM mysql.user), EXTRACT(DAY` FROM NOW())",
        "SELECT CAST('a' AS CHAR CHARACTER SET `utf8mb4), SLEEP(2), (1`)",
        "SELECT * FROM Things USE INDEX FOR `JOIN (a), (SELECT SLEEP(2)) x` (`PRIMARY`)",
        "UPDATE Things a JOIN (H_Schema s) ON 1 = 1 SET s.Version = 9",
        "UPDATE Things a JOIN Things b JOIN H_Schema s ON 1 = 1 ON 1 = 1 SET s.Version = 9",
        "DELETE s FROM Things a JOIN Things b JOIN H_Schema s ON 1 = 1 ON 1 = 1",
        "UPDATE Users SET Ema\u0130l = 'x'",
        "SELECT STRING_TO_ARRAY(1)",
        "SELECT CURRENT_USER",
        "SELECT ?",
    ],
)
@pytest.mark.better("B-Q11")
def test_custom_sql_is_refused(sql: str) -> None:
    """Other databases, files, waiting, locks, variables, other statements and secrets are refused before they run."""
    with pytest.raises(StorageError):
        judge(sql, {"users": ("ID", "Password")})
    assert MySQLDriver().dialect.script_problems(read_script(sql, MySQLDriver().dialect), ())


def test_names_that_hold_sql_are_judged_as_sql() -> None:
    """SQL inside a name that the parser would write without quotes is masked like other SQL."""
    sql = "SELECT EXTRACT(`DAY FROM NOW()), (SELECT Password FROM Users), EXTRACT(DAY` FROM NOW())"
    (judged,) = judge(sql, {"users": ("ID", "Password")})
    assert "(SELECT `ID`, NULL AS `Password` FROM `USERS`)" in judged.text


def test_times_of_scripts(address: str) -> None:
    """A TIME comes out as the server writes it, also a negative one and one of more than a day."""

    async def scenario() -> None:
        driver = MySQLDriver()
        texts = ["-00:30:00", "26:00:00", "838:59:59", "00:00:01.5", "-100:00:00"]
        columns = ", ".join(f"CAST('{text}' AS TIME(6)) AS t{number}" for number, text in enumerate(texts))
        script = read_script(f"SELECT {columns}", driver.dialect)
        (result,) = (await driver.session(address).run_script(ScriptStep(script, {}))).sets
        assert [tuple(row) for row in result.rows] == [tuple(texts)]
        await driver.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "sql",
    [
        "SET @kept = 1", "SET SESSION sql_mode = ''", "SET @@session.time_zone = '+01:00'", "SELECT @kept := 1",
        "SELECT 1 INTO @kept", "SELECT @kept", "CREATE TEMPORARY TABLE kept (a INT)", "PREPARE kept FROM 'SELECT 1'",
        "LOCK TABLES Things READ", "SELECT GET_LOCK('kept', 1)", "HANDLER Things OPEN", "SELECT NEXTVAL(kept)",
        "SELECT SETVAL(kept, 1)", "SELECT LASTVAL(kept)", "SELECT my_function()",
    ],
)  # fmt: skip
def test_what_outlives_a_script_is_refused(sql: str) -> None:
    """Nothing that would stay on the pooled connection is admitted."""
    with pytest.raises(StorageError):
        judge(sql, {})


@pytest.mark.parametrize("function", ["LAST_INSERT_ID()", "FOUND_ROWS()", "ROW_COUNT()", "last_insert_id ( )"])
def test_values_do_not_cross_callers(address: str, function: str) -> None:
    """What a script stores with LAST_INSERT_ID(n), or counts, is not told to the next script on that connection."""

    async def scenario() -> None:
        driver = MySQLDriver()

        async def told(sql: str) -> object:
            script = ScriptStep(read_script(sql, driver.dialect), {})
            return (await driver.session(address).run_script(script)).sets[-1].rows[0][0]

        for _ in range(3):
            assert await told("SELECT LAST_INSERT_ID(4711)") == 4711
            await told("SELECT 1 UNION SELECT 2 UNION SELECT 3")
            assert await told(f"SELECT {function}") in {0, 1, -1}
        assert await told("SELECT LAST_INSERT_ID(5); SELECT LAST_INSERT_ID()") == 5
        await driver.close()

    asyncio.run(scenario())


_TYPED = (
    "CAST(1.1 AS FLOAT)", "1e0 / 3", "CAST(1 AS UNSIGNED)", "~0", "CAST('12.50' AS DECIMAL(10,2))", "b'101'", "TRUE",
    "CAST('2026-01-31' AS DATE)", "CAST('2026-01-31 10:20:30.5' AS DATETIME(3))", "CAST('-26:00:00' AS TIME)", "'é😀'",
    "x'00ff'", "CAST('a' AS BINARY)", "NULL", "JSON_OBJECT('a', 1.5)", "YEAR('2026-01-31')", "{A}", "{A} + 1",
    "{A} / 2", "CONCAT({T}, '!')", "{T} = 'X'", "COUNT(*)", "AVG({A})", "-0.0", "COALESCE({A}, {T})",
)  # fmt: skip


@pytest.mark.parametrize("expression", _TYPED)
def test_values_of_known_scripts(address: str, expression: str) -> None:
    """A value of any type is the same at the first run of a script, as text, and later, from a prepared statement."""

    async def scenario() -> None:
        driver = MySQLDriver()
        script = read_script(f"SELECT {expression} AS v", driver.dialect)
        for values in ({"A": 5, "T": "x"}, {"A": None, "T": None}, {"A": -(2**63), "T": "\\'%"}):
            outcomes = []
            for _ in range(4):
                try:
                    found = (await driver.session(address).run_script(ScriptStep(script, values))).sets[0]
                    ((value,),) = found.rows
                    outcomes.append((type(value), value, found.columns, found.booleans))
                except StorageError as error:
                    outcomes.append((type(error), str(error), (), ()))
            assert outcomes[1:] == outcomes[:-1]
        await driver.close()

    asyncio.run(scenario())


def test_known_scripts_cannot_write(address: str) -> None:
    """A script that only reads runs on a connection whose server refuses writes, even with wrong notes."""

    async def scenario() -> None:
        driver = MySQLDriver()
        session = driver.session(address)
        await session.alter(_unit(*driver.dialect.migrate(Migration((), ENTITIES))))
        step = ScriptStep(read_script("SELECT ID FROM Makers", driver.dialect), {})
        await session.run_script(ScriptStep(read_script("INSERT INTO Makers (Name) VALUES ('a')", driver.dialect), {}))
        await session.run_script(step)
        notes: Any = step.script.notes
        assert notes.one_read
        for text in (
            "DELETE FROM `Makers`",
            "INSERT INTO `Makers` (`Name`) VALUES ('b')",
            "UPDATE Makers SET Name = 'c'",
        ):
            notes.statements, notes.one_read = [Judged(text, (), None, writes=False, only_reads=True)], True
            with pytest.raises(StorageError):
                await session.run_script(step)
        assert [tuple(row) for row in await session.fetch(Statement("SELECT Name FROM Makers"))] == [("a",)]
        await driver.close()

    asyncio.run(scenario())


def test_unknown_parameters_are_refused(address: str) -> None:
    """A parameter in another notation is reported, whatever its name."""

    async def scenario() -> None:
        driver = MySQLDriver()
        for sql in ("SELECT :v_Unknown", "SELECT 1 LIMIT :v_Unknown"):
            with pytest.raises(StorageError, match=r"\{Name\}"):
                await driver.session(address).run_script(ScriptStep(read_script(sql, driver.dialect), {}))
        await driver.close()

    asyncio.run(scenario())


def test_executable_comments_do_not_run() -> None:
    """The content of comments is left out: the statement that runs is the one that was checked."""
    (judged,) = judge("SELECT 1 /*! UNION SELECT Password FROM Users */ AS One", {})
    assert "Password" not in judged.text
