"""Refused custom SQL on PostgreSQL, tried on the server, and the guard's refusals without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from apilane.sql.script import read_script
from apilane.storage.errors import StorageError
from apilane.storage.protocol import ScriptStep
from apilane.testing.conformance import Database, DriverCase
from apilane.testing.conformance.case import open_database
from apilane.testing.conformance.tables import USERS
from apilane.testing.plugin import ServerUrl
from apilane_postgresql import PostgreSQLDriver
from apilane_postgresql.guard import check, statements_of
from apilane_postgresql.provision import drop_database, execute, fresh_database

HASH = "the-hash-of-a-password"

LEAKS = [
    'SELECT 1E\'\\\' , (SELECT max("Password") FROM public."Users") --\'',
    "SELECT 1e5, 1.5e-3, .5, 2.",
    'SELECT u FROM "Users" u',
    'SELECT u::text FROM "Users" u',
    'SELECT row_to_json(u) FROM "Users" u',
    'SELECT to_jsonb("Users") FROM "Users"',
    'SELECT u.row_to_json FROM "Users" u',
    'SELECT u.concat FROM "Users" u',
    'TABLE "Users"',
    'SELECT * FROM ONLY "Users"',
    '(SELECT * FROM "Users")',
    'WITH RECURSIVE x AS (SELECT 1) SELECT * FROM "Users"',
    'WITH x AS (SELECT * FROM "Users") SELECT * FROM x',
    'WITH "Users" AS (SELECT * FROM "Users") SELECT * FROM "Users"',
    'WITH x AS (WITH "Users" AS (SELECT * FROM "Users") SELECT * FROM "Users") SELECT * FROM x',
    'SELECT * FROM "Things" t, LATERAL (SELECT * FROM "Users") u',
    'SELECT * FROM public."Users"',
    'SELECT * FROM "public"."Users"',
    'SELECT * FROM u&"\\0055sers"',
    'SELECT * FROM U&"\\0055sers" u',
    "SELECT E'' '\\' , (SELECT max(\"Password\") FROM public.\"Users\") --'",
    "SELECT E''\n'\\' , (SELECT max(\"Password\") FROM public.\"Users\") --'",
    'SELECT $a$ $b$ $a$, (SELECT max("Password") FROM public."Users")',
    'SELECT /* /* */ 1 */ (SELECT max("Password") FROM public."Users")',
    "SELECT query_to_xml('SELECT * FROM \"Users\"', true, true, '')",
    "SELECT \"query_to_xml\"('SELECT * FROM \"Users\"', true, true, '')",
    "SELECT pg_catalog.query_to_xml('SELECT * FROM \"Users\"', true, true, '')",
    "SELECT table_to_xml('\"Users\"', true, true, '')",
    "SELECT DISTINCT ON (1) query_to_xml('SELECT * FROM \"Users\"', true, true, '')",
    'SELECT ts_stat(\'SELECT to_tsvector("Password") FROM "Users"\')',
    "SELECT * FROM pg_stats",
    'UPDATE "Users" SET "Roles" = "Password"; SELECT "Roles" FROM "Users"',
    'UPDATE "Users" AS u SET "Roles" = u::text; SELECT "Roles" FROM "Users"',
    'UPDATE "Users" u SET "Roles" = row_to_json(u)::text; SELECT "Roles" FROM "Users"',
    'UPDATE "Users" u SET "Roles" = u.concat; SELECT "Roles" FROM "Users"',
    'UPDATE "Users" SET "Roles" = "Users".row_to_json; SELECT "Roles" FROM "Users"',
    'UPDATE "Users" SET "Roles" = \'x\' RETURNING *',
    'UPDATE "Users" SET "Roles" = \'x\' RETURNING "Users".*',
    'UPDATE ONLY "Users" SET "Roles" = \'x\' RETURNING "Password"',
    'DELETE FROM "Users" RETURNING *',
    'WITH d AS (DELETE FROM "Users" RETURNING *) SELECT * FROM d',
    'WITH d AS (UPDATE "Users" u SET "Roles" = \'\' RETURNING u) SELECT * FROM d',
    'DELETE FROM "Users" u RETURNING u',
    'DELETE FROM "Users" u RETURNING u::text',
    'WITH d AS (DELETE FROM "Users" u RETURNING u) SELECT d::text FROM d',
    'WITH RECURSIVE x(a) AS (SELECT 1) SEARCH DEPTH FIRST BY a SET key UPDATE "Users" SET "Roles" = "Password"',
    'INSERT INTO "Things" ("Name") SELECT u::text FROM "Users" u; SELECT "Name" FROM "Things"',
]

REFUSED = [
    "SELECT pg_sleep(1)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT 1 WHERE 1=1AND pg_ls_dir('/') IS NOT NULL",
    "SELECT current_user",
    "SELECT 1, SESSION_USER",
    "SELECT 10::regrole",
    "SELECT set_config('role', 'none', false)",
    "SELECT current_setting('data_directory')",
    "SELECT setval('\"Things_ID_seq\"', 1)",
    "SELECT nextval('\"Things_ID_seq\"')",
    "SELECT lo_import('/etc/passwd')",
    "COPY \"Things\" TO '/tmp/x'",
    "COPY \"Things\" FROM PROGRAM 'id'",
    "DO $$ BEGIN NULL; END $$",
    "SET ROLE postgres",
    "RESET ALL",
    "CALL x()",
    "SELECT 1 AS a INTO mine",
    "WITH x AS (SELECT 1) SELECT * INTO mine FROM x",
    'EXPLAIN ANALYZE DELETE FROM "Things"',
    'MERGE INTO "Things" t USING "Things" s ON false WHEN NOT MATCHED THEN INSERT ("Name") VALUES (\'x\')',
    'LOCK TABLE "Things"',
    "LISTEN x",
    "PREPARE x AS SELECT 1",
    "SAVEPOINT x",
    "END",
    "ABORT",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM other.secrets",
    "SELECT other.secret()",
    'INSERT INTO "H_Schema" ("Version") VALUES (1)',
    'UPDATE "H_Schema" SET "Version" = 1',
    'UPDATE "Users" SET ("Roles", "Email") = (\'a\', \'b\')',
    "UPDATE \"Users\" SET \"Roles\" = coalesce('a', 'b'), \"Password\" = 'x'",
    'UPDATE "Users" AS set SET "Email" = \'x\'',
    'UPDATE "Users" SET "Roles" = (1 IS DISTINCT FROM 2)::text, "Email" = \'x\'',
    'UPDATE "Users" SET "Roles" = 1 IS DISTINCT FROM 2, "Email" = \'x\'',
    'UPDATE "Users" * u SET "Email" = \'x\'',
    'WITH RECURSIVE x(a) AS (SELECT 1) SEARCH DEPTH FIRST BY a SET key UPDATE "Users" SET "Email" = \'x\'',
    "SELECT $1",
    "SELECT 'never ending",
]

ALLOWED = [
    'SELECT count(*), max("Count"), coalesce(min("Name"), \'x\') FROM "Things" GROUP BY "Kind" HAVING count(*) > 0',
    'SELECT row_number() OVER (PARTITION BY "Kind" ORDER BY "ID") FROM "Things"',
    'SELECT to_char(to_timestamp("Made" / 1000), \'YYYY\') FROM "Things"',
    'SELECT t.* FROM "Things" AS t JOIN "Users" u ON u."ID" = t."Maker" WHERE u."Email" LIKE \'%@x.y\'',
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
    "SELECT x FROM generate_series(1, 3) AS g (x)",
    'INSERT INTO "Things" ("Code") VALUES (\'c\') ON CONFLICT ("Code") DO UPDATE SET "Name" = \'b\' RETURNING "ID"',
    'UPDATE "Users" AS u SET "LastLogin" = u."LastLogin" + 1 FROM "Things" t WHERE t."Maker" = u."ID"',
    'DELETE FROM "AuthTokens" WHERE "Owner" IN (SELECT "ID" FROM "Users") RETURNING "ID"',
    'SELECT "ID" FROM "Things" FOR UPDATE',
    "SELECT 'it''s', E'a\\'b', $x$any 'thing'$x$, CAST(1.50 AS numeric(10, 2)), ARRAY[1, 2], now(), INTERVAL '1 day'",
    "SELECT mine(2)",
    "SELECT 1 -- a comment; with a semicolon\n; /* another; one */ SELECT 2;",
    ";;",
]


@pytest.fixture(scope="module")
def db(server_url: ServerUrl) -> Iterator[Database]:
    """A database with a user, a record, a function of the operator, and a schema of another program."""
    server = server_url("postgresql")
    case = DriverCase(make_driver=PostgreSQLDriver, fresh_address=lambda: asyncio.run(fresh_database(server)))
    with asyncio.Runner() as runner:
        database = open_database(case, runner)
        database.wait(
            execute(
                database.address,
                "CREATE SCHEMA other; CREATE TABLE other.secrets AS SELECT 'the-hash-of-a-password' AS s;"
                "CREATE FUNCTION other.secret() RETURNS text LANGUAGE sql AS $$ SELECT s FROM other.secrets $$;"
                "CREATE FUNCTION mine(n int) RETURNS int LANGUAGE sql AS $$ SELECT n * 2 $$",
            )
        )
        database.wait(execute(database.address, 'CREATE TABLE IF NOT EXISTS "H_Schema" ("Version" bigint)'))
        names = {"Email": "a@x.y", "Username": "ann", "H_Email_Fold": "a@x.y", "H_Username_Fold": "ann"}
        database.insert(USERS, **names, Created=1, EmailConfirmed=True, Password=HASH, Roles="staff")
        database.insert(Name="a", Count=1)
        yield database
        database.close()
        asyncio.run(drop_database(database.address, server))


KEEPERS = [
    (
        "PERFORM set_config('shop.kept', t, false)",
        "IF current_setting('shop.kept', true) <> '' THEN RETURN 'found'; END IF",
    ),
    ("CREATE TEMP TABLE kept AS SELECT t AS c", "PERFORM c FROM pg_temp.kept; RETURN 'found'"),
    ("EXECUTE format('PREPARE kept AS SELECT %L', t)", "EXECUTE 'EXECUTE kept'; RETURN 'found'"),
    (
        "EXECUTE format('DECLARE kept CURSOR WITH HOLD FOR SELECT %L', t)",
        "IF EXISTS (SELECT 1 FROM pg_cursors WHERE name = 'kept') THEN RETURN 'found'; END IF",
    ),
    (
        "PERFORM pg_advisory_lock(42)",
        "IF EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 42) THEN RETURN 'found'; END IF",
    ),
]
"""What a function of the operator may leave on a connection, and how another one finds it there."""


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("keep", "find"), KEEPERS)
def test_values_do_not_cross_callers(db: Database, keep: str, find: str, fails: bool) -> None:
    """Nothing that a script's functions leave on the pooled connection is found by the next script."""
    begin = "CREATE OR REPLACE FUNCTION"
    end = "RETURN 'nothing'; EXCEPTION WHEN OTHERS THEN RETURN 'nothing: ' || SQLERRM; END $$"
    db.wait(
        execute(
            db.address,
            f"{begin} keep(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN {keep}; RETURN t; END $$;"
            f"{begin} find() RETURNS text LANGUAGE plpgsql AS $$ BEGIN {find}; {end}",
        )
    )
    write = """UPDATE "Things" SET "Name" = "Name"; SELECT keep('kept by me')"""
    both = str(db.run_script(write + ", find()"))
    assert "kept by me" in both
    assert "found" in both
    if fails:
        with pytest.raises(StorageError):
            db.run_script(write + "; SELECT 1 / 0")
    for _ in range(3):
        assert "found" not in str(db.run_script("SELECT find()"))


def test_last_ids_are_the_scripts_own(db: Database) -> None:
    """``lastval`` tells a script its own ID, and not that of the connection's other callers."""
    (own,) = db.run_script("""INSERT INTO "Things" ("Name") VALUES ('own'); SELECT lastval()""")
    assert own.rows == [(max(row[0] for row in db.rows("ID")),)]
    db.insert(Name="another caller's")
    with pytest.raises(StorageError, match="lastval"):
        db.run_script("SELECT lastval()")


@pytest.mark.parametrize("sql", LEAKS)
def test_secrets_stay_secret(db: Database, sql: str) -> None:
    """No way of asking puts the hash of a password into a script's results."""
    step = db.script(sql)
    for _ in range(3):
        try:
            given = str(db.wait(db.session.run_script(step)))
        except StorageError as error:
            given = str(error)
        assert HASH not in given
    assert db.rows("Password", entity=USERS) == [(HASH,)]
    assert HASH not in str([db.rows("Name"), db.rows("Roles", entity=USERS)])


@pytest.mark.parametrize("sql", REFUSED)
def test_refused(db: Database, sql: str) -> None:
    """SQL beyond the application's own records is refused, alone and after a harmless statement."""
    for text in (sql, f"SELECT 1; {sql}"):
        step = db.script(text)
        for _ in range(3):
            with pytest.raises(StorageError, match=r"may not|cannot be read|are written"):
                db.wait(db.session.run_script(step))


@pytest.mark.parametrize(
    ("sql", "is_one"),
    [
        ('SELECT "ID" FROM "Things" WHERE "ID" = {A}', True),
        ("WITH few AS (SELECT 1) SELECT * FROM few", True),
        ('SELECT t."ID" FROM "Things" t', False),  # the name before the dot may become a schema
        ('SELECT "Email" FROM "Users"', False),  # its secret columns may change
        ("SELECT own({A})", False),
        ('SELECT "ID" FROM "Things" FOR UPDATE', False),
        ("SELECT lastval()", False),
        ("SELECT 'no {A}'", False),
        ("SELECT 1; SELECT 2", False),
    ],
)
def test_which_scripts_run_in_one_trip(db: Database, sql: str, is_one: bool) -> None:
    """One SELECT runs without a transaction if its verdict depends neither on the database nor on the connection."""
    step = db.script(sql, A=1)
    for _ in range(3):
        with suppress(StorageError):
            db.wait(db.session.run_script(step))
    assert (step.script.notes is not None and step.script.notes.one_read) is is_one


def test_known_scripts_cannot_write(db: Database) -> None:
    """A script that only reads runs on a connection whose server refuses writes, even with wrong notes; then the script
    itself runs in a transaction.
    """
    step = db.script('SELECT "ID" FROM "Things"')
    db.wait(db.session.run_script(step))
    notes: Any = step.script.notes
    before = db.rows("ID", "Name")
    for text in ('DELETE FROM "Things"', 'UPDATE "Things" SET "Name" = \'x\'', "SELECT nextval('\"Things_ID_seq\"')"):
        notes.texts, notes.one_read = {(): (text, [])}, True
        assert db.wait(db.session.run_script(step)).sets[0].rows == [(id,) for id, _ in before]
    assert db.rows("ID", "Name") == before


@pytest.mark.parametrize("sql", ALLOWED)
def test_allowed(db: Database, sql: str) -> None:
    """Ordinary SQL runs."""
    step = db.script(sql)
    for _ in range(3):
        db.wait(db.session.run_script(step))


def test_bit_strings(db: Database) -> None:
    """Bit strings come out as PostgreSQL writes them."""
    (result,) = db.run_script("SELECT B'101' AS a, CAST(B'1010100011' AS bit varying) AS b")
    assert [tuple(row) for row in result.rows] == [("101", "1010100011")]


def test_numbers_within_rows_and_lists(db: Database) -> None:
    """Numbers with decimals are decoded everywhere: within a row, a list, a whole record of a table."""
    (result,) = db.run_script("SELECT ROW(1, 1.50) AS pair, ARRAY[1.5, 2.0] AS list, t AS whole FROM [Things] t")
    pair, numbers, whole = result.rows[0]
    assert "1.5" in str(pair)
    assert [float(number) for number in numbers] == [1.5, 2.0]
    assert "'Name': 'a'" in str(whole)


def test_refused_before_it_is_applied(db: Database) -> None:
    """Refusals that need no database are reported at apply."""
    script = read_script('SELECT {A}; DROP TABLE "Things"; SELECT pg_sleep({A})', db.dialect)
    assert len(db.dialect.script_problems(script, ())) == 2
    assert db.dialect.script_problems(read_script(ALLOWED[0], db.dialect), ()) == []


def test_statements() -> None:
    """Semicolons in texts, names, dollar quotes and comments end no statement."""
    text = """SELECT ';', ";", $$;$$, $t$ ; $$ ; $t$ -- ;
    /* ; */ ; SELECT E'\\';' ;"""
    assert [len(check(statement).words) for statement in statements_of(text)] == [8, 2]


def test_a_function_of_the_operator_may_write(db: Database) -> None:
    """A SELECT that calls a function of the database's owner may write, on the first call and on later ones."""
    making = 'CREATE FUNCTION store(n bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO "Things" '
    making += """("Name", "Count") VALUES ('by function', n) RETURNING "ID" $$"""
    db.wait(execute(db.address, making))
    script = read_script("SELECT store({N}) AS id", db.dialect)
    ids = [db.wait(db.session.run_script(ScriptStep(script, {"N": n}))).sets[0].rows[0][0] for n in (1, 2, 3)]
    assert db.found("Name", "equal", "by function") == ids


def test_a_view_may_write(db: Database) -> None:
    """A SELECT from a view whose function writes runs in a writing transaction, and so do its later calls."""
    making = """CREATE FUNCTION note_read() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS
    $$ INSERT INTO "Things" ("Name", "Count") VALUES ('by view', 1) RETURNING "ID" $$"""
    db.wait(execute(db.address, making))
    db.wait(execute(db.address, 'CREATE VIEW "Reads" AS SELECT note_read() AS id'))
    script = read_script('SELECT id FROM "Reads"', db.dialect)
    ids = [db.wait(db.session.run_script(ScriptStep(script, {}))).sets[0].rows[0][0] for _ in range(3)]
    assert db.found("Name", "equal", "by view") == ids
    assert script.notes is not None
    assert script.notes.writes
    assert not script.notes.one_read


def test_a_view_may_write_later(db: Database) -> None:
    """A SELECT that first only read, and has become a script of one trip, is still answered when its view writes."""
    making = """CREATE FUNCTION note_later() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT 1 FROM "Things" WHERE "Name" = 'begin to write') THEN
        INSERT INTO "Things" ("Name", "Count") VALUES ('by later view', 1); RETURN 1;
    END IF;
    RETURN 0; END $$"""
    db.wait(execute(db.address, making))
    db.wait(execute(db.address, 'CREATE VIEW "Later" AS SELECT note_later() AS noted'))
    step = ScriptStep(read_script('SELECT noted FROM "Later"', db.dialect), {})

    def noted() -> object:
        return db.wait(db.session.run_script(step)).sets[0].rows[0][0]

    assert [noted(), noted()] == [0, 0]
    assert step.script.notes is not None
    assert step.script.notes.one_read
    db.insert(Name="begin to write")
    assert [noted(), noted()] == [1, 1]
    assert len(db.found("Name", "equal", "by later view")) == 2
