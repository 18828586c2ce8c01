"""The SQL Server driver on the wire: FreeTDS through pyodbc against a scripted responder.

Also with Microsoft's ODBC driver if the package mssql-python-odbc is installed.

Tests connecting, decoding, parameter types, error translation and reconnection. The meaning of T-SQL can only be tested
on a server: see ``test_sqlserver_conformance``.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from apilane.sql.script import read_script
from apilane.sql.statement import Statement
from apilane.storage.errors import (
    ConnectionLost,
    ConnectionRefused,
    Deadlock,
    ForeignKeyViolation,
    MissingObject,
    NotNullViolation,
    NumberOutOfRange,
    Raised,
    StatementTimeout,
    StorageError,
    Unavailable,
    UniqueViolation,
    Unsupported,
    ValueTooLong,
)
from apilane.storage.protocol import Result, ScriptStep, Step
from apilane_sqlserver import SQLServerDriver
from apilane_sqlserver.odbc import packaged_library

_found = importlib.util.spec_from_file_location("tds_responder", Path(__file__).with_name("tds_responder.py"))
assert _found is not None
assert _found.loader is not None
tds = importlib.util.module_from_spec(_found)
_found.loader.exec_module(tds)


def _missing() -> str:
    try:
        import pyodbc
    except ImportError as error:
        return f"pyodbc cannot be loaded: {error}"
    return "" if "FreeTDS" in pyodbc.drivers() else "FreeTDS is missing (apt-get install tdsodbc unixodbc)"


MISSING = _missing()
READ = Statement("SELECT * FROM T")
INSERT = Statement("DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO T", kind="insert")
UPDATE = Statement("UPDATE T SET A = ?; SELECT @@ROWCOUNT", ("A",), kind="update")
ONE = ("n", "bigint")


@pytest.fixture(autouse=True)
def _freetds(request: pytest.FixtureRequest) -> None:
    if MISSING and "sqlserver" in request.config.getoption("--require-drivers"):
        pytest.fail(MISSING, pytrace=False)
    if MISSING:
        pytest.skip(MISSING)


class Setting:
    """A responder, a driver that connects to it, and a loop."""

    def __init__(self, runner: asyncio.Runner, responder: Any, driver: SQLServerDriver, odbc: str) -> None:
        self.runner = runner
        self.responder = responder
        self.driver = driver
        address = f"sqlserver://sa:s3cr3t%3B%7D@127.0.0.1:{responder.port}/shop?Encrypt=no&Driver={odbc}"
        self.session = driver.session(address)

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def fetch(self, statement: Statement = READ, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.wait(self.session.fetch(statement, parameters))

    def run(self, *steps: Step | ScriptStep, single: bool = False) -> list[Result]:
        def unit() -> Generator[Step | ScriptStep, Result, list[Result]]:
            results = []
            for step in steps:
                results.append((yield step))  # noqa: PERF401  # a comprehension cannot yield
            return results

        return self.wait(self.session.run(unit, single=single))


MakeSetting = Callable[..., Setting]


@pytest.fixture(params=["FreeTDS", *filter(None, [packaged_library()])], ids=lambda name: Path(name).name)
def make(request: pytest.FixtureRequest) -> Iterator[MakeSetting]:
    """Settings by the answers of their responder; keyword arguments go to the driver."""
    made: list[Setting] = []
    with asyncio.Runner() as runner:

        def make(answers: Mapping[str, Sequence[Any]], **options: Any) -> Setting:
            driver = SQLServerDriver(**options)
            made.append(Setting(runner, tds.Responder(answers).__enter__(), driver, request.param))
            return made[-1]

        yield make
        for setting in made:
            setting.wait(setting.driver.close())
            setting.responder.__exit__()


def test_values_come_as_they_are(make: MakeSetting) -> None:
    """Texts, 64-bit numbers, booleans, decimals and nulls are decoded."""
    columns = [("a", "nvarchar"), ("b", "bigint"), ("c", "bit"), ("d", "decimal"), ("e", "nvarchar(max)")]
    rows = [("Ελ😀\r\n", -(2**63), True, "12.5", "x" * 9000), ("", 2**63 - 1, False, "-0.0001", ""), (None,) * 5]
    setting = make({"FROM T": [tds.Rows(columns, rows)]})
    first, second, nulls = setting.fetch()
    assert first == ("Ελ😀\r\n", -(2**63), True, Decimal("12.5"), "x" * 9000)
    assert second == ("", 2**63 - 1, False, Decimal("-0.0001"), "")
    assert nulls == (None,) * 5


def test_parameters_have_the_types_of_columns(make: MakeSetting) -> None:
    """Every text is NVARCHAR of one length, whole numbers are BIGINT, decimals exact; nulls are in the text."""
    setting = make({})
    values = ("é😀", "y" * 5000, 5, -(2**63), True, Decimal("12.50"), None, "")
    setting.fetch(Statement("SELECT ?, ?, ?, ?, ?, ?, ?, ?", tuple("abcdefgh")), values)
    received = setting.responder.received[-1]
    assert received.text == "SELECT @P1, @P2, @P3, @P4, @P5, @P6, NULL, @P7"
    assert received.values == (
        ("NVARCHAR(4000)", "é😀"),
        ("NVARCHAR(MAX)", "y" * 5000),
        ("BIGINT", 5),
        ("BIGINT", -(2**63)),
        ("BIT", 1),
        ("DECIMAL(38,19)", Decimal("12.5")),
        ("NVARCHAR(4000)", ""),
    )


def test_a_connection_is_set_up(make: MakeSetting) -> None:
    """A new connection first gets the settings that indexes, errors and messages depend on."""
    setting = make({})
    setting.fetch()
    first, _ = setting.responder.received
    for part in ("QUOTED_IDENTIFIER ON", "XACT_ABORT ON", "READ COMMITTED", "us_english", "NUMERIC_ROUNDABORT OFF"):
        assert part in first.text


def test_a_write_gives_id_or_count(make: MakeSetting) -> None:
    """The new ID and the count of matched rows are those of the last result, even if a trigger sent others before."""
    answers = (tds.Rows([ONE], [(99,)]), None, tds.Rows([ONE], [(7,)]))
    setting = make({"INSERT": [answers], "UPDATE": [(None, tds.Rows([ONE], [(3,)]))]})
    inserted, updated = setting.run(Step(INSERT), Step(UPDATE, ("x",)))
    assert (inserted.new_id, updated.matched) == (7, 3)
    texts = [received.text for received in setting.responder.received[1:]]
    assert [texts[0], texts[-1]] == ["BEGIN TRANSACTION", "COMMIT TRANSACTION"]


TRUNCATED = "String or binary data would be truncated"
SAYINGS: list[tuple[int, str, type[StorageError], tuple[str, ...]]] = [
    (515, "Cannot insert the value NULL into column 'Name', table 'shop.dbo.T'; no.", NotNullViolation, ("Name",)),
    (
        515,
        "Cannot insert the value NULL into column 'H_Email_Fold', table 's.dbo.Users'.",
        NotNullViolation,
        ("Email",),
    ),
    (8152, f"{TRUNCATED}.", ValueTooLong, ()),
    (2628, f"{TRUNCATED} in table 'shop.dbo.T', column 'Code'. Truncated value: 'x'.", ValueTooLong, ("Code",)),
    (8115, "Arithmetic overflow error converting numeric to data type numeric.", NumberOutOfRange, ()),
    (220, "Arithmetic overflow error for data type tinyint, value = 256.", NumberOutOfRange, ()),
    (207, "Invalid column name 'Nope'.", MissingObject, ()),
    (208, "Invalid object name 'Nope'.", MissingObject, ()),
    (1222, "Lock request time out period exceeded.", Unavailable, ()),
    (3906, "Failed to update database 'shop' because the database is read-only.", Unavailable, ()),
    (9002, "The transaction log for database 'shop' is full.", Unavailable, ()),
    (1785, "Introducing FOREIGN KEY constraint 'x' may cause cycles or multiple cascade paths.", Unsupported, ()),
    (229, "The SELECT permission was denied on the object 'Users'.", Unavailable, ()),
    (50000, "Out of stock; sorry", Raised, ()),
    (51234, "Thrown (515) (SQLExecDirectW)", Raised, ()),
    (102, "Incorrect syntax near 'SELEC'.", StorageError, ()),
]


@pytest.mark.parametrize(("number", "text", "kind", "columns"), SAYINGS)
def test_errors_are_translated(
    make: MakeSetting, number: int, text: str, kind: type[StorageError], columns: tuple[str, ...]
) -> None:
    """Numbers of SQL Server become Apilane's errors, with the columns that the text names, and the cause."""
    setting = make({"FROM T": [tds.Failure(number, text)]})
    with pytest.raises(StorageError) as caught:
        setting.fetch()
    assert type(caught.value) is kind
    assert caught.value.columns == columns
    assert caught.value.__cause__ is not None
    if kind is Raised:
        assert str(caught.value) == text
    assert setting.fetch(Statement("SELECT 1")) == []  # the connection still works


ROW = "Cannot insert duplicate key row in object 'dbo.{}' with unique index '{}'. The duplicate key value is ({})."
KEY = "Violation of PRIMARY KEY constraint 'PK__T__1'. Cannot insert duplicate key in object 'dbo.T'. The duplicate ..."
FOREIGN = (
    'The {} statement conflicted with the {} constraint "FOREIGN_KEY_T_Maker_Makers". The conflict occurred in ...'
)
INDEXES, REFERENCES = "sys.indexes", "sys.foreign_keys"
VIOLATIONS: list[tuple[int, str, str, list[tuple[str, str]], type[StorageError], tuple[str, ...]]] = [
    (
        2601,
        ROW.format("T", "U", "x (547) (SQLExec), y"),
        INDEXES,
        [("T", "A"), ("T", "B")],
        UniqueViolation,
        ("A", "B"),
    ),
    (2601, ROW.format("Users", "U", "x"), INDEXES, [("Users", "H_Email_Fold")], UniqueViolation, ("Email",)),
    (2627, KEY, INDEXES, [("T", "ID")], UniqueViolation, ("ID",)),
    (1505, "The CREATE UNIQUE INDEX statement terminated because of a duplicate.", INDEXES, [], UniqueViolation, ()),
    (547, FOREIGN.format("INSERT", "FOREIGN KEY"), REFERENCES, [("T", "Maker")], ForeignKeyViolation, ("Maker",)),
    (547, FOREIGN.format("DELETE", "REFERENCE"), REFERENCES, [("T", "Maker")], ForeignKeyViolation, ("Maker",)),
    (547, FOREIGN.format("DELETE", "SAME TABLE REFERENCE"), REFERENCES, [("T", "W")], ForeignKeyViolation, ("W",)),
    (547, FOREIGN.format("INSERT", "CHECK"), REFERENCES, [], StorageError, ()),
]


@pytest.mark.parametrize(("number", "text", "catalog", "found", "kind", "columns"), VIOLATIONS)
def test_violations_name_columns(
    make: MakeSetting,
    number: int,
    text: str,
    catalog: str,
    found: list[tuple[str, str]],
    kind: type[StorageError],
    columns: tuple[str, ...],
) -> None:
    """A violated index or reference is looked up in the catalog; hidden columns are shown as their property."""
    rows = tds.Rows([("table", "nvarchar"), ("column", "nvarchar")], found)
    setting = make({"UPDATE": [tds.Failure(number, text)], catalog: [rows]})
    with pytest.raises(StorageError) as caught:
        setting.run(Step(UPDATE, ("x",)))
    assert type(caught.value) is kind
    assert caught.value.columns == columns
    assert setting.responder.texts("^COMMIT") == []
    assert setting.responder.texts("^IF @@TRANCOUNT > 0 ROLLBACK")


def test_a_dead_connection_is_replaced(make: MakeSetting) -> None:
    """After the server ended every connection, a read, a unit and a script succeed at the first call."""
    setting = make({"FROM T": [tds.Rows([ONE], [(1,)])], "UPDATE": [tds.Rows([ONE], [(1,)])]})
    script = ScriptStep(read_script("SELECT n FROM T", setting.driver.dialect), {})
    calls: tuple[Callable[[], Any], ...] = (
        setting.fetch,
        lambda: setting.run(Step(READ), Step(UPDATE, ("x",))),
        lambda: setting.wait(setting.session.run_script(script)),
    )
    for call in calls:
        setting.fetch()
        setting.responder.drop_all()
        assert call()
    assert len(setting.responder.logins) == 4


def test_many_dead_connections_are_replaced(make: MakeSetting) -> None:
    """One call succeeds after all connections of the pool were lost, however many are unused."""
    setting = make({"FROM T": [tds.Rows([ONE], [(1,)])]})

    async def read_at_once() -> None:
        await asyncio.gather(*(setting.session.fetch(READ) for _ in range(5)))

    setting.wait(read_at_once())
    assert len(setting.responder.logins) > 2
    setting.responder.drop_all()
    assert setting.fetch() == [(1,)]


def test_a_write_is_sent_once(make: MakeSetting) -> None:
    """A write on a connection that breaks may have been stored, so it is not repeated."""
    setting = make({"UPDATE": [tds.Drop()]})
    with pytest.raises(ConnectionLost, match=r"sa@127\.0\.0\.1"):
        setting.run(Step(UPDATE, ("x",)), single=True)
    assert len(setting.responder.texts("^UPDATE")) == 1
    assert setting.fetch(Statement("SELECT 1")) == []


def test_a_victim_tries_again(make: MakeSetting) -> None:
    """A unit that is a deadlock victim runs again; one that is a victim every time fails with that error."""
    victim = tds.Failure(1205, "Transaction was deadlocked and has been chosen as the deadlock victim.", 13)
    setting = make({"UPDATE": [victim, victim, tds.Rows([ONE], [(1,)])], "DELETE": [victim]})
    assert setting.run(Step(UPDATE, ("x",)))[0].matched == 1
    assert len(setting.responder.texts("BEGIN TRANSACTION")) == 3
    with pytest.raises(Deadlock):
        setting.run(Step(Statement("DELETE FROM T", kind="delete")))


def test_a_read_that_is_a_victim_is_repeated(make: MakeSetting) -> None:
    """Without snapshots a read may be a deadlock victim beside a writer: it runs again and its caller sees no error."""
    victim = tds.Failure(1205, "Transaction was deadlocked and has been chosen as the deadlock victim.", 13)
    setting = make({"FROM T": [victim, tds.Rows([ONE], [(1,)])]})
    assert setting.fetch() == [(1,)]


def test_nothing_follows_a_failure(make: MakeSetting) -> None:
    """A unit that continues after a failed step stores nothing: the server has ended its transaction."""
    setting = make({"FROM T": [tds.Failure(208, "Invalid object name 'T'.")]})

    def unit() -> Generator[Step, Result, None]:
        with pytest.raises(MissingObject):
            yield Step(READ)
        yield Step(UPDATE, ("x",))

    with pytest.raises(MissingObject):
        setting.wait(setting.session.run(unit))
    assert setting.responder.texts("^UPDATE") == setting.responder.texts("^COMMIT") == []


def test_a_statement_that_takes_too_long(make: MakeSetting) -> None:
    """The time limit ends a statement that the server does not answer, and the next one works."""
    setting = make({"FROM T": [tds.Silence(), tds.Rows([ONE], [(1,)])]}, statement_timeout_s=1)
    begun = monotonic()
    with pytest.raises(StatementTimeout):
        setting.fetch()
    assert monotonic() - begun < 10
    assert setting.fetch() == [(1,)]


def test_a_caller_who_goes_away(make: MakeSetting) -> None:
    """A cancelled read is stopped on the server, and closing does not wait for its end."""
    setting = make({"FROM T": [tds.Silence()]})

    async def scenario() -> float:
        reading = asyncio.ensure_future(setting.session.fetch(READ))
        while not setting.responder.texts("FROM T"):  # noqa: ASYNC110  # another thread's doing
            await asyncio.sleep(0.01)
        begun = monotonic()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await setting.driver.close()
        return monotonic() - begun

    assert setting.wait(scenario()) < 5


@pytest.mark.parametrize(
    ("number", "text", "told"),
    [
        (18456, "Login failed for user 'sa'.", "user name or the password"),
        (4060, 'Cannot open database "shop" requested by the login. The login failed.', "cannot open the database"),
        (924, "Database 'shop' is already open and can only have one user at a time.", "single-user mode"),
        (18461, "Login failed for user 'sa'. Reason: Server is in single user mode.", "single-user mode"),
    ],
)  # fmt: skip
def test_logins_are_refused_with_the_reason(make: MakeSetting, number: int, text: str, told: str) -> None:
    """Wrong password, wrong database, single-user mode: the message names reason and place, and has no secret."""
    setting = make({"login": [tds.Failure(number, text, 14)]})
    with pytest.raises(ConnectionRefused, match=told) as caught:
        setting.fetch()
    assert f"sa@127.0.0.1:{setting.responder.port}/shop" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_no_server_listens(make: MakeSetting) -> None:
    """A port without a listening server is refused soon, and named."""
    setting = make({})
    setting.responder.__exit__()
    begun = monotonic()
    with pytest.raises(ConnectionRefused, match=str(setting.responder.port)):
        setting.fetch()
    assert monotonic() - begun < 5


def test_scripts_run_as_another_user(make: MakeSetting) -> None:
    """A script first becomes the user without rights, its values are parameters, its columns all have names."""
    columns = [("a", "nvarchar"), ("", "bigint"), ("", "bit"), ("d", "decimal")]
    answers = (tds.Rows(columns, [("x", 1, True, "3")]), tds.Rows([("e", "bigint")], []))
    setting = make({"EXECUTE AS USER": [answers]})
    script = read_script(
        "SELECT {A}, '{N}' /* {A} */; SELECT [e] FROM T WHERE [x] = {A} AND {B} IS NULL", setting.driver.dialect
    )
    result = setting.wait(setting.session.run_script(ScriptStep(script, {"A": "o'x", "N": 5, "B": None})))
    first, second = result.sets
    assert first == (("a", "Column1", "Column2", "d"), (2,), [("x", 1, True, 3)])
    assert second == (("e",), (), [])
    received = next(each for each in setting.responder.received if "EXECUTE AS" in each.text)
    assert received.text == (
        "EXECUTE AS USER = N'apilane_script'; "
        "EXECUTE sys.sp_executesql @P1, @P2, @v_A = @P3, @v_B = NULL, @v_N = @P4; REVERT"
    )
    assert [value for _, value in received.values] == [
        "SELECT  @v_A , '5' /* {A} */; SELECT [e] FROM T WHERE [x] =  @v_A  AND  @v_B  IS NULL",
        "@v_A NVARCHAR(4000), @v_B NVARCHAR(4000), @v_N BIGINT",
        "o'x",
        5,
    ]


@pytest.mark.parametrize("who", ["apilane_script", "dbo"])
def test_a_connection_keeps_its_own_user(make: MakeSetting, who: str) -> None:
    """After a failed script a connection is used again only when its user is the server's own."""
    rows = tds.Rows([("who", "nvarchar")], [(who,)])
    setting = make({"EXECUTE AS USER": [tds.Failure(50000, "Out of stock")], "USER_NAME": [rows]})
    script = ScriptStep(read_script("RAISERROR('Out of stock', 16, 1)", setting.driver.dialect), {})
    with pytest.raises(Raised, match=r"^Out of stock$"):
        setting.wait(setting.session.run_script(script))
    setting.fetch()
    assert len(setting.responder.logins) == (2 if who == "apilane_script" else 1)


def test_a_lock_has_a_connection_of_its_own(make: MakeSetting) -> None:
    """A named lock belongs to a connection outside the pool, and is released before that connection ends."""
    setting = make({"sp_getapplock": [tds.Rows([ONE], [(0,)]), tds.Rows([ONE], [(-1,)])]})

    async def scenario() -> tuple[bool, bool]:
        async with setting.session.exclusive("changes") as mine, setting.session.exclusive("changes") as second:
            return mine, second

    assert setting.wait(scenario()) == (True, False)
    assert len(setting.responder.logins) == 2
    assert len(setting.responder.texts("sp_releaseapplock")) == 1


def test_rows_come_in_batches(make: MakeSetting) -> None:
    """A stream gives all rows; leaving it early does not affect the next one."""
    setting = make({"FROM T": [tds.Rows([ONE], [(n,) for n in range(1203)])]})

    async def sizes() -> list[int]:
        return [len(batch) async for batch in setting.session.stream(READ)]

    async def first() -> int:
        batches = setting.session.stream(READ)
        size = len(await anext(batches))
        await batches.aclose()
        return size

    assert setting.wait(sizes()) == [500, 500, 203]
    assert setting.wait(first()) == 500
    assert len(setting.fetch()) == 1203
