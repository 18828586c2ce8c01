"""Changes of tables on MySQL that stop halfway: statements commit one by one; the next apply completes or undoes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.instance import Instance
from apilane.model.definition import Entity, ForeignKey, Index, Property, PropertyType, Unique
from apilane.model.migration import Migration, Renames
from apilane.security.encryption import Cipher
from apilane.services.application_tables import ApplicationTables
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.services.record_survey import Survey
from apilane.sql.statement import Statement
from apilane.storage.errors import ConnectionLost, StorageError
from apilane.storage.protocol import Result, Step
from apilane.testing.client import Client
from apilane.testing.conformance.tables import key
from apilane.testing.plugin import ServerUrl
from apilane.testing.server import CHEAP_PASSWORDS, Server
from apilane_mysql import MySQLDriver
from apilane_mysql.connection import MySQLConnection
from apilane_mysql.provision import administer, drop_database, end_connections, fresh_database

_MAX_STEPS = 12


def _number(name: str) -> Property:
    return Property(name=name, type=PropertyType.Number, decimal_places=0)


BEFORE = (
    Entity(name="Makers", properties=(key(), Property(name="Name", maximum=50), Property(name="Gone", maximum=50))),
    Entity(name="Olds", properties=(key(), _number("Maker")), indexes=(Index(("Maker",)),)),
    Entity(name="Dropped", properties=(key(),)),
)
AFTER = (
    Entity(
        name="Makers",
        properties=(key(), Property(name="Title", maximum=60), Property(name="Fresh", required=True)),
        constraints=(Unique(properties=("Title",)),),
    ),
    Entity(
        name="News",
        properties=(key(), _number("Maker")),
        constraints=(ForeignKey(property="Maker", entity="Makers"),),
    ),
    Entity(name="Created", properties=(key(), Property(name="Text", maximum=40)), indexes=(Index(("Text",)),)),
)
RENAMES = Renames(entities={"News": "Olds"}, properties={("Makers", "Title"): "Name"})
ADDED = (*BEFORE, Entity(name="More", properties=(key(),)), Entity(name="Most", properties=(key(),)))


class Tables:
    """A database whose tables are changed by units that may be stopped after a number of schema statements."""

    def __init__(self, address: str, runner: asyncio.Runner) -> None:
        self.address = address
        self._runner = runner
        self.driver = MySQLDriver()
        self.session = self.driver.session(address)

    def change(self, migration: Migration) -> None:
        texts = self.driver.dialect.migrate(migration)

        def unit() -> Generator[Step, Result, None]:
            for text in texts:
                yield Step(Statement(text, kind="ddl"))

        self._runner.run(self.session.alter(unit))

    def state(self) -> list[object]:
        """Columns, keys and rows of every table but the record of progress, which must be empty."""
        database = self.address.rpartition("/")[2]
        (progress,) = administer(self.address, f"SELECT COUNT(*) FROM {database}.H_Schema_Progress")
        assert progress == (0,)
        where = f"WHERE TABLE_SCHEMA = '{database}' AND TABLE_NAME <> 'H_Schema_Progress'"
        columns = "TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLLATION_NAME"
        keys = "TABLE_NAME, INDEX_NAME, COLUMN_NAME, NON_UNIQUE"
        references = where.replace("TABLE_SCHEMA", "CONSTRAINT_SCHEMA")
        return [
            administer(self.address, f"SELECT {columns} FROM information_schema.COLUMNS {where} ORDER BY 1, 2"),
            administer(self.address, f"SELECT {keys} FROM information_schema.STATISTICS {where} ORDER BY 1, 2, 3"),
            administer(
                self.address,
                "SELECT CONSTRAINT_NAME, TABLE_NAME, DELETE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS "
                f"{references} ORDER BY 1",
            ),
        ]

    def serious(self) -> str:
        """Doctor's serious findings."""
        return " ".join(each.text for each in self._runner.run(self.session.diagnose()) if each.serious)

    def close(self) -> None:
        self._runner.run(self.driver.close())


@pytest.fixture
def make_tables(server_url: ServerUrl) -> Iterator[Callable[[], Tables]]:
    """Databases with the tables before the change, and two rows."""
    made: list[Tables] = []
    with asyncio.Runner() as runner:

        def make() -> Tables:
            tables = Tables(fresh_database(server_url("mysql")), runner)
            made.append(tables)
            tables.change(Migration((), BEFORE))
            database = tables.address.rpartition("/")[2]
            administer(
                tables.address,
                f"INSERT INTO {database}.Makers (Name) VALUES ('a')",
                f"INSERT INTO {database}.Olds (Maker) VALUES (1)",
            )
            return tables

        yield make
        for tables in made:
            tables.close()
            drop_database(tables.address)


def _stop(monkeypatch: pytest.MonkeyPatch, address: str, at: int, *, after: bool) -> list[int]:
    """End the connection at the schema statement of that number: before it is sent, or after it was executed."""
    execute = MySQLConnection.execute
    seen = [0]

    async def stopping(self: MySQLConnection, step: Step) -> Result:
        text = step.statement.text
        if not text.startswith(("ALTER", "CREATE TABLE `", "DROP", "RENAME")):
            return await execute(self, step)
        seen[0] += 1
        if seen[0] != at:
            return await execute(self, step)
        if after:
            await execute(self, step)
        await asyncio.to_thread(end_connections, address)
        raise ConnectionLost("stopped")

    monkeypatch.setattr(MySQLConnection, "execute", stopping)
    return seen


@pytest.mark.parametrize("after", [False, True])
def test_same_change_is_completed(
    make_tables: Callable[[], Tables], monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """A change stopped at any of its statements is completed by applying it again, with the same outcome."""
    migration = Migration(BEFORE, AFTER, RENAMES)
    whole = make_tables()
    whole.change(migration)
    steps = len(whole.driver.dialect.migrate(migration))
    assert steps <= _MAX_STEPS
    for at in range(1, steps + 1):
        tables = make_tables()
        with monkeypatch.context() as patch:
            _stop(patch, tables.address, at, after=after)
            with pytest.raises(ConnectionLost):
                tables.change(migration)
        tables.change(migration)
        assert tables.state() == whole.state(), at
        database = tables.address.rpartition("/")[2]
        assert administer(tables.address, f"SELECT Title, Fresh FROM {database}.Makers") == [("a", "")]
        assert administer(tables.address, f"SELECT Maker FROM {database}.News") == [(1,)]


@pytest.mark.parametrize("after", [False, True])
def test_additions_are_taken_back(
    make_tables: Callable[[], Tables], monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """A stopped change that only adds is undone when another one is applied, which then succeeds."""
    for at in (1, 2):
        tables = make_tables()
        with monkeypatch.context() as patch:
            _stop(patch, tables.address, at, after=after)
            with pytest.raises(ConnectionLost):
                tables.change(Migration(BEFORE, ADDED))
        tables.change(Migration(BEFORE, AFTER, RENAMES))
        whole = make_tables()
        whole.change(Migration(BEFORE, AFTER, RENAMES))
        assert tables.state() == whole.state()


def test_losses_must_be_completed(make_tables: Callable[[], Tables], monkeypatch: pytest.MonkeyPatch) -> None:
    """After something was dropped, another change is refused, and the message says what to do."""
    tables = make_tables()
    with monkeypatch.context() as patch:
        _stop(patch, tables.address, 4, after=True)
        with pytest.raises(ConnectionLost):
            tables.change(Migration(BEFORE, AFTER, RENAMES))
    with pytest.raises(StorageError, match="Apply that definition again to complete it"):
        tables.change(Migration(BEFORE, ADDED))
    assert "stopped half-way" in tables.serious()
    tables.change(Migration(BEFORE, AFTER, RENAMES))
    assert tables.serious() == ""


def test_refused_statement_leaves_nothing_to_undo(make_tables: Callable[[], Tables]) -> None:
    """A statement that the server refuses does not count as an unfinished change: any other change may follow."""
    tables = make_tables()
    database = tables.address.rpartition("/")[2]
    administer(tables.address, f"INSERT INTO {database}.Makers (Name) VALUES ('a')")
    first, *others = BEFORE
    unique = Entity(name="Makers", properties=first.properties, constraints=(Unique(properties=("Name",)),))
    with pytest.raises(StorageError):
        tables.change(Migration(BEFORE, (unique, *others)))
    tables.change(Migration(BEFORE, ADDED))
    assert tables.state()


def test_a_change_that_stopped_can_be_looked_at(make_tables: Callable[[], Tables]) -> None:
    """The plan that ``apply`` shows first does not prevent completing a change that dropped something."""
    tables = make_tables()
    before = (Entity(name="Makers", properties=(key(), Property(name="Missing"))),)
    after = (Entity(name="Makers", properties=(key(),)),)

    async def survey() -> Survey:
        application = ApplicationTables(MySQLDriver(), tables.address)
        try:
            return await application.survey(Migration(before, after), Cipher(bytes(32)))
        finally:
            await application.close()

    assert asyncio.run(survey()) == Survey({}, ())


TOKEN = "6f1c9a52-8d3b-4f0e-9a71-2b5d8c4e7f10"
OPEN = [{"Entity": "Items", "Role": "ANONYMOUS", "Action": action, "Properties": "*"} for action in ("get", "post")]


def _manifest(address: str, *properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "Apilane": 1,
        "Application": {"Name": "Halfway", "Token": TOKEN, "StorageProvider": "MySQL", "ConnectionString": address},
        "Entities": [{"Name": name, "Properties": [*properties]} for name in ("Items", "Others")],
        "Security": OPEN,
    }


class _KilledError(Exception):
    """Stands for the end of the process that applies."""


@pytest.mark.parametrize("statements", [0, 1, 2])
def test_the_server_carries_a_stopped_change_on(server_url: ServerUrl, tmp_path: Path, statements: int) -> None:
    """An apply that is killed while it renames and drops columns is completed by the server when it is called; no
    call answers ERROR.
    """
    address = fresh_database(server_url("mysql"))
    title, gone = {"Name": "Title"}, {"Name": "Gone", "Type": "Number"}
    old = _manifest(address, title, gone)
    new = _manifest(address, {"Name": "Label", "RenamedFrom": "Title"}, {"Name": "Extra", "Type": "Number"})

    async def die_half_way(instance: Instance) -> None:
        files = [("new.json", json.dumps(new).encode())]
        (plan,) = await plan_files(files, store=instance.store, capabilities=capabilities_of(instance.hooks))
        (stored,) = await instance.store.find(TOKEN)
        assert plan.migration is not None
        await instance.store.begin(plan.after, stored.secrets, stored, "killed", renames=plan.migration.renames)
        driver = instance.hooks.drivers["MySQL"]
        ddl = driver.dialect.migrate(plan.migration)
        assert len(ddl) >= 2

        def unit() -> Generator[Step, Result, None]:
            for text in ddl[:statements]:
                yield Step(Statement(text, kind="ddl"))
            raise _KilledError

        with pytest.raises(_KilledError):
            await driver.session(address).alter(unit)

    with (
        Server(tmp_path / "data", settings=CHEAP_PASSWORDS) as server,
        httpx.Client(trust_env=False, timeout=30) as http,
    ):
        client = Client(http, server.url, server.apply(old))
        (id,) = client.add("Items", {"Title": "kept", "Gone": 1})
        server.with_instance(die_half_way)
        answers = [client.get("Data/GetByID", entity="Items", id=id) for _ in range(3)]
        assert {answer.json().get("Code") for answer in answers} <= {None, "SERVICE_UNAVAILABLE"}
        if statements:
            record = client.record("Items", id)
            assert (record["Label"], record["Extra"]) == ("kept", None)
            assert client.add("Items", {"Label": "new", "Extra": 2})
        server.apply(new)
        assert client.record("Items", id)["Label"] == "kept"
