"""The ApiTokens calls: users manage their own tokens; other servers introspect and revoke tokens."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client, error_of
from apilane.testing.server import Server
from apilane_api_tokens.form import new_token
from tests.http.conftest import AsOperator, NewClient
from tests.http.programs import MANIFEST, REFUSED, SEEN_S, Programs, status

FORM = {"content-type": "application/x-www-form-urlencoded"}
NEW = {"Name": "reports", "Scopes": ["Items:get(Title)"], "ExpiresDays": 30}


@pytest.fixture(scope="module")
def programs(server: Server, new_application: NewClient) -> Programs:
    served = {**MANIFEST, "Plugins": {"api_tokens": {"SelfService": True, "TokensPerUser": 3, "MaximumDays": 60}}}
    return Programs(server, new_application(served, Name="Self service"))


@pytest.fixture(scope="module")
def berta(programs: Programs) -> Client:
    return programs.client.signed_in("Berta")


@pytest.fixture(scope="module")
def resource_server(programs: Programs) -> Client:
    """A server that asks about tokens."""
    return programs.program("introspect", user=False)


def create(user: Client, **more: Any) -> dict[str, Any]:
    answer = user.post("ApiTokens/Create", {**NEW, **more})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def test_a_user_manages_a_token(programs: Programs) -> None:
    """A user creates, lists, changes, suspends, resumes, rotates and revokes a token; its secret is told once."""
    carla = programs.client.signed_in("Carla")
    made = create(carla)
    program = programs.client.as_user(made["Token"])
    assert status(program) == 200
    (listed,) = carla.get("ApiTokens/Get").json()
    assert "Token" not in listed
    assert (listed["Name"], listed["Status"], listed["Scopes"]) == ("reports", "active", ["Items:get(Title)"])
    id = made["ID"]
    assert carla.put("ApiTokens/Update", {"Scopes": ["Diary:get"]}, id=id).json()["Scopes"] == ["Diary:get"]
    assert carla.post("ApiTokens/Suspend", id=id).json()["Status"] == "suspended"
    time.sleep(SEEN_S)
    assert status(program, "Diary") == 401
    assert carla.post("ApiTokens/Resume", id=id).json()["Status"] == "active"
    rotated = carla.post("ApiTokens/Rotate", {"OverlapSeconds": 0}, id=id).json()
    assert rotated["Scopes"] == ["Diary:get"]
    assert status(programs.client.as_user(rotated["Token"]), "Diary") == 200
    assert set(carla.get("ApiTokens/Usage", id=id).json()) == {"Days", "Log"}
    assert carla.post("ApiTokens/Revoke", id=id).json()["Status"] == "revoked"
    assert error_of(carla.post("ApiTokens/Resume", id=id)).code == "VALIDATION"


def test_others_tokens_are_unknown(programs: Programs, berta: Client) -> None:
    """A token of another user or of the application gets the answer of an unknown one, and does not change."""
    foreign = programs.issue("read").row.id
    own = programs.issue("read", user=False).row.id
    for id in (foreign, own, 10**9):
        answers = [
            berta.put("ApiTokens/Update", {"Name": "mine"}, id=id),
            *(berta.post(f"ApiTokens/{act}", id=id) for act in ("Suspend", "Resume", "Revoke", "Rotate")),
            berta.get("ApiTokens/Usage", id=id),
        ]
        assert {(error_of(each).code, error_of(each).message) for each in answers} == {
            ("NOT_FOUND", f"There is no token {id}")
        }
    assert programs.manage(lambda tokens: tokens.known(foreign)).suspended is None


def test_no_token_manages_tokens(programs: Programs) -> None:
    """A program cannot read, create, change or rotate tokens, its own included: no scope allows it."""
    issued = programs.issue("read", "write", "Custom/*")
    program = programs.client.as_user(issued.secret)
    answers = [
        program.get("ApiTokens/Get"),
        program.post("ApiTokens/Create", NEW),
        program.put("ApiTokens/Update", {"Scopes": ["*:*"]}, id=issued.row.id),
        *(program.post(f"ApiTokens/{act}", id=issued.row.id) for act in ("Suspend", "Resume", "Revoke", "Rotate")),
        program.get("ApiTokens/Usage", id=issued.row.id),
    ]
    assert [error_of(each) for each in answers] == [REFUSED] * len(answers)
    assert error_of(program.get("Data/Get", entity="H_ApiTokens")).code == "ERROR"


def test_who_may_not(programs: Programs, new_application: NewClient, as_operator: AsOperator) -> None:
    """Anonymous callers, operators, and users of an application without self-service have no such calls."""
    closed = Programs(programs.server, new_application(MANIFEST))
    for caller in (programs.client, as_operator(programs.client), closed.client):
        assert error_of(caller.post("ApiTokens/Create", NEW)) == REFUSED
        assert error_of(caller.get("ApiTokens/Get")) == REFUSED
    for answer in (closed.anna.post("ApiTokens/Create", NEW), closed.anna.get("ApiTokens/Get")):
        assert (answer.status_code, error_of(answer).code) == (404, "NOT_FOUND")


def test_limits_of_self_service(programs: Programs) -> None:
    """A user has as many tokens as the application allows, and none lives longer than it allows."""
    doris = programs.client.signed_in("Doris")
    assert error_of(doris.post("ApiTokens/Create", {**NEW, "ExpiresDays": 61})).property == "ExpiresDays"
    made = [create(doris) for _ in range(3)]
    assert error_of(doris.post("ApiTokens/Create", NEW)).code == "VALIDATION"
    doris.post("ApiTokens/Revoke", id=made[0]["ID"])
    create(doris)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {**NEW, "Roles": ["editor"]},
        {**NEW, "UserID": 1},
        {**NEW, "Tenant": 1},
        {**NEW, "Scopes": "read"},
        {**NEW, "Scopes": ["introspect"]},
        {**NEW, "Name": 5},
        {**NEW, "ExpiresDays": -1},
        {**NEW, "ExpiresDays": "9"},
        {**NEW, "DayQuota": 1.5},
        {"Name": "x"},
        b"{",
    ],
)
def test_wrong_bodies(berta: Client, body: Any) -> None:
    """A body with another member, type or value is refused, and no token is made."""
    assert error_of(berta.post("ApiTokens/Create", body)).code == "VALIDATION"
    assert berta.get("ApiTokens/Get").json() == []


@pytest.mark.parametrize("id", ["", "x", "-1", "9" * 30, "١"])
def test_wrong_ids(berta: Client, id: str) -> None:
    """An ID that is no number is refused."""
    assert error_of(berta.post("ApiTokens/Revoke", id=id)).property == "ID"


def ask(caller: Client, call: str, token: str) -> httpx.Response:
    return caller.send("POST", f"/api/ApiTokens/{call}", httpx.QueryParams({"token": token}).__str__().encode(), FORM)


def test_introspection(programs: Programs, resource_server: Client) -> None:
    """A good token is described; every other one is inactive, and no answer tells why."""
    issued = programs.issue("Items:get(Title, Price)", "Custom/*")
    told = ask(resource_server, "Introspect", issued.secret).json()
    assert told == {
        "active": True,
        "scope": "Custom/* Items:get(Title,Price)",
        "token_type": "Bearer",
        "exp": issued.row.expires // 1000,
        "iat": issued.row.created // 1000,
        "sub": str(programs.anna_id),
        "client_id": str(issued.row.id),
        "aud": programs.client.token,
    }
    programs.manage(lambda tokens: tokens.suspend(issued.row.id))
    for bad in (issued.secret, new_token("usr"), new_token("app"), "nonsense", programs.anna.user or ""):
        answer = ask(resource_server, "Introspect", bad)
        assert (answer.status_code, answer.json()) == (200, {"active": False})
        assert answer.headers["cache-control"] == "no-store"


def test_introspection_of_foreign_tokens(
    programs: Programs, resource_server: Client, new_application: NewClient
) -> None:
    """A token of another application is neither described nor revoked, and gets the answers of an unknown one."""
    other = Programs(programs.server, new_application(MANIFEST))
    foreign = other.issue("read").secret
    for token in (foreign, new_token("usr")):
        assert ask(resource_server, "Introspect", token).json() == {"active": False}
        assert ask(resource_server, "Revocation", token).status_code == 200
    assert status(other.client.as_user(foreign)) == 200


def test_revocation(programs: Programs, resource_server: Client) -> None:
    """A revoked token is refused by the next request to the same worker; revoking it again is no error."""
    secret = programs.issue("read").secret
    assert status(programs.client.as_user(secret)) == 200
    for _ in range(2):
        answer = ask(resource_server, "Revocation", secret)
        assert (answer.status_code, answer.content) == (200, b"")
    time.sleep(SEEN_S)  # the next request may be served by another worker
    assert status(programs.client.as_user(secret)) == 401


def test_the_scope_introspect_is_needed(programs: Programs) -> None:
    """Users, operators, anonymous callers and programs without the scope cannot introspect or revoke."""
    secret = programs.issue("read").secret
    for caller in (programs.client, programs.anna, programs.program("read", "write", user=False)):
        for call in ("Introspect", "Revocation"):
            assert error_of(ask(caller, call, secret)) == REFUSED
    assert status(programs.client.as_user(secret)) == 200


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", FORM),
        (b"token=", FORM),
        (b"token=a&token=b", FORM),
        (b"other=1", FORM),
        (b"token=\xff", FORM),
        (b"&".join(b"a%d=1" % n for n in range(50)), FORM),
        (b'{"token": "x"}', {"content-type": "application/json"}),
    ],
)
def test_wrong_forms(resource_server: Client, content: bytes, headers: dict[str, str]) -> None:
    """A request that is no form with one token is refused as RFC 6749 describes."""
    for call in ("Introspect", "Revocation"):
        answer = resource_server.send("POST", f"/api/ApiTokens/{call}", content, headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
