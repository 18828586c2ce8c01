"""Names and values that could break a driver."""

from __future__ import annotations

import pytest

from apilane.model.definition import Entity, Property, PropertyType, Unique
from apilane.sql.statement import Statement
from apilane.storage.errors import StorageError, UniqueViolation
from apilane.storage.protocol import Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import ENTITIES, key

__all__ = ["Hostile"]

WORDS = ("Order", "Select", "Group", "Where", "Table", "Index", "User", "Values", "Primary", "Check", "Default")

VALUES = (
    '\'; DROP TABLE "Things"; --',
    '" OR 1=1 --',
    "\\",
    "%",
    "_",
    "%s",
    "?",
    ":f0",
    "{Owner}",
    "null",
    "\u202e",
    "\ufeff",
    "\uffff",
    "x" * 1_000_000,
)


class Hostile:
    """The tests that the module docstring describes."""

    @pytest.mark.parametrize("word", WORDS)
    def test_reserved_words(self, db: Database, word: str) -> None:
        """Entities and properties may have SQL keywords as names."""
        entity = Entity(
            name=word,
            properties=(
                key(),
                Property(name="Select", maximum=50),
                Property(name="Order", type=PropertyType.Number, decimal_places=2),
                Property(name="From", type=PropertyType.Boolean, required=True),
            ),
            constraints=(Unique(properties=("Select", "Order")),),
        )
        db.migrate((*ENTITIES, entity))
        row = {"Select": "a", "Order": db.number("1.5"), "From": True}
        id = db.insert(entity, **row)
        with pytest.raises(UniqueViolation) as caught:
            db.insert(entity, **row)
        assert sorted(caught.value.columns) == ["Order", "Select"]
        db.write(db.updating(id, entity, Select="b"))
        assert db.found("Select", "contains", "B", entity) == [id]

    @pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:20])
    def test_values(self, db: Database, value: str) -> None:
        """Text is stored and read unchanged, and filters compare it literally."""
        id = db.insert(Note=value)
        db.insert(Note="something else")
        assert db.rows("Note")[0] == (value,)
        for operator in ("equal", "startswith", "endswith", "contains"):
            assert db.found("Note", operator, value) == [id]

    def test_foreign_tables(self, db: Database) -> None:
        """Tables of other programs in the database do not change when Apilane's tables change."""
        quote = db.dialect.sqlalchemy.identifier_preparer.quote_identifier
        create = f"CREATE TABLE {quote('Strange table')} ({quote('a b')} INTEGER)"
        insert = f"INSERT INTO {quote('Strange table')} VALUES (7)"

        db.alter(Step(Statement(create, kind="ddl")), Step(Statement(insert, kind="insert")))
        db.migrate(ENTITIES[:-1])
        read = Statement(f"SELECT * FROM {quote('Strange table')}")
        assert [tuple(row) for row in db.wait(db.session.fetch(read))] == [(7,)]

    def test_half_a_surrogate_pair(self, db: Database) -> None:
        """Text with invalid Unicode is refused or stored, and the database still works."""
        try:
            db.insert(Note="a\ud800")
        except StorageError:
            assert db.rows("ID") == []
        assert db.insert(Note="next")

    def test_nul(self, db: Database) -> None:
        """Text with a NUL is refused or stored completely, and the database still works."""
        try:
            id = db.insert(Note="a\0b")
        except StorageError:
            assert db.rows("ID") == []
        else:
            assert db.rows("ID", "Note") == [(id, "a\0b")]
            assert db.found("Note", "equal", "A\0B") == [id]
        assert db.insert(Note="next")

    def test_many_parameters(self, db: Database) -> None:
        """A filter over 500 values works."""
        ids = [result.inserted_id for result in db.write(*(db.inserting(Count=n) for n in range(10)))]
        assert db.found("Count", "contains", tuple(range(500))) == ids
