"""Helper tables: created and changed according to the records of ``H_Tables``, and hidden from custom SQL."""

from __future__ import annotations

import pytest

from apilane.model.definition import ForeignKey, Index, OnDelete, Property, PropertyType, Unique
from apilane.model.system import helper_table
from apilane.sql.statement import Statement
from apilane.storage.errors import StorageError, Unavailable
from apilane.storage.helper_tables import HelperTables, TableVersion
from apilane.storage.protocol import Step, Unit
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import THINGS

__all__ = ["PrivateTables"]


def _text(name: str, maximum: int | None = 100) -> Property:
    return Property(name=name, maximum=maximum, required=True, is_system=True)


def _number(name: str, *, required: bool = True) -> Property:
    return Property(name=name, type=PropertyType.Number, decimal_places=0, required=required, is_system=True)


FIRST = helper_table(
    "H_Counts", (_text("Name"), _number("Calls")), (Unique(properties=("Name",)),), (Index(("Calls",)),)
)
SECOND = helper_table(
    "H_Counts",
    (_text("Name"), _text("Note", None), _number("User", required=False)),
    (Unique(properties=("Name",)), ForeignKey(property="User", entity="Users", on_delete=OnDelete.Cascade)),
)
OTHER = helper_table("H_Others", (_text("Name"),))

VERSION_1 = HelperTables([TableVersion(FIRST, 1, "counts")])
VERSION_2 = HelperTables([TableVersion(SECOND, 2, "counts"), TableVersion(OTHER, 1, "others")])

READING = [
    "SELECT * FROM [H_Counts]",
    "SELECT COUNT(*) FROM [H_Counts]",
    "SELECT [Name] FROM [Things] UNION SELECT [Name] FROM [H_Counts]",
    "WITH x AS (SELECT [Name] FROM [H_Counts]) SELECT [Name] FROM x",
    "SELECT t.[Name] FROM [Things] t, [H_Counts] c",
    "SELECT (SELECT MAX(c.[Name]) FROM [H_Counts] c) AS [Found]",
    "INSERT INTO [Things] ([Name]) SELECT [Name] FROM [H_Counts]",
    "UPDATE [Things] SET [Note] = (SELECT MAX([Name]) FROM [H_Counts])",
    "DELETE FROM [Things] WHERE [Name] IN (SELECT [Name] FROM [H_Counts])",
]
WRITING = [
    "INSERT INTO [H_Counts] ([Name], [Calls]) VALUES ('b', 1)",
    "UPDATE [H_Counts] SET [Calls] = 5",
    "DELETE FROM [H_Counts]",
    "INSERT INTO [H_Tables] ([Name], [Plugin], [Version], [Definition]) VALUES ('x', 'x', 1, 'x')",
    "DELETE FROM [H_Tables]",
]


class _Stopped(Exception):
    """Simulates the end of a process."""


def _open(db: Database, tables: HelperTables) -> bool:
    """Create or change the helper tables; return whether anything was changed."""
    db.altered = True
    return db.wait(tables.bring_up_to_date(db.session, db.dialect)) is not None


def _stop_after(db: Database, statements: int) -> None:
    """Simulate a process that ends after this many schema statements of the change to the second version."""
    changes = db.wait(VERSION_2.missing(db.session, db.dialect))
    assert changes is not None
    texts = db.dialect.migrate(changes.migration)[:statements]

    def unit() -> Unit[None]:
        for text in texts:
            yield Step(Statement(text, kind="ddl"))
        raise _Stopped

    db.altered = True
    with pytest.raises(_Stopped):
        db.wait(db.session.alter(unit))


def _statements(db: Database) -> int:
    changes = db.wait(VERSION_2.missing(db.session, db.dialect))
    return 0 if changes is None else len(db.dialect.migrate(changes.migration))


def _recorded(db: Database) -> dict[str, int]:
    found = db.wait(VERSION_1.recorded(db.session, db.dialect))
    return {name: table.version for name, table in found.items()}


def _runs(db: Database, sql: str) -> bool:
    try:
        db.run_script(sql)
    except StorageError:
        return False
    return True


class PrivateTables:
    """The tests that the module docstring describes."""

    def test_helper_tables_are_made_and_changed(self, db: Database) -> None:
        """A new version keeps the rows, adds and drops columns and indexes, and is recorded. A second run changes
        nothing."""
        assert _open(db, VERSION_1)
        assert not _open(db, VERSION_1)
        id = db.insert(FIRST, Name="a", Calls=3)
        assert _open(db, VERSION_2)
        assert not _open(db, VERSION_2)
        assert _recorded(db) == {"H_Counts": 2, "H_Others": 1}
        assert db.rows("ID", "Name", "Note", "User", entity=SECOND) == [(id, "a", "", None)]
        with pytest.raises(StorageError):
            db.insert(SECOND, Name="a", Note="")
        with pytest.raises(StorageError):
            db.insert(SECOND, Name="b", Note="", User=5)
        with pytest.raises(Unavailable, match=r"H_Counts \(plugin 'counts'\) has version 2 in the database"):
            _open(db, VERSION_1)

    def test_helper_tables_after_an_interruption(self, db: Database) -> None:
        """A change that was interrupted after any of its statements is completed by the next run. No row is lost."""
        _open(db, VERSION_1)
        db.insert(FIRST, Name="a", Calls=3)
        statements = _statements(db)
        for number in range(1, statements + 1):
            _stop_after(db, number)
            assert _recorded(db) == {"H_Counts": 1}
        assert _open(db, VERSION_2)
        assert _recorded(db) == {"H_Counts": 2, "H_Others": 1}
        assert db.rows("Name", "Note", entity=SECOND) == [("a", "")]
        assert db.rows("Name", entity=OTHER) == []

    def test_first_helper_table_after_an_interruption(self, db: Database) -> None:
        """A first change that was interrupted before ``H_Tables`` had rows is completed by the next run."""
        statements = _statements(db)
        for number in range(1, statements + 1):
            _stop_after(db, number)
            assert _recorded(db) == {}
        assert _open(db, VERSION_2)
        assert _recorded(db) == {"H_Counts": 2, "H_Others": 1}

    def test_script_never_uses_private_tables(self, db: Database) -> None:
        """Custom SQL cannot read or write a helper table of a plugin, and the rows do not change."""
        _open(db, VERSION_1)
        db.insert(FIRST, Name="secret", Calls=1)
        db.insert(Name="thing", Note="n")
        assert [sql for sql in (*READING, *WRITING) if _runs(db, sql)] == []
        assert db.rows("Name", "Calls", entity=FIRST) == [("secret", 1)]
        assert db.rows("Name", "Note", entity=THINGS) == [("thing", "n")]
        assert [sql for sql in READING if not _runs(db, sql.replace("[H_Counts]", "[Makers]"))] == []

    def test_script_may_call_things_alike(self, db: Database) -> None:
        """Column names may begin with the prefix of helper tables."""
        _open(db, VERSION_1)
        db.insert(Name="thing")
        (found,) = db.run_script("SELECT [Name] AS [H_Name] FROM [Things]")
        assert (found.columns, [tuple(row) for row in found.rows]) == (("H_Name",), [("thing",)])
