"""Differentiation: records of one tenant are invisible to the others
(docs/reference/protocol/data-model.md section 8).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from apilane.testing.client import Client, error_of
from apilane.testing.server import Server

MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Tenants", "DifferentiationEntity": "Company"},
    "Entities": [
        {"Name": "Company", "Properties": [{"Name": "Title"}]},
        {"Name": "Orders", "Differentiation": True, "Properties": [{"Name": "Text"}]},
        {"Name": "Shared", "Properties": [{"Name": "Text"}]},
    ],
    "Security": [
        {"Entity": entity, "Role": role, "Action": action, **({} if action == "delete" else {"Properties": "*"})}
        for entity in ("Orders", "Shared")
        for role in ("ANONYMOUS", "AUTHENTICATED")
        for action in ("get", "post", "put", "delete")
    ]
    + [
        {"Entity": "Company", "Role": "AUTHENTICATED", "Action": "get", "Record": "Owned", "Properties": ["Title"]},
        {"Entity": "Users", "Role": "AUTHENTICATED", "Action": "get", "Properties": ["Username"]},
    ],
}


@pytest.fixture(scope="module")
def callers(server: Server, new_application) -> dict[str, Client]:  # type: ignore[no-untyped-def]
    """Two users of company 1, one of company 2, one without company, and an anonymous caller; each has one order."""
    client: Client = new_application(MANIFEST)
    names = {"ones": 1, "once": 1, "twos": 2, "none": None}
    for name in names:
        client.register(name)
    for company in (1, 2):
        values = (company, 1, f"company {company}")
        server.sql(client.token, 'INSERT INTO "Company" ("ID", "Created", "Title") VALUES (?, ?, ?)', values)
    for name, company in names.items():
        server.sql(client.token, 'UPDATE "Users" SET "Company_ID" = ? WHERE "Username" = ?', (company, name))
    found = {name: client.as_user(client.login(name)) for name in names}
    found["anonymous"] = client
    for name, caller in found.items():
        caller.add("Orders", {"Text": name, "Company_ID": 2})
    return found


REACH = {
    "ones": {"ones", "once"},
    "once": {"ones", "once"},
    "twos": {"twos"},
    "none": {"none", "anonymous"},
    "anonymous": {"none", "anonymous"},
}


@pytest.mark.parametrize("name", [*REACH])
def test_reach(callers: dict[str, Client], name: str) -> None:
    """Callers see records of their own tenant, or those without one if they have none; no filter widens that."""
    caller = callers[name]
    assert {record["Text"] for record in caller.records("Orders")} == REACH[name]
    for value in (1, 2, None):
        leaf = {"Property": "Company_ID", "Operator": "equal", "Value": value}
        text = json.dumps({"Logic": "OR", "Filters": [leaf, {"Property": "ID", "Operator": "greater", "Value": 0}]})
        body = caller.get("Data/Get", entity="Orders", filter=text, getTotal="true").json()
        assert ({record["Text"] for record in body["Data"]}, body["Total"]) == (REACH[name], len(REACH[name]))


def test_stamp(callers: dict[str, Client]) -> None:
    """A new record gets the caller's tenant; a tenant in the body is ignored."""
    tenants = {
        record["Text"]: record["Company_ID"] for caller in callers.values() for record in caller.records("Orders")
    }
    assert tenants == {"ones": 1, "once": 1, "twos": 2, "none": None, "anonymous": None}


def test_other_tenants_cannot_touch(callers: dict[str, Client]) -> None:
    """GetByID, Put and Delete do not reach another tenant's records."""
    (id,) = callers["ones"].add("Orders", {"Text": "guarded"})
    for name in ("twos", "none", "anonymous"):
        caller = callers[name]
        assert error_of(caller.get("Data/GetByID", entity="Orders", id=id)).code == "NOT_FOUND"
        assert caller.change("Orders", {"ID": id, "Text": "stolen"}) == 0
        assert caller.delete("Data/Delete", entity="Orders", ids=id).json() == []
    assert callers["once"].change("Orders", {"ID": id, "Text": "ours"}) == 1
    nothing = callers["ones"].put("Data/Put", {"ID": id, "Company_ID": 2}, entity="Orders")
    assert error_of(nothing).code == "NO_PROPERTIES_PROVIDED"
    assert callers["ones"].record("Orders", id)["Company_ID"] == 1
    assert callers["once"].delete("Data/Delete", entity="Orders", ids=id).json() == [id]


def test_without_the_column(callers: dict[str, Client]) -> None:
    """An entity without the column is shared by all tenants."""
    (id,) = callers["ones"].add("Shared", {"Text": "x"})
    assert all(caller.record("Shared", id)["Text"] == "x" for caller in callers.values())


def test_users_are_differentiated(callers: dict[str, Client]) -> None:
    """Users have the column, so callers can list only the users of their own tenant."""
    assert {record["Username"] for record in callers["ones"].records("Users")} == {"ones", "once"}
    assert {record["Username"] for record in callers["none"].records("Users")} == {"none"}


@pytest.mark.better("B-S4")
def test_owned_company(callers: dict[str, Client]) -> None:
    """An Owned rule on the differentiation entity gives the caller's own tenant (B-S4)."""
    assert [record["Title"] for record in callers["twos"].records("Company")] == ["company 2"]
    assert callers["none"].records("Company") == []
