"""Behaviour that only SQL Server has, as far as it can be tested without a server."""

from __future__ import annotations

import builtins
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apilane.control.tables import CURRENT_SCHEMA
from apilane.control.upgrade import tables_of_schema
from apilane.model.definition import Entity, ForeignKey, OnDelete, Property, PropertyType, Unique
from apilane.model.definition import Index as EntityIndex
from apilane.model.migration import Migration
from apilane.model.system import HELPER_TABLES, helper_table
from apilane.sql.script import read_script
from apilane.storage.errors import ConnectionRefused, NumberOutOfRange, Unavailable
from apilane.testing.conformance.tables import ENTITIES, key
from apilane_sqlserver import SQLServerDriver, odbc
from apilane_sqlserver.address import read_address
from apilane_sqlserver.binding import bind, type_of
from apilane_sqlserver.diagnosis import diagnose
from apilane_sqlserver.dialect import SQLServerDialect
from apilane_sqlserver.errors import refused, translate
from apilane_sqlserver.odbc import choose_driver, connection_string, token_attributes

BASE = "Server=db;Database=shop;User Id=ann;Password=s3cr3t"
MICROSOFT = "ODBC Driver 18 for SQL Server"
DIALECT = SQLServerDialect()


# Connection strings.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Server=tcp:db.x.com,1444;Database=shop;User Id=ann;Password=p;Encrypt=True;TrustServerCertificate=True",
            "Server={tcp:db.x.com,1444};Encrypt=yes;TrustServerCertificate=yes;ConnectRetryCount=0;Database=shop;UID=ann;PWD=p;",
        ),
        (
            "Data Source=db;Initial Catalog=shop;UID=ann;PWD='a;b}c';MultipleActiveResultSets=True",
            "Server={tcp:db,1433};Encrypt=yes;TrustServerCertificate=no;ConnectRetryCount=0;Database=shop;UID=ann;PWD={a;b}}c};",
        ),
        (
            "sqlserver://ann:p%40ss@db:1500/shop?Encrypt=no",
            "Server={tcp:db,1500};Encrypt=no;TrustServerCertificate=no;ConnectRetryCount=0;Database=shop;UID=ann;PWD={p@ss};",
        ),
        (
            "mssql://ann:p@db/shop?Encrypt=strict&HostNameInCertificate=db.example.com",
            ("Server={tcp:db,1433};Encrypt=strict;TrustServerCertificate=no;ConnectRetryCount=0;HostnameInCertificate=db.example.com;"
            "Database=shop;UID=ann;PWD=p;"),
        ),
        (
            r"Server=.\SQLEXPRESS;Database=shop;Integrated Security=SSPI",
            (r"Server=tcp:localhost\SQLEXPRESS;Encrypt=yes;TrustServerCertificate=no;ConnectRetryCount=0;Trusted_Connection=yes;"
            "Database=shop;"),
        ),
        (
            "Server=db;Database=shop;User Id=ann;Password=p;MultiSubnetFailover=True",
            ("Server={tcp:db,1433};Encrypt=yes;TrustServerCertificate=no;ConnectRetryCount=0;MultiSubnetFailover=Yes;"
            "Database=shop;UID=ann;PWD=p;"),
        ),
        (
            "Server=db;Database=shop;Authentication=Active Directory Managed Identity",
            ("Server={tcp:db,1433};Encrypt=yes;TrustServerCertificate=no;ConnectRetryCount=0;"
            "Authentication=ActiveDirectoryManagedIdentity;Database=shop;"),
        ),
    ],
)  # fmt: skip
def test_connection_strings(text: str, expected: str) -> None:
    """Both forms become a string for Microsoft's driver; encrypted and checked unless the string says otherwise."""
    made = connection_string(read_address(text), MICROSOFT)
    assert (
        made.removeprefix("Driver=ODBC Driver 18 for SQL Server;")
        .replace("Driver={ODBC Driver 18 for SQL Server};", "")
        .replace("APP=apilane;", "")
        == expected
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"{BASE};Encrypt=maybe", "Encrypt"),
        (f"{BASE};TrustServerCertificate=perhaps", "trustservercertificate"),
        ("Server=np:db;Database=shop;User Id=ann;Password=s3cr3t", "server"),
        ("Server=db,99999;Database=shop;User Id=ann;Password=s3cr3t", "port"),
        (f"{BASE};Connect Timeout=soon", "Timeout"),
        (f"{BASE};Colour=blue", "colour"),
        ("Server=db;Database=shop", "user"),
        ("sqlserver://ann:s3cr3t@db", "database"),
    ],
)  # fmt: skip
def test_connection_strings_that_are_wrong(text: str, named: str) -> None:
    """An unreadable string is refused before a connection is opened; the message names the part and has no secret."""
    with pytest.raises(ConnectionRefused, match=named) as caught:
        SQLServerDriver().session(text)
    assert "s3cr3t" not in str(caught.value)


def test_freetds_has_its_own_words() -> None:
    """FreeTDS gets its own keywords, and options that it lacks are refused: checking certificates, TDS 8, Entra."""
    base = "Server=db;Database=shop;User Id=ann;Password=p;"
    made = connection_string(read_address(f"{base}TrustServerCertificate=yes"), "FreeTDS")
    assert made == (
        "Driver=FreeTDS;Server=db;TDS_Version=7.4;ClientCharset=UTF-8;Port=1433;Encryption=require;Database=shop;"
        "APP=apilane;UID=ann;PWD=p;"
    )
    assert "Encryption=off" in connection_string(read_address(f"{base}Encrypt=no"), "FreeTDS")
    for text, named in (
        (base, "TrustServerCertificate"),
        (f"{base}Encrypt=strict", "strict"),
        (f"{base}TrustServerCertificate=yes;Authentication=ActiveDirectoryDefault", "ActiveDirectoryDefault"),
    ):
        with pytest.raises(ConnectionRefused, match=named):
            connection_string(read_address(text), "FreeTDS")


def test_tokens() -> None:
    """A token of Entra becomes a connection attribute: its length in bytes, then UTF-16; no user, no password."""
    address = read_address("Server=db;Database=shop;Authentication=AccessToken")
    assert "UID" not in connection_string(address, MICROSOFT)
    assert "Authentication" not in connection_string(address, MICROSOFT)
    assert token_attributes("ab") == {1256: b"\x04\0\0\0a\0b\0"}
    with pytest.raises(ConnectionRefused, match=r"apilane_sqlserver\.access_token"):
        odbc.token_source()


# Installed drivers.


def test_the_best_driver_is_chosen() -> None:
    """Microsoft's newest, then the packaged library, then FreeTDS, unless one is named."""
    seventeen = "ODBC Driver 17 for SQL Server"
    assert choose_driver("", ["FreeTDS", seventeen, MICROSOFT], "/lib/x.so") == MICROSOFT
    assert choose_driver("", ["FreeTDS", seventeen], "/lib/x.so") == seventeen
    assert choose_driver("", ["FreeTDS"], "/lib/x.so") == "/lib/x.so"
    assert choose_driver("", ["PostgreSQL", "FreeTDS"], None) == "FreeTDS"
    assert choose_driver("freetds", ["FreeTDS", MICROSOFT], None) == "FreeTDS"


def test_no_driver() -> None:
    """Without a driver, or with a missing one, the message lists the installed ones and what to install."""
    with pytest.raises(ConnectionRefused, match=r"no ODBC driver .*msodbcsql18.*mssql-python-odbc.*tdsodbc"):
        choose_driver("", ["PostgreSQL"], None)
    with pytest.raises(ConnectionRefused, match=r"'ODBC Driver 99' .installed: FreeTDS."):
        choose_driver("ODBC Driver 99", ["FreeTDS"], None)


def test_the_packaged_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library inside mssql-python-odbc is found for this platform."""
    assert odbc.packaged_library() is None or Path(str(odbc.packaged_library())).is_file()
    package = tmp_path / "mssql_python_odbc"
    for family in ("debian_ubuntu", "rhel", "suse"):
        folder = package / "libs" / "linux" / family / "x86_64" / "lib"
        folder.mkdir(parents=True)
        (folder / "libmsodbcsql-18.6.so.2.1").touch()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(odbc.platform, "machine", lambda: "x86_64")
    for release, family in (({"ID": "debian"}, "debian"), ({"ID": "fedora"}, "rhel"), ({"ID": "opensuse"}, "suse")):
        monkeypatch.setattr(odbc.platform, "freedesktop_os_release", lambda release=release: release)
        assert f"/{family}" in str(odbc.packaged_library())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModuleNotFoundError("No module named 'pyodbc'"), r"pip install 'apilane\[sqlserver\]'"),
        (ImportError("libodbc.so.2: cannot open shared object file"), r"apt-get install unixodbc.*libodbc\.so\.2"),
    ],
)
def test_missing_libraries(monkeypatch: pytest.MonkeyPatch, error: ImportError, told: str) -> None:
    """Without pyodbc or unixODBC, the first use says what to install."""
    real: Callable[..., Any] = builtins.__import__

    def fake(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pyodbc":
            raise error
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(ConnectionRefused, match=told):
        odbc.load_pyodbc()


def test_registering_is_light() -> None:
    """Importing the package loads neither pyodbc nor SQLAlchemy's dialect, so other instances do not pay for them."""
    code = (
        "import sys, apilane_sqlserver; apilane_sqlserver.SQLServerDriver(); "
        "print([n for n in ('pyodbc', 'sqlalchemy.dialects.mssql') if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


LOGIN = "[28000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Login failed for user 'sa'. (18456)"
NO_DATABASE = '[28000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Cannot open database "x" requested. (4060)'
SINGLE = "[28000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Database 'x' is already open. (924)"


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ((LOGIN,), "user name or the password"),
        ((LOGIN, NO_DATABASE, LOGIN, NO_DATABASE), "cannot open the database"),
        ((LOGIN, NO_DATABASE, SINGLE), "single-user mode, and"),
    ],
)
def test_the_reason_of_a_refused_login(records: tuple[str, ...], told: str) -> None:
    """A database that cannot be opened is reported, although the server also says that the login failed."""
    first, *others = records
    error = Exception("28000", "; ".join([f"{first} (SQLDriverConnect)", *others]))
    assert told in str(refused(error, "sa@db:1433/x"))


# Binding.


def test_long_lists_are_one_parameter() -> None:
    """A list beyond the limit is one parameter of a constant text; other values keep their marks and their order."""
    ids = list(range(9000))
    text = "SELECT 1 FROM [T] WHERE [T].[A] = ? AND [T].[ID] IN ({}) AND [T].[B] IN (?, ?) AND [T].[C] = ?"
    sent = [bind(text.format(", ".join("?" * n)), ["x?", *ids[:n], 7, None, True]) for n in (2500, 9000)]
    whole = text.format("SELECT [v] FROM OPENJSON(?) WITH ([v] BIGINT '$')").replace("(?, ?)", "(?, NULL)")
    assert [each.text for each in sent] == [whole, whole]
    assert sent[1].values == ("x?", f"[{','.join(map(str, ids))}]", 7, True)
    assert sent[1].types[1].sql == "NVARCHAR(MAX)"


def test_long_lists_of_decimals() -> None:
    """Decimals keep every digit; a list with a number beyond the limits is refused."""
    text = f"IN ({', '.join('?' * 2500)})"
    bound = bind(text, [Decimal("0.10"), Decimal("1E+3"), None, -(2**63), *[5] * 2496])
    assert bound.text == "IN (SELECT [v] FROM OPENJSON(?) WITH ([v] DECIMAL(38,19) '$'))"
    assert str(bound.values[0]).startswith("[0.10,1000,null,-9223372036854775808,5,")
    with pytest.raises(NumberOutOfRange):
        bind(text, [2**63] * 2500)


def test_too_many_parameters_stand_in_the_text() -> None:
    """Values beyond SQL Server's limit become part of the text, quoted so that they stay values."""
    values = ["o'x\\\ny", 5, True, Decimal("1.50"), None] * 500
    bound = bind("SELECT " + ", ".join("?" * len(values)), values)
    assert bound.values == ()
    assert bound.text.startswith("SELECT N'o''x\\' + N'\ny', CAST(5 AS BIGINT), CAST(1 AS BIT), 1.50, NULL, N'o''x")


def test_a_long_text_in_the_text_is_whole() -> None:
    """Joined short texts would be cut at 4,000 characters, so the first one has no limit."""
    values = [("x" * 3000 + "\\\n") * 2, *["y"] * 2000]
    text = bind(", ".join("?" * len(values)), values).text
    assert text.startswith("(CAST(N'' AS NVARCHAR(MAX)) + N'xxx")


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, Decimal("1234567890123456789012345.12345678901234567890"), Decimal("NaN")]
)
def test_numbers_that_no_type_holds(value: Any) -> None:
    """A number that fits no type is out of range before it is sent."""
    with pytest.raises(NumberOutOfRange):
        type_of(value)


# Custom SQL.

REFUSED = [
    "COMMIT", "SELECT 1; COMMIT", "ROLLBACK", "begin tran", "BEGIN TRANSACTION; SELECT 1", "SELECT 1 REVERT",
    "EXECUTE AS USER = 'dbo'", "EXEC ('COMMIT')", "EXEC(N'COMMIT')", "EXEC @text", "EXEC sp_executesql N'COMMIT'",
    "EXEC sys.sp_executesql N'COMMIT'", "EXEC [sp_executesql] N'x'", "EXEC master..xp_dirtree 'x'", 'EXEC "sp_help"',
    "sp_help", "sp_executesql N'COMMIT'", "[sp_help]", "CREATE TABLE T (a INT)", "DROP TABLE Things",
    "CREATE TABLE ##t (a INT)", "ALTER TABLE T ADD a INT", "TRUNCATE TABLE T", "GRANT SELECT ON T TO x", "USE master",
    "WAITFOR DELAY '1:00'", "SELECT * FROM OPENROWSET('x', 'y', 'z')", "BACKUP DATABASE x TO DISK = 'x'", "DBCC HELP",
    "SELECT 1 /* open", "SELECT 1 /* /* */ ' */ COMMIT --'", "SELECT 1 /* /* /* /* deep */ */ */ */",
    "CREATE VIEW v AS SELECT 1 AS a", "SHUTDOWN", "KILL 5", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET CONTEXT_INFO 0x01", "DECLARE @c VARBINARY(9) = 0x01; SET CONTEXT_INFO @c", "SELECT CONTEXT_INFO()",
    "SELECT SESSION_CONTEXT(N'x')", "EXEC sp_set_session_context 'x', 1", "EXEC sys.sp_getapplock 'x', 'Exclusive'",
    "SET IMPLICIT_TRANSACTIONS ON", "SET IDENTITY_INSERT T ON", "SET ANSI_NULLS, CONTEXT_INFO ON",
    "SELECT * INTO ##t FROM T", "SELECT * INTO [##t] FROM T", "SELECT @@IDENTITY", "OPEN SYMMETRIC KEY k",
    "DECLARE c CURSOR FOR SELECT 1", "DECLARE c CURSOR GLOBAL FOR SELECT 1", "DECLARE c SCROLL CURSOR FOR SELECT 1",
    "DECLARE c INSENSITIVE CURSOR FOR SELECT LOCAL FROM T",
]  # fmt: skip
ADMITTED = [
    "SELECT 'COMMIT', [ROLLBACK], \"EXEC\" FROM T -- COMMIT", "SELECT 1 /* COMMIT /* nested */ EXEC */", "(SELECT 1)",
    ";WITH x AS (SELECT 1 AS a) SELECT * FROM x", "DECLARE @a INT = 1; SELECT @a", "UPDATE T SET a = 1",
    "EXEC dbo.MyReport {Owner}", "DECLARE @r INT; EXECUTE @r = MyReport @a = 5; SELECT @r", "EXEC [dbo].[My Report]",
    "CREATE TABLE #t (a INT); INSERT INTO #t VALUES (1); SELECT * FROM #t; DROP TABLE IF EXISTS #t",
    "SELECT * INTO #t FROM T", "IF EXISTS (SELECT 1 FROM T) RAISERROR('x', 16, 1)", "THROW 50001, 'x', 1", "",
    "SELECT 'it''s' AS [a]]b]", "MERGE T USING S ON T.ID = S.ID WHEN MATCHED THEN DELETE;",
    "DECLARE c CURSOR LOCAL FAST_FORWARD FOR SELECT 1; OPEN c; FETCH NEXT FROM c; CLOSE c; DEALLOCATE c",
    "DECLARE @c CURSOR; SET @c = CURSOR FOR SELECT 1; OPEN @c", "SET NOCOUNT ON; SELECT SCOPE_IDENTITY()",
    "DECLARE c CURSOR STATIC LOCAL READ_ONLY FOR SELECT 1", "UPDATE T SET CONTEXT_INFO = 1, a += 2",
    "DECLARE @a INT; SET @a = 1", "UPDATE T SET T.a = 1", "UPDATE T SET [a] = 1",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_scripts_that_are_refused(text: str) -> None:
    """Words that no privilege stops are refused, also in hidden places."""
    assert DIALECT.script_problems(read_script(text, DIALECT), ())


@pytest.mark.parametrize("text", ADMITTED)
def test_scripts_that_are_admitted(text: str) -> None:
    """The same words inside quotes and comments, procedures of the database and temporary tables are allowed."""
    assert DIALECT.script_problems(read_script(text, DIALECT), ()) == []


# Limits of the provider.


def _number(name: str) -> Property:
    return Property(name=name, type=PropertyType.Number, decimal_places=0)


def _cascade(property: str, entity: str, on_delete: OnDelete = OnDelete.Cascade) -> ForeignKey:
    return ForeignKey(property=property, entity=entity, on_delete=on_delete)


def _entity(name: str, *properties: Property, **more: Any) -> Entity:
    return Entity(name=name, properties=(key(), *properties), **more)


A_T, A_B = "Entities[A].Properties[T]", "Entities[A].Properties[B]"
PROBLEMS = [
    ((_entity("A", Property(name="T", maximum=4001)),), A_T, "4000"),
    ((_entity("A", Property(name="T"), constraints=(Unique(properties=("T",)),)),), A_T, "Maximum"),
    ((_entity("A", Property(name="T"), indexes=(EntityIndex(("T",)),)),), A_T, "Maximum"),
    ((_entity("A", Property(name="T", maximum=850), constraints=(Unique(properties=("T",)),)),), A_T, "1702 bytes"),
    ((_entity("A", _number("B"), constraints=(_cascade("B", "A"),)),), A_B, "back to itself"),
    ((_entity("A", _number("B"), constraints=(_cascade("B", "A", OnDelete.SetNull),)),), A_B, "itself"),
    (
        (
            _entity("A"),
            _entity(
                "B", _number("X"), _number("Y"), constraints=(_cascade("X", "A"), _cascade("Y", "A", OnDelete.SetNull))
            ),
        ),
        "Entities[B].Properties[Y]",
        "more than one path",
    ),
    (
        (
            _entity("A"),
            _entity("B", _number("X"), constraints=(_cascade("X", "A"),)),
            _entity("C", _number("X"), _number("Y"), constraints=(_cascade("X", "A"), _cascade("Y", "B"))),
        ),
        "Entities[C].Properties[Y]",
        "more than one path",
    ),
]


@pytest.mark.parametrize(("entities", "place", "told"), PROBLEMS)
def test_what_it_cannot_do(entities: tuple[Entity, ...], place: str, told: str) -> None:
    """Lengths, keys and cascade paths beyond the limits are reported with their place."""
    assert [(where, told in sentence) for where, sentence in DIALECT.problems(entities)] == [(place, True)]


def test_what_it_can_do() -> None:
    """The server's own tables and those of the conformance suite are within the limits, with one cascade path each."""
    longest = _entity("A", Property(name="T", maximum=849), constraints=(Unique(properties=("T",)),))
    chain = (_entity("B"), _entity("C", _number("X"), constraints=(_cascade("X", "B"),)))
    assert DIALECT.problems((*ENTITIES, *HELPER_TABLES, longest, *chain)) == []


def test_the_script_user_gets_nothing_on_control_tables() -> None:
    """The user of custom SQL gets no right on the tables of the control store, nor is it made there."""
    made = DIALECT.migrate(tables_of_schema(CURRENT_SCHEMA).first_changes(()).migration)
    assert made
    assert not [text for text in made if "apilane_script" in text]


@pytest.mark.parametrize(
    ("number", "text", "right"),
    [
        (229, "The SELECT permission was denied on the object 'T', database 'x', schema 'dbo'.", "the right SELECT"),
        (230, "The UPDATE permission was denied on the column 'a' of the object 'T'.", "the right UPDATE"),
        (262, "CREATE TABLE permission denied in database 'shop'.", "the right CREATE TABLE"),
        (2760, 'The specified schema name "dbo" either does not exist or you do not have permission.', "a right"),
        (1088, 'Cannot find the object "T" because it does not exist or you do not have permissions.', "a right"),
    ],
)
def test_missing_rights(number: int, text: str, right: str) -> None:
    """A right that the server's own statement lacks is told with the login; only a script is blamed for a script's."""
    error = Exception("42000", f"[42000] [Microsoft][{MICROSOFT}][SQL Server]{text} ({number}) (SQLExecDirectW)")
    own = translate(error, "sa@db:1433/shop")
    assert isinstance(own, Unavailable)
    assert str(own).startswith(f"The login of sa@db:1433/shop lacks {right}: ")
    assert "Custom SQL" not in str(own)
    scripts = translate(error, "sa@db:1433/shop", is_script=True)
    assert not isinstance(scripts, Unavailable)
    assert str(scripts).startswith("Custom SQL may not do this: ")


def test_the_script_user_gets_nothing_on_private_tables() -> None:
    """The user of custom SQL gets no right on a helper table of a plugin, when it is made or changed."""
    first, second = helper_table("H_Counts", ()), helper_table("H_Counts", (Property(name="Token"),))
    made = DIALECT.migrate(Migration((), (first,)))
    changed = DIALECT.migrate(Migration((first,), (second,)))
    assert made
    assert changed
    assert not [text for text in (*made, *changed) if "apilane_script" in text]


# Doctor.


class _Answering:
    """In place of a connection: returns one row of the catalog."""

    def __init__(self, **changes: Any) -> None:
        row = {
            "version": "16.0.4135.4", "edition": "Developer", "engine": 3, "name": "shop", "snapshot": True,
            "read_only": False, "access": "MULTI_USER", "schema": "dbo", "create": 1, "users": 1,
        }  # fmt: skip
        self._row = tuple((row | changes).values())

    def query(self, text: str) -> list[tuple[Any, ...]]:
        assert "sys.databases" in text
        return [self._row]


@pytest.mark.parametrize(
    ("changes", "advice", "serious"),
    [
        ({"version": "13.0.1"}, "2017", True),
        ({"version": "12.0.2000.8", "engine": 5}, "", False),
        ({"snapshot": False}, "READ_COMMITTED_SNAPSHOT ON", False),
        ({"read_only": True}, "READ_WRITE", True),
        ({"access": "SINGLE_USER"}, "MULTI_USER", True),
        ({"schema": "ann"}, "DEFAULT_SCHEMA = dbo", True),
        ({"create": 0}, "db_owner", True),
        ({"users": 0}, "db_owner", False),
        ({}, "", False),
    ],
)
def test_doctor(changes: dict[str, Any], advice: str, serious: bool) -> None:
    """Doctor says what to do about an old server, missing rights and readers that wait for writers."""
    findings = diagnose(_Answering(**changes))  # type: ignore[arg-type]  # it asks once
    advised = [finding for finding in findings if finding.advice]
    assert [advice in finding.advice for finding in advised] == ([True] if advice else [])
    assert any(finding.serious for finding in findings) is serious


def test_the_list_of_differences_names_tests(repository: Path) -> None:
    """Every test and golden file that the docs' list of differences names exists."""
    text = (repository / "docs" / "reference" / "sql-server.md").read_text(encoding="utf-8")
    sources = [*(repository / "tests" / "drivers").glob("*.py"), *(repository / "apilane" / "testing").rglob("*.py")]
    known = set(re.findall(r"def (test_\w+)", "\n".join(path.read_text(encoding="utf-8") for path in sources)))
    known |= {path.name for path in (repository / "tests" / "drivers" / "golden" / "sqlserver").glob("*.sql")}
    named = set(re.findall(r"`(test_\w+|\w+\.sql)`", text))
    assert named
    assert named - known == set()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| Place", "| ---"))]
    assert [row for row in rows if not re.search(r"`(test_\w+|\w+\.sql)`[^|]*\|$", row)] == []
