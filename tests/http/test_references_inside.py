"""References stay inside: B-X5, and unique constraints per tenant (docs/reference/protocol/data-model.md section 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apilane.testing.client import Client, error_of
from apilane.testing.server import Server
from tests.http.conftest import AsOperator, NewClient


def number(name: str) -> dict[str, Any]:
    return {"Name": name, "Type": "Number"}


def key(property: str, entity: str, **more: Any) -> dict[str, Any]:
    return {"Type": "ForeignKey", "Property": property, "Entity": entity, **more}


def rules(entity: str, *actions: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "Entity": entity,
            "Role": "AUTHENTICATED",
            "Action": action,
            **({} if action == "delete" else {"Properties": "*"}),
            **(more if action == "get" else {}),
        }
        for action in actions
    ]


MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "References", "DifferentiationEntity": "Company"},
    "Entities": [
        {"Name": "Company", "Properties": [{"Name": "Title"}]},
        {
            "Name": "Users",
            "Properties": [number("TeamID")],
            "Constraints": [key("TeamID", "Teams", OnDelete="SetNull")],
        },
        {
            "Name": "Teams",
            "Differentiation": True,
            "Properties": [{"Name": "Name", "Maximum": 50}, number("Badge"), {"Name": "Mark", "Maximum": 20}],
            "Constraints": [
                {"Type": "Unique", "Properties": ["Name"], "PerTenant": True},
                {"Type": "Unique", "Properties": ["Badge", "Mark"], "PerTenant": True},
            ],
        },
        {
            "Name": "Tasks",
            "Properties": [{"Name": "Text"}, number("TeamID"), number("NoteID"), number("UserID"), number("PlanID")],
            "Constraints": [
                key("TeamID", "Teams"),
                key("NoteID", "Notes", WithinReach=True),
                key("UserID", "Users"),
                key("PlanID", "Plans", WithinReach=True),
            ],
        },
        {"Name": "Notes", "Properties": [{"Name": "Text"}]},
        {"Name": "Plans", "Properties": [{"Name": "State"}]},
    ],
    "Security": [
        *rules("Teams", "get", "post", "put"),
        *rules("Tasks", "get", "post", "put"),
        *rules("Notes", "get", "post", Record="Owned"),
        *rules("Plans", "get", "put", Where={"Property": "State", "Operator": "equal", "Value": "open"}),
        {"Schema": True, "Role": "AUTHENTICATED"},
    ],
}
FOREIGN = "FOREIGN_KEY_CONSTRAINT_VIOLATION"
UNIQUE = "UNIQUE_CONSTRAINT_VIOLATION"


class World:
    """A user of each of two companies and one without, each with a team and a note."""

    def __init__(self, server: Server, client: Client) -> None:
        self.client = client
        self.users: dict[str, Client] = {}
        self.ids: dict[str, int] = {}
        for company in (1, 2):
            values = (company, 1, f"company {company}")
            server.sql(client.token, 'INSERT INTO "Company" ("ID", "Created", "Title") VALUES (?, ?, ?)', values)
        for name, company in {"ones": 1, "twos": 2, "none": None}.items():
            self.ids[name] = client.register(name)
            server.sql(client.token, 'UPDATE "Users" SET "Company_ID" = ? WHERE "Username" = ?', (company, name))
            self.users[name] = client.as_user(client.login(name))
        self.teams = {name: user.add("Teams", {"Name": name})[0] for name, user in self.users.items()}
        self.notes = {name: user.add("Notes", {"Text": name})[0] for name, user in self.users.items()}


@pytest.fixture(scope="module")
def world(server: Server, new_application: NewClient) -> World:
    """A new application."""
    return World(server, new_application(MANIFEST))


def refusals(caller: Client, target: dict[str, Any], task: int) -> list[tuple[Any, ...]]:
    """The errors of all ways in which a caller can store a reference."""
    post = {"Action": "Post", "Entity": "Tasks", "Data": target, "Id": "p"}
    put = {"Action": "Put", "Entity": "Tasks", "Data": {"ID": task, **target}}
    sent = [
        caller.post("Data/Post", target, entity="Tasks"),
        caller.post("Data/Post", [{"Text": "fine"}, target], entity="Tasks"),
        caller.put("Data/Put", {"ID": task, **target}, entity="Tasks"),
        caller.post("Data/TransactionOperations", {"Operations": [post]}),
        caller.post("Data/TransactionOperations", {"Operations": [put]}),
        caller.post("Data/Transaction", {"Post": [{"Entity": "Tasks", "Data": target}]}),
    ]
    return [(each.status_code, *error_of(each)) for each in sent]


@pytest.mark.better("B-X5")
@pytest.mark.parametrize("name", ["TeamID", "UserID", "NoteID"])
@pytest.mark.parametrize("caller", ["ones", "twos", "none"])
def test_a_record_of_another_tenant_is_like_none(world: World, name: str, caller: str) -> None:
    """A reference to a record of another tenant, or out of reach, gets the error of a record that does not exist,
    wherever it is sent, and nothing is stored.
    """
    targets = {"TeamID": world.teams, "UserID": world.ids, "NoteID": world.notes}[name]
    user = world.users[caller]
    (task,) = user.add("Tasks", {"Text": "mine"})
    before = len(user.records("Tasks", pageSize=1000))
    missing = refusals(user, {name: 999_999}, task)
    assert [each[1] for each in missing] == [FOREIGN] * len(missing)
    for other in targets:
        if other == caller:
            assert user.change("Tasks", {"ID": task, name: targets[other]}) == 1
        else:
            assert refusals(user, {name: targets[other]}, task) == missing
    assert len(user.records("Tasks", pageSize=1000)) == before
    (stored,) = [each for each in user.records("Tasks", pageSize=1000) if each["ID"] == task]
    assert stored[name] == targets[caller]


@pytest.mark.better("B-X5")
def test_what_is_out_of_reach_stays_untouched(world: World) -> None:
    """A put of a record that does not exist counts 0, whatever it refers to; other references are not looked up."""
    user = world.users["ones"]
    assert user.change("Tasks", {"ID": 999_999, "TeamID": world.teams["twos"]}) == 0
    (task,) = user.add("Tasks", {"Text": "mine", "TeamID": None})
    assert user.change("Tasks", {"ID": task, "Text": "still mine"}) == 1


@pytest.mark.better("B-X5")
def test_records_of_the_same_transaction(world: World) -> None:
    """A reference to a record that the transaction creates is checked when it exists."""
    user = world.users["twos"]
    operations = [
        {"Action": "Post", "Entity": "Teams", "Id": "team", "Data": {"Name": "made with its task"}},
        {"Action": "Post", "Entity": "Notes", "Id": "note", "Data": {"Text": "made with its task"}},
        {"Action": "Post", "Entity": "Tasks", "Data": {"TeamID": "$ref:team", "NoteID": "$ref:note"}},
    ]
    assert user.post("Data/TransactionOperations", {"Operations": operations}).status_code == 200


@pytest.mark.better("B-X5")
def test_conditions_of_the_get_rules(world: World, as_operator: AsOperator) -> None:
    """With WithinReach a record that does not meet the condition of the caller's get rule is like none."""
    operator = as_operator(world.client)
    opened, closed = operator.add("Plans", {"State": "open"}, {"State": "closed"})
    user = world.users["ones"]
    (task,) = user.add("Tasks", {"Text": "planned", "PlanID": opened})
    for plan in (closed, 999_999):
        found = error_of(user.put("Data/Put", {"ID": task, "PlanID": plan}, entity="Tasks"))
        assert (found.code, found.property) == (FOREIGN, "PlanID")
    assert operator.change("Plans", {"ID": opened, "State": "closed"}) == 1
    assert user.change("Tasks", {"ID": task, "Text": "the stored reference stays"}) == 1
    assert error_of(world.client.post("Data/Post", {"PlanID": opened}, entity="Tasks")).code == "UNAUTHORIZED"


@pytest.mark.better("B-X5")
def test_accounts(world: World) -> None:
    """Register and Account/Update refuse a reference of the user to another tenant's record."""
    user = world.users["ones"]
    refused = user.put("Account/Update", {"TeamID": world.teams["twos"]})
    assert error_of(refused).code == FOREIGN
    assert user.put("Account/Update", {"TeamID": world.teams["ones"]}).status_code == 200
    body = {"Email": "new@example.com", "Username": "newcomer", "Password": "password1"}
    refused = world.client.post("Account/Register", {**body, "TeamID": world.teams["twos"]})
    assert error_of(refused).code == FOREIGN
    assert world.client.post("Account/Register", {**body, "TeamID": world.teams["none"]}).status_code == 200


@pytest.mark.better("B-X5")
def test_operators_refer_to_every_record(world: World, as_operator: AsOperator) -> None:
    """An operator may refer to records of every tenant."""
    operator = as_operator(world.client)
    assert operator.add(
        "Tasks",
        *(
            {"TeamID": team, "NoteID": note}
            for team, note in zip(world.teams.values(), world.notes.values(), strict=True)
        ),
    )


@pytest.mark.better("B-X4")
def test_unique_per_tenant(world: World, as_operator: AsOperator) -> None:
    """Each tenant may have a value once, the callers without a tenant too; the error names only the property, and
    letter case is ignored as elsewhere.
    """
    for name in ("ones", "none"):
        user = world.users[name]
        (id,) = user.add("Teams", {"Name": "Same A", "Badge": 5, "Mark": "x"})
        (other,) = user.add("Teams", {"Name": None, "Badge": 5, "Mark": None}, {"Name": None, "Badge": 5})[:1]
        for text in ("Same A", "sAME a"):
            expected = (UNIQUE, "Name", "Teams")
            found = error_of(user.post("Data/Post", {"Name": text}, entity="Teams"))
            assert (found.code, found.property, found.entity) == expected
            found = error_of(user.put("Data/Put", {"ID": other, "Name": text}, entity="Teams"))
            assert (found.code, found.property, found.entity) == expected
        found = error_of(user.post("Data/Post", {"Badge": 5, "Mark": "X"}, entity="Teams"))
        assert (found.code, found.property) == (UNIQUE, "Badge,Mark")
        assert user.change("Teams", {"ID": id, "Name": "Same A"}) == 1
    operator = as_operator(world.client)
    assert error_of(operator.post("Data/Post", {"Name": "same a", "Company_ID": 1}, entity="Teams")).code == UNIQUE
    assert operator.add("Teams", {"Name": "same a", "Company_ID": 2})
    found = error_of(world.users["twos"].post("Data/Post", {"Name": "SAME A"}, entity="Teams"))
    assert (found.code, found.property) == (UNIQUE, "Name")


def test_the_schema_names_them(world: World) -> None:
    """Data/Schema has the constraints that the protocol does not know under a key that old clients ignore."""
    entities = {each["Name"]: each for each in world.users["ones"].get("Data/Schema").json()["Entities"]}
    assert entities["Teams"]["Constraints"] == [
        {"Type": "Unique", "Properties": ["Name"], "PerTenant": True},
        {"Type": "Unique", "Properties": ["Badge", "Mark"], "PerTenant": True},
    ]
    assert entities["Tasks"]["Constraints"] == [
        {"Type": "ForeignKey", "Property": property, "Entity": entity, "WithinReach": True}
        for property, entity in (("NoteID", "Notes"), ("PlanID", "Plans"))
    ]
    assert "Constraints" not in entities["Notes"]
    assert json.dumps(entities["Users"]).count("Constraints") == 0
