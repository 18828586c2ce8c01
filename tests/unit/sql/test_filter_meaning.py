"""Results of filters: random records and filters, with SQLite's result compared to plain Python's."""

from __future__ import annotations

import json
import operator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apilane.model.definition import Entity
from apilane.model.filter import parse_filter
from apilane.model.text import fold, trim
from apilane.sql.dialect import Dialect
from apilane.sql.filter import bind_filter
from apilane.sql.select import ReadShape, select_records

from .conftest import Fetch

READABLE = frozenset({"order", "count", "price", "flag", "when"})
COMPARE = {
    "equal": operator.eq,
    "notequal": operator.ne,
    "greater": operator.gt,
    "greaterorequal": operator.ge,
    "less": operator.lt,
    "lessorequal": operator.le,
}
TEXT = {
    "equal": operator.eq,
    "notequal": operator.ne,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": operator.contains,
    "notcontains": lambda text, part: part not in text,
}
Record = dict[str, Any]


def matches(record: Record, document: dict[str, Any]) -> bool:
    """Whether a record matches a filter, by section 1.3 of docs/reference/protocol/query-language.md alone."""
    if "Filters" in document:
        join = any if document["Logic"] == "OR" else all
        return join([matches(record, item) for item in document["Filters"]])
    stored, name, sign, value = (
        record[document["Property"]],
        document["Property"],
        document["Operator"],
        document["Value"],
    )
    if value is None:
        return (stored is None) is (sign == "equal")
    if name == "Flag":
        return (bool(stored) is value) is (sign == "equal")
    if isinstance(value, list) and not value:
        return sign == "notcontains"
    if stored is None:
        return False
    if isinstance(value, list):
        found = (
            stored in [Decimal(v) for v in value] if name != "Order" else fold(stored) in map(fold, map(trim, value))
        )
        return found is (sign == "contains")
    if name != "Order":
        return bool(COMPARE[sign](stored, Decimal(value)))
    if sign in TEXT:
        return bool(TEXT[sign](fold(stored), fold(trim(value))))
    return bool(COMPARE[sign](stored.encode(), trim(value).encode()))


pieces = ["ss", "e\u0301", "\U0001f600", *"aAzZeEéÉßẞiI\u0131İkK\u212a\u03c3ςΣ%_\\'\"[]*?@`{\x7f "]
texts = st.lists(st.sampled_from(pieces), max_size=4).map("".join)
counts = st.integers(-3, 3) | st.sampled_from([-(10**18), 10**18 - 1, 999_999_999_999_999_999])
prices = st.integers(-300, 300).map(lambda cents: str(Decimal(cents) / 100))
days = st.integers(-2, 2).map(lambda day: 1_600_000_000_000 + day)


def nullable(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The values, or null."""
    return st.none() | values


records = st.fixed_dictionaries(
    {
        "Order": nullable(texts.map(trim)),
        "Count": nullable(counts),
        "Price": nullable(prices.map(Decimal)),
        "Flag": nullable(st.booleans()),
        "When": nullable(days),
    }
)


def leaves(name: str, signs: Any, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions on one property."""
    return st.fixed_dictionaries(
        {"Property": st.just(name), "Operator": st.sampled_from(sorted(signs)), "Value": values}
    )


NULL_TESTS, LISTS = ("equal", "notequal"), ("contains", "notcontains")
names = ["Order", "Count", "Price", "Flag", "When"]
leaf = st.one_of(
    leaves("Order", {**COMPARE, **TEXT}, texts),
    leaves("Order", LISTS, st.lists(texts, max_size=5)),
    leaves("Count", COMPARE, counts | prices),
    leaves("Count", LISTS, st.lists(counts | prices, max_size=5)),
    leaves("Price", COMPARE, counts | prices | st.sampled_from(["1e99", "-1e99", "1.0000000001", "-1e-99"])),
    leaves("Price", LISTS, st.lists(counts | prices, max_size=5)),
    leaves("When", COMPARE, days),
    leaves("Flag", NULL_TESTS, st.booleans()),
    st.sampled_from(names).flatmap(lambda name: leaves(name, NULL_TESTS, st.none())),
)
filters = st.recursive(
    leaf,
    lambda inner: st.fixed_dictionaries(
        {"Logic": st.sampled_from(["AND", "OR"]), "Filters": st.lists(inner, min_size=1, max_size=4)}
    ),
    max_leaves=6,
)


def found(fetch: Fetch, things: Entity, table: sa.Table, dialect: Dialect, document: dict[str, Any]) -> list[int]:
    """The positions of the records that the database finds."""
    node = parse_filter(json.dumps(document), things, READABLE)
    assert node is not None
    shape, values = bind_filter(node, dialect)
    statement = select_records(things, table, ReadShape(("Owner",), (), shape, (), paged=True), dialect)
    parameters = {f"f{n}": value for n, value in enumerate(values)} | {"limit": 100, "offset": 0}
    return [row[0] for row in fetch(statement, parameters)]


def store(fetch: Fetch, position: int, record: Record) -> None:
    """Insert a record; its position is stored as the owner."""
    price = None if record["Price"] is None else float(record["Price"])
    fetch(
        'INSERT INTO "Things" ("Owner", "Created", "Order", "Count", "Price", "Flag", "When") VALUES (?,0,?,?,?,?,?)',
        (position, record["Order"], record["Count"], price, record["Flag"], record["When"]),
    )


@pytest.mark.better("B-Q3", "B-Q4")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(records, min_size=1, max_size=6), document=filters)
def test_filters_find_what_they_mean(
    fetch: Fetch, things: Entity, table: sa.Table, dialect: Dialect, rows: list[Record], document: dict[str, Any]
) -> None:
    """SQLite returns exactly the records that match the filter in plain Python."""
    fetch('DELETE FROM "Things"')
    for position, record in enumerate(rows):
        store(fetch, position, record)
    expected = [position for position, record in enumerate(rows) if matches(record, document)]
    assert found(fetch, things, table, dialect, document) == expected


@pytest.mark.better("B-Q3")
@pytest.mark.parametrize(
    ("stored", "value", "equal"),
    [
        ("É", "é", True),
        ("É", "e", False),
        ("É", "E\u0301", False),
        ("ΣΑΣ", "σας", True),
        ("ß", "ẞ", True),
        ("ß", "ss", False),
        ("İ", "i", False),
        ("İ", "İ", True),
        ("\u0131", "I", False),
        ("\u212a", "k", False),
        ("k", "\u212a", False),
        ("DESK", "desk", True),
        ("ДОМ", "дом", True),
        ("a%", "a_", False),
        ("100%", "100%", True),
        ("1000", "100%", False),
        ("a_b", "aXb", False),
        ("a\\b", "A\\B", True),
        ("it's", "IT'S", True),
        ("", "", True),
        ("x", "", False),
    ],
)
def test_letters_fold_and_accents_count(
    fetch: Fetch, things: Entity, table: sa.Table, dialect: Dialect, stored: str, value: str, equal: bool
) -> None:
    """Letter case is ignored for all letters, accents count, and wildcards are literal (B-Q3), also inside lists."""
    store(fetch, 0, {"Order": stored, "Count": None, "Price": None, "Flag": None, "When": None})

    def holds(sign: str, wanted: object) -> bool:
        return found(fetch, things, table, dialect, {"Property": "Order", "Operator": sign, "Value": wanted}) == [0]

    assert holds("equal", value) is equal
    assert holds("notequal", value) is not equal
    assert holds("contains", [value, "other"]) is equal
    assert holds("notcontains", ["other", value]) is not equal
    if len(stored) == len(value) > 0:
        for sign in ("contains", "startswith", "endswith"):
            assert holds(sign, value) is equal
        assert holds("notcontains", value) is not equal
