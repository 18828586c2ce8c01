"""Shapes of filters: content and sharing; no value is part of an SQL text."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from apilane.model.definition import Entity
from apilane.model.filter import parse_filter
from apilane.sql.dialect import Dialect
from apilane.sql.filter import FilterShape, bind_filter
from apilane.sql.select import count_records
from apilane.sql.statement import Value

from .conftest import Fetch

EVERYTHING = frozenset({"order", "count", "price", "flag", "when", "secret"})


def bound(things: Entity, dialect: Dialect, document: object) -> tuple[FilterShape, tuple[Value, ...]]:
    """Shape and values of a filter in JSON form."""
    node = parse_filter(json.dumps(document), things, EVERYTHING)
    assert node is not None
    return bind_filter(node, dialect)


def leaf(name: str, operator: str, value: object) -> dict[str, object]:
    """One condition."""
    return {"Property": name, "Operator": operator, "Value": value}


def test_equal_shapes_share_one_text(things: Entity, table: sa.Table, dialect: Dialect) -> None:
    """Filters that differ only in values have equal, hashable shapes and one text."""

    def document(text: str, number: object, day: str, flag: object) -> dict[str, Any]:
        conditions = [leaf("order", "contains", text), leaf("Price", "less", number), leaf("Flag", "equal", flag)]
        return {"Logic": "OR", "Filters": [*conditions, {"Filters": [leaf("When", "greater", day)]}]}

    first, second = (
        bound(things, dialect, document(*values))
        for values in (("desk", 1, "2026-01-31", True), ("lamp'; --", 2.5, "2020-01-01", "on"))
    )
    assert first[0] == second[0]
    assert hash(first[0]) == hash(second[0])
    assert first[1] != second[1]
    texts = {count_records(things, table, (), shape, dialect).text for shape, _ in (first, second)}
    assert len(texts) == 1


@pytest.mark.better("B-Q3")
@pytest.mark.parametrize(
    "document",
    [
        *[leaf("Order", o, "zebra4711") for o in ("=", "!=", "<", ">", "sw", "ew", "like", "nc")],
        *[leaf("Order", o, "zébra4711") for o in ("=", "!=", "<", ">", "sw", "ew", "like", "nc")],
        *[leaf("Order", o, ["zebra4711", "zébra4711", "x4711"]) for o in ("like", "nc")],
        *[leaf("Count", o, 4711) for o in ("=", "!=", "<", ">", "<=", ">=")],
        *[leaf("Count", o, "4711,47110") for o in ("like", "nc")],
        *[leaf("Price", o, 4711.4711) for o in ("=", "!=", "<")],
        leaf("When", "<", 4711),
    ],
)
def test_no_value_enters_a_text(things: Entity, table: sa.Table, dialect: Dialect, document: object) -> None:
    """Every value becomes a parameter, and each parameter has a value (B-Q3)."""
    shape, values = bound(things, dialect, document)
    statement = count_records(things, table, (), shape, dialect)
    assert "4711" not in statement.text
    assert "4711" not in repr(shape)
    assert set(statement.order) == {f"f{n}" for n in range(len(values))}


@pytest.mark.parametrize(("count", "parameters"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (9, 16), (300, 512)])
@pytest.mark.parametrize(("name", "make"), [("Count", int), ("Order", str)])
def test_lists_are_filled_up(
    things: Entity, dialect: Dialect, count: int, parameters: int, name: str, make: type
) -> None:
    """A list is padded to the next power of two, so that few shapes serve all lengths."""
    items = [make(n) for n in range(count)]
    shape, values = bound(things, dialect, leaf(name, "contains", items))
    assert len(values) == parameters
    assert set(values) == set(items)
    assert shape == bound(things, dialect, leaf(name, "contains", [make(n + 7) for n in range(count)]))[0]


def test_lists_of_text_do_not_depend_on_order(things: Entity, dialect: Dialect) -> None:
    """ASCII and non-ASCII texts in any order give one shape."""
    one = bound(things, dialect, leaf("Order", "contains", ["a", "é", "b"]))
    two = bound(things, dialect, leaf("Order", "contains", ["é", "c", "d"]))
    assert one[0] == two[0]


@pytest.mark.parametrize("name", ["Order", "Count"])
@pytest.mark.parametrize(
    "document",
    [
        lambda name: {"Filters": [leaf(name, "notequal", n) for n in range(500)]},
        lambda name: {"Logic": "OR", "Filters": [leaf(name, "equal", n) for n in range(500)]},
        lambda name: {"Filters": [leaf("Order", "sw", f"a{n}") for n in range(500)]},
        lambda name: leaf(name, "contains", list(range(500))),
        lambda name: leaf(name, "notcontains", list(range(500))),
        lambda name: leaf("Count", "contains", list(range(2000))),
        lambda name: {"Logic": "OR", "Filters": [leaf("Order", "nc", [f"{n}é", f"{n}"]) for n in range(250)]},
    ],
)
def test_large_filters_run(
    fetch: Fetch, things: Entity, table: sa.Table, dialect: Dialect, name: str, document: Any
) -> None:
    """The largest filters that are accepted stay within the database's limits."""
    shape, values = bound(things, dialect, document(name))
    statement = count_records(things, table, (), shape, dialect)
    assert fetch(statement, {f"f{n}": value for n, value in enumerate(values)}) == [(0,)]
