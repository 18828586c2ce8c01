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
from msgspec.structs import replace

from apilane.model.definition import Property, PropertyType
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
from apilane.testing.conformance.tables import MAKERS, THINGS

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

    @pytest.mark.parametrize(
        "text",
        [
            "SELECT [ID], [Name], [Note], [Count], [Price], [Exact], [Active], [Made] FROM [Things] ORDER BY [ID]",
            "SELECT * FROM [Things] ORDER BY [ID]",
            "SELECT [ID], [ID] FROM [Things] WHERE [ID] = {A}",
            "SELECT [ID] FROM [Things] WHERE [Count] = {A} OR {A} IS NULL",
            "SELECT [Name] FROM [Things] WHERE [Name] = {T} OR [Note] = {T}",
            "SELECT [Name] FROM [Things] WHERE [Price] > {D} ORDER BY [ID]",
            "SELECT [Name] FROM [Things] WHERE 1 = 0",
            "SELECT [Name] FROM [Things] WHERE [Active] = {B} ORDER BY [ID]",
            "SELECT COUNT(*), SUM([Price]), MIN([Made]), MAX([Note]), AVG([Count]) FROM [Things]",
            "SELECT UPPER([Name]), 1.5, 'x', 1e0 / 3, NULL, [Price] * 2 FROM [Things] ORDER BY [ID]",
            "SELECT t.[Name] FROM [Things] t WHERE t.[ID] IN (SELECT [ID] FROM [Things]) ORDER BY t.[ID]",
            "SELECT [Nope] FROM [Things]",
            "SELECT [ID] FROM [Nope]",
            "SELECT [ID] FROM [Things] WHERE [ID] = {A}; SELECT 2",
            "SELECT 'no {A}' FROM [Things]",
            "-- {A}\nSELECT [ID] FROM [Things] /* twice */ WHERE [ID] = {A};\n-- the end",
        ],
    )
    def test_repeated_script(self, db: Database, text: str) -> None:
        """A script has the same results when it runs again: values, names and booleans, with all kinds of values."""
        number = db.number("12.50")
        db.insert(Name="é😀", Count=7, Price=number, Exact=db.number("0.125"), Active=True, Made=253402300799999)
        db.insert(Name="b", Count=-(2**63), Note="", Active=False)
        for a, some in ((1, "b"), (None, None), (2**63 - 1, "%' OR 1=1 --")):
            yes = db.dialect.encode_boolean(True)
            try:
                db.run_often(text, A=a, T=some, D=number if a else None, B=yes if a else None)
            except StorageError:
                assert "Nope" in text

    def test_repeated_script_sees_every_change(self, db: Database) -> None:
        """A known script sees rows that were written and columns that were added since its last run."""
        step = db.script("SELECT * FROM [Makers] ORDER BY [ID]")
        for count in range(1, 7):
            db.insert(MAKERS, Name=f"maker {count}")
            (found,) = db.wait(db.session.run_script(step)).sets
            assert len(found.rows) == count
            assert "Added" not in found.columns
        others = tuple(entity for entity in db.entities if entity.name != "Makers")
        added = Property(name="Added", type=PropertyType.Number, decimal_places=0)
        makers = replace(MAKERS, properties=(*MAKERS.properties, added))
        db.migrate((*others, makers))
        for _ in range(4):
            (found,) = db.wait(db.session.run_script(step)).sets
            assert found.columns[-1] == "Added"
            assert {(len(row), row[-1]) for row in found.rows} == {(len(found.columns), None)}

    def test_repeated_script_with_many_rows(self, db: Database) -> None:
        """A known script returns every row, also more than fit into one trip to a server."""
        _fill(db, 40)
        for limit in (499, 500, 501, 999, 1000, 1001, 1600):
            rows = db.run_often(
                "SELECT a.[ID] FROM [Things] a, [Things] b WHERE a.[ID] * 40 + b.[ID] <= 40 + {A} + "
                "(SELECT MIN(c.[ID]) * 41 - 41 FROM [Things] c)",
                A=limit,
            )
            assert len(rows[0]) == limit

    def test_repeated_scripts_at_once(self, db: Database) -> None:
        """Many callers of one script each get the result for their values, while records are written."""
        ids = [db.insert(Name=f"thing {number}") for number in range(20)]
        text = db.script("SELECT [Name], [ID] FROM [Things] WHERE [ID] = {A}").script

        async def call(number: int) -> None:
            result = await db.session.run_script(ScriptStep(text, {"A": ids[number % 20]}))
            assert [tuple(row) for row in result.sets[0].rows] == [(f"thing {number % 20}", ids[number % 20])]

        def unit() -> Generator[Step, Result, None]:
            yield db.inserting(Name="another")

        async def scenario() -> None:
            for _ in range(3):
                writes = (db.session.run(unit, single=True) for _ in range(10))
                await asyncio.gather(*map(call, range(60)), *writes)

        db.wait(scenario())

    def test_repeated_script_time_limit(self, db: Database) -> None:
        """A known script that takes too long is ended too, and others run immediately."""
        if db.case.make_impatient_driver is None:
            pytest.skip("the case has no driver with a short time limit")
        _fill(db, 200)
        driver = db.case.make_impatient_driver()
        session = driver.session(db.address)
        step = db.script(ENDLESS.replace("< 0", "< {A}"))
        one = db.script("SELECT MAX([Count]) FROM [Things] WHERE [Count] >= {A}", A=0)
        for _ in range(4):
            assert db.wait(session.run_script(one)).sets[0].rows[0][0] == 199
        begun = monotonic()
        for _ in range(2):
            with pytest.raises(StatementTimeout):
                db.wait(session.run_script(step._replace(values={"A": 0})))
        assert monotonic() - begun < 12
        assert db.wait(session.run_script(one)).sets[0].rows[0][0] == 199
        db.wait(driver.close())

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
