"""Helper tables: created and changed according to the records of ``H_Tables``, refused where values could be lost, and
hidden from custom SQL.
"""

from __future__ import annotations

import pytest

from apilane.model.definition import Constraint, ForeignKey, Index, OnDelete, Property, PropertyType, Unique
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


def _kept(
    version: int, *columns: Property, by: str = "keeps", constraints: tuple[Constraint, ...] = ()
) -> HelperTables:
    """A table of the plugin ``by`` at a version."""
    return HelperTables([TableVersion(helper_table("H_Kept", columns, constraints), version, by)])


def _share(decimal_places: int) -> Property:
    return Property(
        name="Share", type=PropertyType.Number, decimal_places=decimal_places, required=True, is_system=True
    )


KEPT = (_text("Text"), _share(2), _number("User", required=False))
KEPT_1 = _kept(1, *KEPT)
LOSING = {
    "the type of the column Text": (_number("Text"), *KEPT[1:]),
    "the maximum of the column Text": (_text("Text", 2), *KEPT[1:]),
    "the decimal places of the column Share": (KEPT[0], _share(0), KEPT[2]),
}
UNFIT = {
    "unique": _kept(2, *KEPT, constraints=(Unique(properties=("Text",)),)),
    "required": _kept(2, *KEPT[:2], _number("User")),
    "reference": _kept(2, *KEPT, constraints=(ForeignKey(property="User", entity="Users"),)),
}

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

    def test_a_helper_table_of_another_plugin_is_refused(self, db: Database) -> None:
        """A plugin never gets the table of another plugin, with the same columns or with others; the rows stay."""
        _open(db, KEPT_1)
        id = db.insert(KEPT_1.wanted[0].entity, Text="precious", Share=db.number("0.25"))
        for other in (_kept(1, *KEPT, by="other"), _kept(2, _text("Else"), by="other")):
            with pytest.raises(Unavailable, match=r"\(plugin 'other'\) belongs to the plugin 'keeps' in the database"):
                _open(db, other)
        assert db.rows("ID", "Text", entity=KEPT_1.wanted[0].entity) == [(id, "precious")]
        assert not _open(db, KEPT_1)

    @pytest.mark.parametrize("what", LOSING)
    def test_a_column_of_a_helper_table_never_loses_values(self, db: Database, what: str) -> None:
        """A change that would cut, round or convert stored values is refused; table and rows stay as they are."""
        _open(db, KEPT_1)
        entity = KEPT_1.wanted[0].entity
        id = db.insert(entity, Text="precious", Share=db.number("0.25"))
        with pytest.raises(Unavailable, match=rf"\(plugin 'keeps'\) changes {what} in version 2"):
            _open(db, _kept(2, *LOSING[what]))
        assert db.rows("ID", "Text", "Share", entity=entity) == [(id, "precious", db.number("0.25"))]
        assert _recorded(db) == {"H_Kept": 1}

    @pytest.mark.parametrize("what", UNFIT)
    def test_rows_that_do_not_fit_a_new_version(self, db: Database, what: str) -> None:
        """Rows that break a new rule stop the change; it is made when the rows are correct."""
        _open(db, KEPT_1)
        entity = KEPT_1.wanted[0].entity
        user = None if what == "required" else 5
        ids = [db.insert(entity, Text="same", Share=0, User=user) for _ in range(2)]
        with pytest.raises(Unavailable, match="H_Kept of keeps to version 2"):
            _open(db, UNFIT[what])
        assert db.rows("ID", "Text", "User", entity=entity) == [(id, "same", user) for id in ids]
        assert _recorded(db) == {"H_Kept": 1}
        correct = 7 if what == "required" else None
        db.write(*(db.updating(id, entity, Text=f"t{id}", User=correct) for id in ids))
        assert _open(db, UNFIT[what])
        assert _recorded(db) == {"H_Kept": 2}

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
