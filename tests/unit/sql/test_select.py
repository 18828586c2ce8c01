"""SQL texts of reads: columns, restrictions, order, paging, count."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from apilane.model.definition import Direction, Entity, SortKey
from apilane.model.filter import parse_filter
from apilane.sql.dialect import Dialect
from apilane.sql.filter import bind_filter
from apilane.sql.select import ReadShape, count_records, select_records

from .conftest import Fetch

COLUMNS = ("ID", "Order")


def text_of(things: Entity, table: sa.Table, dialect: Dialect, shape: ReadShape) -> str:
    """The statement in one line."""
    return " ".join(select_records(things, table, shape, dialect).text.split())


def test_a_read_by_id(things: Entity, table: sa.Table, dialect: Dialect) -> None:
    """A read by ID has the columns in the given order, one parameter, and neither order nor paging."""
    statement = select_records(things, table, ReadShape(COLUMNS, (("ID", "id"),)), dialect)
    assert " ".join(statement.text.split()) == (
        'SELECT "Things"."ID", "Things"."Order" FROM "Things" WHERE "Things"."ID" = ?'
    )
    assert statement.order == ("id",)
    assert not statement.writes


def test_a_page(things: Entity, table: sa.Table, dialect: Dialect) -> None:
    """Restrictions come first, then the filter, then paging; null restrictions have no parameter."""
    node = parse_filter('{"Property":"Count","Operator":">","Value":7}', things, frozenset({"count"}))
    assert node is not None
    filter, values = bind_filter(node, dialect)
    shape = ReadShape(COLUMNS, (("Owner", "owner"), ("Created", None)), filter, (), paged=True)
    statement = select_records(things, table, shape, dialect)
    assert values == (7,)
    assert statement.order == ("owner", "f0", "limit", "offset")
    text = " ".join(statement.text.split())
    assert '"Things"."Owner" = ? AND "Things"."Created" IS NULL AND "Things"."Count" > ?' in text
    assert text.endswith('ORDER BY "Things"."ID" ASC LIMIT ? OFFSET ?')


@pytest.mark.better("B-Q12", "B-D9")
@pytest.mark.parametrize(
    ("order", "names"),
    [
        ((), ["ID ASC"]),
        ((SortKey("Price", Direction.DESC),), ["Price DESC", "ID ASC"]),
        ((SortKey("ID", Direction.DESC),), ["ID DESC"]),
        ((SortKey("ID", Direction.DESC), SortKey("Price")), ["ID DESC", "Price ASC"]),
        ((SortKey("Price"), SortKey("Count"), SortKey("Price", Direction.DESC)), ["Price ASC", "Count ASC", "ID ASC"]),
    ],
)
def test_id_is_the_last_sort_key(
    things: Entity, table: sa.Table, dialect: Dialect, order: tuple[SortKey, ...], names: list[str]
) -> None:
    """ID is the last sort key unless it is there already, and no column is repeated (B-Q12)."""
    text = text_of(things, table, dialect, ReadShape(COLUMNS, order=order, paged=True))
    keys = text.split(" ORDER BY ")[1].split(" LIMIT ")[0].replace('"Things".', "").replace('"', "").split(", ")
    assert keys == names


def test_order_without_paging(things: Entity, table: sa.Table, dialect: Dialect) -> None:
    """An order is kept without paging too."""
    text = text_of(things, table, dialect, ReadShape(COLUMNS, order=(SortKey("Price"),)))
    assert " ORDER BY " in text
    assert "LIMIT" not in text


@pytest.mark.better("B-Q12")
def test_nulls_come_first_ascending(fetch: Fetch, things: Entity, table: sa.Table, dialect: Dialect) -> None:
    """Nulls are first ascending and last descending, and equal values are ordered by ID (B-Q12)."""
    for count in (2, None, 1, None, 2):
        fetch('INSERT INTO "Things" ("Created", "Count") VALUES (0, ?)', (count,))
    first = fetch('SELECT min("ID") FROM "Things"')[0][0]
    for direction, expected in ((Direction.ASC, [1, 3, 2, 0, 4]), (Direction.DESC, [0, 4, 2, 1, 3])):
        shape = ReadShape(("ID",), order=(SortKey("Count", direction),), paged=True)
        rows = fetch(select_records(things, table, shape, dialect), {"limit": 9, "offset": 0})
        assert [row[0] - first for row in rows] == expected


def test_paging_and_count(fetch: Fetch, things: Entity, table: sa.Table, dialect: Dialect) -> None:
    """A page is part of the ordered records; the count ignores pages and uses filter and restrictions."""
    for number in range(5):
        fetch('INSERT INTO "Things" ("Created", "Count", "Owner") VALUES (0, ?, ?)', (number, number % 2))
    page = select_records(things, table, ReadShape(("Count",), order=(SortKey("Count"),), paged=True), dialect)
    assert fetch(page, {"limit": 2, "offset": 2}) == [(2,), (3,)]
    assert fetch(page, {"limit": 2, "offset": 9}) == []
    node = parse_filter('{"Property":"Count","Operator":">","Value":0}', things, frozenset({"count"}))
    assert node is not None
    filter, _ = bind_filter(node, dialect)
    assert fetch(count_records(things, table, (), None, dialect)) == [(5,)]
    assert fetch(count_records(things, table, (("Owner", "owner"),), filter, dialect), {"owner": 0, "f0": 0}) == [(2,)]
