"""Related records in one read (docs/reference/protocol/wire-api.md section 4.9), against plain dictionaries.

The oracle follows the references of all stored records in Python; it shares no code with the server.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from apilane.testing.client import Client, error_of
from tests.http.conftest import AsOperator, NewClient

Rows = dict[str, dict[int, dict[str, Any]]]


def keyed(name: str, *references: tuple[str, str], **more: Any) -> dict[str, Any]:
    """An entity with a Title, a Hush that only some may read, and references."""
    properties = [{"Name": "Title"}, {"Name": "Hush"}, *({"Name": each, "Type": "Number"} for each, _ in references)]
    constraints = [
        {"Type": "ForeignKey", "Property": each, "Entity": entity, "OnDelete": "SetNull"} for each, entity in references
    ]
    return {"Name": name, "Properties": properties, "Constraints": constraints, **more}


ORDER = {"DefaultOrder": [{"Property": "Title", "Direction": "DESC"}]}
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Related"},
    "Entities": [
        keyed("Countries"),
        keyed("Customers", ("CountryID", "Countries"), ("ParentID", "Customers")),
        keyed("Orders", ("CustomerID", "Customers"), ("SecretID", "Countries"), **ORDER),
        keyed("Lines", ("OrderID", "Orders")),
        keyed("Notes", ("CustomerID", "Customers")),
        keyed("Closed", ("OrderID", "Orders"), ("CountryID", "Countries")),
    ],
    "Security": [
        *(
            {"Entity": entity, "Role": "ANONYMOUS", "Action": "get", "Properties": ["Title", *references]}
            for entity, references in (
                ("Countries", []),
                ("Customers", ["CountryID", "ParentID"]),
                ("Orders", ["CustomerID"]),
                ("Lines", ["OrderID"]),
            )
        ),
        *(
            {"Entity": entity, "Role": "ANONYMOUS", "Action": "post", "Properties": "*"}
            for entity in ("Countries", "Customers", "Orders", "Lines", "Closed")
        ),
        {"Entity": "Notes", "Role": "AUTHENTICATED", "Action": "get", "Record": "Owned", "Properties": "*"},
        {"Entity": "Notes", "Role": "AUTHENTICATED", "Action": "post", "Properties": "*"},
    ],
}
SHOWN = {
    "Countries": ["ID", "Title"],
    "Customers": ["ID", "Title", "CountryID", "ParentID"],
    "Orders": ["ID", "Title", "CustomerID"],
    "Lines": ["ID", "Title", "OrderID"],
}


@pytest.fixture(scope="module")
def shop(new_application: NewClient) -> Client:
    """A new application."""
    return new_application(MANIFEST)


@pytest.fixture(scope="module")
def rows(shop: Client) -> Rows:
    """Random records of every entity, with null references."""
    chance = random.Random(2)
    made: Rows = {}

    def store(entity: str, count: int, **references: str) -> None:
        records: list[dict[str, Any]] = []
        for number in range(count):
            record: dict[str, Any] = {"Title": f"t{number % 7}", "Hush": "hush"}
            for name, target in references.items():
                record[name] = chance.choice([None, *made[target]])
            records.append(record)
        made[entity] = {id: {"ID": id, **each} for id, each in zip(shop.add(entity, *records), records, strict=True)}

    store("Countries", 4)
    store("Customers", 12, CountryID="Countries")
    for id in list(made["Customers"])[1::2]:
        made["Customers"][id]["ParentID"] = None
    store("Orders", 40, CustomerID="Customers", SecretID="Countries")
    store("Lines", 90, OrderID="Orders")
    return made


def shown(entity: str, record: dict[str, Any]) -> dict[str, Any]:
    """What an anonymous caller sees of a record."""
    return {name: record.get(name) for name in SHOWN[entity]}


def listed(rows: Rows, entity: str, reference: str, id: int, limit: int = 100) -> list[dict[str, Any]]:
    """The records that refer to one, in the default order of their entity."""
    found = [each for each in rows[entity].values() if each[reference] == id]
    if entity == "Orders":
        found.sort(key=lambda each: each["ID"])
        found.sort(key=lambda each: each["Title"], reverse=True)
    return found[:limit]


@pytest.mark.better("B-X2")
def test_forward_paths(shop: Client, rows: Rows) -> None:
    """A path follows foreign keys over one and two steps; a null reference leads to null."""
    records = shop.records("Orders", expand="CustomerID.CountryID, customerid", pageSize=1000)
    assert len(records) == 40
    for record in records:
        order = rows["Orders"][record["ID"]]
        customer = rows["Customers"].get(order["CustomerID"])
        expected: Any = None
        if customer is not None:
            country = rows["Countries"].get(customer["CountryID"])
            expected = shown("Customers", customer)
            expected["Expanded"] = {"CountryID": None if country is None else shown("Countries", country)}
        assert record == {**shown("Orders", order), "Expanded": {"CustomerID": expected}}


@pytest.mark.better("B-X2")
@pytest.mark.parametrize("limit", [None, 1, 3])
def test_lists(shop: Client, rows: Rows, limit: int | None) -> None:
    """A path lists the records that point here, in their default order and up to the limit, at every depth."""
    query = {} if limit is None else {"expandLimit": limit}
    path = "orders( CustomerID ).Lines(OrderID)"
    records = shop.records("Customers", expand=path, pageSize=1000, **query)
    assert len(records) == 12
    for record in records:
        orders = []
        for order in listed(rows, "Orders", "CustomerID", record["ID"], limit or 100):
            lines = [shown("Lines", each) for each in listed(rows, "Lines", "OrderID", order["ID"], limit or 100)]
            orders.append({**shown("Orders", order), "Expanded": {"Lines(OrderID)": lines}})
        customer = rows["Customers"][record["ID"]]
        assert record == {**shown("Customers", customer), "Expanded": {"Orders(CustomerID)": orders}}


@pytest.mark.better("B-X2")
def test_by_id_and_mixed(shop: Client, rows: Rows) -> None:
    """GetByID expands too; several paths, there and back, stand side by side."""
    id = next(id for id, each in rows["Orders"].items() if each["CustomerID"] is not None)
    record = shop.record("Orders", id, expand="CustomerID.Orders(CustomerID),Lines(OrderID),CustomerID.ParentID")
    customer = rows["Customers"][rows["Orders"][id]["CustomerID"]]
    siblings = [shown("Orders", each) for each in listed(rows, "Orders", "CustomerID", customer["ID"])]
    assert record["Expanded"] == {
        "CustomerID": {**shown("Customers", customer), "Expanded": {"Orders(CustomerID)": siblings, "ParentID": None}},
        "Lines(OrderID)": [shown("Lines", each) for each in listed(rows, "Lines", "OrderID", id)],
    }


@pytest.mark.better("B-X2")
def test_selections(shop: Client, rows: Rows) -> None:
    """``properties`` and ``expandProperties`` choose what is shown, not what can be followed."""
    picked = "CustomerID:Title,Hush;CustomerID.CountryID:ID"
    records = shop.records("Orders", properties="Title", expand="CustomerID.CountryID", expandProperties=picked)
    for record in records:
        order = rows["Orders"][record["ID"]]
        assert list(record) == ["ID", "Title", "Expanded"]
        customer = rows["Customers"].get(order["CustomerID"])
        if customer is not None:
            country = customer["CountryID"]
            expected = {"ID": customer["ID"], "Title": customer["Title"]}
            expanded = {"CountryID": None if country is None else {"ID": country}}
            assert record["Expanded"] == {"CustomerID": {**expected, "Expanded": expanded}}
    (record,) = shop.records(
        "Customers", pageSize=1, expand="Orders(CustomerID)", expandProperties="Orders(CustomerID):ID"
    )
    assert all(list(each) == ["ID"] for each in record["Expanded"]["Orders(CustomerID)"])


@pytest.mark.better("B-X2")
@pytest.mark.usefixtures("rows")
def test_with_cursor_filter_and_total(shop: Client) -> None:
    """An expansion changes neither total, order nor cursor; without records there is nothing to expand."""
    query = {"entity": "Orders", "pageSize": 7, "getTotal": "true", "cursor": "true", "properties": "ID"}
    plain = shop.get("Data/Get", **query).json()
    expanded = shop.get("Data/Get", **query, expand="CustomerID").json()
    assert list(expanded) == ["Total", "Data", "Next"]
    assert [each["ID"] for each in expanded["Data"]] == [each["ID"] for each in plain["Data"]]
    assert shop.get("Data/Get", entity="Orders", after=expanded["Next"], expand="CustomerID").json()["Data"]
    nothing = shop.get("Data/Get", entity="Orders", pageIndex=99, expand="CustomerID,Lines(OrderID)").json()
    assert nothing == {"Data": []}
    assert "Expanded" not in shop.get("Data/Get", entity="Orders", expand=" , ").text


@pytest.mark.better("B-X2")
@pytest.mark.parametrize(
    ("query", "code", "entity"),
    [
        ({"expand": "Title"}, "ERROR", "Orders"),
        ({"expand": "Nope"}, "ERROR", "Orders"),
        ({"expand": "CustomerID.Title"}, "ERROR", "Customers"),
        ({"expand": "CustomerID..CountryID"}, "ERROR", "Customers"),
        ({"expand": "Lines(CustomerID)"}, "ERROR", "Orders"),
        ({"expand": "Lines"}, "ERROR", "Orders"),
        ({"expand": "Nope(OrderID)"}, "ERROR", "Orders"),
        ({"expand": "Lines(OrderID"}, "ERROR", "Orders"),
        ({"expand": "H_Auth_Email_Confirmation_Tokens(Owner)"}, "ERROR", "Orders"),
        ({"expand": "'; drop table Orders; --"}, "ERROR", "Orders"),
        ({"expand": "CustomerID.ParentID.ParentID.ParentID"}, "ERROR", "Orders"),
        ({"expand": ",".join(["CustomerID"] * 6)}, "ERROR", "Orders"),
        ({"expand": ",".join(["CustomerID"] * 1000)}, "ERROR", "Orders"),
        ({"expand": "(" * 5000}, "ERROR", "Orders"),
        ({"expand": "CustomerID", "expandProperties": "Title"}, "ERROR", "Orders"),
        ({"expand": "CustomerID", "expandProperties": "Lines(OrderID):Title"}, "ERROR", "Orders"),
        ({"expand": "SecretID"}, "ERROR", "Orders"),
        ({"expand": "Closed(OrderID)"}, "UNAUTHORIZED", "Closed"),
        ({"expand": "Owner"}, "UNAUTHORIZED", "Users"),
        ({"expand": "CustomerID.Notes(CustomerID)"}, "UNAUTHORIZED", "Notes"),
    ],
)
def test_refused(shop: Client, query: dict[str, str], code: str, entity: str) -> None:
    """Wrong and too many paths, references that the caller may not read and entities without a rule are refused."""
    for call in ({"id": 1}, {}):
        answer = shop.get("Data/GetByID" if call else "Data/Get", entity="Orders", **call, **query)
        error = error_of(answer)
        assert (error.code, error.entity) == (code, entity)


@pytest.mark.better("B-X2")
def test_hidden_references_of_lists(shop: Client) -> None:
    """A list by a reference that the caller may not read would tell its values, so it is refused."""
    error = error_of(shop.get("Data/Get", entity="Countries", expand="Orders(SecretID)"))
    assert (error.code, error.entity) == ("ERROR", "Orders")


@pytest.mark.better("B-X2")
def test_reach(new_application: NewClient, as_operator: AsOperator) -> None:
    """Expanded records are those that the caller reaches: owned ones for users, all for operators."""
    client = new_application(MANIFEST)
    (customer,) = client.add("Customers", {"Title": "c"})
    anna, bobby = client.signed_in("anna"), client.signed_in("bobby")
    mine = anna.add("Notes", {"Title": "a", "CustomerID": customer})
    theirs = bobby.add("Notes", {"Title": "b", "CustomerID": customer}, {"Title": "c", "CustomerID": customer})

    def notes(caller: Client) -> list[int]:
        (record,) = caller.records("Customers", expand="Notes(CustomerID)")
        return [each["ID"] for each in record["Expanded"]["Notes(CustomerID)"]]

    assert (notes(anna), notes(bobby), notes(as_operator(client))) == (mine, theirs, [*mine, *theirs])


TENANTS: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Tenants", "DifferentiationEntity": "Firm"},
    "Entities": [
        {"Name": "Firm", "Properties": [{"Name": "Title"}]},
        keyed("Shelf", Differentiation=True),
        keyed("Books", ("ShelfID", "Shelf")),
    ],
    "Security": [
        {"Entity": entity, "Role": "AUTHENTICATED", "Action": action, "Properties": "*"}
        for entity in ("Shelf", "Books")
        for action in ("get", "post")
    ],
}


@pytest.mark.better("B-X2")
def test_tenants(new_application: NewClient, as_operator: AsOperator) -> None:
    """A target of another tenant is null, and lists hold no record of another tenant."""
    client = new_application(TENANTS)
    operator = as_operator(client)
    firms = operator.add("Firm", {"Title": "a"}, {"Title": "b"})
    for name, firm in zip(("anna", "bobby"), firms, strict=True):
        operator.change("Users", {"ID": client.register(name), "Firm_ID": firm})
    users = [client.as_user(client.login(name)) for name in ("anna", "bobby")]
    shelves = [user.add("Shelf", {"Title": str(number)})[0] for number, user in enumerate(users)]
    # An operator may store a reference to another tenant; a user may not.
    books = operator.add("Books", *({"ShelfID": shelf, "Firm_ID": firms[0]} for shelf in shelves))
    for number, user in enumerate(users):
        found = {each["ID"]: each["Expanded"]["ShelfID"] for each in user.records("Books", expand="ShelfID")}
        assert found[books[number]]["ID"] == shelves[number]
        assert found[books[1 - number]] is None
        assert [len(each["Expanded"]["Books(ShelfID)"]) for each in user.records("Shelf", expand="Books(ShelfID)")] == [
            1
        ]


@pytest.mark.better("B-X2", "B-S6")
def test_uses_are_counted(new_application: NewClient) -> None:
    """An expanded entity counts one use of its limit, however many records and paths lead to it."""
    security = [dict(rule) for rule in MANIFEST["Security"]]
    security[1]["RateLimit"] = {"MaxRequests": 3, "Per": "Hour"}
    client = new_application({**MANIFEST, "Security": security})
    client.add("Orders", {"Title": "a"}, {"Title": "b"})
    for _ in range(3):
        answer = client.get("Data/Get", entity="Orders", expand="CustomerID.ParentID,CustomerID.CountryID")
        assert answer.status_code == 200
    assert error_of(client.get("Data/Get", entity="Orders", expand="CustomerID")).code == "RATE_LIMIT_EXCEEDED"
    assert error_of(client.get("Data/Get", entity="Customers")).code == "RATE_LIMIT_EXCEEDED"
    assert client.get("Data/Get", entity="Orders").status_code == 200


@pytest.mark.better("B-X2")
def test_too_many_records(new_application: NewClient) -> None:
    """An expansion of more than 20,000 records is refused, and a smaller limit answers."""
    client = new_application(MANIFEST)
    ids = client.add("Customers", *({"Title": "c"} for _ in range(250)))
    for start in range(0, len(ids), 50):
        client.add("Orders", *({"CustomerID": id} for id in ids[start : start + 50] for _ in range(85)))
    query = {
        "entity": "Customers",
        "expand": "Orders(CustomerID)",
        "pageSize": 1000,
        "expandProperties": "Orders(CustomerID):ID",
    }
    error = error_of(client.get("Data/Get", **query))
    assert error.code == "ERROR"
    assert "more than 20000 records" in error.message
    answer = client.get("Data/Get", **query, expandLimit=80).json()
    assert {len(each["Expanded"]["Orders(CustomerID)"]) for each in answer["Data"]} == {80}
