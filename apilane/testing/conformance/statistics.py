"""Aggregates, parts of dates and distinct values are the same on every provider
(docs/reference/protocol/query-language.md sections 5 and 6, B-Q6, B-Q13, B-Q15, B-Q16)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest

from apilane.model.dates import MAX_MS, MIN_MS
from apilane.model.statistics import AggregateFunction, DatePart, GroupKey, Measure
from apilane.runtime.statistics import CompiledStatistics
from apilane.sql.aggregate import AggregateShape, DistinctShape
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import THINGS

__all__ = ["Statistics"]

MOMENTS = (MIN_MS, -86_400_001, -86_400_000, -1000, -999, -1, 0, 999, 59_999, 951_782_400_000, 2**31 * 1000, MAX_MS)
"""In order: the first and the last moment, days and seconds around 1970, a leap day, after 2038."""


def _figures(db: Database, *measures: Measure, by: tuple[GroupKey, ...] = (), ascending: bool = True) -> list[Any]:
    """The values of every row as they become JSON."""
    compiled = CompiledStatistics(THINGS, db.table(THINGS), db.dialect)
    statement = compiled.aggregates(AggregateShape(measures, by, ascending=ascending))
    rows = db.wait(db.session.fetch(statement, statement.parameters({"limit": 1000, "offset": 0})))
    return [_values(record) for record in compiled.maker(measures, by)(rows)]


def _distinct(db: Database, name: str, limit: int = 100) -> list[Any]:
    compiled = CompiledStatistics(THINGS, db.table(THINGS), db.dialect)
    statement = compiled.distinct(DistinctShape(name))
    rows = db.wait(db.session.fetch(statement, statement.parameters({"limit": limit, "offset": 0})))
    return [_values(record)[0] for record in compiled.value_maker(name)(rows)]


def _values(record: Any) -> tuple[Any, ...]:
    return tuple(getattr(record, field) for field in record.__struct_fields__)


def _part(ms: int, part: str) -> int:
    """A part in UTC, by Python's calendar."""
    return int(getattr(datetime(1970, 1, 1) + timedelta(milliseconds=ms), part))


class Statistics:
    """The tests that the module docstring describes."""

    def test_every_function(self, db: Database) -> None:
        """Each function of a number leaves nulls out; an average of whole numbers has a fraction."""
        for count in (1, None, 2, 2):
            db.insert(Count=count)
        every = [Measure("Count", function) for function in get_args(AggregateFunction)]
        ((number, least, most, total, average),) = _figures(db, *every)
        assert (number, least, most, total) == (3, 1, 2, 5)
        assert [type(value) for value in (number, least, most, total)] == [int] * 4
        assert abs(Decimal(average) - Decimal(5) / 3) < Decimal("1e-9")

    def test_no_rows(self, db: Database) -> None:
        """Of no rows the count is 0, and every other function is null; with groups there is no row."""
        every = [Measure("Price", function) for function in get_args(AggregateFunction)]
        assert _figures(db, *every) == [(0, None, None, None, None)]
        assert _figures(db, *every, by=(GroupKey("Name"),)) == []

    def test_decimals(self, db: Database) -> None:
        """Sums of decimals are exact in their digits, in every row, without trailing zeros."""
        for name, price in (("a", "0.1"), ("a", "0.2"), ("b", "2.5"), ("b", "2.50"), ("c", "5.5")):
            db.insert(Name=name, Price=db.number(price))
        sums = _figures(db, Measure("Price", "sum"), by=(GroupKey("Name"),))
        assert [(str(total), name) for total, name in sums] == [("0.3", "a"), ("5", "b"), ("5.5", "c")]
        ((average,),) = _figures(db, Measure("Price", "avg"))
        assert str(average) == "2.16"

    def test_least_and_greatest(self, db: Database) -> None:
        """Texts, Booleans and dates have a least and a greatest value, of their own JSON type."""
        db.insert(Note="b", Active=True, Made=-5)
        db.insert(Note="a", Active=False, Made=7)
        db.insert()
        for name, least, most in (("Note", "a", "b"), ("Active", False, True), ("Made", -5, 7)):
            ((low, high),) = _figures(db, Measure(name, "min"), Measure(name, "max"))
            assert (low, high) == (least, most)
            assert type(low) is type(least)

    def test_large_sums(self, db: Database) -> None:
        """The sum of numbers of 18 digits is exact."""
        for _ in range(3):
            db.insert(Count=10**18 - 1, Made=MAX_MS)
        assert _figures(db, Measure("Count", "sum"), Measure("Made", "sum")) == [(3 * 10**18 - 3, 3 * MAX_MS)]

    def test_groups(self, db: Database) -> None:
        """Nulls are a group, Booleans are bools, and the order is that of the measures, then of the groups."""
        for active, note in ((True, "b"), (None, "a"), (True, "a"), (False, None)):
            db.insert(Active=active, Note=note)
        count = Measure("ID", "count")
        assert _figures(db, count, by=(GroupKey("Active"),)) == [(1, None), (1, False), (2, True)]
        assert _figures(db, count, by=(GroupKey("Active"),), ascending=False) == [(2, True), (1, None), (1, False)]
        both = _figures(db, count, by=(GroupKey("Note"), GroupKey("Active")))
        assert both == [(1, None, False), (1, "a", None), (1, "a", True), (1, "b", True)]

    def test_order_of_null_results(self, db: Database) -> None:
        """Groups whose aggregate is null come first ascending and last descending."""
        for note, count in (("a", 1), ("b", None), ("c", 0)):
            db.insert(Note=note, Count=count)
        by = (GroupKey("Note"),)
        assert [note for _, note in _figures(db, Measure("Count", "sum"), by=by)] == ["b", "c", "a"]
        assert [note for _, note in _figures(db, Measure("Count", "sum"), by=by, ascending=False)] == ["a", "c", "b"]

    @pytest.mark.parametrize("part", get_args(DatePart))
    def test_parts_of_dates(self, db: Database, part: DatePart) -> None:
        """Parts are those of UTC, of any year from 1 to 9999; null has no part."""
        for ms in MOMENTS:
            db.insert(Made=ms)
        found = _figures(db, Measure("Made", "max"), by=(GroupKey("Made"), GroupKey("Made", part)))
        assert [int(value) for _, _, value in found] == [_part(ms, part) for ms in MOMENTS]
        assert len({type(value) for _, _, value in found}) == 1
        db.insert()
        assert _figures(db, Measure("ID", "count"), by=(GroupKey("Made"), GroupKey("Made", part)))[0] == (1, None, None)

    @pytest.mark.parametrize("ms", [MIN_MS - 1, MAX_MS + 1, -(2**63), 2**63 - 1])
    @pytest.mark.parametrize("part", get_args(DatePart))
    def test_parts_of_no_dates(self, db: Database, part: DatePart, ms: int) -> None:
        """A number outside the years 1 to 9999 has no part; the statement does not fail."""
        db.insert(Made=ms)
        assert _figures(db, Measure("ID", "count"), by=(GroupKey("Made", part),)) == [(1, None)]

    @pytest.mark.parametrize(
        ("name", "values"),
        [("Note", ["b", None, "a"]), ("Count", [2, None, -1, 0]), ("Active", [True, None, False]), ("Made", [5, None])],
    )
    def test_distinct(self, db: Database, name: str, values: list[Any]) -> None:
        """Each value comes once, in order, null first, up to the limit."""
        for value in (*values, *values):
            db.insert(**{name: value})
        known = sorted(value for value in values if value is not None)
        found = _distinct(db, name)
        assert found == [None, *known]
        assert [type(value) for value in found[1:]] == [type(value) for value in known]
        assert _distinct(db, name, limit=2) == [None, known[0]]
