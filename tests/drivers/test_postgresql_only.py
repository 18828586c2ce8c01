"""Behaviour that only PostgreSQL has: folding without collations, sequences, indexes, wrong settings, lost servers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator, Iterator
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit

import msgspec
import pytest

from apilane.model.definition import Entity, Index, Property, Unique
from apilane.model.filter import Operator
from apilane.model.text import fold
from apilane.sql.statement import Statement
from apilane.storage.errors import (
    ConnectionRefused,
    NumberOutOfRange,
    StatementTimeout,
    StorageError,
    Unavailable,
    UniqueViolation,
    ValueTooLong,
)
from apilane.storage.protocol import Result, Step
from apilane.testing.conformance import Database, DriverCase
from apilane.testing.conformance.case import open_database
from apilane.testing.conformance.tables import ENTITIES, MAKERS, THINGS, key
from apilane.testing.plugin import ServerUrl
from apilane_postgresql import PostgreSQLDriver
from apilane_postgresql.provision import drop_database, end_connections, execute, fresh_database

MakeDatabase = Callable[..., Database]


@pytest.fixture
def make_db(server_url: ServerUrl) -> Iterator[MakeDatabase]:
    """Databases with separate drivers; keyword arguments go to the driver."""
    server = server_url("postgresql")
    made: list[Database] = []
    with asyncio.Runner() as runner:

        def make(**options: object) -> Database:
            case = DriverCase(
                make_driver=lambda: PostgreSQLDriver(**options),  # type: ignore[arg-type]
                fresh_address=lambda: asyncio.run(fresh_database(server)),
            )
            made.append(open_database(case, runner))
            return made[-1]

        yield make
        for database in made:
            database.close()
            asyncio.run(drop_database(database.address, server))


@pytest.fixture
def db(make_db: MakeDatabase) -> Database:
    """One such database with the driver's default settings."""
    return make_db()


def _on(address: str, **parts: str) -> str:
    """The address with another user, or with options."""
    url = urlsplit(address)
    place = f"{parts.get('user', f'{url.username}:{url.password}')}@{url.hostname}:{url.port}"
    return urlunsplit((url.scheme, place, url.path, parts.get("options", url.query), ""))


def _explained(db: Database, text: str) -> str:
    settings = "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off"

    async def plan() -> str:
        from apilane_postgresql.provision import _connected

        connection = await _connected(db.address)
        try:
            async with connection.transaction():
                await connection.execute(settings)
                return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text}"))
        finally:
            await connection.close()

    return db.wait(plan())


# Letter case


@pytest.mark.better("B-Q3")
def test_every_letter_folds_as_in_python(db: Database) -> None:
    """PostgreSQL and ``fold`` agree on every letter that has case: İ, ß, ẞ, the Kelvin sign, both small sigmas."""
    odd = [
        "\u212a",
        "\u212b",
        "İ",
        "ı",
        "ß",
        "ẞ",
        "k",
        "\u00c5",
        "\u00e5",
        "Σ",
        "σ",
        "ς",
        "ǅ",
        "ǆ",
        "Ǆ",
        "ﬁ",
        "Ω",
        "ω",
        "𐐀",
        "𐐨",
    ]
    ids = {letter: db.insert(Note=f"x{letter}y") for letter in odd}
    for letter in odd:
        expected = [ids[other] for other in odd if fold(other) == fold(letter)]
        for operator, value in (
            ("equal", f"X{letter}Y"),
            ("startswith", f"X{letter}"),
            ("endswith", f"{letter}Y"),
            ("contains", letter),
        ):
            assert db.found("Note", operator, value) == expected, (letter, operator)


def test_filters_use_indexes(db: Database) -> None:
    """ASCII text is found by an index, in short and long columns, and the index gives the order too."""
    long = Entity(name="Longs", properties=(key(), Property(name="Text")), indexes=(Index(("Text",)),))
    db.migrate((*ENTITIES, long))
    assert "lower" in _explained(db, """SELECT 1 FROM "Things" WHERE lower("Name") = 'x'""")
    text = """SELECT 1 FROM "Longs" WHERE "left"(lower("Text"), 500) = "left"('x', 500) AND lower("Text") = 'x'"""
    assert "Index Cond" in _explained(db, text)
    order = 'SELECT 1 FROM "Things" ORDER BY "Made" NULLS FIRST'
    assert "Index" in _explained(db, order)


def test_long_texts_of_an_index(db: Database) -> None:
    """Texts of any length fit an indexed column without a maximum, and differ also beyond the indexed part."""
    long = Entity(name="Longs", properties=(key(), Property(name="Text")), indexes=(Index(("Text",)),))
    db.migrate((*ENTITIES, long))
    texts = ["😀" * 3000 + "a", "😀" * 3000 + "b", "a" * 20_000, "a" * 20_000 + "b"]
    ids = [db.insert(long, Text=text) for text in texts]
    assert [db.found("Text", "equal", text, long) for text in texts] == [[id] for id in ids]
    assert db.found("Text", "startswith", "A" * 20_000, long) == ids[2:]


def test_what_cannot_be_unique_is_refused(db: Database) -> None:
    """Unique without a small enough Maximum, and names longer than PostgreSQL's, are reported before any change."""
    wide = Property(name="Wide", maximum=1000)
    entity = Entity(
        name="Wides",
        properties=(key(), wide, Property(name="Text"), Property(name="N" * 64)),
        constraints=(Unique(properties=("Wide",)), Unique(properties=("Text",))),
    )
    places = [place for place, _ in db.dialect.problems((*ENTITIES, entity))]
    assert places == [
        f"Entities[Wides].Properties[{'N' * 64}]",
        "Entities[Wides].Constraints[Wide]",
        "Entities[Wides].Constraints[Text]",
    ]


# Numbers and keys


def test_fractions_beside_integers(db: Database) -> None:
    """A whole number can be compared with a fraction, and with one beyond 64 bits."""
    ids = [db.insert(Count=n) for n in (1, 2, 3)]
    assert db.found("Count", "greater", Decimal("1.5")) == ids[1:]
    assert db.found("Count", "less", Decimal(2**70)) == ids
    assert db.found("Count", "contains", (Decimal("1.5"), 3)) == [ids[2]]


def test_decimals_read_as_on_every_provider(db: Database) -> None:
    """Trailing zeros are dropped, whole values are integers, and large ones have no exponent."""
    for text in ("12.50", "3.00", "9999999999999.90", "100"):
        db.insert(Price=Decimal(text))
    values = [row[0] for row in db.rows("Price")]
    assert [msgspec.json.Encoder(decimal_format="number").encode(v).decode() for v in values] == [
        "12.5", "3", "9999999999999.9", "100",
    ]  # fmt: skip


def test_violated_limits_name_their_column(db: Database) -> None:
    """A number or text that does not fit names its column."""
    for values, kind in (
        ({"Count": 2**63}, NumberOutOfRange),
        ({"Price": Decimal(10) ** 16}, NumberOutOfRange),
        ({"Name": "x" * 101}, ValueTooLong),
    ):
        with pytest.raises(kind) as caught:
            db.insert(**values)
        assert caught.value.columns == tuple(values)


def test_explicit_ids_beside_generated_ones(db: Database) -> None:
    """Explicit IDs near and far move the sequence past them while others take IDs from it; it never goes back. Every
    caller of the sequence gets an ID. An explicit ID may be taken meanwhile."""

    def unit(step: object) -> object:
        yield step

    async def scenario() -> list[object]:
        steps = [db.inserting(MAKERS, Name="g") for _ in range(60)]
        steps += [db.inserting(MAKERS, Name="e", ID=1000 + n * 7) for n in range(20)]
        runs = (db.session.run(lambda step=step: unit(step), single=True) for step in steps)
        return await asyncio.gather(*runs, return_exceptions=True)

    db.insert(MAKERS, ID=900, Name="near")
    assert db.insert(MAKERS, Name="next") == 901
    db.insert(MAKERS, ID=5, Name="before")
    assert db.insert(MAKERS, Name="next") == 902
    answers = db.wait(scenario())
    assert answers[:60] == [None] * 60
    assert {type(answer) for answer in answers[60:]} <= {type(None), UniqueViolation}
    assert db.insert(MAKERS, Name="last") > 1000 + 19 * 7
    db.insert(MAKERS, ID=10**12, Name="far")
    assert db.insert(MAKERS, Name="beyond") == 10**12 + 1


def test_filter_that_cannot_match(db: Database) -> None:
    """A text that PostgreSQL cannot store matches no row and is no error."""
    id = db.insert(Note="x")
    for value in ("a\0b", "a\ud800"):
        assert db.found("Note", "equal", value) == []
        assert db.found("Note", Operator.NOTCONTAINS, value) == [id]


# Connections


def test_wrong_settings(db: Database) -> None:
    """TLS that the server does not offer, wrong modes and time-outs are refused; the message names the option."""
    for options, named in (
        ("sslmode=verify-full&sslrootcert=/nowhere/root.crt", "sslrootcert"),
        ("sslmode=sometimes", "verify-full"),
        ("timeout=soon", "timeout"),
        ("pooling=true", "pooling"),
    ):
        with pytest.raises(ConnectionRefused, match=named):
            db.wait(db.driver.session(_on(db.address, options=options)).fetch(db.reading("ID").statement))


def test_npgsql_form(db: Database) -> None:
    """The connection strings of 8.7 work."""
    url = urlsplit(db.address)
    text = (
        f"Host={url.hostname};Port={url.port};Database={url.path[1:]};Username={url.username};"
        f"Password={url.password};SSL Mode=Prefer;Timeout=15"
    )
    session = db.driver.session(text)
    assert list(db.wait(session.fetch(db.reading("ID").statement))) == []
    db.wait(session.close())


def test_user_without_rights(db: Database, make_db: MakeDatabase) -> None:
    """A user who may not create tables gets an error from apply and from doctor, and nothing is partly made."""
    user = f"weak_{os.urandom(4).hex()}"
    db.wait(
        execute(db.address, f"CREATE ROLE {user} LOGIN PASSWORD 'weak'; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    )
    try:
        session = db.driver.session(_on(db.address, user=f"{user}:weak"))
        findings = db.wait(session.diagnose())
        assert any(finding.serious and "GRANT CREATE" in finding.advice for finding in findings)
        create = Statement('CREATE TABLE "Mine" ("ID" BIGINT)', kind="ddl")

        def unit() -> object:
            from apilane.storage.protocol import Step

            yield Step(create)

        with pytest.raises(Unavailable, match="lacks a right"):
            db.wait(session.alter(unit))
        db.wait(session.close())
    finally:
        db.wait(execute(db.address, f"DROP ROLE {user}"))


def test_a_schema_with_capitals(db: Database) -> None:
    """Quotes keep the capitals of a schema in both forms of address; without them doctor says that they are needed."""
    db.wait(execute(db.address, 'CREATE SCHEMA "Shop"'))
    url = urlsplit(db.address)
    pairs = (
        f"Host={url.hostname};Port={url.port};Database={url.path[1:]};Username={url.username};Password={url.password}"
    )
    look = Statement("SELECT current_schema()::text")
    for address in (f"{db.address}?search_path=%22Shop%22", f"{pairs};Search Path='\"Shop\"'"):
        session = db.driver.session(address)
        assert [tuple(row) for row in db.wait(session.fetch(look))] == [("Shop",)]
        assert not any(finding.serious for finding in db.wait(session.diagnose()))
        db.wait(session.close())
    session = db.driver.session(f"{db.address}?search_path=Shop")
    (finding,) = [finding for finding in db.wait(session.diagnose()) if finding.serious]
    assert "search_path (Shop)" in finding.text
    assert "%22Shop%22" in finding.advice
    assert "public" not in finding.advice
    db.wait(session.close())


def test_foreign_tables(db: Database) -> None:
    """Doctor reports tables of other programs; if one has a needed name, apply fails and the table stays unchanged."""
    db.wait(
        execute(db.address, 'CREATE TABLE legacy (a int); CREATE TABLE "Taken" (a int); INSERT INTO "Taken" VALUES (1)')
    )
    findings = db.wait(db.session.diagnose())
    assert any("legacy" in finding.text and finding.advice for finding in findings)
    with pytest.raises(StorageError, match="already exists"):
        db.migrate((*ENTITIES, Entity(name="Early", properties=(key(),)), Entity(name="Taken", properties=(key(),))))
    with pytest.raises(StorageError):
        db.wait(execute_checked(db, 'SELECT 1 FROM "Early"'))


async def execute_checked(db: Database, text: str) -> None:
    """A read that raises Apilane's errors."""
    await db.session.fetch(Statement(text))


def test_connection_limit_of_the_server(db: Database, make_db: MakeDatabase) -> None:
    """If the server has no connection left, the message names both settings, and open connections still work."""
    user = f"few_{os.urandom(4).hex()}"
    db.wait(
        execute(
            db.address,
            f"CREATE ROLE {user} LOGIN PASSWORD 'few' CONNECTION LIMIT 1; "
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}",
        )
    )
    try:
        session = db.driver.session(_on(db.address, user=f"{user}:few"))
        read = db.reading("ID").statement

        async def scenario() -> list[object]:
            await session.fetch(read)
            answers = await asyncio.gather(*(session.fetch(read) for _ in range(4)), return_exceptions=True)
            await session.fetch(read)
            return list(answers)

        refused = [answer for answer in db.wait(scenario()) if isinstance(answer, BaseException)]
        assert refused
        assert all(isinstance(e, Unavailable) and "database_connections" in str(e) for e in refused)
        assert all("max_connections" in str(e) for e in refused)
        db.wait(session.close())
    finally:
        db.wait(execute(db.address, f"DROP OWNED BY {user}; DROP ROLE {user}"))


def test_full_pool(make_db: MakeDatabase) -> None:
    """If every connection is in use for too long, the error names the setting, and later calls work again."""
    db = make_db(connections=1, wait_s=0.2)
    slow = Statement("SELECT pg_sleep(0.6)")

    async def scenario() -> None:
        first = asyncio.ensure_future(db.session.fetch(slow))
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable, match="database_connections"):
            await db.session.fetch(db.reading("ID").statement)
        await first
        await db.session.fetch(db.reading("ID").statement)

    db.wait(scenario())


def test_statement_time_limit(make_db: MakeDatabase) -> None:
    """A statement over the limit is a StatementTimeout, and its connection serves the next statement."""
    db = make_db(statement_timeout_s=0.3)
    with pytest.raises(StatementTimeout):
        db.wait(db.session.fetch(Statement("SELECT pg_sleep(5)")))
    assert db.rows("ID") == []


def test_changes_take_their_time(make_db: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of tables may take longer than the statement limit, here and at the server; afterwards limits hold."""
    monkeypatch.setattr("apilane_postgresql.connection.SILENCE_S", 0.1)
    db = make_db(statement_timeout_s=0.3)
    sleeping = Step(Statement("SELECT pg_sleep(1.5)", kind="command"))

    def unit() -> Generator[Step, Result, str]:
        yield sleeping
        return "done"

    assert db.wait(db.session.alter(unit)) == "done"
    with pytest.raises(StatementTimeout):
        db.wait(db.session.run(unit))


def test_connections_that_end_mid_request(db: Database) -> None:
    """Interrupted reads and units run again without the caller; no connection in an unknown state is kept."""

    async def scenario() -> None:
        def unit() -> object:
            from apilane.storage.protocol import Step

            yield db.inserting(Name="unit")
            yield Step(Statement("SELECT pg_sleep(0.3)"))
            yield db.inserting(Name="unit")

        reads = [asyncio.ensure_future(db.session.fetch(Statement("SELECT pg_sleep(0.3)"))) for _ in range(3)]
        units = [asyncio.ensure_future(db.session.run(unit)) for _ in range(3)]
        await asyncio.sleep(0.1)
        await end_connections(db.address)
        await asyncio.gather(*reads, *units)

    db.wait(scenario())
    assert len(db.rows("ID")) == 6


def test_tables_change_under_prepared_statements(db: Database) -> None:
    """Statements prepared before a migration work after it, in reads and in units, on every connection."""
    other = PostgreSQLDriver()
    session = other.session(db.address)
    read = db.reading("ID", "Name", entity=MAKERS).statement

    def unit() -> object:
        yield db.reading("ID", "Name", entity=MAKERS)
        yield db.inserting(MAKERS, Name="m")

    async def use() -> None:
        await asyncio.gather(*(session.fetch(read) for _ in range(5)), *(session.run(unit) for _ in range(5)))

    db.wait(use())
    wider = msgspec.structs.replace(MAKERS, properties=(MAKERS.properties[0], Property(name="Name", maximum=300)))
    db.migrate(tuple(wider if entity is MAKERS else entity for entity in ENTITIES))
    db.wait(use())
    assert len(db.rows("ID", entity=MAKERS)) == 10
    db.wait(other.close())


def test_forked_child(db: Database) -> None:
    """A forked child opens separate connections and does not touch those of its parent."""
    db.insert(Name="parent")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            rows = asyncio.new_event_loop().run_until_complete(db.session.fetch(db.reading("Name").statement))
            code = 0 if [tuple(row) for row in rows] == [("parent",)] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert db.rows("Name") == [("parent",)]


def test_cancelled_caller_rolls_back(db: Database) -> None:
    """A caller that leaves within a statement leaves no row, no lock and no running statement."""

    async def scenario() -> int:
        def unit() -> object:
            from apilane.storage.protocol import Step

            yield db.inserting(Code="locked")
            yield Step(Statement("SELECT pg_sleep(10)"))

        task = asyncio.ensure_future(db.session.run(unit))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(3):
            await db.session.run(lambda: iter_one(db.inserting(Code="locked")), single=True)
        await asyncio.sleep(0.1)
        rows = await db.session.fetch(
            Statement("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'sleep.10'")
        )
        return int(rows[0][0])

    assert db.wait(scenario()) <= 1  # this query matches its own text
    assert [row[0] for row in db.rows("Code", entity=THINGS)] == ["locked"]


def iter_one(step: object) -> object:
    """A unit of one step."""
    yield step


class Gate:
    """A proxy to the server that can be closed, and can stop answering."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Close it, as a server that stops."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def silence(self, *, silent: bool) -> None:
        (self._open.clear if silent else self._open.set)()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, server_writer}
        await asyncio.gather(self._pump(reader, server_writer), self._pump(server_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
        except OSError:
            pass
        writer.close()


def _through(address: str, port: int) -> str:
    url = urlsplit(address)
    place = f"{url.username}:{url.password}@127.0.0.1:{port}"
    return urlunsplit((url.scheme, place, url.path, "sslmode=disable&timeout=1", ""))


def test_restart(db: Database) -> None:
    """While the server is down callers get an error at once; the first call after its start works."""

    async def scenario() -> None:
        url = urlsplit(db.address)
        gate = Gate(url.hostname or "", url.port or 0)
        await gate.start()
        session = db.driver.session(_through(db.address, gate.port))
        read = db.reading("ID").statement
        await asyncio.gather(*(session.fetch(read) for _ in range(5)))
        gate.stop()
        with pytest.raises(ConnectionRefused, match="cannot be reached"):
            await session.fetch(read)
        await gate.start()
        await session.run(lambda: iter_one(db.inserting(Name="after")), single=True)
        gate.stop()
        await gate.start()
        assert len(await session.fetch(read)) == 1
        await session.close()
        gate.stop()

    db.wait(scenario())


def test_silent_server(make_db: MakeDatabase) -> None:
    """A server that hangs within a request is Unavailable after the limit, and works when it answers again."""
    db = make_db(statement_timeout_s=0.2)

    async def scenario() -> None:
        url = urlsplit(db.address)
        gate = Gate(url.hostname or "", url.port or 0)
        await gate.start()
        session = db.driver.session(_through(db.address, gate.port))
        read = db.reading("ID").statement
        await session.fetch(read)
        gate.silence(silent=True)
        async with asyncio.timeout(15):
            with pytest.raises(Unavailable):
                await session.fetch(read)
            with pytest.raises(ConnectionRefused, match="did not answer"):
                await session.run(lambda: iter_one(db.inserting(Name="silent")))
        gate.silence(silent=False)
        await session.run(lambda: iter_one(db.inserting(Name="after")))
        await session.close()
        gate.stop()

    db.wait(scenario())
    assert [tuple(row) for row in db.rows("Name")] == [("after",)]
