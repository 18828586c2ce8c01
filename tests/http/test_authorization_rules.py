"""Access rules that are not combinations: names, defaults, other applications, system entities
(docs/reference/protocol/security.md).

The combinations are in ``test_authorization_matrix.py``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apilane.testing.client import PASSWORD, Client, WireError, bare_error_of, error_of
from apilane.testing.server import Server
from tests.http.database import Database

NewClient = Callable[..., Client]
UNAUTHORIZED = "Unauthorized"

OFFICE: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Office", "DifferentiationEntity": "Company"},
    "Entities": [
        {
            "Name": "Letters",
            "DefaultOrder": [{"Property": "Secret", "Direction": "DESC"}],
            "Properties": [{"Name": "Title"}, {"Name": "Secret"}],
        },
        {"Name": "Drafts", "Properties": [{"Name": "Title"}]},
        {"Name": "Orders", "Differentiation": True, "Properties": [{"Name": "Title"}]},
    ],
    "Security": [
        {"Entity": "letters", "Role": "ANONYMOUS", "Action": "get", "Properties": ["TITLE"]},
        {"Entity": "Letters", "Role": "AUTHENTICATED", "Action": "post", "Properties": ["Title"]},
        {"Entity": "Letters", "Role": "AUTHENTICATED", "Action": "put", "Properties": ["Title"]},
        {"Entity": "Letters", "Role": "editor", "Action": "get", "Properties": ["Secret"]},
        {"Entity": "Drafts", "Role": "ANONYMOUS", "Action": "get", "Record": "Owned", "Properties": "*"},
        {"Entity": "Drafts", "Role": "ANONYMOUS", "Action": "post", "Properties": "*"},
        {"Entity": "Drafts", "Role": "ANONYMOUS", "Action": "put", "Record": "Owned", "Properties": "*"},
        {"Entity": "Drafts", "Role": "ANONYMOUS", "Action": "delete", "Record": "Owned"},
        {"Entity": "Orders", "Role": "AUTHENTICATED", "Action": "get", "Properties": "*"},
        {"Entity": "Orders", "Role": "AUTHENTICATED", "Action": "post", "Properties": "*"},
        {"Entity": "Orders", "Role": "AUTHENTICATED", "Action": "put", "Properties": "*"},
        {"Entity": "Users", "Role": "AUTHENTICATED", "Action": "get", "Properties": ["Username", "Password"]},
        {"Entity": "Users", "Role": "AUTHENTICATED", "Action": "delete", "Record": "Owned"},
        {"Entity": "Users", "Role": "janitor", "Action": "put", "Properties": ["Roles", "Password", "Email"]},
        {"Entity": "Users", "Role": "self", "Action": "put", "Record": "Owned", "Properties": ["Password", "Roles"]},
        {"Entity": "AuthTokens", "Role": "AUTHENTICATED", "Action": "get", "Record": "Owned",
         "Properties": ["Token", "Owner"]},
        {"Entity": "AuthTokens", "Role": "janitor", "Action": "get", "Properties": ["Token"]},
        {"Schema": True, "Role": "editor"},
    ],
}  # fmt: skip


@pytest.fixture
def office(new_application: NewClient) -> Client:
    """A new office application."""
    return new_application(OFFICE)


@pytest.fixture
def database(server: Server, office: Client) -> Iterator[Database]:
    """The office's database."""
    with Database(server.settings, office.token) as opened:
        yield opened


def user_with(office: Client, database: Database, name: str, roles: str | None) -> Client:
    """Create a user who has ``roles`` from the first call on."""
    database.set_roles(office.register(name), roles)
    return office.as_user(office.login(name))


def reads(caller: Client, entity: str, **query: Any) -> int:
    """The status of Data/Get."""
    return caller.get("Data/Get", entity=entity, **query).status_code


def filtered(property: str, value: Any, operator: str = "equal") -> str:
    """The ``filter`` parameter for one condition."""
    return json.dumps({"Property": property, "Operator": operator, "Value": value})


def test_without_rules_everything_is_denied(new_application: NewClient) -> None:
    """An application without rules answers UNAUTHORIZED to every Data call of anonymous callers and of users."""
    office = new_application({**OFFICE, "Security": []})
    for caller in (office, office.signed_in("someone")):
        calls = {
            "Letters": caller.get("Data/Get", entity="letters", filter="{broken"),
            "Users": caller.get("Data/GetByID", entity="Users", id=1),
            "Orders": caller.post("Data/Post", {"Title": "x"}, entity="Orders"),
            "Drafts": caller.put("Data/Put", entity="Drafts"),
            "Company": caller.delete("Data/Delete", entity="Company"),
            "AuthTokens": caller.get("Data/Get", entity="AuthTokens"),
            "Schema": caller.get("Data/Schema"),
        }
        for entity, response in calls.items():
            assert error_of(response) == WireError("UNAUTHORIZED", UNAUTHORIZED, None, entity)


@pytest.mark.parametrize("roles", ["editors", "edit", "xeditor", "authenticated,anonymous", "editor.", None])
def test_role_names_are_exact(office: Client, database: Database, roles: str | None) -> None:
    """A role whose name only resembles the role of a rule gets no grant from it."""
    id = office.register("person")
    database.update("Users", id, Roles=roles)
    person = office.as_user(office.login("person"))
    assert error_of(person.get("Data/Get", entity="Letters", filter=filtered("Secret", "x"))).entity == "Letters"
    assert person.get("Data/Schema").status_code == 401


@pytest.mark.better("B-S1")
@pytest.mark.parametrize("roles", ["editor", "other,editor", " editor ,", ",,editor"])
def test_role_lists_are_split_and_trimmed(office: Client, database: Database, roles: str) -> None:
    """Role names between commas are trimmed, and empty names are ignored (B-S1)."""
    id = office.register("person")
    database.update("Users", id, Roles=roles)
    person = office.as_user(office.login("person"))
    assert reads(person, "Letters", filter=filtered("Secret", "x")) == 200
    assert person.get("Data/Schema").status_code == 200


def test_the_schema_needs_a_schema_rule(office: Client, database: Database) -> None:
    """Data/Schema needs its own rule; rules on entities do not grant it."""
    for caller in (office, office.signed_in("reader")):
        assert error_of(caller.get("Data/Schema")) == WireError("UNAUTHORIZED", UNAUTHORIZED, None, "Schema")
    schema = user_with(office, database, "editing", "editor").get("Data/Schema").json()
    assert [entity["Name"] for entity in schema["Entities"]][:4] == ["Company", "Users", "AuthTokens", "Files"]


@pytest.mark.better("B-S9")
def test_a_token_counts_only_in_its_application(new_application: NewClient) -> None:
    """A token of one application is anonymous in another, also when the user ID exists there (B-S9)."""
    first, second = new_application(OFFICE), new_application(OFFICE)
    at_home, resident = first.signed_in("first"), second.signed_in("second")
    resident.add("Orders", {"Title": "private"})
    assert at_home.records("Orders") == []
    assert [order["Title"] for order in resident.records("Orders")] == ["private"]
    assert at_home.user is not None
    intruder = second.as_user(at_home.user)
    for _ in range(2):
        assert intruder.is_anonymous()
        assert reads(intruder, "Orders") == 401
        assert not at_home.is_anonymous()


@pytest.mark.better("B-S2")
@pytest.mark.parametrize("typed", ["Secret", "secret", "SECRET"])
def test_a_property_out_of_reach_is_refused_in_any_letters(office: Client, typed: str) -> None:
    """Filter and sort refuse a property that the caller may not read, at any level and in any letter case (B-S2)."""
    refused = WireError("INVALID_FILTER_PARAMETER", "Property 'Secret' is not allowed on this filter", None, "Letters")
    leaf = {"Property": typed, "Operator": "equal", "Value": None}
    fine = {"Property": "title", "Operator": "equal", "Value": "x"}
    hidden: list[Any] = [
        leaf,
        {"Filters": [leaf]},
        {"Logic": "OR", "Filters": [fine, leaf]},
        {"Logic": "OR", "Filters": [leaf, fine]},
        {"Logic": "AND", "Filters": [fine, {"Logic": "OR", "Filters": [fine, {"Filters": [fine, leaf]}]}, fine]},
    ]
    for filter in hidden:
        assert error_of(office.get("Data/Get", entity="Letters", filter=json.dumps(filter))) == refused
    for sort in ({"Property": typed, "Direction": "ASC"}, [{"Property": "Title", "Direction": "ASC"},
                                                          {"Property": typed, "Direction": "DESC"}]):  # fmt: skip
        error = error_of(office.get("Data/Get", entity="Letters", sort=json.dumps(sort)))
        message = f"Invalid sort parameter. Property '{typed}' is not allowed"
        assert error == WireError("INVALID_SORT_PARAMETER", message, None, "Letters")


@pytest.mark.better("B-Q14")
def test_names_ignore_letter_case_where_they_are_allowed(office: Client) -> None:
    """Names of entities, properties and bodies match in any letter case; records have the schema's spelling."""
    writer = office.signed_in("writer")
    (id,) = writer.post("Data/Post", {"TITLE": "a", "secret": "no"}, entity="LETTERS").json()
    assert writer.put("Data/Put", {"id": str(id), "tItLe": "b"}, entity="letters").json() == 1
    assert office.records("letters", filter=filtered("TITLE", "b"), properties="title,SECRET") == [
        {"ID": id, "Title": "b"}
    ]
    error = bare_error_of(writer.put("Data/Put", {"ID": id, "sEcReT": "x"}, entity="letters"))
    assert error == WireError("NO_PROPERTIES_PROVIDED", "No properties provided", None, "Letters")


@pytest.mark.better("B-D9")
def test_the_default_order_needs_no_permission(office: Client, database: Database) -> None:
    """The default order may use a property that the caller may not read (B-D9)."""
    database.insert("Letters", [{"ID": id, "Created": 1, "Title": "t", "Secret": f"s{id % 2}"} for id in (1, 2, 3)])
    assert [letter["ID"] for letter in office.records("Letters")] == [1, 3, 2]


@pytest.mark.better("B-S3")
def test_anonymous_callers_own_nothing(office: Client) -> None:
    """Owned rules give an anonymous caller no record, not even one without an owner (B-S3)."""
    (id,) = office.add("Drafts", {"Title": "orphan"})
    assert office.get("Data/Get", entity="Drafts", getTotal="true").json() == {"Data": [], "Total": 0}
    assert error_of(office.get("Data/GetByID", entity="Drafts", id=id)).code == "NOT_FOUND"
    assert office.change("Drafts", {"ID": id, "Title": "mine"}) == 0
    assert office.delete("Data/Delete", entity="Drafts", ids=id).json() == []


def test_a_filter_cannot_leave_the_tenant(office: Client, database: Database) -> None:
    """Conditions on the differentiation property can narrow the caller's tenant and never widen it."""
    database.insert("Company", [{"ID": id, "Created": 1} for id in (1, 2)])
    rows = [{"ID": id, "Created": 1, "Company_ID": tenant} for id, tenant in ((1, None), (2, 1), (3, 2))]
    database.insert("Orders", rows)
    database.update("Users", office.register("member"), Company_ID=1)
    member = office.as_user(office.login("member"))
    either = {"Logic": "OR", "Filters": [
        {"Property": "company_id", "Operator": "equal", "Value": value} for value in (None, 1, 2)]}  # fmt: skip
    assert [order["ID"] for order in member.records("Orders", filter=json.dumps(either))] == [2]
    for value in (2, None):
        assert member.records("Orders", filter=filtered("Company_ID", value)) == []
    assert member.records("Orders", filter=filtered("ID", "1,2,3", "contains")) == member.records("Orders")


def test_what_the_server_sets_is_ignored_in_bodies(office: Client, database: Database) -> None:
    """ID, Owner, Created and the differentiation property of a body are ignored, in any letter case."""
    database.insert("Company", [{"ID": 1, "Created": 1}])
    owner = office.signed_in("owner")
    sent = {"id": 77, "OWNER": 99, "created": 5, "company_id": 1}
    (id,) = owner.post("Data/Post", {"Title": "x", **sent}, entity="Orders").json()
    assert owner.change("Orders", {**sent, "id": id, "Title": "y"}) == 1
    record = owner.record("Orders", id)
    assert id != 77
    assert record["Title"] == "y"
    assert record["Company_ID"] is None
    assert record["Owner"] != 99
    assert record["Created"] > 5
    assert error_of(owner.put("Data/Put", {**sent, "id": id}, entity="Orders")).code == "NO_PROPERTIES_PROVIDED"


@pytest.mark.better("B-S9")
def test_a_tenant_given_by_an_operator_is_seen_within_a_second(office: Client, database: Database) -> None:
    """A change of a user's row by another process applies within a second to a caller with a cached identity (B-S9)."""
    database.insert("Company", [{"ID": 1, "Created": 1}])
    database.insert("Orders", [{"ID": 1, "Created": 1, "Company_ID": 1}])
    id = office.register("mover")
    mover = office.as_user(office.login("mover"))
    assert mover.records("Orders") == []
    database.update("Users", id, Company_ID=1)
    time.sleep(1.0)
    assert [order["ID"] for order in mover.records("Orders")] == [1]


# --- Users and AuthTokens


@pytest.mark.better("B-S5")
def test_roles_changed_by_put_take_effect_at_once(office: Client, database: Database) -> None:
    """The next call of a signed-in user has the roles that were changed by another user (B-S5)."""
    janitor = user_with(office, database, "janitor", "janitor")
    id = office.register("person")
    person = office.as_user(office.login("person"))
    for roles, expected in (("editor", 200), (None, 401), ("editor,janitor", 200)):
        assert janitor.change("Users", {"ID": id, "Roles": roles}) == 1
        assert person.get("Data/Schema").status_code == expected


@pytest.mark.better("B-S5")
def test_password_changed_by_put_ends_sessions(office: Client, database: Database) -> None:
    """A password change ends the user's tokens; the new password signs in (B-S5)."""
    janitor = user_with(office, database, "janitor", "janitor")
    id = office.register("person")
    person = office.as_user(office.login("person"))
    assert not person.is_anonymous()
    assert janitor.change("Users", {"ID": id, "Password": "An0ther-password"}) == 1
    assert person.is_anonymous()
    assert not janitor.is_anonymous()
    old = office.post("Account/Login", {"Username": "person", "Password": PASSWORD})
    assert error_of(old).message == "Invalid login attempt"
    assert not office.as_user(office.login("person", "An0ther-password")).is_anonymous()


@pytest.mark.better("B-S5")
def test_email_changed_by_put_is_unconfirmed(office: Client, database: Database) -> None:
    """A new e-mail address is unconfirmed (B-S5)."""
    janitor = user_with(office, database, "janitor", "janitor")
    id = office.register("person")
    database.update("Users", id, EmailConfirmed=True)
    assert janitor.change("Users", {"ID": id, "Email": "elsewhere@example.com"}) == 1
    row = database.rows("Users", [id])[id]
    assert (row["Email"], row["EmailConfirmed"]) == ("elsewhere@example.com", 0)
    credentials = {"Email": "elsewhere@example.com", "Password": PASSWORD}
    assert office.post("Account/Login", credentials).status_code == 200


@pytest.mark.better("B-S4")
def test_owned_on_users_is_the_own_row(office: Client, database: Database) -> None:
    """Within an Owned rule a Put on another user counts 0 and changes neither password nor sessions (B-S4)."""
    own = user_with(office, database, "owner", "self")
    id = office.register("person")
    person = office.as_user(office.login("person"))
    change = {"Password": "An0ther-password", "Roles": "janitor"}
    assert own.change("Users", {"ID": id, **change}) == 0
    assert not person.is_anonymous()
    assert own.change("Users", {"ID": _id_of(own), "Roles": "self,janitor"}) == 1
    assert own.change("Users", {"ID": id, **change}) == 0, "Owned wins over All"


def _id_of(caller: Client) -> int:
    id: int = caller.get("Account/UserData").json()["User"]["ID"]
    return id


@pytest.mark.better("B-S4", "B-S9")
def test_users_who_delete_themselves_are_gone(office: Client) -> None:
    """Owned on Users lets users delete their own row only; their token is invalid at once."""
    person, other = office.signed_in("person"), office.signed_in("other")
    own, others = _id_of(person), _id_of(other)
    assert person.delete("Data/Delete", entity="Users", ids=f"{own},{others}").json() == [own]
    assert person.is_anonymous()
    assert not other.is_anonymous()


@pytest.mark.better("B-D3", "B-D4")
def test_secrets_read_as_null(office: Client, database: Database) -> None:
    """Password and Token read as null under any rule, and cannot be used in filter and sort (B-D3, B-D4)."""
    janitor = user_with(office, database, "janitor", "janitor")
    other = office.signed_in("other")
    for entity, secret, reader in (("Users", "Password", other), ("AuthTokens", "Token", janitor)):
        records = reader.records(entity, properties=secret)
        assert records
        assert all(list(record) == ["ID", secret] and record[secret] is None for record in records)
        for value in (None, "x"):
            error = error_of(reader.get("Data/Get", entity=entity, filter=filtered(secret.lower(), value)))
            assert error.code == "INVALID_FILTER_PARAMETER"
        sort = json.dumps({"Property": secret, "Direction": "ASC"})
        assert error_of(reader.get("Data/Get", entity=entity, sort=sort)).code == "INVALID_SORT_PARAMETER"


def test_tokens_obey_rules_and_are_read_only(office: Client, database: Database) -> None:
    """An Owned rule shows a user's own tokens; no rule allows writes to AuthTokens."""
    janitor = user_with(office, database, "janitor", "janitor")
    person = office.signed_in("person")
    office.login("person")
    own = person.records("AuthTokens")
    assert [token["Owner"] for token in own] == [_id_of(person)] * 2
    assert len(janitor.records("AuthTokens")) == 1, "Owned wins over All"
    for caller in (person, janitor):
        for response in (
            caller.post("Data/Post", {"Token": "x"}, entity="AuthTokens"),
            caller.put("Data/Put", {"ID": own[0]["ID"], "Owner": 1}, entity="AuthTokens"),
            caller.delete("Data/Delete", entity="AuthTokens", ids=own[0]["ID"]),
        ):
            assert error_of(response) == WireError("UNAUTHORIZED", UNAUTHORIZED, None, "AuthTokens")
