"""Data Get: pages, order, selection and filters
(docs/reference/protocol/wire-api.md section 4.1, docs/reference/protocol/query-language.md sections 1 to 4).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from apilane.testing.client import Client, WireError, error_of

RECORDS: list[dict[str, Any]] = [
    {"Title": "Desk lamp", "Group": 1, "Price": 19.99, "Flag": True, "Moment": "2026-01-31", "Hidden": 1},
    {"Title": "Floor lamp", "Group": 1, "Price": 120, "Flag": False, "Moment": "2026-02-01", "Hidden": 5},
    {"Title": "élan 100%", "Group": 2, "Price": 5.5, "Flag": True, "Secret": "s", "Hidden": 3},
    {"Title": "ÉLAN 100x", "Group": 2, "Price": 5.5, "Hidden": 2},
    {"Title": "under_score", "Group": 3, "Price": -1, "Flag": False, "Hidden": 4},
    {"Title": "underXscore", "Hidden": 6},
    {"Group": 3, "Price": 0, "Secret": "", "Moment": 0, "Hidden": 7},
]


@pytest.fixture(scope="module", autouse=True)
def records(lab: Client) -> None:
    """Records 1 to 7."""
    assert lab.add("Ranked", *RECORDS) == [1, 2, 3, 4, 5, 6, 7]


def _ids(client: Client, **query: Any) -> list[int]:
    texts = {name: value if isinstance(value, str | int) else json.dumps(value) for name, value in query.items()}
    return [record["ID"] for record in client.records("Ranked", **texts)]


def _leaf(name: str, operator: Any, *value: Any) -> dict[str, Any]:
    return {"Property": name, "Operator": operator, **({"Value": value[0]} if value else {})}


@pytest.mark.better("B-D9")
def test_default_order(lab: Client) -> None:
    """Without a sort the entity's default order applies, even by a property that the caller may not read (B-D9)."""
    assert _ids(lab) == [7, 6, 2, 5, 3, 4, 1]
    assert _ids(lab, sort="") == _ids(lab, sort="  ") == _ids(lab)


@pytest.mark.better("B-Q12")
@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ({"Property": "Price", "Direction": "ASC"}, [6, 5, 7, 3, 4, 1, 2]),
        ({"Property": "Price", "Direction": "DESC"}, [2, 1, 3, 4, 7, 5, 6]),
        ({"property": "pRICE", "DIRECTION": "dEsC"}, [2, 1, 3, 4, 7, 5, 6]),
        ({"Property": "Price", "Direction": "whatever"}, [6, 5, 7, 3, 4, 1, 2]),
        ({"Property": "ID", "Direction": "desc"}, [7, 6, 5, 4, 3, 2, 1]),
        (
            [{"Property": "Group", "Direction": "DESC"}, {"Property": "Price", "Direction": "ASC"}],
            [5, 7, 3, 4, 1, 2, 6],
        ),
        ([{"Property": "Nope", "Direction": "ASC"}, {"Property": "ID", "Direction": "DESC"}], [7, 6, 5, 4, 3, 2, 1]),
        ({"Property": "Nope", "Direction": "DESC"}, [1, 2, 3, 4, 5, 6, 7]),
        ([], [1, 2, 3, 4, 5, 6, 7]),
        ("null", [1, 2, 3, 4, 5, 6, 7]),
        ("5", [1, 2, 3, 4, 5, 6, 7]),
        ('"x"', [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_sort(lab: Client, sort: Any, ids: list[int]) -> None:
    """A sort sets the order; equal values are ordered by ID, and nulls come first when ascending (B-Q12)."""
    assert _ids(lab, sort=sort) == ids


@pytest.mark.better("B-S2")
@pytest.mark.parametrize(
    ("sort", "message"),
    [
        ("{", "Misconfigured json parameter 'sort'"),
        ("Price", "Misconfigured json parameter 'sort'"),
        ({"Property": "Price"}, "Misconfigured json parameter 'sort'"),
        ({"Direction": "ASC"}, "Misconfigured json parameter 'sort'"),
        ([{}], "Misconfigured json parameter 'sort'"),
        ([None], "Invalid sort parameter"),
        ({"Property": None, "Direction": "ASC"}, "Invalid sort parameter"),
        ({"Property": "Hidden", "Direction": "ASC"}, "Invalid sort parameter. Property 'Hidden' is not allowed"),
        ({"Property": "hIDDEN", "Direction": "ASC"}, "Invalid sort parameter. Property 'hIDDEN' is not allowed"),
        ({"Property": "Owner", "Direction": "ASC"}, "Invalid sort parameter. Property 'Owner' is not allowed"),
    ],
)
def test_bad_sort(lab: Client, sort: Any, message: str) -> None:
    """A malformed sort, or one with a property that the caller may not read, is refused in any letter case (B-S2)."""
    text = sort if isinstance(sort, str) else json.dumps(sort)
    expected = WireError("INVALID_SORT_PARAMETER", message, None, "Ranked")
    error = error_of(lab.get("Data/Get", entity="ranked", sort=text))
    assert error._replace(message=error.message.partition(": a sort is ")[0]) == expected


@pytest.mark.better("B-Q5")
def test_encrypted_sort(lab: Client) -> None:
    """An encrypted property cannot be sorted by (B-Q5)."""
    sort = json.dumps({"Property": "Secret", "Direction": "ASC"})
    assert error_of(lab.get("Data/Get", entity="Ranked", sort=sort)).code == "INVALID_SORT_PARAMETER"


@pytest.mark.parametrize(
    ("properties", "names"),
    [
        ("Title", ["ID", "Title"]),
        ("title, PRICE ,Nope,Hidden", ["ID", "Title", "Price"]),
        ("Price,Title,Price", ["ID", "Title", "Price"]),
        ("ID", ["ID"]),
        ("Nope", ["ID"]),
        ("Hidden", ["ID"]),
        ("", ["ID", "Title", "Group", "Price", "Flag", "Moment", "Secret"]),
    ],
)
def test_properties(lab: Client, properties: str, names: list[str]) -> None:
    """A selection ignores unknown and forbidden names, and keeps ID and the order of the schema."""
    for record in (*lab.records("Ranked", properties=properties), lab.record("Ranked", 1, properties=properties)):
        assert list(record) == names


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"pageSize": 3}, [7, 6, 2]),
        ({"pageSize": 3, "pageIndex": 2}, [5, 3, 4]),
        ({"pageSize": 3, "pageIndex": 3}, [1]),
        ({"pageSize": 3, "pageIndex": 4}, []),
    ],
)
def test_pages(lab: Client, query: dict[str, int], ids: list[int]) -> None:
    """Pages are consecutive; Total counts all matching records on every page."""
    body = lab.get("Data/Get", entity="Ranked", getTotal="true", **query).json()
    assert [record["ID"] for record in body["Data"]] == ids
    assert body["Total"] == 7
    assert set(lab.get("Data/Get", entity="Ranked", **query).json()) == {"Data"}


def test_total_of_a_filter(lab: Client) -> None:
    """Total counts the records that match the filter."""
    text = json.dumps(_leaf("Group", "equal", 1))
    body = lab.get("Data/Get", entity="Ranked", filter=text, getTotal="true", pageSize=1).json()
    assert (len(body["Data"]), body["Total"]) == (1, 2)


NO_CONDITION = [1, 2, 3, 4, 5, 6, 7]
FILTERS: list[tuple[Any, list[int]]] = [
    (_leaf("Title", "equal", "desk LAMP"), [1]),
    (_leaf("Title", "equal", "élan 100%"), [3]),
    (_leaf("Title", "equal", "Élan 100%"), [3]),
    (_leaf("Title", "equal", "elan 100%"), []),
    (_leaf("Title", "contains", "100%"), [3]),
    (_leaf("Title", "contains", "ÉLAN"), [3, 4]),
    (_leaf("Title", "contains", "_"), [5]),
    (_leaf("Title", "equal", "under_score"), [5]),
    (_leaf("Title", "equal", "%"), []),
    (_leaf("Title", "startswith", "Desk"), [1]),
    (_leaf("Title", "endswith", "LAMP"), [1, 2]),
    (_leaf("Title", "notcontains", "lamp"), [3, 4, 5, 6]),
    (_leaf("Title", "notequal", "Desk lamp"), [2, 3, 4, 5, 6]),
    (_leaf("Title", "equal", None), [7]),
    (_leaf("Title", "equal"), [7]),
    (_leaf("Title", "notequal", None), [1, 2, 3, 4, 5, 6]),
    (_leaf("Title", "contains", ["desk lamp", "UNDERxSCORE"]), [1, 6]),
    (_leaf("Title", "equal", "' OR 1=1 --"), []),
    (_leaf("Group", "equal", 1), [1, 2]),
    (_leaf("Group", "equal", "1"), [1, 2]),
    (_leaf("Group", "notequal", 1), [3, 4, 5, 7]),
    (_leaf("Group", "contains", "1, 3"), [1, 2, 5, 7]),
    (_leaf("Group", "contains", [1, 3]), [1, 2, 5, 7]),
    (_leaf("Group", "notcontains", "1,3"), [3, 4]),
    (_leaf("Group", "contains", []), []),
    (_leaf("Price", "greater", 5.5), [1, 2]),
    (_leaf("Price", "greaterorequal", "5.5"), [1, 2, 3, 4]),
    (_leaf("Price", "less", 0), [5]),
    (_leaf("Price", "lessorequal", 0), [5, 7]),
    (_leaf("Price", "less", "1e1"), [3, 4, 5, 7]),
    (_leaf("Flag", "equal", True), [1, 3]),
    (_leaf("Flag", "equal", False), [2, 4, 5, 6, 7]),
    (_leaf("Flag", "equal", "on"), [1, 3]),
    (_leaf("Flag", "equal", "On"), [1, 3]),
    (_leaf("Flag", "equal", "TRUE"), [1, 3]),
    (_leaf("Flag", "notequal", "True"), [2, 4, 5, 6, 7]),
    (_leaf("Flag", "notequal", True), [2, 4, 5, 6, 7]),
    (_leaf("Flag", "equal", None), [4, 6, 7]),
    (_leaf("Moment", "greater", "2026-01-31"), [2]),
    (_leaf("Moment", "greater", " 2026-01-31 "), [2]),
    (_leaf("Moment", "greaterorequal", "2026-01-31 00:00"), [1, 2]),
    (_leaf("Moment", "equal", "2026-01-31T00:00:00Z"), [1]),
    (_leaf("Moment", "less", 1000000000), [7]),
    (_leaf("Secret", "equal", None), [1, 2, 4, 5, 6]),
    (_leaf("Secret", "notequal", None), [3, 7]),
    (_leaf("ID", "contains", "2,4"), [2, 4]),
    ({"property": "title", "OPERATOR": "SW", "value": "desk", "Nope": 1}, [1]),
    (_leaf("Group", 0, 1), [1, 2]),
    (_leaf("Group", "==", 1), [1, 2]),
    (_leaf("Group", "<>", 1), [3, 4, 5, 7]),
    (_leaf("Price", ">=", 120), [2]),
    (_leaf("Title", "like", "lamp"), [1, 2]),
    ({"Logic": None, "Filters": None, **_leaf("Group", "equal", 1)}, [1, 2]),
    ({"Logic": "AND", "Filters": [_leaf("Group", "eq", 1), _leaf("Flag", "eq", True)]}, [1]),
    ({"logic": "or", "filters": [_leaf("Group", "eq", 1), _leaf("Flag", "eq", True)]}, [1, 2, 3]),
    ({"Logic": 1, "Filters": [_leaf("Group", "eq", 1), _leaf("Flag", "eq", True)]}, [1, 2, 3]),
    ({"Filters": [_leaf("Group", "eq", 1), _leaf("Flag", "eq", True)]}, [1]),
    (
        {
            "Logic": "AND",
            "Filters": [
                _leaf("Group", "eq", 1),
                {"Logic": "OR", "Filters": [_leaf("Price", "g", 100), _leaf("Flag", "eq", True)]},
            ],
        },
        [1, 2],
    ),
    ({"Logic": "AND", "Filters": []}, NO_CONDITION),
    ({"Logic": "AND", "Filters": [{"Logic": "OR", "Filters": []}, _leaf("Group", "eq", 1)]}, [1, 2]),
    (None, NO_CONDITION),
    ("  ", NO_CONDITION),
]


@pytest.mark.better("B-Q3", "B-Q4")
@pytest.mark.parametrize(("filter", "ids"), FILTERS, ids=lambda value: json.dumps(value)[:60])
def test_filter(lab: Client, filter: Any, ids: list[int]) -> None:
    """A filter returns exactly the records that match it."""
    text = filter if isinstance(filter, str) else json.dumps(filter)
    assert sorted(_ids(lab, filter=text)) == ids


def _nested(depth: int) -> dict[str, Any]:
    node = _leaf("Group", "equal", 1)
    for _ in range(depth):
        node = {"Logic": "AND", "Filters": [node]}
    return node


BAD_FILTERS: list[Any] = [
    "x=1",
    "[]",
    "5",
    '"x"',
    "{",
    _leaf("Nope", "equal", 1),
    _leaf("Price", "nope", 1),
    _leaf("Price", 10, 1),
    _leaf("Price", "equal", "abc"),
    _leaf("Price", "equal", "1,5"),
    _leaf("Price", "startswith", "1"),
    _leaf("Price", "less", None),
    _leaf("Price", "contains", "1,x"),
    _leaf("Moment", "equal", "yesterday"),
    _leaf("Moment", "contains", "2026"),
    _leaf("Flag", "greater", True),
    _leaf("Title", "equal", {"a": 1}),
    _leaf("Secret", "equal", "s"),
    _leaf("Secret", "contains", "s"),
    {"Logic": "XOR", "Filters": [_leaf("Price", "equal", 1), _leaf("Price", "equal", 2)]},
    {"Logic": "AND", "Filters": {}},
    {"Logic": "AND", "Filters": [5]},
    {"Property": "Nope", "Filters": [_leaf("Price", "equal", 1)]},
    _nested(21),
    {"Logic": "OR", "Filters": [_leaf("Group", "equal", n) for n in range(501)]},
]


@pytest.mark.better("B-E4")
@pytest.mark.parametrize("filter", BAD_FILTERS, ids=lambda value: json.dumps(value)[:60])
def test_bad_filter(lab: Client, filter: Any) -> None:
    """A malformed filter, or a value or operator that does not fit (B-E4), is INVALID_FILTER_PARAMETER."""
    text = filter if isinstance(filter, str) else json.dumps(filter, separators=(",", ":"))
    error = error_of(lab.get("Data/Get", entity="ranked", filter=text))
    assert (error.code, error.property, error.entity) == ("INVALID_FILTER_PARAMETER", None, "Ranked")


@pytest.mark.parametrize("filter", [{}, {"Property": "Price", "Value": 1}, {"Nope": 1}])
def test_incomplete_filter(lab: Client, filter: Any) -> None:
    """A node without property and filters, or a leaf without operator, is ERROR."""
    error = error_of(lab.get("Data/Get", entity="Ranked", filter=json.dumps(filter)))
    assert error.message.startswith("Something went wrong: ")
    assert error._replace(message="") == WireError("ERROR", "", None, "Ranked")


@pytest.mark.better("B-S2")
@pytest.mark.parametrize(
    "filter",
    [
        _leaf("Hidden", "equal", 1),
        _leaf("hIDDEN", "nope", 1),
        {"Logic": "OR", "Filters": [_leaf("Hidden", "equal", 1), _leaf("Title", "equal", "x")]},
        {"Logic": "OR", "Filters": [{"Filters": [_leaf("Title", "equal", "x"), _leaf("Hidden", "equal", 1)]}]},
    ],
)
def test_forbidden_in_filter(lab: Client, filter: Any) -> None:
    """A property that the caller may not read is refused at every level and in any letter case (B-S2)."""
    message = "Property 'Hidden' is not allowed on this filter"
    response = lab.get("Data/Get", entity="Ranked", filter=json.dumps(filter))
    assert error_of(response) == WireError("INVALID_FILTER_PARAMETER", message, None, "Ranked")


@pytest.mark.better("B-Q2")
def test_deepest_filter(lab: Client) -> None:
    """Twenty levels of groups are accepted."""
    assert sorted(_ids(lab, filter=_nested(20))) == [1, 2]
