"""Custom SQL on SQLite: its rights, its limits of size and time, and that it leaves nothing on the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from time import monotonic
from typing import Any

import apsw
import pytest

from apilane.model.definition import Property, PropertyType
from apilane.model.migration import Migration, Renames
from apilane.model.privileges import ROWS_MAX
from apilane.model.system import HELPER_TABLES, custom_entity, system_entities
from apilane.sql.script import read_script
from apilane.sql.statement import Statement
from apilane.storage.errors import ForeignKeyViolation, Raised, StatementTimeout, StorageError, ValueTooLong
from apilane.storage.protocol import Result, ResultSet, ScriptStep, Step
from apilane_sqlite import SQLiteDriver
from apilane_sqlite.dialect import SQLiteDialect

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
ENTITIES = (
    *system_entities(),
    custom_entity("Notes", (Property(name="Text"), Property(name="Done", type=PropertyType.Boolean))),
)
TABLES = (*ENTITIES, *HELPER_TABLES)
ROWS = """
INSERT INTO Users (ID, Email, Username, Created, EmailConfirmed, Password, Roles, H_Email_Fold, H_Username_Fold)
VALUES (1, 'ann@x.org', 'Ann', 1, 1, '$argon2id$secret', 'editor', 'ann@x.org', 'ann');
INSERT INTO AuthTokens (ID, Token, Owner, Created, H_Token_Hash) VALUES (1, 'ciphertext', 1, 1, 'keyed hash');
INSERT INTO H_Auth_Password_Reset_Tokens (ID, Owner, Token, Created) VALUES (1, 1, 'reset hash', 1);
INSERT INTO Notes (ID, Owner, Created, Text, Done) VALUES (1, 1, 1, 'one', 1), (2, 1, 2, 'two', 0);
"""
SECRETS = ("$argon2id$secret", "ciphertext", "keyed hash", "reset hash")


class Scripts:
    """A database with an application's tables, to run custom SQL on."""

    def __init__(self, path: str, runner: asyncio.Runner, **options: Any) -> None:
        self.path = path
        self._runner = runner
        self.driver = SQLiteDriver(**options)
        self.session = self.driver.session(path)
        ddl = self.driver.dialect.migrate(Migration(before=(), after=TABLES, renames=Renames()))
        self.wait(self.session.alter(lambda: _steps(ddl)))
        with apsw.Connection(path) as connection:
            connection.execute(ROWS)
        connection.close()

    def wait(self, work: Any) -> Any:
        """Run a coroutine to its end."""
        return self._runner.run(work)

    def step(self, sql: str, **values: Any) -> ScriptStep:
        return ScriptStep(read_script(sql, self.driver.dialect), values)

    def run(self, sql: str, **values: Any) -> list[ResultSet]:
        """The results of a script."""
        found: Result = self.wait(self.session.run_script(self.step(sql, **values)))
        return list(found.sets)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows as the server reads them, without a guard."""
        return list(self.wait(self.session.fetch(Statement(sql))))

    def state(self) -> list[Any]:
        """Everything stored."""
        names = [name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return [(name, self.rows(f'SELECT * FROM "{name}"')) for name in names]


def _steps(texts: list[str]) -> Generator[Step, Result, None]:
    for text in texts:
        yield Step(Statement(text, kind="ddl"))


MakeScripts = Callable[..., Scripts]


@pytest.fixture
def make_scripts(tmp_path: Any) -> Iterator[MakeScripts]:
    """Databases with separate drivers; keyword arguments go to the driver."""
    made: list[Scripts] = []
    with asyncio.Runner() as runner:

        def make(**options: Any) -> Scripts:
            made.append(Scripts(str(tmp_path / f"{len(made)}.db"), runner, **options))
            return made[-1]

        yield make
        for each in made:
            each.wait(each.driver.close())


@pytest.fixture
def scripts(make_scripts: MakeScripts) -> Scripts:
    """One such database with the driver's default settings."""
    return make_scripts()


# Results.


def test_results(scripts: Scripts) -> None:
    """Each statement with columns gives a result, even without rows; declared booleans become booleans."""
    assert scripts.run("SELECT ID, Done FROM Notes ORDER BY ID; ; -- nothing\nSELECT 1 WHERE 0") == [
        ResultSet(("ID", "Done"), (1,), [(1, 1), (2, 0)]),
        ResultSet(("1",), (), []),
    ]
    assert scripts.run("UPDATE Notes SET Text = 'x' WHERE ID = 1; DELETE FROM Notes WHERE ID = 2") == []
    assert scripts.run("UPDATE Notes SET Text = 'y' RETURNING ID, Text") == [ResultSet(("ID", "Text"), (), [(1, "y")])]


@pytest.mark.better("B-Q8")
def test_values_are_bound(scripts: Scripts) -> None:
    """A mark outside quotes takes a value of any type; inside quotes, numbers and null become text."""
    found = scripts.run('SELECT {A}, typeof({A}), \'x{N}y\', "Te" || 1 FROM (SELECT 2 "Te")', A="'; DROP--", N=5)
    assert found[0].rows == [("'; DROP--", "text", "x5y", "21")]
    assert scripts.run("SELECT '{N}', {N}", N=None)[0].rows == [("null", None)]
    with pytest.raises(StorageError, match="bound outside quotes"):
        scripts.run("SELECT '{A}'", A="text")


def test_one_state_of_the_database(scripts: Scripts) -> None:
    """All statements of a reading script see one snapshot, despite writes meanwhile."""
    step = scripts.step(f"SELECT count(*) FROM Notes; {_counting(2_000_000)}; SELECT count(*) FROM Notes")

    async def scenario() -> Result:
        reading = asyncio.ensure_future(scripts.session.run_script(step))
        await asyncio.sleep(0.02)
        await scripts.session.run_script(scripts.step("DELETE FROM Notes"))
        assert not reading.done()
        return await reading

    found = scripts.wait(scenario()).sets
    assert found[0].rows == found[2].rows == [(2,)]


def _counting(rows: int) -> str:
    return ENDLESS.replace("FROM n)", f"FROM n WHERE i < {rows})")


@pytest.mark.better("B-Q11")
def test_rows_are_capped(scripts: Scripts) -> None:
    """A million rows are cut to 50,000, for all results of a script together, and later statements still run."""
    million = _counting(1_000_000).replace("count(*)", "i")
    found = scripts.run(f"SELECT 1; {million}; SELECT 1; UPDATE Notes SET Text = 'ran'")
    assert [len(each.rows) for each in found] == [1, ROWS_MAX - 1, 0]
    assert scripts.rows("SELECT DISTINCT Text FROM Notes") == [("ran",)]


def test_size_is_capped(scripts: Scripts) -> None:
    """Neither a huge value nor many large ones use up the memory of the process."""
    with pytest.raises(ValueTooLong):
        scripts.run("SELECT zeroblob(1000000000)")
    with pytest.raises(ValueTooLong):
        scripts.run(_counting(1000).replace("count(*)", "zeroblob(1000000)"))


# Time.


def test_endless_reads_end(make_scripts: MakeScripts) -> None:
    """A script over its time limit is ended, while short reads and writes beside it do not wait."""
    scripts = make_scripts(statement_timeout_s=2.0)

    async def scenario() -> float:
        endless = [asyncio.ensure_future(scripts.session.run_script(scripts.step(ENDLESS))) for _ in range(3)]
        slowest = 0.0
        for number in range(50):
            begun = monotonic()
            await scripts.session.fetch(Statement("SELECT count(*) FROM Notes"))
            await scripts.session.run(lambda n=number: _steps([f"UPDATE Notes SET Text = '{n}'"]))  # type: ignore[misc]
            slowest = max(slowest, monotonic() - begun)
            await asyncio.sleep(0.002)
        outcomes = await asyncio.gather(*endless, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StatementTimeout] * 3
        return slowest

    assert scripts.wait(scenario()) < 1.5


def test_endless_writes_end(make_scripts: MakeScripts) -> None:
    """A writing script over its time limit is undone, and the units after it run."""
    scripts = make_scripts(statement_timeout_s=0.5)
    before = scripts.state()
    with pytest.raises(StatementTimeout):
        scripts.run(f"UPDATE Notes SET Text = 'x'; INSERT INTO Notes (Created) {ENDLESS.replace('count(*)', 'i')}")
    assert scripts.state() == before
    scripts.run("UPDATE Notes SET Text = 'after'")
    assert scripts.rows("SELECT DISTINCT Text FROM Notes") == [("after",)]


def test_cancelling_ends_a_script(scripts: Scripts) -> None:
    """If the caller leaves, its endless script ends."""

    async def scenario() -> None:
        for _ in range(3):  # more than may run at once
            endless = asyncio.ensure_future(scripts.session.run_script(scripts.step(ENDLESS)))
            await asyncio.sleep(0.05)
            endless.cancel()
        begun = monotonic()
        await scripts.session.run_script(scripts.step("SELECT 1"))
        assert monotonic() - begun < 2

    scripts.wait(scenario())


# Transactions.


def test_a_failure_undoes_everything(scripts: Scripts) -> None:
    """If one statement of a script fails, none of the script is stored."""
    before = scripts.state()
    for failing in (
        "SELECT * FROM Nope",
        "INSERT INTO Notes (ID, Created) VALUES (1, 1)",
        "SELECT abs(-9223372036854775808)",
    ):
        with pytest.raises(StorageError):
            scripts.run(f"UPDATE Notes SET Text = 'x'; {failing}")
        assert scripts.state() == before
    with pytest.raises(ForeignKeyViolation):
        scripts.run("UPDATE Notes SET Owner = 77")


def test_scripts_and_units_lose_nothing(scripts: Scripts) -> None:
    """Counting scripts and inserting units run concurrently, each isolated, and nothing is lost."""
    insert = "INSERT INTO Notes (Created, Text) VALUES (3, 'unit')"
    step = scripts.step("INSERT INTO Notes (Created, Text) SELECT 4, 'script ' || count(*) FROM Notes")

    async def scenario() -> None:
        units = (scripts.session.run(lambda: _steps([insert]), single=True) for _ in range(200))
        runs = (scripts.session.run_script(step) for _ in range(50))
        await asyncio.gather(*units, *runs)

    scripts.wait(scenario())
    assert scripts.rows("SELECT count(*), count(DISTINCT Text) FROM Notes") == [(252, 50 + 3)]


def test_a_script_in_a_unit(scripts: Scripts) -> None:
    """A script takes part in a unit: it sees earlier steps, and is undone when the unit fails."""
    step = scripts.step("SELECT count(*) FROM Notes; UPDATE Notes SET Text = 'script'")

    def unit() -> Generator[Step | ScriptStep, Result, Any]:
        yield Step(Statement("DELETE FROM Notes WHERE ID = 1", kind="delete"))
        sets = (yield step).sets
        raise RuntimeError(sets[0].rows)

    with pytest.raises(RuntimeError, match=r"\(1,\)"):
        scripts.wait(scripts.session.run(unit, alone=True))
    assert scripts.rows("SELECT ID, Text FROM Notes") == [(1, "one"), (2, "two")]


def test_waiting_for_another_program(scripts: Scripts) -> None:
    """A unit that runs alone waits while another program holds the file, and then runs once."""
    step = scripts.step("UPDATE Notes SET Text = Text || '!'")
    other = apsw.Connection(scripts.path)

    async def scenario() -> None:
        for run in (
            lambda: scripts.session.run_script(step),
            lambda: scripts.session.alter(lambda: _steps(["ALTER TABLE Notes ADD COLUMN More"])),
        ):
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.ensure_future(run())
            await asyncio.sleep(1.3)  # longer than one attempt
            assert not waiting.done()
            other.execute("COMMIT")
            await waiting

    scripts.wait(scenario())
    other.close()
    assert scripts.rows("SELECT Text, More FROM Notes") == [("one!", None), ("two!", None)]


@pytest.mark.parametrize(
    "sql", ["COMMIT", "ROLLBACK", "BEGIN", "END", "SAVEPOINT s", "RELEASE unit", "ROLLBACK TO unit", "SELECT 1; COMMIT"]
)
def test_transactions_are_the_servers(scripts: Scripts, sql: str) -> None:
    """A script cannot end, begin or nest transactions."""
    with pytest.raises(StorageError, match=r"may not do this: (TRANSACTION|SAVEPOINT)"):
        scripts.run(f"UPDATE Notes SET Text = 'x'; {sql}")
    assert scripts.rows("SELECT Text FROM Notes WHERE ID = 1") == [("one",)]


# Privileges.


@pytest.mark.better("B-Q11")
@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '{path}x' AS other",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO '{path}copy'",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version = 7",
        "PRAGMA trusted_schema = ON",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "DROP TABLE Notes",
        "DROP INDEX UNIQUE_Users_Email",
        "CREATE TABLE Mine (ID)",
        "CREATE VIEW Mine AS SELECT 1",
        "CREATE INDEX Mine ON Notes (Text)",
        "CREATE TRIGGER Mine AFTER INSERT ON Notes BEGIN DELETE FROM Users; END",
        "CREATE VIRTUAL TABLE Mine USING fts5(Text)",
        "CREATE VIRTUAL TABLE temp.Mine USING fts5(Text)",
        "ALTER TABLE Notes ADD COLUMN Mine",
        "ALTER TABLE Notes RENAME TO Mine",
        "ANALYZE",
        "REINDEX",
        "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 1, 'x')",
        "UPDATE sqlite_sequence SET seq = 0",
        "DELETE FROM sqlite_sequence",
        "INSERT INTO AuthTokens (Token, Owner, Created, H_Token_Hash) VALUES ('a', 1, 1, 'b')",
        "UPDATE AuthTokens SET Owner = 1",
        "UPDATE H_Schema SET Version = 77",
        "DELETE FROM H_Schema",
        "DELETE FROM H_Entity_Change_Tracking",
        "INSERT INTO H_Auth_Password_Reset_Tokens (Owner, Token, Created) VALUES (1, 'a', 1)",
        "INSERT INTO Users (Email) VALUES ('x@y.z')",
        "UPDATE Users SET Password = 'mine'",
        "UPDATE Users SET H_Email_Fold = 'other@x.org'",
        "UPDATE Users SET Email = 'other@x.org'",
        "CREATE TEMP TRIGGER t AFTER DELETE ON Notes BEGIN UPDATE Users SET Password = 1; END; DELETE FROM Notes",
    ],
)  # fmt: skip
def test_forbidden(scripts: Scripts, sql: str, tmp_path: Any) -> None:
    """SQL without a grant is refused, alone and after a write, changes nothing, and leaves no file."""
    before, files = scripts.state(), set(tmp_path.iterdir())
    sql = sql.replace("{path}", scripts.path)
    for text in (sql, f"UPDATE Notes SET Text = 'x'; {sql}"):
        with pytest.raises(StorageError):
            scripts.run(text)
        assert scripts.state() == before
    made = {path.name for path in set(tmp_path.iterdir()) - files}
    assert not made - {f"{scripts.path.rpartition('/')[2]}.lock"}


@pytest.mark.better("B-D3", "B-D4")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM Users; SELECT * FROM AuthTokens; SELECT * FROM H_Auth_Password_Reset_Tokens",
        "SELECT u.Password || '' FROM Users u",
        "SELECT hex(Password), max(Password), group_concat(Password), json_group_array(Password) FROM Users",
        "WITH x AS (SELECT Password p FROM Users) SELECT p FROM x UNION SELECT Token FROM AuthTokens",
        "SELECT (SELECT Password FROM Users WHERE ID = n.Owner) FROM Notes n",
        'SELECT "Password", [password], `PASSWORD`, main.Users.Password FROM Users',
        "SELECT last_value(Token) OVER (), H_Token_Hash FROM AuthTokens",
        "UPDATE Users SET Roles = 'x' RETURNING Password",
        "UPDATE Users SET Roles = 'x' RETURNING *",
        "UPDATE Users SET Roles = 'x' RETURNING substr(Password, 1, 99)",
        "UPDATE Users SET Roles = Password; SELECT Roles FROM Users",
        "DELETE FROM AuthTokens RETURNING Token, H_Token_Hash",
        "DELETE FROM AuthTokens WHERE ID = 1 RETURNING *",
        "UPDATE Notes SET Text = (SELECT Password FROM Users); SELECT Text FROM Notes",
        "UPDATE Notes SET Text = Password FROM Users; SELECT Text FROM Notes",
        "INSERT INTO Notes (Created, Text) SELECT 1, Password FROM Users; SELECT Text FROM Notes",
        """INSERT INTO Notes (ID, Created, Text) SELECT 1, 1, Password FROM Users WHERE 1
        ON CONFLICT DO UPDATE SET Text = excluded.Text; SELECT Text FROM Notes""",
        "INSERT INTO Notes (Created) VALUES (1) RETURNING (SELECT Password FROM Users)",
        "CREATE TEMP TABLE t AS SELECT * FROM Users; SELECT * FROM t",
        "CREATE TEMP TABLE t (v); INSERT INTO t SELECT Password FROM Users RETURNING v",
        "CREATE TEMP VIEW v AS SELECT * FROM Users; SELECT * FROM v",
        """CREATE TEMP TABLE t (v); CREATE TEMP TRIGGER g AFTER UPDATE ON Users
        BEGIN INSERT INTO t VALUES (old.Password); INSERT INTO t VALUES (new.Password); END;
        UPDATE Users SET Roles = 'x'; SELECT * FROM t""",
        """CREATE TEMP TABLE t (v); CREATE TEMP VIEW v AS SELECT * FROM Users;
        CREATE TEMP TRIGGER g INSTEAD OF UPDATE ON v BEGIN INSERT INTO t VALUES (old.Password); END;
        UPDATE v SET Roles = 'x' RETURNING Password; SELECT * FROM t""",
        "DELETE FROM Users RETURNING Password",
    ],
)  # fmt: skip
def test_secrets_are_never_read(scripts: Scripts, sql: str) -> None:
    """Hashes and tokens read as null; if SQLite would return their values, the script is refused."""
    found: list[ResultSet] = []
    refusal = "may not do this: reading"
    try:
        found = scripts.run(sql)
    except StorageError as error:
        refusal = str(error)
    assert "may not do this: reading" in refusal
    values = [str(value) for each in found for row in each.rows for value in row]
    assert not [value for value in values if any(secret in value for secret in SECRETS)]
    assert scripts.rows("SELECT Password FROM Users") in ([("$argon2id$secret",)], [])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ID FROM Users WHERE Password = '$argon2id$secret'",
        "SELECT ID FROM Users WHERE Password IS NOT NULL ORDER BY Password",
        "SELECT ID FROM AuthTokens WHERE H_Token_Hash LIKE 'keyed%'",
        "SELECT 1 FROM Users GROUP BY Password HAVING Password > ''",
    ],
)
def test_secrets_are_never_compared(scripts: Scripts, sql: str) -> None:
    """Hashes and tokens cannot be guessed by conditions."""
    assert scripts.run(sql)[0].rows == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name FROM sqlite_master",
        "PRAGMA table_info(Notes)",
        "SELECT name FROM pragma_table_info('Notes')",
        "EXPLAIN QUERY PLAN SELECT * FROM Notes",
        "SELECT json_extract('{\"a\": 1}', '$.a'), sqrt(2), 'a' LIKE 'A'",
        "SELECT * FROM H_Email_Templates; SELECT Version FROM H_Schema",
        "UPDATE Users SET Roles = 'admin', LastLogin = 5",
        "DELETE FROM AuthTokens WHERE Owner = 1",
        "DELETE FROM Notes; DELETE FROM Users WHERE ID = 1",
        "CREATE TEMP TABLE t AS SELECT * FROM Notes; CREATE INDEX temp.i ON t (Text); SELECT * FROM t; DROP TABLE t",
        "REPLACE INTO Notes (ID, Created, Text) VALUES (1, 1, 'new')",
    ],
)
def test_allowed(scripts: Scripts, sql: str) -> None:
    """Reading other data, writing records, and temporary tables are allowed; ``apply`` agrees."""
    scripts.run(sql)
    assert SQLiteDialect().script_problems(read_script(sql, SQLiteDialect()), TABLES) == []


def test_full_text_search(scripts: Scripts) -> None:
    """Full-text tables that an operator made can be searched and written."""
    connection = apsw.Connection(scripts.path)
    connection.execute("CREATE VIRTUAL TABLE Search USING fts5(Text); INSERT INTO Search VALUES ('a red lamp')")
    connection.close()
    assert scripts.run("SELECT Text FROM Search WHERE Search MATCH 'lamp'")[0].rows == [("a red lamp",)]
    scripts.run("INSERT INTO Search VALUES ('blue lamp')")
    assert len(scripts.run("SELECT Text FROM Search('lamp') ORDER BY rank")[0].rows) == 2


@pytest.mark.better("B-E5")
def test_raised_texts_are_the_authors(scripts: Scripts) -> None:
    """The text of RAISE reaches the caller unchanged, from a script's trigger and from one in the database."""
    guard = "CREATE TEMP TRIGGER g BEFORE UPDATE ON Notes BEGIN SELECT RAISE({kind}, 'Out of stock; sorry'); END;"
    for kind in ("ABORT", "FAIL", "ROLLBACK"):
        with pytest.raises(Raised, match=r"^Out of stock; sorry$"):
            scripts.run(guard.replace("{kind}", kind) + "UPDATE Notes SET Text = 'x'")
    assert scripts.rows("SELECT Text FROM Notes WHERE ID = 1") == [("one",)]


def test_nothing_is_left_behind(scripts: Scripts) -> None:
    """Temporary tables and triggers end with their script, and the server's statements are compiled again."""
    scripts.run(
        'CREATE TEMP TABLE Users AS SELECT 1; CREATE TEMP TABLE "a""b" (x);'
        "CREATE TEMP TRIGGER g AFTER UPDATE ON main.Notes BEGIN DELETE FROM Notes; END; CREATE TEMP VIEW v AS SELECT 1"
    )

    def unit() -> Generator[Step, Result, Any]:
        left = (yield Step(Statement("SELECT count(*) FROM sqlite_temp_master"))).rows
        yield Step(Statement("UPDATE Notes SET Text = 'kept'", kind="update"))
        return left, (yield Step(Statement("SELECT Password FROM Users"))).rows

    scripts.run("UPDATE Notes SET Text = 'x'; SELECT ID FROM Users")  # the same texts under the guard
    with pytest.raises(StorageError):
        scripts.run("UPDATE Notes SET Text = 'kept'; SELECT Password FROM Users; DROP TABLE Notes")
    assert scripts.wait(scripts.session.run(unit)) == ([(0,)], [("$argon2id$secret",)])
    assert scripts.rows("SELECT count(*) FROM Notes WHERE Text = 'kept'") == [(2,)]


def test_the_server_reads_secrets_after_a_script_did(scripts: Scripts) -> None:
    """A statement compiled under the guard, where it reads null, is compiled again for the server."""
    text = "SELECT Password FROM Users"
    for _ in range(3):
        assert scripts.run(text)[0].rows == [(None,)]
    pooled = Statement(text, counts_all=True)
    assert list(scripts.wait(scripts.session.fetch(pooled))) == [("$argon2id$secret",)]


# Messages at apply.


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT Nope FROM Notes", "no such column: Nope"),
        ("SELECT * FROM Note", "no such table: Note"),
        ("SELECT 1; SELEC 2", "syntax error"),
        ("SELECT 'open", "unrecognized token"),
        ("SELECT * FROM Notes WHERE ID = :id", "parameter :id has no value"),
        ("SELECT * FROM Notes WHERE ID = ?", "no name"),
        ("SELECT * FROM Notes WHERE ID = {Name1}", "unrecognized token"),
        ("DROP TABLE Notes", "may not do this: DROP TABLE Notes"),
        ("DELETE FROM AuthTokens RETURNING Token", "may not do this: reading AuthTokens.Token"),
        (f"CREATE TEMP TABLE t AS {ENDLESS}", "interrupted"),
    ],
)
def test_problems(sql: str, says: str) -> None:
    """For a script that cannot run, apply reports the reason in the database's words or the guard's."""
    dialect = SQLiteDialect()
    (problem,) = dialect.script_problems(read_script(sql, dialect), TABLES)
    assert says in problem


def test_all_problems_at_once() -> None:
    """Each statement that cannot run is reported."""
    dialect = SQLiteDialect()
    script = read_script("SELECT a FROM Notes; DROP TABLE Notes; SELECT {N}; SELECT b FROM Notes", dialect)
    assert len(dialect.script_problems(script, TABLES)) == 3
