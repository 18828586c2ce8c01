"""Application/ImportData (docs/reference/protocol/wire-api.md section 9): raw records with their IDs, all or none."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.testing.client import PASSWORD, Client, WireError, error_of
from apilane.testing.server import Server

MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Imports", "DifferentiationEntity": "Company"},
    "Entities": [
        {"Name": "Company", "Properties": [{"Name": "Title"}]},
        {"Name": "Users", "Properties": [{"Name": "Firstname"}, {"Name": "Passport", "Encrypted": True}]},
        {
            "Name": "Parts",
            "Differentiation": True,
            "ChangeTracking": True,
            "Properties": [
                {"Name": "Title", "Required": True, "Minimum": 3, "Maximum": 20, "ValidationRegex": "^[A-Z]"},
                {"Name": "Amount", "Type": "Number", "Minimum": 0},
                {"Name": "Price", "Type": "Number", "DecimalPlaces": 2},
                {"Name": "Done", "Type": "Boolean"},
                {"Name": "Moment", "Type": "Date"},
                {"Name": "Secret", "Encrypted": True},
                {"Name": "ParentID", "Type": "Number"},
                {"Name": "KindID", "Type": "Number"},
            ],
            "Constraints": [
                {"Type": "Unique", "Properties": ["Title"]},
                {"Type": "ForeignKey", "Property": "ParentID", "Entity": "Parts"},
                {"Type": "ForeignKey", "Property": "KindID", "Entity": "Kinds"},
            ],
        },
        {"Name": "Kinds", "Properties": [{"Name": "Title"}]},
    ],
    "Security": [
        {"Entity": "Parts", "Role": "AUTHENTICATED", "Action": action, "Properties": "*"} for action in ("get", "post")
    ],
}
PATH = "/api/Application/ImportData?Entity="
JSON = {"Content-Type": "application/json"}
CREATED = 1_700_000_000_000
FULL = {
    "Owner": None,
    "Created": CREATED,
    "Company_ID": None,
    "Amount": -3,
    "Price": 1.25,
    "Done": True,
    "Moment": 1_500_000_000,
    "Secret": " in clear ",
    "ParentID": None,
    "KindID": None,
}


@pytest.fixture
def application(new_application) -> Client:  # type: ignore[no-untyped-def]
    """An anonymous caller of a new application."""
    client: Client = new_application(MANIFEST)
    return client


@pytest.fixture
def owner(application: Client, as_operator) -> Client:  # type: ignore[no-untyped-def]
    """Its operator."""
    client: Client = as_operator(application)
    return client


def _import(client: Client, records: Any, entity: str = "Parts", **headers: str) -> Any:
    body = records if isinstance(records, bytes) else json.dumps(records).encode()
    return client.send("POST", PATH + entity, body, {**JSON, **headers})


def _part(id: int, **values: Any) -> dict[str, Any]:
    return {"ID": id, "Title": f"P{id}", "Created": CREATED, **values}


def _is_empty(client: Client, entity: str = "Parts") -> bool:
    return client.get("Data/Get", entity=entity).json()["Data"] == []


@pytest.mark.better("B-D13")
def test_records_are_stored_verbatim(server: Server, owner: Client) -> None:
    """Every column is stored as sent, without rules of properties; encrypted ones are encrypted; no history is made."""
    records = [{"ID": 7, "Title": " x ", **FULL}, _part(3)]
    answer = _import(owner, records, "parts")
    assert (answer.status_code, answer.json()) == (200, [7, 3])
    assert owner.record("Parts", 7) == records[0]
    assert owner.record("Parts", 3) == {**dict.fromkeys(FULL), **_part(3)}
    ((stored,),) = server.sql(owner.token, 'SELECT "Secret" FROM "Parts" WHERE "ID" = ?', (7,))
    assert stored.startswith("v1:")
    assert owner.get("Stats/CountDataAndHistory", entity="Parts").json() == {"Data": 2, "History": 0}
    assert _import(owner, []).json() == []


def test_new_records_follow_the_highest_id(owner: Client) -> None:
    """After an import the database makes IDs beyond the highest one."""
    assert _import(owner, [_part(5000), _part(12), _part(4999)]).status_code == 200
    (new,) = owner.add("Parts", {"Title": "New"})
    assert new == 5001
    assert _import(owner, [_part(5002)]).json() == [5002]
    (new,) = owner.add("Parts", {"Title": "Newer"})
    assert new == 5003


def test_records_that_refer_to_each_other(owner: Client) -> None:
    """A record may refer to one that comes later in the body, and to itself."""
    assert _import(owner, [{"ID": 4, "Title": "k"}], "Kinds").status_code == 400  # Created is required
    assert _import(owner, [{"ID": 4, "Title": "k", "Created": 1}], "Kinds").json() == [4]
    tree = [_part(1, ParentID=3, KindID=4), _part(2, ParentID=2), _part(3), _part(4, ParentID=1)]
    assert _import(owner, tree).json() == [1, 2, 3, 4]
    assert {record["ID"]: record["ParentID"] for record in owner.records("Parts")} == {1: 3, 2: 2, 3: None, 4: 1}


def test_a_large_import(owner: Client) -> None:
    """6,000 records in many parts are stored, and none of them when the last one breaks a constraint."""
    count = 6_000
    good = [_part(id, Secret="s", ParentID=id - 1 or None) for id in range(1, count + 1)]

    def body(records: list[dict[str, Any]]) -> Iterator[bytes]:
        text = json.dumps(records).encode()
        for start in range(0, len(text), 20_001):
            yield text[start : start + 20_001]

    bad = error_of(owner.send("POST", PATH + "Parts", body([*good[:-1], _part(count, Title="P1")]), JSON))
    assert (bad.code, bad.property, bad.entity) == ("UNIQUE_CONSTRAINT_VIOLATION", "Title", "Parts")
    assert bad.message == f"Value already exists: record {count} of the body, ID {count}"
    assert _is_empty(owner)
    answer = owner.send("POST", PATH + "Parts", body(good), JSON)
    assert answer.json() == list(range(1, count + 1))
    assert owner.get("Stats/CountDataAndHistory", entity="Parts").json()["Data"] == count


# --- users ----------------------------------------------------------------------------------------------------------


@pytest.mark.better("B-D3", "B-D8", "B-D11")
def test_users(server: Server, application: Client, owner: Client) -> None:
    """Users come with a tenant and a password in clear, which is hashed; without one they cannot sign in."""
    assert _import(owner, [{"ID": 2, "Title": "c", "Created": 1}], "Company").json() == [2]
    user = {"Created": 1, "EmailConfirmed": True, "Roles": "editor", "Company_ID": 2, "Passport": "X1"}
    ann = {"ID": 9, "Email": "Ann@Example.com", "Username": "Ann", "Password": PASSWORD, "Firstname": "A", **user}
    bob = {"ID": 4, "Email": "bob@example.com", "Username": "bob", **user}
    assert _import(owner, [ann, bob], "Users").json() == [9, 4]
    stored = server.sql(owner.token, 'SELECT "Password", "Passport", "H_Email_Fold" FROM "Users" ORDER BY "ID"')
    assert all(row[0].startswith("$argon2id$") and row[1].startswith("v1:") for row in stored)
    assert [row[2] for row in stored] == ["bob@example.com", "ann@example.com"]
    signed_in = application.as_user(application.login("ANN"))
    found = signed_in.get("Account/UserData").json()["User"]
    assert found == {**ann, "LastLogin": found["LastLogin"], "Password": None}
    (id,) = signed_in.add("Parts", {"Title": "Tenant"})
    assert owner.record("Parts", id)["Company_ID"] == 2
    for password in ("", "$argon2id$", PASSWORD):
        assert application.post("Account/Login", {"Username": "bob", "Password": password}).status_code == 400
    again = error_of(_import(owner, [{**bob, "ID": 5, "Email": "BOB@example.com", "Username": "x1"}], "Users"))
    assert (again.code, again.property) == ("UNIQUE_CONSTRAINT_VIOLATION", "Email")


# --- refusals -------------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Any, WireError]] = {
    "a bad value in row 5,000": (
        [*map(_part, range(1, 5000)), _part(5000, Amount="many")],
        WireError("VALIDATION", "Invalid number: record 5000 of the body", "Amount", "Parts"),
    ),
    "text in the place of a boolean": (
        [_part(1), _part(2, Done="yes")],
        WireError("VALIDATION", "Invalid boolean: expected true or false: record 2 of the body", "Done", "Parts"),
    ),
    "a date as text": (
        [_part(1, Moment="2026-01-31")],
        WireError("VALIDATION", "Invalid date: expected unix milliseconds: record 1 of the body", "Moment", "Parts"),
    ),
    "a number as text": (
        [_part(1, Title=5)],
        WireError("VALIDATION", "Invalid text: record 1 of the body", "Title", "Parts"),
    ),
    "a text that is too long": (
        [_part(1, Title="x" * 21)],
        WireError("VALIDATION", "Maximum 20 characters: record 1 of the body", "Title", "Parts"),
    ),
    "an unknown property": (
        [_part(1, Titel="x")],
        WireError(
            "VALIDATION",
            "Validation error: Parts has no property 'Titel' (did you mean 'Title'?): record 1 of the body",
            None,
            "Parts",
        ),
    ),
    "a required value is missing": (
        [_part(1), {"ID": 2, "Created": 1}],
        WireError("REQUIRED", "Required: record 2 of the body, ID 2", "Title", "Parts"),
    ),
    "an ID twice": (
        [_part(1), _part(2), _part(1, Title="Other")],
        WireError("UNIQUE_CONSTRAINT_VIOLATION", "Value already exists: record 3 of the body, ID 1", "ID", "Parts"),
    ),
    "a broken reference": (
        [_part(1), _part(2, KindID=77)],
        WireError(
            "FOREIGN_KEY_CONSTRAINT_VIOLATION",
            "Foreign key constraint violation: record 2 of the body, ID 2",
            "KindID",
            "Parts",
        ),
    ),
    "a broken reference to the same entity": (
        [_part(1), _part(2, ParentID=77)],
        WireError(
            "FOREIGN_KEY_CONSTRAINT_VIOLATION",
            "Foreign key constraint violation: record 2 of the body, ID 2",
            "ParentID",
            "Parts",
        ),
    ),
    "no ID": (
        [_part(1), {"Title": "x"}],
        WireError("NO_ID_PROVIDED", "No ID provided: record 2 of the body", None, "Parts"),
    ),
    "an ID that leaves none": (
        [_part(2**63 - 1)],
        WireError("VALIDATION", f"Maximum allowed value {2**53 - 1}: record 1 of the body", "ID", "Parts"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_stored_when_one_record_is_refused(owner: Client, case: str) -> None:
    """The error names the record, and no record of the body is stored."""
    records, expected = REFUSED[case]
    assert error_of(_import(owner, records)) == expected
    assert _is_empty(owner)
    (new,) = owner.add("Parts", {"Title": "After"})
    assert owner.record("Parts", new)["Title"] == "After"


@pytest.mark.parametrize("id", [0, -1, 1.5, "1", True, None, [1]])
def test_unusable_ids(owner: Client, id: Any) -> None:
    """An ID is a positive whole number."""
    assert error_of(_import(owner, [{**_part(1), "ID": id}])).code == "NO_ID_PROVIDED"
    assert _is_empty(owner)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "it is empty"),
        (b"{}", "there is '{' where an array is expected"),
        (b"5", "there is '5' where an array is expected"),
        (b'[{"ID":1,"Title":"Abc","Created":1}', "it breaks off after record 1"),
        (b'[{"ID":1,"Title":"Abc","Created":1},null]', "there is 'n' where a record is expected after record 1"),
        (b'[{"ID":1,"Title":"\xff"}]', "it is not UTF-8"),
        (b'[{"ID":1,"Title":' + b"[" * 200 + b"]" * 200 + b"}]", "nested deeper than 100"),
        (b'[{"ID":1,"Title":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "a record is nested deeper than 100"),
        (b'[{"ID":1' + b"0" * 5000 + b"}]", "a record has an integer of more than 4300 digits"),
    ],
    ids=range(9),
)
def test_bodies_that_are_no_array_of_records(owner: Client, body: bytes, says: str) -> None:
    """Such a body counts as missing; the message says where it breaks."""
    error = error_of(_import(owner, body))
    assert error == WireError("EMPTY_BODY", f"Empty body: expected a JSON array of records; {says}", None, "Parts")
    assert _is_empty(owner)


def test_entities_that_take_no_import(owner: Client) -> None:
    """Tokens and files cannot be planted, and an unknown entity is named."""
    for entity in ("AuthTokens", "Files", "files"):
        name = "AuthTokens" if entity == "AuthTokens" else "Files"
        error = error_of(_import(owner, [{"ID": 1, "UID": "../../x", "Token": "x"}], entity))
        assert error == WireError("ERROR", "Not allowed", None, name)
    assert error_of(_import(owner, [], "Nope")) == WireError("ERROR", "Entity Nope does not exist")
    wrong_type = owner.send("POST", PATH + "Parts", b"[]", {"Content-Type": "text/plain"})
    assert error_of(wrong_type).message.startswith("Unsupported Media Type")
    assert wrong_type.status_code == 415


@pytest.mark.better("B-E1", "B-S11")
def test_only_operators_of_the_application(application: Client, owner: Client, new_application: Any) -> None:
    """Anonymous callers, users and operators of other applications are refused before the body is read."""
    foreign = new_application({**MANIFEST, "Collaborators": ["other@example.com"]})
    user = application.signed_in("member")
    for client in (application, user, foreign.as_user(owner.user)):
        answer = _import(client, [_part(1)])
        assert answer.status_code == 401
        assert answer.json() == {
            "Code": "UNAUTHORIZED",
            "Message": "Unauthorized",
            "Property": None,
            "Entity": None,
            "Error": "UNAUTHORIZED",
        }
    assert _is_empty(owner)


def _head(client: Client, *lines: str) -> bytes:
    fields = {"Host": "x", **client.headers(), **JSON}
    text = [f"POST {PATH}Parts HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), *lines]
    return "\r\n".join([*text, "", ""]).encode()


def test_a_body_over_the_limit(server: Server, owner: Client) -> None:
    """200 MB are refused, by the announced length before they are read, and without one when the limit is passed."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(_head(owner, "Content-Length: 200000000") + b"[")
        answer = b""
        while b"}" not in answer and (part := connection.recv(4096)):  # head and body can arrive apart
            answer += part
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"the body has 200000000 bytes, and the limit is 134217728" in answer

    def body() -> Iterator[bytes]:
        yield b"["
        for _ in range(150):
            yield b" " * 1_000_000

    told = "Something went wrong: the body has more than 134217728 bytes, and the limit is 134217728"
    assert error_of(owner.send("POST", PATH + "Parts", body(), JSON)) == WireError("ERROR", told)
    assert _is_empty(owner)


def test_a_client_that_stops(server: Server, owner: Client) -> None:
    """A body that breaks off stores nothing, and the server goes on."""
    text = json.dumps([_part(id) for id in range(1, 3000)]).encode()
    for announced in (f"Content-Length: {len(text)}", "Transfer-Encoding: chunked"):
        sent = text[:-10] if "Length" in announced else b"%x\r\n" % len(text) + text
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.sendall(_head(owner, announced) + sent)
    assert _import(owner, [_part(9999)]).json() == [9999]
    assert [record["ID"] for record in owner.records("Parts")] == [9999]


def test_audit(server: Server, owner: Client) -> None:
    """An import leaves a record with counts and IDs, without values; a refused one names the reason."""
    _import(owner, [_part(3), _part(9)])
    _import(owner, [_part(3)])

    async def read(store: ControlStore, _hooks: Hooks) -> list[Any]:
        return [record.changes for record in await store.audit(owner.token, 10) if record.after is None]

    refused, done = server.with_store(read)
    assert tuple(done) == ("Application/ImportData Parts: 2 to store", "2 stored, IDs between 3 and 9")
    assert tuple(refused) == ("Application/ImportData Parts: 1 to store", "failed: UNIQUE_CONSTRAINT_VIOLATION")
