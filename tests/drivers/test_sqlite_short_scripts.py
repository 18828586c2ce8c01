"""Short custom SQL on SQLite's event loop: which scripts are short, the guard, and long work that leaves the loop."""

from __future__ import annotations

import asyncio
import re
from time import monotonic
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apilane.storage.errors import StatementTimeout, StorageError
from apilane.storage.protocol import ScriptStep
from apilane_sqlite.short_script import ShortRead
from tests.drivers.test_sqlite_scripts import (
    ENDLESS,
    SECRETS,
    MakeScripts,
    Scripts,
    _steps,
    make_scripts,
    scripts,
)

__all__ = ["make_scripts", "scripts"]


def _known(scripts: Scripts, sql: str, **values: Any) -> ScriptStep:
    """A script after its first runs, with the connection for short scripts open."""
    step = scripts.step(sql, **values)
    for _ in range(3):
        scripts.wait(scripts.session.run_script(step))
    return step


def _is_short(step: ScriptStep) -> bool:
    return isinstance(step.script.notes, ShortRead)


@pytest.mark.parametrize(
    ("sql", "is_short"),
    [
        ("SELECT ID, Text FROM Notes WHERE ID = {A}", True),
        ("SELECT max(ID), lower(Text) || 'x', coalesce(Done, 0) FROM Notes GROUP BY Text", True),
        ("WITH some AS (SELECT ID FROM Notes) SELECT ID FROM some -- the end", True),
        ("SELECT ID FROM Notes; ; -- nothing", True),
        ("SELECT Password FROM Users", True),
        ("SELECT 1; SELECT 2", False),
        ("SELECT ID, 'no {A}' FROM Notes", False),
        ("SELECT count(*) FROM Notes", False),
        ("SELECT ID FROM Notes WHERE Text LIKE {A}", False),
        ("SELECT replace(Text, 'a', 'b'), instr(Text, 'a') FROM Notes", False),
        ("SELECT zeroblob(5)", False),
        ("SELECT name FROM pragma_table_info('Notes')", False),
        ("PRAGMA table_info(Notes)", False),
        ("SELECT value FROM json_each('[1]')", False),
        ("UPDATE Notes SET Text = Text", False),
        ("UPDATE Notes SET Text = Text RETURNING ID", False),
        ("CREATE TEMP TABLE t AS SELECT 1 x; SELECT x FROM t", False),
        ("CREATE TEMP TABLE t AS SELECT 1 x", False),
    ],
)
def test_which_scripts_are_short(scripts: Scripts, sql: str, is_short: bool) -> None:
    """One SELECT from ordinary tables, with functions of steady cost, runs on the loop; other scripts do not."""
    assert _is_short(_known(scripts, sql, A=1)) is is_short


def test_virtual_tables_and_views_are_not_short(scripts: Scripts) -> None:
    """A virtual table runs code that does not check the time, and a view may hide one."""
    connection = apsw.Connection(scripts.path)
    connection.execute(
        "CREATE VIRTUAL TABLE Search USING fts5(Text); CREATE VIEW Seen AS SELECT * FROM Search;"
        "INSERT INTO Search VALUES ('lamp')"
    )
    connection.close()
    for sql in ("SELECT Text FROM Search", "SELECT Text FROM Seen", "SELECT Text FROM Search('lamp')"):
        step = _known(scripts, sql)
        assert not _is_short(step)
        assert scripts.wait(scripts.session.run_script(step)).sets[0].rows == [("lamp",)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM Notes",
        "UPDATE Notes SET Text = 'x' RETURNING ID",
        "CREATE TEMP TABLE t AS SELECT 1",
        "CREATE TABLE Mine (ID)",
        "PRAGMA user_version = 7",
        "PRAGMA query_only = OFF",
        "ATTACH ':memory:' AS other",
        "SELECT load_extension('x')",
        "BEGIN",
    ],
)
def test_the_guard_is_on_the_loop_too(scripts: Scripts, sql: str) -> None:
    """Even with wrong notes, the loop runs nothing that the guard refuses: SQLite asks it for each text."""
    step = _known(scripts, "SELECT ID FROM Notes")
    before = scripts.state()
    notes = step.script.notes
    assert isinstance(notes, ShortRead)
    notes.text = sql
    assert scripts.session._run_on_loop(step, notes) is None
    assert scripts.wait(scripts.session.run_script(step)).sets[0].rows == [(1,), (2,)]
    assert scripts.state() == before


def test_secrets_are_null_on_the_loop(scripts: Scripts) -> None:
    """Hashes and tokens read as null on the loop, also after the tables have changed and statements are compiled
    again."""
    step = _known(scripts, "SELECT Password, Email FROM Users WHERE Password IS NULL")
    assert _is_short(step)
    for number in range(3):
        assert scripts.wait(scripts.session.run_script(step)).sets[0].rows == [(None, "ann@x.org")]
        scripts.wait(scripts.session.alter(lambda n=number: _steps([f"CREATE INDEX Extra{n} ON Notes (Text)"])))  # type: ignore[misc]
    assert scripts.rows("SELECT Password FROM Users") == [("$argon2id$secret",)]


def test_long_work_leaves_the_loop(make_scripts: MakeScripts) -> None:
    """A known script that turns out to be long runs in a thread: the loop is not blocked, and its time limit holds."""
    scripts = make_scripts(statement_timeout_s=2.0)
    step = _known(
        scripts,
        ENDLESS.replace("count(*) FROM n", "i FROM n WHERE i = {A} LIMIT {B}"),
        A=1,
        B=1,
    )
    assert _is_short(step)

    async def scenario() -> float:
        endless = asyncio.ensure_future(scripts.session.run_script(step._replace(values={"A": -1, "B": 1})))
        slowest = 0.0
        while not endless.done():
            begun = monotonic()
            await asyncio.sleep(0.001)
            slowest = max(slowest, monotonic() - begun)
        with pytest.raises(StatementTimeout):
            await endless
        return slowest

    assert scripts.wait(scenario()) < 1


def test_long_values_leave_the_loop(scripts: Scripts) -> None:
    """Values over the size for the loop have the same results, from parameters and from tables."""
    step = _known(scripts, "SELECT Text FROM Notes WHERE ID = 1 OR Text = {A}", A="one")
    assert _is_short(step)
    long = "x" * 3_000_000
    scripts.run("UPDATE Notes SET Text = {A} WHERE ID = 2", A=long)
    assert scripts.wait(scripts.session.run_script(step._replace(values={"A": long}))).sets[0].rows == [
        ("one",),
        (long,),
    ]


def test_short_scripts_after_closing(scripts: Scripts) -> None:
    """A closed session opens again for short scripts, and closing leaves no connection open."""
    step = _known(scripts, "SELECT ID FROM Notes")
    for _ in range(2):
        scripts.wait(scripts.session.close())
        assert scripts.session._short_scripts.execute is None
        for _ in range(3):
            assert scripts.wait(scripts.session.run_script(step)).sets[0].rows == [(1,), (2,)]
        assert scripts.session._short_scripts.execute is not None


_NAMES = ("ID", "Text", "Done", "Password", "Token", "Email", "Owner", "rowid", "*", "H_Token_Hash", "{A}", "'{N}'")
_TABLES = (
    "Notes",
    "Users",
    "AuthTokens",
    "sqlite_master",
    "H_Schema",
    "temp.t",
    "dbstat",
    "pragma_user_version",
    "Nope",
)
_CALLS = (
    "{}",
    "max({})",
    "count({})",
    "lower({})",
    "hex({})",
    "load_extension({})",
    "typeof({})",
    "({}) || 'x'",
    "changes()",
)
_FORMS = (
    "SELECT {0} FROM {1}",
    "SELECT {0} FROM {1} WHERE {2} IS NOT {A}",
    "SELECT {0} FROM {1} a JOIN {3} b WHERE {2} > 0",
    "WITH x AS (SELECT {0} v FROM {1}) SELECT v FROM x UNION SELECT {2} FROM {3}",
    "UPDATE {1} SET Text = {0} RETURNING {2}",
    "SELECT {0} FROM {1}; DELETE FROM {3}",
    "EXPLAIN SELECT {0} FROM {1}",
    "INSERT INTO {1} (Created) SELECT {0} FROM {3} RETURNING *",
)


def test_known_scripts_do_no_more_than_new_ones(make_scripts: MakeScripts) -> None:
    """Random scripts have the same outcome in a thread, where the guard first saw them, and on the loop; reads change
    nothing, and no secret is ever read."""
    scripts = make_scripts()
    expression = st.builds(
        lambda call, name: call.replace("{}", name), st.sampled_from(_CALLS), st.sampled_from(_NAMES)
    )
    parts = st.tuples(expression, st.sampled_from(_TABLES), expression, st.sampled_from(_TABLES))
    pieces = st.builds(
        lambda form, part: re.sub(r"\{(\d)\}", lambda found: part[int(found[1])], form), st.sampled_from(_FORMS), parts
    )

    def outcome(step: ScriptStep) -> Any:
        try:
            return scripts.wait(scripts.session.run_script(step)).sets
        except StorageError as error:
            return type(error), str(error)

    @settings(max_examples=400, deadline=None)
    @given(pieces, st.sampled_from([1, None, "one", 2.5]))
    def agrees(sql: str, value: Any) -> None:
        before = scripts.state()
        step = scripts.step(sql, A=value, N=5)
        first = outcome(step)
        if scripts.state() == before:
            for _ in range(3):
                assert outcome(step) == first
        assert _is_short(step) <= (scripts.state() == before)
        assert not [secret for secret in SECRETS if secret in str(first)]

    agrees()
