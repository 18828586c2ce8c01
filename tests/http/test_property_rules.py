"""Default, Values and Format of properties (docs/reference/protocol/data-model.md section 2.2)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from apilane.testing.client import Client, error_of
from tests.http.conftest import NewClient

PROPERTIES: list[dict[str, Any]] = [
    {"Name": "State", "Default": "new", "Values": ["new", "paid", "Sent off"]},
    {"Name": "Grade", "Type": "Number", "DecimalPlaces": 1, "Values": [1, 2.5, 10], "Default": 2.5},
    {"Name": "Flag", "Type": "Boolean", "Default": True},
    {"Name": "Since", "Type": "Date", "Default": "Now"},
    {"Name": "Until", "Type": "Date", "Default": "2026-01-31"},
    {"Name": "Hush", "Encrypted": True, "Default": "secret"},
    {"Name": "Closed", "Default": "by default"},
    {"Name": "Must", "Type": "Number", "Required": True, "Default": 7},
    {"Name": "Mail", "Format": "Email"},
    {"Name": "Link", "Format": "Url"},
    {"Name": "Uuid", "Format": "Uuid"},
    {"Name": "Color", "Format": "Color"},
    {"Name": "Text", "Format": "Markdown"},
    {"Name": "Data", "Format": "Json", "Default": {"a": [1, 2.50]}},
    {"Name": "Vault", "Format": "Json", "Encrypted": True},
]
NAMES = [each["Name"] for each in PROPERTIES]
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Rules of properties"},
    "Entities": [
        {"Name": "Orders", "ChangeTracking": True, "Properties": PROPERTIES},
        {"Name": "Users", "Properties": [{"Name": "Plan", "Default": "free", "Values": ["free", "paid"]}]},
    ],
    "Security": [
        {"Entity": "Orders", "Role": "ANONYMOUS", "Action": "get", "Properties": "*"},
        {
            "Entity": "Orders",
            "Role": "ANONYMOUS",
            "Action": "post",
            "Properties": [name for name in NAMES if name != "Closed"],
        },
        {"Entity": "Orders", "Role": "ANONYMOUS", "Action": "put", "Properties": "*"},
        {"Schema": True, "Role": "ANONYMOUS"},
    ],
}


@pytest.fixture(scope="module")
def orders(new_application: NewClient) -> Client:
    """A new application."""
    return new_application(MANIFEST)


@pytest.mark.better("B-X4")
def test_defaults(orders: Client) -> None:
    """A property that is absent, or that the caller may not write, gets its default; an explicit null is stored."""
    before = int(time.time() * 1000) - 1
    (id,) = orders.add("Orders", {"Closed": "ignored"})
    record = orders.record("Orders", id)
    assert before <= record["Since"] <= before + 60_000
    assert record["Until"] == 1769817600000
    expected = {"State": "new", "Grade": 2.5, "Flag": True, "Hush": "secret", "Closed": "by default", "Must": 7}
    assert {name: record[name] for name in expected} == expected
    assert record["Data"] == {"a": [1, 2.5]}
    assert record["Mail"] is record["Vault"] is None
    nulls = {name: None for name in NAMES if name != "Must"}
    (id,) = orders.add("Orders", nulls)
    record = orders.record("Orders", id)
    assert {name: record[name] for name in NAMES} == {**nulls, "Must": 7, "Closed": "by default"}
    ids = orders.add("Orders", {"state": "paid"}, {}, {"GRADE": 1})
    found = [orders.record("Orders", id) for id in ids]
    assert [(each["State"], each["Grade"]) for each in found] == [("paid", 2.5), ("new", 2.5), ("new", 1)]


@pytest.mark.better("B-X4")
def test_put_has_no_defaults(orders: Client) -> None:
    """A Put changes only what it names."""
    (id,) = orders.add("Orders", {"State": "paid", "Grade": None})
    assert orders.change("Orders", {"ID": id, "Flag": False}) == 1
    record = orders.record("Orders", id)
    assert (record["State"], record["Grade"], record["Flag"]) == ("paid", None, False)


@pytest.mark.better("B-X4")
def test_register(new_application: NewClient) -> None:
    """A registration stores defaults, and refuses values that are not admitted."""
    client = new_application(MANIFEST)
    user = client.signed_in("anna")
    assert user.get("Account/UserData").json()["User"]["Plan"] == "free"
    payer = client.signed_in("berta", Plan="paid")
    assert payer.get("Account/UserData").json()["User"]["Plan"] == "paid"
    body = {"Email": "c@example.com", "Username": "carla", "Password": "longenough", "Plan": "gold"}
    error = error_of(client.post("Account/Register", body))
    assert (error.code, error.property) == ("VALIDATION", "Plan")


@pytest.mark.better("B-X4")
@pytest.mark.parametrize("value", ["New", "sent off", "", "other", 1, ["new"]])
def test_other_texts(orders: Client, value: Any) -> None:
    """A text that is not listed is refused in Post and Put with the values that are possible; letter case counts."""
    (id,) = orders.add("Orders", {})
    for answer in (
        orders.post("Data/Post", {"State": value}, entity="Orders"),
        orders.put("Data/Put", {"ID": id, "State": value}, entity="Orders"),
    ):
        error = error_of(answer)
        assert (error.code, error.property, error.entity) == ("VALIDATION", "State", "Orders")
        assert error.message == "The value must be one of: new, paid, Sent off"


@pytest.mark.better("B-X4")
def test_numbers(orders: Client) -> None:
    """A number is compared by its value after its decimals are cut."""
    ids = orders.add("Orders", {"Grade": "10"}, {"Grade": 2.59}, {"Grade": 1.0})
    assert [orders.record("Orders", id)["Grade"] for id in ids] == [10, 2.5, 1]
    for wrong in (2, -1, "1.1", 1e300):
        assert error_of(orders.post("Data/Post", {"Grade": wrong}, entity="Orders")).code == "VALIDATION"


@pytest.mark.better("B-X4")
@pytest.mark.parametrize(
    ("name", "fits", "wrong"),
    [
        ("Mail", ["a@b.gr", "Ω@example.com"], ["a", "a b@c.de", "A <a@b.de>", "a@b.de,c@d.ef"]),
        (
            "Link",
            ["https://example.com/a?b=c#d", "HTTP://localhost:8080"],
            [
                "example.com",
                "ftp://example.com",
                "javascript:alert(1)",
                "http://",
                "https://a b.de",
                "//a.de",
                "http:x",
            ],
        ),
        (
            "Uuid",
            ["23d4444f-b56e-4c5a-98ed-ef251796a238", "23D4444F-B56E-4C5A-98ED-EF251796A238"],
            ["23d4444fb56e4c5a98edef251796a238", "{23d4444f-b56e-4c5a-98ed-ef251796a238}", "x", 1],
        ),
        ("Color", ["#fff", "#FFAA00", "#11223344"], ["fff", "#ff", "#12345", "red", "#ggg", "#ffffff;"]),
        ("Text", ["# Title\n\n<b>", "x"], []),
    ],
)
def test_formats(orders: Client, name: str, fits: list[Any], wrong: list[Any]) -> None:
    """A text of the format is stored as sent; any other is refused with the name of the format."""
    ids = orders.add("Orders", *({name: text} for text in fits))
    assert [orders.record("Orders", id)[name] for id in ids] == fits
    for text in wrong:
        error = error_of(orders.post("Data/Post", {name: text}, entity="Orders"))
        assert (error.code, error.property) == ("VALIDATION", name), text
        assert error.message.endswith(ALIASES.get(name, name))


ALIASES = {"Mail": "Email", "Link": "Url"}


@pytest.mark.better("B-X4")
@pytest.mark.parametrize("name", ["Data", "Vault"])
@pytest.mark.parametrize(
    "value",
    ['{"a":[1,2.50,-1e3,true,null,"é\\u0000"]}', "[]", '"text"', '"{\\"a\\":1}"', "12.340", "false", '"null"', '""'],
)
def test_json(orders: Client, name: str, value: str) -> None:
    """A Json property takes and gives any JSON value with its digits, in Get, GetByID, Put and history."""
    body = f'{{"{name}":{value}}}'
    ids = orders.post("Data/Post", body.encode(), entity="Orders").json()
    assert f'"{name}":{value}' in orders.get("Data/GetByID", entity="Orders", id=ids[0]).text
    condition = json.dumps({"Property": "ID", "Operator": "equal", "Value": ids[0]})
    assert f'"{name}":{value}' in orders.get("Data/Get", entity="Orders", filter=condition).text
    assert orders.change("Orders", {"ID": ids[0], name: {"b": 2}}) == 1
    assert orders.record("Orders", ids[0])[name] == {"b": 2}
    assert f'"{name}":{value}' in orders.get("Data/GetHistoryByID", entity="Orders", id=ids[0]).text


@pytest.mark.better("B-X4")
def test_json_filters(orders: Client) -> None:
    """A Json property is compared as a whole; other operators are refused."""
    (id,) = orders.add("Orders", {"Data": {"k": [7, "x"]}})
    leaf = {"Property": "Data", "Operator": "equal", "Value": {"k": [7, "x"]}}
    assert [each["ID"] for each in orders.records("Orders", filter=json.dumps(leaf))] == [id]
    assert id not in [e["ID"] for e in orders.records("Orders", filter=json.dumps({**leaf, "Operator": "notequal"}))]
    for operator in ("contains", "startswith", "like"):
        answer = orders.get("Data/Get", entity="Orders", filter=json.dumps({**leaf, "Operator": operator}))
        assert error_of(answer).code == "INVALID_FILTER_PARAMETER"


@pytest.mark.better("B-X4")
def test_schema(orders: Client) -> None:
    """Data/Schema has the keys of properties that use them, and of no other."""
    entities = {each["Name"]: each for each in orders.get("Data/Schema").json()["Entities"]}
    shown = {each["Name"]: each for each in entities["Orders"]["Properties"]}
    assert (shown["State"]["Default"], shown["State"]["Values"]) == ("new", ["new", "paid", "Sent off"])
    assert (shown["Grade"]["Default"], shown["Grade"]["Values"]) == (2.5, [1, 2.5, 10])
    assert (shown["Data"]["Format"], shown["Since"]["Default"]) == ("Json", "Now")
    assert not {"Default", "Values", "Format"} & shown["Owner"].keys()


@pytest.mark.better("B-X4")
def test_required_property_with_default(new_application: NewClient, server: Any) -> None:
    """A required property that is added gives its default to the records that exist, of every type."""
    manifest: dict[str, Any] = {**MANIFEST, "Entities": [{"Name": "Orders", "Properties": []}], "Security": []}
    rules = [
        {"Entity": "Orders", "Role": "ANONYMOUS", "Action": action, "Properties": "*"} for action in ("get", "post")
    ]
    start = [{"Name": "Title"}]
    client = new_application({**manifest, "Entities": [{"Name": "Orders", "Properties": start}], "Security": rules})
    ids = client.add("Orders", {"Title": "a"}, {"Title": "b"})
    added = [{**each, "Required": True} for each in PROPERTIES if "Default" in each]
    application = {**MANIFEST["Application"], "Token": client.token}
    application["Name"] = "Rules, later"
    changed = {"Apilane": 1, "Application": application, "Security": rules}
    server.apply({**changed, "Entities": [{"Name": "Orders", "Properties": [*start, *added]}]})
    now = time.time() * 1000
    for id in ids:
        record = client.record("Orders", id)
        assert now - 60_000 <= record["Since"] <= now + 60_000
        expected = {"State": "new", "Grade": 2.5, "Flag": True, "Hush": "secret", "Closed": "by default", "Must": 7}
        assert {name: record[name] for name in expected} == expected
        assert record["Data"] == {"a": [1, 2.5]}
