"""Constraints, and the errors of their violation (docs/reference/protocol/errors.md section 4, B-E6)."""

from __future__ import annotations

import pytest

from apilane.model.text import fold
from apilane.sql.statement import Value
from apilane.sql.write import delete_by_ids
from apilane.storage.errors import ForeignKeyViolation, MissingObject, NotNullViolation, UniqueViolation
from apilane.storage.protocol import Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import MAKERS, PARTS, THINGS, USERS

__all__ = ["Constraints"]


def _user(email: str, username: str) -> dict[str, Value]:
    return {
        "Email": email,
        "H_Email_Fold": fold(email),
        "Username": username,
        "H_Username_Fold": fold(username),
        "Created": 1,
        "EmailConfirmed": False,
        "Password": "hash",
    }


class Constraints:
    """The tests that the module docstring describes."""

    def test_unique_names_its_column(self, db: Database) -> None:
        """A value that exists already raises UniqueViolation with the column, and nothing is written."""
        db.insert(Code="x")
        with pytest.raises(UniqueViolation) as caught:
            db.insert(Code="x")
        assert caught.value.columns == ("Code",)
        assert len(db.rows("ID")) == 1

    def test_unique_names_every_column(self, db: Database) -> None:
        """A constraint on two columns names both."""
        db.insert(Kind="k", Grade=1)
        db.insert(Kind="k", Grade=2)
        with pytest.raises(UniqueViolation) as caught:
            db.insert(Kind="k", Grade=1)
        assert sorted(caught.value.columns) == ["Grade", "Kind"]

    def test_unique_by_update(self, db: Database) -> None:
        """An update can violate uniqueness too."""
        db.insert(Code="x")
        other = db.insert(Code="y")
        with pytest.raises(UniqueViolation):
            db.write(db.updating(other, Code="x"), single=True)

    def test_several_nulls_are_unique(self, db: Database) -> None:
        """A unique constraint allows any number of nulls, also next to a value of a second column."""
        for _ in range(3):
            db.insert(Code=None, Kind="k", Grade=None)
        assert len(db.rows("ID")) == 3

    def test_hidden_column_shows_the_property(self, db: Database) -> None:
        """The uniqueness of an e-mail address ignores letter case, and its violation names Email."""
        db.insert(USERS, **_user("É@x.y", "one"))
        with pytest.raises(UniqueViolation) as caught:
            db.insert(USERS, **_user("é@X.Y", "two"))
        assert caught.value.columns == ("Email",)
        with pytest.raises(UniqueViolation) as caught:
            db.insert(USERS, **_user("other@x.y", "ONE"))
        assert caught.value.columns == ("Username",)

    def test_not_null_names_its_column(self, db: Database) -> None:
        """Null in a required column raises NotNullViolation with the column."""
        with pytest.raises(NotNullViolation) as caught:
            db.insert(Name=None)
        assert caught.value.columns == ("Name",)

    def test_reference_must_exist(self, db: Database) -> None:
        """A reference to a row that does not exist raises ForeignKeyViolation, on insert and on update."""
        with pytest.raises(ForeignKeyViolation):
            db.insert(Maker=99)
        id = db.insert()
        with pytest.raises(ForeignKeyViolation):
            db.write(db.updating(id, Maker=99))

    def test_no_action_keeps_the_referenced_row(self, db: Database) -> None:
        """A row that another row refers to cannot be deleted."""
        maker = db.insert(MAKERS, Name="m")
        db.insert(Maker=maker)
        with pytest.raises(ForeignKeyViolation):
            db.write(db.deleting(maker, MAKERS), single=True)
        assert len(db.rows("ID", entity=MAKERS)) == 1

    def test_set_null(self, db: Database) -> None:
        """A reference with SetNull becomes null when its row is deleted."""
        maker = db.insert(MAKERS, Name="m")
        db.insert(Sponsor=maker)
        db.write(db.deleting(maker, MAKERS))
        assert db.rows("Sponsor") == [(None,)]

    def test_cascade(self, db: Database) -> None:
        """Rows that refer with Cascade are deleted too."""
        thing = db.insert()
        db.insert(PARTS, Thing=thing)
        db.write(db.deleting(thing))
        assert db.rows("ID", entity=PARTS) == []

    def test_reference_to_its_own_table(self, db: Database) -> None:
        """A table may refer to itself."""
        whole = db.insert()
        part = db.insert(Whole=whole)
        with pytest.raises(ForeignKeyViolation):
            db.write(db.deleting(whole))
        db.write(db.deleting(part), db.deleting(whole))

    def test_rows_that_refer_to_each_other_go_together(self, db: Database) -> None:
        """One statement deletes a row and those that refer to it; a database that checks row by row deletes none."""
        whole = db.insert()
        part = db.insert(Whole=whole)
        statement = delete_by_ids(db.table(THINGS), 2, db.dialect)
        try:
            (result,) = db.write(Step(statement, statement.parameters({"id0": whole, "id1": part})), single=True)
        except ForeignKeyViolation:
            assert db.driver.features.reads_after_failure  # services then delete them one by one
            assert db.rows("ID") == [(whole,), (part,)]
        else:
            assert result.matched == 2
            assert db.rows("ID") == []

    def test_unknown_table(self, db: Database) -> None:
        """A table that does not exist raises MissingObject, in reads and in units."""
        unknown = MAKERS.__class__(name="Unknown", properties=MAKERS.properties)
        with pytest.raises(MissingObject):
            db.rows("ID", entity=unknown)
        with pytest.raises(MissingObject):
            db.insert(unknown, Name="x")

    def test_unknown_column(self, db: Database) -> None:
        """A column that does not exist raises MissingObject and is not read as a text."""
        more = MAKERS.__class__(name="Makers", properties=(*MAKERS.properties, PARTS.properties[1]))
        with pytest.raises(MissingObject):
            db.rows("Thing", entity=more)
        with pytest.raises(MissingObject):
            db.insert(more, Name="x", Thing=1)
