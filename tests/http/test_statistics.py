"""Stats Aggregate and Distinct (docs/reference/protocol/query-language.md sections 5 and 6)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import Server
from tests.http import statistics_oracle as oracle
from tests.http.conftest import PROVIDER, AsOperator, NewClient
from tests.http.database import Database

FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z."""

SALES: list[dict[str, Any]] = [
    {"Title": "lamp", "Group": 1, "Price": 19.99, "Flag": True, "Moment": 1_769_817_600_000, "Hidden": 1},
    {"Title": "lamp", "Group": 1, "Price": 0.01, "Flag": False, "Moment": 1_769_817_600_001, "Hidden": 2},
    {"Title": "chair", "Group": 2, "Price": 5.5, "Flag": True, "Moment": -1, "Secret": "s", "Hidden": 3},
    {"Title": "chair", "Group": 2, "Price": 6, "Hidden": 4},
    {"Title": None, "Group": 3, "Flag": False, "Moment": 4_102_444_799_999, "Secret": "t", "Hidden": 5},
]


@pytest.fixture(scope="module")
def sales(new_application: NewClient, lab_manifest: dict[str, Any]) -> Client:
    """A lab with five records of ``Ranked``."""
    client = new_application(lab_manifest)
    client.add("Ranked", *SALES)
    return client


def ask(client: Client, call: str, entity: str = "Ranked", **query: Any) -> Any:
    """The decoded answer of a Stats call, with exact fractions."""
    response = client.get(f"Stats/{call}", entity=entity, **query)
    assert response.status_code == 200, response.text
    return json.loads(response.content, parse_float=Decimal)


def part(value: int | None, name: str) -> Any:
    """A part of a date in the form of the provider under test."""
    return oracle.part_form(value, name, PROVIDER)


# --- aggregates


def test_without_groups(sales: Client) -> None:
    """Without groups there is one object, with a key for each aggregate in the order of the request."""
    found = ask(
        sales, "Aggregate", properties="ID.Count, price.SUM ,Price.min,Price.Max,Price.Avg,Moment.Max,Title.Count"
    )
    assert found == [
        {
            "ID_count": 5,
            "Price_sum": Decimal("31.5"),
            "Price_min": Decimal("0.01"),
            "Price_max": Decimal("19.99"),
            "Price_avg": Decimal("7.875"),
            "Moment_max": 4_102_444_799_999,
            "Title_count": 4,
        }
    ]
    assert list(found[0])[:3] == ["ID_count", "Price_sum", "Price_min"]


def test_no_rows(sales: Client) -> None:
    """Of no records the counts are 0 and the other aggregates null; with groups there is no object."""
    nothing = {"filter": '{"Property":"ID","Operator":"equal","Value":0}', "properties": "ID.Count,Price.Sum,Title.Min"}
    assert ask(sales, "Aggregate", **nothing) == [{"ID_count": 0, "Price_sum": None, "Title_min": None}]
    assert ask(sales, "Aggregate", groupBy="Title", **nothing) == []
    assert ask(sales, "Distinct", property="Title", filter=nothing["filter"]) == []


@pytest.mark.better("B-Q15", "B-Q16")
def test_groups(sales: Client) -> None:
    """Groups include the null group. Booleans are JSON booleans, and every row keeps its fraction."""
    assert ask(sales, "Aggregate", properties="Price.Sum", groupBy="Flag") == [
        {"Price_sum": Decimal("25.49"), "Flag": True},
        {"Price_sum": 6, "Flag": None},
        {"Price_sum": Decimal("0.01"), "Flag": False},
    ]
    assert ask(sales, "Aggregate", properties="Price.Max,ID.Count", groupBy="group") == [
        {"Price_max": Decimal("19.99"), "ID_count": 2, "Group": 1},
        {"Price_max": 6, "ID_count": 2, "Group": 2},
        {"Price_max": None, "ID_count": 1, "Group": 3},
    ]
    assert ask(sales, "Aggregate", properties="Price.Avg", groupBy="Title", orderDirection="asc") == [
        {"Price_avg": None, "Title": None},
        {"Price_avg": Decimal("5.75"), "Title": "chair"},
        {"Price_avg": 10, "Title": "lamp"},
    ]


def test_least_and_greatest_of_every_type(sales: Client) -> None:
    """Min and Max of a text, a Boolean and a date are a text, a JSON boolean and unix ms."""
    asked = "Title.Min,Title.Max,Flag.Min,Flag.Max,Moment.Min,Moment.Max"
    assert ask(sales, "Aggregate", properties=asked) == [
        {
            "Title_min": "chair",
            "Title_max": "lamp",
            "Flag_min": False,
            "Flag_max": True,
            "Moment_min": -1,
            "Moment_max": 4_102_444_799_999,
        }
    ]


@pytest.mark.better("B-Q6")
def test_averages_have_a_fraction(sales: Client) -> None:
    """Avg of whole numbers is not cut to a whole number, on every provider."""
    ((average,),) = [list(row.values()) for row in ask(sales, "Aggregate", properties="Group.Avg")]
    assert average == Decimal("1.8")
    third = '{"Property":"ID","Operator":"lessorequal","Value":3}'
    ((average,),) = [list(row.values()) for row in ask(sales, "Aggregate", properties="Group.Avg", filter=third)]
    assert abs(average - Decimal(4) / 3) < Decimal("1e-9")


@pytest.mark.better("B-Q6")
def test_parts_of_dates(sales: Client) -> None:
    """Parts are those of UTC. Null stays null, zero is not empty, and the JSON type is the provider's."""
    found = ask(sales, "Aggregate", properties="ID.Count", groupBy="Moment.Year, Moment.month ,Moment.HOUR")
    assert found == [
        {
            "ID_count": 2,
            "Moment_year": part(2026, "year"),
            "Moment_month": part(1, "month"),
            "Moment_hour": part(0, "hour"),
        },
        {"ID_count": 1, "Moment_year": None, "Moment_month": None, "Moment_hour": None},
        {
            "ID_count": 1,
            "Moment_year": part(1969, "year"),
            "Moment_month": part(12, "month"),
            "Moment_hour": part(23, "hour"),
        },
        {
            "ID_count": 1,
            "Moment_year": part(2099, "year"),
            "Moment_month": part(12, "month"),
            "Moment_hour": part(23, "hour"),
        },
    ]


MOMENTS = [FIRST_MS, FIRST_MS + 86_399_999, -2_208_988_800_001, -86_400_001, -86_400_000, -1001, -1000, -999, -1, 0, 1]
MOMENTS += [
    999,
    1000,
    59_999,
    951_782_399_999,
    951_782_400_000,
    2**31 * 1000,
    4_107_542_399_999,
    LAST_MS - 999,
    LAST_MS,
]


@pytest.mark.better("B-Q6")
@pytest.mark.parametrize("name", oracle.PARTS)
def test_parts_of_every_century(new_application: NewClient, lab_manifest: dict[str, Any], name: str) -> None:
    """Each part is right for the years 1 to 9999, before 1970 and after 2038, to the millisecond."""
    client = new_application(lab_manifest)
    client.add("Values", *({"Moment": ms, "Whole": number} for number, ms in enumerate(MOMENTS)))
    found = ask(
        client, "Aggregate", "Values", properties="Whole.Max", groupBy=f"Moment.{name},Whole", orderDirection="ASC"
    )
    assert [row[f"Moment_{name}"] for row in found] == [part(oracle.part_of(ms, name), name) for ms in MOMENTS]


def test_dates_beyond_the_years(new_application: NewClient, lab_manifest: dict[str, Any], server: Server) -> None:
    """A stored number that is no date of the years 1 to 9999 belongs to the null group; it is no error."""
    client = new_application(lab_manifest)
    with Database(server.settings, client.token) as database:
        database.insert(
            "Values", [{"ID": n, "Moment": ms} for n, ms in enumerate((2**63 - 1, -(2**63), LAST_MS + 1), 1)]
        )
    for name in oracle.PARTS:
        found = ask(client, "Aggregate", "Values", properties="ID.Count", groupBy=f"Moment.{name}")
        assert found == [{"ID_count": 3, f"Moment_{name}": None}]


@pytest.mark.better("B-Q7")
@pytest.mark.parametrize("direction", ["asc", "ASC", "true", "True"])
def test_ascending(sales: Client, direction: str) -> None:
    """``asc`` and ``true`` are ascending, in any letter case; ties come in the order of the groups."""
    rows = ask(sales, "Aggregate", properties="ID.Count", groupBy="Group", orderDirection=direction)
    assert [row["Group"] for row in rows] == [3, 1, 2]


@pytest.mark.better("B-Q7")
@pytest.mark.parametrize("direction", ["desc", "false", "", "nonsense", None])
def test_descending(sales: Client, direction: str | None) -> None:
    """Everything else is descending; ties come in the ascending order of the groups."""
    rows = ask(sales, "Aggregate", properties="ID.Count", groupBy="Group", orderDirection=direction)
    assert [row["Group"] for row in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    ("window", "groups"),
    [
        ({}, [1, 2, 3]),
        ({"pageSize": 2}, [1, 2]),
        ({"pageSize": 2, "pageIndex": 2}, [3]),
        ({"pageSize": 2, "pageIndex": 3}, []),
        ({"pageSize": 0}, []),
        ({"pageSize": 0, "pageIndex": 5}, []),
        ({"pageSize": -1}, [1, 2, 3]),
        ({"pageSize": 1001}, [1, 2, 3]),
        ({"pageSize": "many", "pageIndex": "first"}, [1, 2, 3]),
        ({"pageIndex": 0}, [1, 2, 3]),
        ({"pageIndex": -7}, [1, 2, 3]),
        ({"pageIndex": 2**31 - 1, "pageSize": 1000}, []),
    ],
)
def test_pages(sales: Client, window: dict[str, Any], groups: list[int]) -> None:
    """Pages of groups: size 0 is empty, a size outside of 0 to 1000 is 1000, an index below 1 is the first page."""
    rows = ask(sales, "Aggregate", properties="ID.Count", groupBy="Group", **window)
    assert [row["Group"] for row in rows] == groups


def test_one_object_is_one_page(sales: Client) -> None:
    """Without groups the one object is the first page; further pages and pages of size 0 are empty."""
    assert ask(sales, "Aggregate", properties="ID.Count", pageSize=1000) == [{"ID_count": 5}]
    assert ask(sales, "Aggregate", properties="ID.Count", pageIndex=2) == []
    assert ask(sales, "Aggregate", properties="ID.Count", pageSize=0) == []


def test_repeated_items_count_once(sales: Client) -> None:
    """Repeated aggregates and groups appear once, whatever their letter case."""
    found = ask(sales, "Aggregate", properties="id.count,ID.Count", groupBy="Group,group,Moment.year,moment.YEAR")
    assert {tuple(row) for row in found} == {("ID_count", "Group", "Moment_year")}


def test_sums_beyond_64_bits(new_application: NewClient, lab_manifest: dict[str, Any]) -> None:
    """A sum beyond 64 bits is exact, or on SQLite an error that says so; a sum of 38 digits keeps every digit."""
    client = new_application(lab_manifest)
    client.add("Values", *[{"Whole": 10**18 - 1}] * 20, {"Whole": 1})
    response = client.get("Stats/Aggregate", entity="Values", properties="Whole.Sum")
    if PROVIDER == "sqlite":
        error = error_of(response)
        assert (error.code, error.entity) == ("ERROR", "Values")
        assert error.message.startswith("Error on AggregateProperties: a sum has more digits")
    else:
        assert json.loads(response.content) == [{"Whole_sum": 20 * 10**18 - 19}]


def test_decimals_are_added_exactly(new_application: NewClient, lab_manifest: dict[str, Any]) -> None:
    """Sums of decimals show no error of binary fractions: ten times 0.1 is 1."""
    client = new_application(lab_manifest)
    client.add("Values", *({"Money": 0.1, "Fine": "0.00000001", "Whole": number % 3} for number in range(10)))
    assert ask(client, "Aggregate", "Values", properties="Money.Sum,Money.Avg,Fine.Sum") == [
        {"Money_sum": 1, "Money_avg": Decimal("0.1"), "Fine_sum": Decimal("1E-7")}
    ]
    rows = ask(client, "Aggregate", "Values", properties="Money.Sum", groupBy="Whole")
    assert [(row["Whole"], row["Money_sum"]) for row in rows] == [
        (0, Decimal("0.4")),
        (1, Decimal("0.3")),
        (2, Decimal("0.3")),
    ]


# --- distinct


@pytest.mark.better("B-Q13")
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Title", [None, "chair", "lamp"]),
        ("flag", [None, False, True]),
        ("Group", [1, 2, 3]),
        ("Price", [None, Decimal("0.01"), Decimal("5.5"), 6, Decimal("19.99")]),
        ("Moment", [None, -1, 1_769_817_600_000, 1_769_817_600_001, 4_102_444_799_999]),
    ],
)
def test_distinct(sales: Client, name: str, values: list[Any]) -> None:
    """One object per value, in order, null first; Booleans are JSON booleans and dates unix ms."""
    found = ask(sales, "Distinct", property=name)
    assert [list(row) for row in found] == [[name.capitalize()]] * len(values)
    assert [(type(row[name.capitalize()]), row[name.capitalize()]) for row in found] == [
        (type(value), value) for value in values
    ]


@pytest.mark.better("B-Q13")
def test_at_most_10000_values(new_application: NewClient, lab_manifest: dict[str, Any], server: Server) -> None:
    """Distinct gives the first 10,000 values. 12,000 groups are read in pages, each of at most 1,000."""
    client = new_application(lab_manifest)
    with Database(server.settings, client.token) as database:
        for start in range(1, 12_001, 1000):
            database.insert("Values", [{"ID": n, "Whole": 12_001 - n, "Money": 1} for n in range(start, start + 1000)])
    assert [row["Whole"] for row in ask(client, "Distinct", "Values", property="Whole")] == [*range(1, 10_001)]
    asked = {"properties": "Money.Sum", "groupBy": "Whole"}
    rows = ask(client, "Aggregate", "Values", pageSize=100_000, pageIndex=12, **asked)
    assert [row["Whole"] for row in rows] == [*range(11_001, 12_001)]
    assert ask(client, "Aggregate", "Values", pageSize=1000, pageIndex=13, **asked) == []


# --- filters


def test_filters(sales: Client) -> None:
    """The filter restricts the records; an empty one does not."""
    lamps = '{"Property":"Title","Operator":"equal","Value":"LAMP"}'
    assert ask(sales, "Aggregate", properties="ID.Count", filter=lamps) == [{"ID_count": 2}]
    assert ask(sales, "Distinct", property="Group", filter=lamps) == [{"Group": 1}]
    assert ask(sales, "Aggregate", properties="ID.Count", filter='{"Filters":[]}') == [{"ID_count": 5}]
    many = json.dumps({"Property": "ID", "Operator": "contains", "Value": [*range(1, 400)]})
    assert ask(sales, "Aggregate", properties="ID.Count", filter=many) == [{"ID_count": 5}]
    assert ask(sales, "Distinct", property="Group", filter=many) == [{"Group": n} for n in (1, 2, 3)]


# --- errors


def refused(client: Client, call: str, entity: str = "Ranked", **query: Any) -> WireError:
    """The error of a call without the continuation of its message (B-E8)."""
    error = error_of(client.get(f"Stats/{call}", entity=entity, **query))
    return error._replace(message=error.message.partition(": ")[0].partition(";")[0])


ITEM = "Error on AggregateProperties '{}'"


@pytest.mark.better("B-Q5", "B-Q6", "B-E8")
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({}, WireError("ERROR", "Properties not provided")),
        ({"properties": "  "}, WireError("ERROR", "Properties not provided")),
        ({"properties": "Price"}, WireError("ERROR", ITEM.format("Price"), None, "Ranked")),
        ({"properties": "ID.Count,"}, WireError("ERROR", ITEM.format(""), None, "Ranked")),
        ({"properties": "A.B.C"}, WireError("ERROR", ITEM.format("A.B.C"), None, "Ranked")),
        ({"properties": "Price.Median"}, WireError("ERROR", ITEM.format("Price.Median"), None, "Ranked")),
        ({"properties": "Price."}, WireError("ERROR", ITEM.format("Price."), None, "Ranked")),
        ({"properties": "Title.Sum"}, WireError("ERROR", ITEM.format("Title.Sum"), None, "Ranked")),
        ({"properties": "Flag.Avg"}, WireError("ERROR", ITEM.format("Flag.Avg"), None, "Ranked")),
        ({"properties": "Secret.Max"}, WireError("ERROR", ITEM.format("Secret.Max"), None, "Ranked")),
        ({"properties": "Nope.Count"}, WireError("ERROR", "Property Nope does not exist", None, "Ranked")),
        ({"properties": "hidden.Count"}, WireError("UNAUTHORIZED", "Unauthorized", "hidden", "Ranked")),
        ({"properties": "hidden.Nope"}, WireError("UNAUTHORIZED", "Unauthorized", "hidden", "Ranked")),
    ],
)
def test_wrong_aggregates(sales: Client, query: dict[str, str], error: WireError) -> None:
    """A wrong item is named; a property that may not be read is refused before its function is looked at."""
    assert refused(sales, "Aggregate", **query) == error


@pytest.mark.better("B-Q5", "B-Q6", "B-E4")
@pytest.mark.parametrize(
    ("group", "code", "property"),
    [
        ("Nope", "INVALID_GROUPBY_PARAMETER", "Nope"),
        ("Group,", "INVALID_GROUPBY_PARAMETER", ""),
        ("Moment.year.month", "INVALID_GROUPBY_PARAMETER", "Moment.year.month"),
        ("Moment.week", "INVALID_GROUPBY_PARAMETER", "Moment.week"),
        ("Moment.", "INVALID_GROUPBY_PARAMETER", "Moment."),
        ("Title.year", "INVALID_GROUPBY_PARAMETER", "Title.year"),
        ("Secret", "INVALID_GROUPBY_PARAMETER", "Secret"),
        ("hidden", "UNAUTHORIZED", "Hidden"),
        ("hidden.year", "UNAUTHORIZED", "Hidden"),
    ],
)
def test_wrong_groups(sales: Client, group: str, code: str, property: str) -> None:
    """A wrong group is INVALID_GROUPBY_PARAMETER with the item; a property that may not be read is UNAUTHORIZED."""
    message = "Unauthorized" if code == "UNAUTHORIZED" else "Invalid group by parameter"
    assert refused(sales, "Aggregate", properties="ID.Count", groupBy=group) == WireError(
        code, message, property, "Ranked"
    )


@pytest.mark.better("B-Q5")
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({}, WireError("ERROR", "Property not provided")),
        ({"property": " "}, WireError("ERROR", "Property not provided")),
        ({"property": "Nope"}, WireError("ERROR", "Property Nope does not exist", None, "Ranked")),
        ({"property": "hidden"}, WireError("UNAUTHORIZED", "Unauthorized", "hidden", "Ranked")),
        (
            {"property": "Secret"},
            WireError("ERROR", "Property Secret is encrypted and has no distinct values", None, "Ranked"),
        ),
    ],
)
def test_wrong_distinct(sales: Client, query: dict[str, str], error: WireError) -> None:
    """Distinct without a property, of an unknown one, of a forbidden one and of an encrypted one are refused."""
    assert refused(sales, "Distinct", **query) == error


@pytest.mark.better("B-Q5")
def test_encrypted_values_are_counted_only(sales: Client) -> None:
    """Of an encrypted property only Count and a comparison with null work."""
    assert ask(sales, "Aggregate", properties="Secret.Count") == [{"Secret_count": 2}]
    without = '{"Property":"Secret","Operator":"equal","Value":null}'
    assert ask(sales, "Aggregate", properties="ID.Count", filter=without) == [{"ID_count": 3}]
    wrong = '{"Property":"Secret","Operator":"equal","Value":"s"}'
    for call in ({"properties": "ID.Count"}, {"property": "Title"}):
        name = "Aggregate" if "properties" in call else "Distinct"
        assert refused(sales, name, filter=wrong, **call).code == "INVALID_FILTER_PARAMETER"


@pytest.mark.better("B-D3", "B-D4")
def test_secrets_have_no_statistics(sales: Client, as_operator: AsOperator) -> None:
    """Passwords and tokens are in no aggregate, group, filter and distinct, not even for operators."""
    owner = as_operator(sales)
    for entity, name in (("Users", "Password"), ("AuthTokens", "Token")):
        unauthorized = WireError("UNAUTHORIZED", "Unauthorized", name, entity)
        assert refused(owner, "Aggregate", entity, properties=f"{name}.Count") == unauthorized
        assert refused(owner, "Aggregate", entity, properties="ID.Count", groupBy=name) == unauthorized
        assert refused(owner, "Distinct", entity, property=name) == unauthorized
        condition = json.dumps({"Property": name, "Operator": "notequal", "Value": None})
        error = refused(owner, "Aggregate", entity, properties="ID.Count", filter=condition)
        assert error.code == "INVALID_FILTER_PARAMETER"


def test_operators_read_everything(sales: Client, as_operator: AsOperator) -> None:
    """An operator's statistics have every property but secrets."""
    owner = as_operator(sales)
    assert ask(owner, "Aggregate", properties="Hidden.Sum") == [{"Hidden_sum": 15}]
    assert ask(owner, "Distinct", property="Hidden") == [{"Hidden": n} for n in range(1, 6)]


@pytest.mark.parametrize("call", ["Aggregate", "Distinct"])
def test_unknown_entities_and_missing_rules(sales: Client, call: str) -> None:
    """An unknown entity is an ERROR with its name; an entity without a rule is UNAUTHORIZED."""
    query = {"properties": "ID.Count", "property": "ID"}
    assert refused(sales, call, "Nope", **query) == WireError("ERROR", "Entity Nope does not exist")
    error = error_of(sales.get(f"Stats/{call}", **query))
    assert error.message.startswith("Entity  does not exist: the parameter entity is missing")
    assert (error.code, error.entity) == ("ERROR", None)
    assert refused(sales, call, "Locked", **query) == WireError("UNAUTHORIZED", "Unauthorized", None, "Locked")


def test_the_most_items(sales: Client, as_operator: AsOperator) -> None:
    """More than 50 different aggregates or 10 different groups are refused; thousands of repeated ones are not."""
    names = ["ID", "Owner", "Created", "Group", "Price", "Moment", "Hidden"]
    functions = [function.title() for function in oracle.FUNCTIONS]
    every = [f"{name}.{function}" for name in names for function in functions]
    owner = as_operator(sales)
    found = ask(owner, "Aggregate", properties=",".join(every * 8))
    assert len(found[0]) == len(every) == 35
    more = [*every, *(f"{name}.{each}" for name in ("Title", "Flag") for each in ("Count", "Min", "Max"))]
    more += ["Secret.Count"]
    assert len(ask(owner, "Aggregate", properties=",".join(more))[0]) == 42
    groups = [f"Moment.{name}" for name in oracle.PARTS] + ["Title", "Group", "Price", "Flag"]
    assert len(ask(owner, "Aggregate", properties="ID.Count", groupBy=",".join(groups * 20))) == 5
    error = error_of(
        owner.get("Stats/Aggregate", entity="Ranked", properties="ID.Count", groupBy=",".join([*groups, "ID"]))
    )
    text = "Invalid group by parameter: at most 10 items in one call, found 11"
    assert error == WireError("INVALID_GROUPBY_PARAMETER", text, None, "Ranked")


def test_too_many_aggregates(new_application: NewClient, lab_manifest: dict[str, Any]) -> None:
    """51 different aggregates are one too many."""
    manifest = json.loads(json.dumps(lab_manifest))
    properties = [{"Name": f"Num_{letter}", "Type": "Number"} for letter in "abcdefghijk"]
    manifest["Entities"].append({"Name": "Wide", "Properties": properties})
    manifest["Security"].append({"Entity": "Wide", "Role": "ANONYMOUS", "Action": "get", "Properties": "*"})
    client = new_application(manifest)
    every = [f"Num_{letter}.{function}" for letter in "abcdefghijk" for function in oracle.FUNCTIONS]
    assert len(ask(client, "Aggregate", "Wide", properties=",".join(every[:50]))[0]) == 50
    error = error_of(client.get("Stats/Aggregate", entity="Wide", properties=",".join(every)))
    text = "At most 50 aggregates in one call, found 55; make several calls"
    assert error == WireError("ERROR", text, None, "Wide")


def test_two_values_of_one_name(new_application: NewClient, lab_manifest: dict[str, Any]) -> None:
    """A group whose key is the key of an aggregate or of another group is refused, because one would hide the other."""
    manifest = json.loads(json.dumps(lab_manifest))
    names = [("Made", "Date"), ("Made_year", "Number"), ("Made_count", "Number")]
    manifest["Entities"].append({"Name": "Twins", "Properties": [{"Name": n, "Type": t} for n, t in names]})
    manifest["Security"].append({"Entity": "Twins", "Role": "ANONYMOUS", "Action": "get", "Properties": "*"})
    client = new_application(manifest)
    for groups, name in (("Made_count", "Made_count"), ("Made.year,Made_year", "Made_year")):
        error = error_of(client.get("Stats/Aggregate", entity="Twins", properties="Made.Count", groupBy=groups))
        assert error.code == "INVALID_GROUPBY_PARAMETER"
        assert f"'{name}'" in error.message


HOSTILE = [
    "'",
    '"',
    "`",
    "]",
    "--",
    "ID) FROM x; --",
    "1",
    "*",
    "ID\0",
    "ID%",
    "\u202e",
    "é" * 3000,
    "ID count",
    "ＩＤ",
]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("Moment.yaer", "Invalid group by parameter: unknown part 'yaer'; possible:"),
        ("Moment.4th week", "Invalid group by parameter: unknown part, found a text; possible:"),
    ],
)
def test_unknown_parts(sales: Client, group: str, message: str) -> None:
    """The error of an unknown part repeats it when it looks like a name, and cuts a long item."""
    error = error_of(sales.get("Stats/Aggregate", entity="Ranked", properties="ID.Count", groupBy=group))
    assert error.message.startswith(message)
    long = sales.get("Stats/Aggregate", entity="Ranked", properties="ID.Count", groupBy="x" * 5000)
    assert (long.status_code, len(long.content) < 500) == (400, True)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names(sales: Client, text: str) -> None:
    """No text of a caller becomes SQL: every unknown name is refused in the wire's form."""
    assert refused(sales, "Aggregate", properties=f"{text}.Count").code == "ERROR"
    assert refused(sales, "Aggregate", properties=f"ID.{text}").code == "ERROR"
    assert refused(sales, "Aggregate", properties="ID.Count", groupBy=text).code == "INVALID_GROUPBY_PARAMETER"
    assert (
        refused(sales, "Aggregate", properties="ID.Count", groupBy=f"Moment.{text}").code == "INVALID_GROUPBY_PARAMETER"
    )
    assert refused(sales, "Distinct", property=text).code == "ERROR"


@pytest.mark.better("B-S6")
def test_calls_count_as_get(new_application: NewClient, lab_manifest: dict[str, Any]) -> None:
    """Each call counts as one get of the entity, together with Data/Get."""
    manifest = json.loads(json.dumps(lab_manifest))
    for rule in manifest["Security"]:
        if (rule["Entity"], rule["Action"]) == ("Ranked", "get"):
            rule["RateLimit"] = {"MaxRequests": 3, "Per": "Hour"}
    client = new_application(manifest)
    assert ask(client, "Aggregate", properties="ID.Count") == [{"ID_count": 0}]
    assert ask(client, "Distinct", property="Title") == []
    assert client.records("Ranked") == []
    for call in ({"path": "Stats/Aggregate", "properties": "ID.Count"}, {"path": "Stats/Distinct", "property": "ID"}):
        assert error_of(client.get(entity="Ranked", **call)).code == "RATE_LIMIT_EXCEEDED"
