"""Custom SQL of an application: its results, parameters, rollbacks and limits
(docs/reference/protocol/query-language.md section 8).

``secrets`` tests the statements and reads that are not allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from decimal import Decimal
from time import monotonic
from typing import Any

import pytest

from apilane.model.privileges import ROWS_MAX
from apilane.sql.statement import Value
from apilane.storage.errors import (
    NotNullViolation,
    Raised,
    StatementTimeout,
    StorageError,
    UniqueViolation,
)
from apilane.storage.protocol import Result, ScriptStep, Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import THINGS

__all__ = ["Scripts"]

ENDLESS = (
    "SELECT COUNT(*) FROM [Things] a, [Things] b, [Things] c, [Things] d, [Things] e "
    "WHERE a.[Count] + b.[Count] + c.[Count] + d.[Count] + e.[Count] < 0"
)


def _fill(db: Database, count: int) -> None:
    db.write(*(db.inserting(Count=n) for n in range(count)))


class Scripts:
    """The tests that the module docstring describes."""

    def test_script_gives_several_results(self, db: Database) -> None:
        """Each statement with columns adds a result with its column names, in order; other statements add none."""
        db.insert(Name="a", Count=1)
        first, second, third = db.run_script(
            "SELECT [Name], [Count] AS [Number] FROM [Things]; UPDATE [Things] SET [Count] = 2; "
            "SELECT [Count] FROM [Things]; SELECT [Name] FROM [Things] WHERE 1 = 0;"
        )
        assert (first.columns, [tuple(row) for row in first.rows]) == (("Name", "Number"), [("a", 1)])
        assert [tuple(row) for row in second.rows] == [(2,)]
        assert (third.columns, list(third.rows)) == (("Name",), [])
        assert db.rows("Count") == [(2,)]

    def test_script_values(self, db: Database) -> None:
        """Booleans can be distinguished from numbers. Decimals and texts are returned unchanged."""
        db.insert(Name="é😀", Count=7, Price=db.number("12.50"), Active=True, Made=253402300799999)
        (given,) = db.run_script("SELECT [Name], [Count], [Price], [Active], [Made], [Note] FROM [Things]")
        ((name, count, price, active, made, note),) = given.rows
        assert (name, count, made, note) == ("é😀", 7, 253402300799999, None)
        assert float(price) == 12.5
        assert active == 1
        assert active is True or given.booleans == (3,)

    @pytest.mark.parametrize("value", ["x", "'; DELETE FROM Things; --", "\\", "%s", "?", ":a", "$1", "{B}", "é😀", ""])
    def test_script_texts_are_bound(self, db: Database, value: str) -> None:
        """A text is bound as data, even if its mark is used twice or is next to special characters."""
        id = db.insert(Note=value)
        (found, literal) = db.run_script(
            "SELECT [ID], [Note] FROM [Things] WHERE [Note] = {A} AND ({A} IS NULL OR [Note] = {A}); "
            "SELECT '100%', '?', ':a', '%s', 7 % 4 FROM [Things]",
            A=value,
        )
        assert [tuple(row) for row in found.rows] == [(id, value)]
        assert [tuple(row) for row in literal.rows] == [("100%", "?", ":a", "%s", 3)]

    @pytest.mark.parametrize(
        ("column", "value"),
        [("Count", 5), ("Count", -(2**63)), ("Count", 2**63 - 1), ("Active", True), ("Price", Decimal("12.5"))],
    )
    def test_script_numbers_are_bound(self, db: Database, column: str, value: Value) -> None:
        """Numbers and booleans keep their type, and null stays null."""
        if isinstance(value, Decimal):
            value = db.number(str(value))
        id = db.insert(THINGS, **{column: value})
        db.insert(THINGS, **{column: None})
        bound = db.dialect.encode_boolean(value) if isinstance(value, bool) else value
        text = f"SELECT [ID] FROM [Things] WHERE [{column}] = {{A}} OR ({{B}} IS NULL AND [{column}] = {{B}})"
        (found,) = db.run_script(text, A=bound, B=None)
        assert [tuple(row) for row in found.rows] == [(id,)]

    def test_script_mark_in_quotes(self, db: Database) -> None:
        """The mark of a number can stand inside quoted text."""
        (found,) = db.run_script("SELECT 'no {A} of {B}' AS [Text]", A=5, B=None)
        assert [tuple(row) for row in found.rows] == [("no 5 of null",)]

    def test_script_writes(self, db: Database) -> None:
        """Inserts, updates and deletes of a script are committed together, and constraints are checked."""
        id = db.insert(Name="a")
        db.run_script(
            "INSERT INTO [Things] ([Name], [Code]) VALUES ({N}, 'new'); UPDATE [Things] SET [Count] = 5; "
            "DELETE FROM [Things] WHERE [ID] = {ID}",
            N="b",
            ID=id,
        )
        assert db.rows("Name", "Code", "Count") == [("b", "new", 5)]
        with pytest.raises(UniqueViolation) as caught:
            db.run_script("INSERT INTO [Things] ([Name], [Code]) VALUES ('c', 'new')")
        assert caught.value.columns == ("Code",)
        with pytest.raises(NotNullViolation):
            db.run_script("UPDATE [Things] SET [Name] = NULL")

    @pytest.mark.parametrize(
        "failing",
        ["SELECT * FROM [Nope]", "SELEC 1", "INSERT INTO [Things] ([Maker]) VALUES (99)", "SELECT [No] FROM [Things]"],
    )
    def test_failing_script_undoes_everything(self, db: Database, failing: str) -> None:
        """A script is rolled back completely when one of its statements fails."""
        db.insert(Name="a")
        with pytest.raises(StorageError):
            db.run_script(f"UPDATE [Things] SET [Name] = 'x'; {failing}; UPDATE [Things] SET [Count] = 1")
        assert db.rows("Name", "Count") == [("a", None)]

    def test_script_in_a_unit(self, db: Database) -> None:
        """A script in a unit sees the unit's earlier writes, and is rolled back with the unit."""
        step = db.script("SELECT COUNT(*) FROM [Things]; UPDATE [Things] SET [Name] = 'script'")

        def unit(fails: bool) -> Generator[Step | ScriptStep, Result, Any]:
            yield db.inserting(Name="unit")
            sets = (yield step).sets
            if fails:
                raise RuntimeError
            return [tuple(row) for row in sets[0].rows]

        with pytest.raises(RuntimeError):
            db.wait(db.session.run(lambda: unit(True), alone=True))
        assert db.rows("Name") == []
        assert db.wait(db.session.run(lambda: unit(False), alone=True)) == [(1,)]
        assert db.rows("Name") == [("script",)]

    def test_scripts_and_units_lose_nothing(self, db: Database) -> None:
        """Scripts that update and units that insert run concurrently. No write is lost and no call fails."""
        db.insert(Count=0)
        step = db.script("UPDATE [Things] SET [Count] = [Count] + 1 WHERE [Name] = 'thing'")

        def unit() -> Generator[Step, Result, None]:
            yield db.inserting(Name="unit")

        async def scenario() -> None:
            units = (db.session.run(unit, single=True) for _ in range(60))
            scripts = (db.session.run_script(step) for _ in range(20))
            await asyncio.gather(*units, *scripts)

        db.wait(scenario())
        assert len(db.rows("ID")) == 61
        assert db.rows("Count")[0] == (20,)

    def test_script_row_cap(self, db: Database) -> None:
        """A run returns 50,000 rows at most in all its results together; further rows are left out."""
        _fill(db, 190)
        sets = db.run_script(
            "SELECT a.[ID] FROM [Things] a, [Things] b; SELECT a.[ID] FROM [Things] a, [Things] b; SELECT 1 AS [One]"
        )
        assert [len(each.rows) for each in sets] == [190 * 190, ROWS_MAX - 190 * 190, 0]

    def test_script_time_limit(self, db: Database) -> None:
        """A script that takes too long is ended and rolled back, and the next one runs immediately."""
        if db.case.make_impatient_driver is None:
            pytest.skip("the case has no driver with a short time limit")
        _fill(db, 200)
        driver = db.case.make_impatient_driver()
        session = driver.session(db.address)
        begun = monotonic()
        with pytest.raises(StatementTimeout):
            db.wait(session.run_script(db.script(f"UPDATE [Things] SET [Count] = 7; {ENDLESS}")))
        assert monotonic() - begun < 8
        begun = monotonic()
        assert db.wait(session.run_script(db.script("SELECT MAX([Count]) FROM [Things]"))).sets[0].rows[0][0] == 199
        assert monotonic() - begun < 2
        db.wait(driver.close())

    def test_cancelled_script_ends(self, db: Database) -> None:
        """The endless script of a cancelled caller ends: other scripts run immediately, and closing does not wait."""
        _fill(db, 200)

        async def scenario() -> float:
            endless = [asyncio.ensure_future(db.session.run_script(db.script(ENDLESS))) for _ in range(3)]
            await asyncio.sleep(0.2)
            for task in endless:
                task.cancel()
            begun = monotonic()
            await db.session.run_script(db.script("UPDATE [Things] SET [Count] = 1"))
            await db.driver.close()
            return monotonic() - begun

        assert db.wait(scenario()) < 5

    def test_raised_texts_are_the_authors(self, db: Database) -> None:
        """A text that a script raises reaches the caller unchanged, and the script is rolled back."""
        if db.case.raising_sql is None:
            pytest.skip("the case has no SQL that raises")
        db.insert(Name="a")
        with pytest.raises(Raised, match=r"^Out of stock; sorry$"):
            db.run_script(f"UPDATE [Things] SET [Name] = 'x'; {db.case.raising_sql}")
        assert db.rows("Name") == [("a",)]
