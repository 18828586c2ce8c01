"""Writing, reading, ordering and paging of records."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from apilane.model.definition import Direction, SortKey
from apilane.model.filter import Leaf, Operator
from apilane.sql.filter import bind_filter
from apilane.sql.keyset import deciding_keys, steps_after
from apilane.sql.select import ReadShape, count_records, select_records
from apilane.sql.write import insert_row
from apilane.storage.protocol import Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import MAKERS, THINGS

__all__ = ["Records"]


class Records:
    """The tests that the module docstring describes."""

    def test_insert_gives_new_ids(self, db: Database) -> None:
        """Each insert returns the ID of its row, and IDs increase."""
        first, second = db.insert(Name="a"), db.insert(Name="b")
        assert second > first
        assert db.rows("ID", "Name") == [(first, "a"), (second, "b")]

    def test_explicit_id_moves_the_sequence(self, db: Database) -> None:
        """A row can be inserted with an ID, and the next generated ID is higher."""
        assert db.insert(ID=1000, Name="a") == 1000
        assert db.insert(Name="b") > 1000

    def test_ids_are_not_reused(self, db: Database) -> None:
        """The ID of a deleted row is not used again, even if it was the highest."""
        gone = db.insert()
        db.write(db.deleting(gone))
        assert db.insert() > gone

    def test_missing_columns_take_defaults(self, db: Database) -> None:
        """A column left out of an insert is null, or has its default when it is required."""
        statement = insert_row(db.table(THINGS), ("Note",), db.dialect)
        db.write(Step(statement, statement.parameters({"Note": "n"})))
        assert db.rows("Name", "Note", "Count") == [("", "n", None)]

    def test_insert_without_columns(self, db: Database) -> None:
        """A row of defaults only can be inserted."""
        db.write(Step(insert_row(db.table(MAKERS), (), db.dialect)))
        assert db.rows("Name", entity=MAKERS) == [("",)]

    def test_update_counts_matched_rows(self, db: Database) -> None:
        """An update that changes nothing still matches its row; one of a missing row matches none."""
        id = db.insert(Name="same")
        assert [r.matched for r in db.write(db.updating(id, Name="same"), db.updating(id + 1, Name="same"))] == [1, 0]

    def test_delete_counts_rows(self, db: Database) -> None:
        """A delete returns how many rows it deleted."""
        id = db.insert()
        assert [r.matched for r in db.write(db.deleting(id), db.deleting(id))] == [1, 0]

    def test_nulls_sort_first_ascending(self, db: Database) -> None:
        """Nulls come first in ascending and last in descending order; equal values are sorted by ID."""
        ids = [db.insert(Count=count) for count in (2, None, 1, 2)]
        two, null, one, again = ids
        assert db.rows("ID", order=[SortKey("Count")]) == [(null,), (one,), (two,), (again,)]
        assert db.rows("ID", order=[SortKey("Count", Direction.DESC)]) == [(two,), (again,), (one,), (null,)]

    def test_pages(self, db: Database) -> None:
        """Limit and offset select from the ordered rows; beyond the end there are none."""
        ids = [db.insert() for _ in range(5)]
        shape = ReadShape(("ID",), order=(SortKey("ID"),), paged=True)
        statement = select_records(THINGS, db.table(THINGS), shape, db.dialect)

        def page(limit: int, offset: int) -> list[Any]:
            parameters = statement.parameters({"limit": limit, "offset": offset})
            return [row[0] for row in db.wait(db.session.fetch(statement, parameters))]

        assert [page(2, 0), page(2, 4), page(2, 6)] == [ids[:2], ids[4:], []]

    @pytest.mark.parametrize("first", list(Direction))
    @pytest.mark.parametrize(
        ("name", "other"), [("Count", "Note"), ("Note", "Price"), ("Price", "Active"), ("Active", "Made")]
    )
    def test_reading_on(self, db: Database, name: str, other: str, first: Direction) -> None:
        """From every row, the steps of a keyset read exactly the rows that follow it in the order, also among ties and
        nulls."""
        values: dict[str, tuple[Any, ...]] = {
            "Count": (None, -1, 2), "Note": (None, "", "b"), "Price": (None, -1, 12),
            "Active": (None, False, True), "Made": (None, -1, 10**12),
        }  # fmt: skip
        for one, two in product(values[name], values[other]):
            db.insert(**{name: one, other: two})
        db.insert(**{name: values[name][1], other: values[other][2]})
        order = (SortKey(name, first), SortKey(other, Direction.DESC))
        keys = deciding_keys(order)
        columns = tuple(key.property for key in keys)
        read = ReadShape(columns, order=order)
        statement = select_records(THINGS, db.table(THINGS), read, db.dialect)
        rows = [tuple(row) for row in db.wait(db.session.fetch(statement, ()))]
        for position, row in enumerate(rows):
            found = []
            for step in steps_after(THINGS, keys, tuple(value is None for value in row)):
                following = select_records(THINGS, db.table(THINGS), read._replace(after=step), db.dialect)
                place = {f"k{number}": value for number, value in enumerate(row)}
                found += [tuple(row) for row in db.wait(db.session.fetch(following, following.parameters(place)))]
            assert found == rows[position + 1 :]

    def test_counts(self, db: Database) -> None:
        """A count gives one row with one number."""
        db.insert()
        statement = count_records(THINGS, db.table(THINGS), (), None, db.dialect)
        assert [tuple(row) for row in db.wait(db.session.fetch(statement))] == [(1,)]

    def test_stream_gives_every_row(self, db: Database) -> None:
        """A stream returns all rows in batches, and can be left before its end."""
        db.write(*(db.inserting(Count=n) for n in range(1203)))

        async def all_rows() -> list[Any]:
            statement = db.reading("Count").statement
            return [row[0] async for batch in db.session.stream(statement) for row in batch]

        async def first_batch() -> int:
            batches = db.session.stream(db.reading("Count").statement)
            return len(await anext(batches))

        assert sorted(db.wait(all_rows())) == list(range(1203))
        assert db.wait(first_batch()) > 0

    @pytest.mark.parametrize(
        ("column", "values"),
        [
            ("Note", (None, "", "a", "b")),
            ("Code", (None, "", "a", "b")),
            ("Price", (None, "-1.5", "0", "9.25", "10.5")),
            ("Active", (None, False, True)),
            ("Made", (None, -5, 0, 4102444800000)),
        ],
    )
    def test_sorts_by_every_type(self, db: Database, column: str, values: tuple[Any, ...]) -> None:
        """Every type sorts, also texts of any length: ascending with nulls first and descending with nulls last."""
        stored = [db.number(v) if column == "Price" and v is not None else v for v in values]
        ids = [db.insert(THINGS, **{column: value}) for value in reversed(stored)][::-1]
        assert [row[0] for row in db.rows("ID", order=[SortKey(column)])] == ids
        assert [row[0] for row in db.rows("ID", order=[SortKey(column, Direction.DESC)])] == ids[::-1]

    def test_pages_of_equal_values(self, db: Database) -> None:
        """Pages over equal values have each row exactly once."""
        ids = [db.insert(Kind="k") for _ in range(25)]
        shape = ReadShape(("ID",), order=(SortKey("Kind"), SortKey("ID")), paged=True)
        statement = select_records(THINGS, db.table(THINGS), shape, db.dialect)
        seen = []
        for offset in range(0, 30, 4):
            parameters = statement.parameters({"limit": 4, "offset": offset})
            seen += [row[0] for row in db.wait(db.session.fetch(statement, parameters))]
        assert seen == ids

    def test_counts_what_matches(self, db: Database) -> None:
        """A count with a filter counts each matching row once."""
        for n in range(6):
            db.insert(Count=n % 3, Note="Émile" if n % 2 else None)
        note = THINGS.property("Note")
        assert note is not None
        shape, values = bind_filter(Leaf(note, Operator.CONTAINS, "ÉM"), db.dialect)
        statement = count_records(THINGS, db.table(THINGS), (), shape, db.dialect)
        parameters = statement.parameters({f"f{i}": value for i, value in enumerate(values)})
        assert [tuple(row) for row in db.wait(db.session.fetch(statement, parameters))] == [(3,)]
