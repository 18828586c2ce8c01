"""The owner channel over real HTTP (docs/reference/protocol/security.md section 7, B-S11, B-S12;
docs/reference/protocol/data-model.md B-D3, B-D4, B-D11; B-E3).
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import apsw
import httpx
import pytest

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.security.tokens import new_token
from apilane.services.operator_sign_in import operator_token
from apilane.testing.client import Client, WireError, bare_error_of, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server

ADMIN = "admin@example.com"
DEV, OTHER_OWNER = "dev@example.com", "other@example.com"
SECRET = "Very-Secret-Supplier"
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Owned", "DifferentiationEntity": "Company"},
    "Entities": [
        {"Name": "Company", "Properties": [{"Name": "Title"}]},
        {
            "Name": "Orders",
            "Differentiation": True,
            "ChangeTracking": True,
            "Properties": [
                {"Name": "Text", "Maximum": 100},
                {"Name": "Amount", "Type": "Number"},
                {"Name": "Supplier", "Encrypted": True},
            ],
            "Constraints": [{"Type": "Unique", "Properties": ["Text"]}],
        },
        {"Name": "Users", "Properties": [{"Name": "Firstname"}]},
    ],
    "Security": [{"Entity": "Orders", "Role": "AUTHENTICATED", "Action": "post", "Properties": "*"}],
    "Collaborators": ["Dev@Example.COM"],
}
FOREIGN: dict[str, Any] = {"Apilane": 1, "Application": {"Name": "Foreign"}, "Collaborators": [OTHER_OWNER]}
DENIED = WireError("UNAUTHORIZED", "Unauthorized")


@pytest.fixture(scope="module")
def application(new_application) -> Client:  # type: ignore[no-untyped-def]
    """An anonymous caller of the application; only owners may read records."""
    client: Client = new_application(MANIFEST)
    return client


@pytest.fixture(scope="module")
def owner(application: Client, as_operator) -> Client:  # type: ignore[no-untyped-def]
    """The collaborator; the manifest has its address in another letter case."""
    client: Client = as_operator(application, DEV)
    return client


@pytest.fixture(scope="module")
def other_owner(new_application, application: Client, as_operator) -> Client:  # type: ignore[no-untyped-def]
    """The owner of another application, as a caller of this one."""
    foreign: Client = as_operator(new_application(FOREIGN), OTHER_OWNER)
    assert foreign.get("Data/Schema").status_code == 200
    assert foreign.user is not None
    return application.as_operator(foreign.user)


def _audit(server: Server, token: str, limit: int = 100) -> list[Any]:
    """The audit records of owners' writes, newest first."""

    async def read(store: ControlStore, _hooks: Hooks) -> list[Any]:
        return [record for record in await store.audit(token, limit) if record.after is None]

    return server.with_store(read)


# --- who is an owner


WRONG_BODIES = {b"5": "a number", b"1.5": "a number", b"true": "a boolean", b'"text"': "a text"}
WRONG_CALLS = [
    ("POST", "Data/Post?entity=Orders", "an array of objects"),
    ("PUT", "Data/Put?entity=Orders", "an array of objects"),
    ("POST", "Account/Register", ""),
    ("POST", "Account/Login", ""),
]


@pytest.mark.better("B-E3")
@pytest.mark.parametrize(("method", "path", "also"), WRONG_CALLS)
@pytest.mark.parametrize("body", WRONG_BODIES)
def test_an_owner_reads_what_a_body_must_be(
    application: Client, owner: Client, method: str, path: str, also: str, body: bytes
) -> None:
    """For a body that is neither an object nor an array, an owner reads what was expected and found, others do not."""
    sent = {"Content-Type": "application/json"}
    masked = error_of(application.signed_in(f"masked{uuid.uuid4().hex[:8]}").send(method, f"/api/{path}", body, sent))
    told = error_of(owner.send(method, f"/api/{path}", body, sent))
    assert masked.message.partition(":")[0] in {"Something went wrong", "Empty body", "Unauthorized"}
    assert masked.message.partition(":")[1] == "" or masked.code == "EMPTY_BODY"
    text = "Something went wrong" if told.code == "ERROR" else "Empty body"
    expected = "a JSON object or an array of objects" if also else "a JSON object"
    assert told.message == f"{text}: expected {expected}, found {WRONG_BODIES[body]}"


def test_an_owner_reads_which_record_is_none(owner: Client) -> None:
    """Elements of an array that are no records are named by their kind."""
    response = owner.send("POST", "/api/Data/Post?entity=Orders", b"[[5]]", {"Content-Type": "application/json"})
    expected = "expected a JSON object or an array of objects, found a number"
    assert error_of(response) == WireError("ERROR", f"Something went wrong: {expected}", None, "Orders")


def test_every_kind_of_owner(application: Client, as_operator: Any, owner: Client) -> None:
    """The instance admin and a collaborator, in any letter case, read records without a rule; others do not."""
    assert error_of(application.get("Data/Get", entity="Orders")) == DENIED._replace(entity="Orders")
    for each in (owner, as_operator(application, ADMIN.upper()), as_operator(application, "DEV@EXAMPLE.com")):
        assert each.get("Data/Get", entity="Orders").status_code == 200
        assert each.get("Data/Schema").status_code == 200


CALLS = [
    ("GET", "Data/Get?entity=Orders", None, "Orders"),
    ("GET", "Data/GetByID?entity=Users&id=1", None, "Users"),
    ("POST", "Data/Post?entity=Company", {"Title": "x"}, "Company"),
    ("PUT", "Data/Put?entity=Orders", {"ID": 1, "Text": "x"}, "Orders"),
    ("DELETE", "Data/Delete?entity=Orders&ids=1", None, "Orders"),
    ("GET", "Data/Schema", None, "Schema"),
    ("GET", "Account/UserData", None, None),
]


def _send(client: Client, method: str, target: str, body: Any, headers: dict[str, str] | None = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} if body is not None else {}
    return client.send(method, f"/api/{target}", content, {**sent, **(headers or {})})


@pytest.mark.better("B-S11")
def test_owners_of_other_applications(other_owner: Client, owner: Client) -> None:
    """The owner of another application has no rights here, in any call, and changes nothing."""
    before = owner.records("Company")
    for method, target, body, entity in CALLS:
        assert error_of(_send(other_owner, method, target, body)) == DENIED._replace(entity=entity), target
    assert owner.records("Company") == before


def test_the_header_alone_or_the_token_alone(application: Client, owner: Client) -> None:
    """Without ``x-client-id: portal`` an owner token is an unknown user token, and the header alone has no effect."""
    assert error_of(application.as_user(owner.user).get("Data/Schema")) == DENIED._replace(entity="Schema")
    alone = _send(application, "GET", "Data/Schema", None, {"x-client-id": "portal"})
    assert error_of(alone) == DENIED._replace(entity="Schema")
    other = _send(application.as_user(owner.user), "GET", "Data/Schema", None, {"x-client-id": "portals"})
    assert error_of(other) == DENIED._replace(entity="Schema")
    for word in ("PORTAL", "Portal"):
        answer = _send(application.as_user(owner.user), "GET", "Data/Schema", None, {"x-client-id": word})
        assert answer.status_code == 200


def test_a_user_on_the_portal_channel(application: Client) -> None:
    """On the portal channel a bearer value that is not an owner token is tried as a user token."""
    user = application.signed_in("portaluser")
    answer = _send(user, "GET", "Account/UserData", None, {"x-client-id": "portal"})
    assert answer.json()["User"]["Username"] == "portaluser"


@pytest.mark.better("B-S11", "B-W2")
def test_forms_of_the_token(application: Client, owner: Client) -> None:
    """The token is a GUID in any textual form, with one pair of quotes or without, under any scheme word."""
    token = owner.user or ""
    for value in (f"Bearer {token.upper()}", f'Bearer "{token}"', f"x {{{token}}}", token.replace("-", ""), token):
        headers = {"x-client-id": "portal", "Authorization": value}
        assert _send(application, "GET", "Data/Schema", None, headers).status_code == 200, value


@pytest.mark.better("B-S11")
def test_hostile_tokens(other_owner: Client, application: Client, owner: Client) -> None:
    """A value that is not exactly one GUID is not a token, and no part of it reaches another check (B-S11)."""
    theirs, ours = other_owner.user, owner.user
    values = [
        f"{theirs}&appToken={application.token}",
        f"{ours}&appToken={application.token}",
        f"{ours}%00",
        f"{ours}'",
        f"{ours}' OR '1'='1",
        f'""{ours}""',
        f"{ours},{ours}",
        f"{ours}{ours}",
        "%",
        "null",
        "00000000-0000-0000-0000-000000000000",
        application.token,
        "x" * 6000,
        "{" + f"{ours}",
    ]
    for value in values:
        for scheme in ("Bearer ", ""):
            headers = {"x-client-id": "portal", "Authorization": scheme + value}
            answer = _send(application, "GET", "Data/Schema", None, headers)
            assert error_of(answer) == DENIED._replace(entity="Schema"), value
    assert application.http.get(
        f"{application.url}/api/Data/Schema?appToken={application.token}&Authorization={ours}&x-client-id=portal"
    ).status_code == 401  # fmt: skip


def test_expired_and_revoked(server: Server, application: Client, as_operator: Any) -> None:
    """An expired token is invalid at once, a revoked one within a second."""
    short = as_operator(application, ADMIN, 1500)
    assert short.get("Data/Schema").status_code == 200
    time.sleep(1.5)
    assert short.get("Data/Schema").status_code == 401
    revoked = as_operator(application, ADMIN)
    assert revoked.get("Data/Schema").status_code == 200
    assert server.with_store(lambda store, _hooks: store.operator_tokens.revoke(revoked.user))
    time.sleep(1.05)
    assert revoked.get("Data/Schema").status_code == 401


def test_collaborators_come_and_go(server: Server, new_application: Any, as_operator: Any) -> None:
    """A collaborator that is removed from the list loses access, and gets it back when listed again."""
    token = str(uuid.uuid4())
    client = new_application(MANIFEST, Token=token)
    owner = as_operator(client, DEV)
    named = {**MANIFEST["Application"], "Token": token}
    for collaborators, status in (([], 401), ([OTHER_OWNER], 401), ([DEV], 200)):
        server.apply({**MANIFEST, "Application": named, "Collaborators": collaborators})
        assert owner.get("Data/Schema").status_code == status


# --- rights of an owner


@pytest.mark.better("B-D11")
def test_rows_of_an_owner(owner: Client, application: Client) -> None:
    """Rows that owners create have no owner and no tenant; the tenant can be set and cleared (B-D11)."""
    (company,) = owner.add("Company", {"Title": "Acme"})
    plain, placed = owner.add("Orders", {"Text": "plain", "Owner": 1}, {"Text": "placed", "company_id": company})
    assert _ownership(owner, plain) == (None, None)
    assert _ownership(owner, placed) == (None, company)
    assert owner.change("Orders", {"ID": plain, "Company_ID": company, "Owner": 1, "Created": 5}) == 1
    assert _ownership(owner, plain) == (None, company)
    assert owner.change("Orders", {"ID": plain, "Company_ID": None}) == 1
    assert _ownership(owner, plain) == (None, None)
    refused = owner.put("Data/Put", {"ID": plain, "Company_ID": 999}, entity="Orders")
    assert error_of(refused).code == "FOREIGN_KEY_CONSTRAINT_VIOLATION"
    user = application.register("placed")
    assert owner.change("Users", {"ID": user, "Company_ID": company}) == 1
    caller = application.as_user(application.login("placed"))
    (own,) = caller.add("Orders", {"Text": "of the user", "Company_ID": None})
    assert _ownership(owner, own) == (user, company)


def _ownership(owner: Client, order: int) -> tuple[Any, Any]:
    record = owner.record("Orders", order)
    return record["Owner"], record["Company_ID"]


def test_everything_is_in_reach(owner: Client, application: Client) -> None:
    """Owners read all records of all tenants and users, can use every property, and get encrypted ones in clear."""
    (company,) = owner.add("Company", {"Title": "Reach"})
    id = application.register("reached")
    assert owner.change("Users", {"ID": id, "Company_ID": company}) == 1
    (order,) = application.as_user(application.login("reached")).add("Orders", {"Text": "reach", "Supplier": SECRET})
    record = owner.record("Orders", order)
    assert list(record) == ["ID", "Owner", "Created", "Company_ID", "Text", "Amount", "Supplier"]
    assert (record["Owner"], record["Company_ID"], record["Supplier"]) == (id, company, SECRET)
    by_owner = json.dumps({"Property": "Owner", "Operator": "equal", "Value": id})
    by_tenant = json.dumps([{"Property": "company_id", "Direction": "DESC"}])
    assert [row["ID"] for row in owner.records("Orders", filter=by_owner, sort=by_tenant)] == [order]
    assert owner.change("Orders", {"ID": order, "Amount": 3}) == 1
    assert owner.delete("Data/Delete", entity="Orders", ids=order).json() == [order]


@pytest.mark.better("B-D3", "B-D4")
def test_secrets_stay_secret(owner: Client, application: Client) -> None:
    """Passwords and tokens read as null and cannot be used in filter and sort, also for owners (B-D3, B-D4)."""
    application.signed_in("secretive")
    users, tokens = owner.records("Users"), owner.records("AuthTokens")
    assert {user["Password"] for user in users} == {None}
    assert {token["Token"] for token in tokens} == {None}
    for entity, name in (("Users", "Password"), ("AuthTokens", "Token")):
        filter = json.dumps({"Property": name, "Operator": "equal", "Value": None})
        assert error_of(owner.get("Data/Get", entity=entity, filter=filter)).code == "INVALID_FILTER_PARAMETER"
        sort = json.dumps([{"Property": name, "Direction": "ASC"}])
        assert error_of(owner.get("Data/Get", entity=entity, sort=sort)).code == "INVALID_SORT_PARAMETER"


@pytest.mark.better("B-S5")
def test_users_by_put(owner: Client, application: Client) -> None:
    """Owners may set e-mail, user name, password, roles and custom properties of a user, and no other property."""
    id = application.register("managed")
    before = owner.record("Users", id)
    change = {"Email": "m2@example.com", "Username": "managed2", "Roles": "editor", "Password": "New-Passw0rd",
              "Firstname": "Mia", "EmailConfirmed": True, "LastLogin": 5, "Created": 5}  # fmt: skip
    assert owner.change("Users", {"ID": id, **change}) == 1
    after = owner.record("Users", id)
    changed = {"Email": "m2@example.com", "Username": "managed2", "Roles": "editor", "Firstname": "Mia"}
    assert after == {**before, **changed}
    assert application.login("managed2", "New-Passw0rd")


@pytest.mark.parametrize(
    ("method", "target", "body", "entity"),
    [
        ("POST", "Data/Post?entity=Users", {"Email": "x@example.com"}, "Users"),
        ("POST", "Data/Post?entity=AuthTokens", {"Token": "x"}, "AuthTokens"),
        ("PUT", "Data/Put?entity=AuthTokens", {"ID": 1, "Token": "x"}, "AuthTokens"),
        ("DELETE", "Data/Delete?entity=AuthTokens&ids=1", None, "AuthTokens"),
    ],
)
def test_not_allowed_even_to_owners(owner: Client, method: str, target: str, body: Any, entity: str) -> None:
    """An action that the entity does not allow is refused for owners too
    (docs/reference/protocol/data-model.md section 2.1).
    """
    assert bare_error_of(_send(owner, method, target, body)) == WireError("ERROR", "Not allowed", None, entity)


def test_user_only_calls(owner: Client) -> None:
    """An owner is not an application user; Logout ends no token, not even the owner's."""
    calls = [
        owner.get("Account/UserData"),
        owner.put("Account/Update", {"Firstname": "x"}),
        owner.put("Account/ChangePassword", {"Password": "x", "NewPassword": "New-Passw0rd"}),
        owner.get("Account/RenewAuthToken"),
        owner.get("Account/Logout", everywhere="true"),
    ]
    assert [error_of(answer) for answer in calls] == [DENIED] * len(calls)
    assert owner.get("Account/Logout").text == "1"
    assert owner.get("Data/Schema").status_code == 200


def test_register(new_application: Any, as_operator: Any) -> None:
    """Owners register users under the same conditions as others: not where the application forbids it."""
    open_to_all, closed = [as_operator(new_application(MANIFEST, AllowUserRegister=allow)) for allow in (True, False)]
    assert open_to_all.register("byowner") == 1
    user = {"Email": "x@example.com", "Username": "xxxx", "Password": "Some-Passw0rd"}
    assert error_of(closed.post("Account/Register", user)) == WireError("ERROR", "Register is not allowed")


# --- gates


def test_owners_pass_the_gates(new_application: Any, as_operator: Any) -> None:
    """Offline mode and the IP list stop all callers except owners."""
    listed = {"IPPolicy": {"Logic": "Allow", "Addresses": ["203.0.113.7"]}}
    for settings in ({"Online": False}, listed, {"Online": False, **listed}):
        client = new_application(MANIFEST, **settings)
        assert error_of(client.get("Data/Schema")).code == "SERVICE_UNAVAILABLE"
        owner = as_operator(client)
        assert owner.get("Data/Schema").status_code == 200
        assert owner.add("Company", {"Title": "x"}) == [1]


def test_owners_have_no_limit(new_application: Any, as_operator: Any) -> None:
    """A rate limit for users does not apply to owners, and owners' calls do not count against it."""
    limit = {"MaxRequests": 2, "Per": "Hour"}
    rules = [
        {"Entity": "Company", "Role": "ANONYMOUS", "Action": "get", "Properties": "*", "RateLimit": limit},
        {"Schema": True, "Role": "ANONYMOUS", "RateLimit": limit},
    ]
    client = new_application({**MANIFEST, "Security": rules})
    owner = as_operator(client)
    for _ in range(5):
        assert owner.get("Data/Get", entity="Company").status_code == 200
        assert owner.get("Data/Schema").status_code == 200
    answers = [client.get("Data/Get", entity="Company").status_code for _ in range(3)]
    assert answers == [200, 200, 400]
    assert owner.get("Data/Get", entity="Company").status_code == 200


def test_signature_headers_first(owner: Client, application: Client) -> None:
    """Malformed signature headers are refused before the owner is identified; well-formed ones are ignored."""
    signed = {"x-auth-signature": "AAAA", "x-auth-keyid": "1", "x-auth-timestamp": "1750000000000"}
    incomplete = {**signed, "x-auth-keyid": ""}
    refused = _send(owner, "GET", "Data/Schema", None, incomplete)
    assert error_of(refused) == WireError("UNAUTHORIZED", "Incomplete signed-request headers")
    refused = _send(owner, "GET", "Data/Schema", None, {**signed, "x-auth-timestamp": "x"})
    assert error_of(refused) == WireError("UNAUTHORIZED", "Invalid signed-request headers")
    assert _send(owner, "GET", "Data/Schema", None, signed).status_code == 200
    assert error_of(_send(application, "GET", "Data/Schema", None, signed)) == DENIED


def test_checks_of_the_action_remain(owner: Client) -> None:
    """Owners get the same errors as other callers for entities, bodies and values."""
    assert error_of(owner.get("Data/Get", entity="Nope")).message == "Entity Nope does not exist"
    assert error_of(_send(owner, "POST", "Data/Post?entity=Orders", None)).code in ("EMPTY_BODY", "ERROR")
    wrong = owner.post("Data/Post", {"Amount": "x"}, entity="Orders")
    assert error_of(wrong) == WireError("VALIDATION", "Invalid number", "Amount", "Orders")
    assert error_of(owner.put("Data/Put", {"Text": "x"}, entity="Orders")).code == "NO_ID_PROVIDED"
    assert error_of(owner.put("Data/Put", {"ID": 1, "Owner": 1}, entity="Orders")).code == "NO_PROPERTIES_PROVIDED"


# --- failures and audit


@pytest.mark.better("B-E3")
def test_only_owners_read_what_failed(server: Server, new_application: Any, as_operator: Any) -> None:
    """For an unexpected failure owners get its text and a reference that is in the log; others get neither (B-E3)."""
    rules = [{"Entity": "Orders", "Role": "ANONYMOUS", "Action": "get", "Properties": "*"}]
    client = new_application({**MANIFEST, "Security": rules})
    owner = as_operator(client)
    server.sql(client.token, 'ALTER TABLE "Orders" RENAME COLUMN "Amount" TO "Gone"')
    masked = error_of(client.get("Data/Get", entity="Orders"))
    assert masked == WireError("ERROR", "Something went wrong", None, "Orders")
    told = error_of(owner.get("Data/Get", entity="Orders"))
    found = re.fullmatch(r"(.*Amount.*) \(reference ([0-9a-f]{8})\)", told.message)
    assert (told.code, told.entity) == ("ERROR", "Orders")
    assert found is not None, told
    assert f"unexpected failure {found[2]} in GET /api/Data/Get" in server.output()


def test_writes_are_audited(server: Server, application: Client, as_operator: Any) -> None:
    """Every write is audited with user, time, action, records and outcome; reads are not, and no value is shown."""
    owner = as_operator(application, DEV)
    already = len(_audit(server, application.token))
    first, second = owner.add("Orders", {"Text": "audited 1", "Supplier": SECRET}, {"Text": "audited 2"})
    assert (
        owner.change("Orders", [{"ID": first, "Supplier": SECRET + "2", "Amount": 7}, {"ID": 10**9, "Text": "x"}]) == 1
    )
    assert error_of(owner.put("Data/Put", {"ID": first, "Text": "audited 2"}, entity="Orders")).code.startswith(
        "UNIQUE"
    )
    assert owner.delete("Data/Delete", entity="Orders", ids=f"{second},{10**9}").json() == [second]
    user = owner.register("audited", "Audited-Passw0rd", Firstname="Very-private")
    assert owner.change("Users", {"ID": user, "Password": "Audited-Passw0rd2", "Roles": "secretrole"}) == 1
    credentials = {"Username": "audited", "Password": "Audited-Passw0rd2"}
    token = owner.post("Account/Login", credentials).json()["AuthToken"]
    assert owner.get("Account/Confirm", token=new_token()).status_code == 302
    owner.records("Orders")
    owner.get("Data/Schema")
    owner.post("Data/Post", {"Amount": "x"}, entity="Orders")
    records = _audit(server, application.token)
    records = list(reversed(records[: len(records) - already]))
    assert [record.changes for record in records] == [
        ("Data/Post Orders: 2 to create", f"IDs {first}-{second}"),
        (f"Data/Put Orders: Text, Amount, Supplier of IDs {first}, {10**9}", "1 matched"),
        (f"Data/Put Orders: Text of IDs {first}", "failed: UniqueViolation"),
        (f"Data/Delete Orders: IDs {second}, {10**9}", f"IDs {second}"),
        ("Account/Register Users: 1 to create", f"IDs {user}"),
        (f"Data/Put Users: Password, Roles of IDs {user}", "1 matched"),
        ("Account/Login", records[6].changes[1]),
        ("Account/Confirm", "unknown or expired token"),
    ]
    assert re.fullmatch(r"AuthTokens IDs \d+", records[6].changes[1])
    assert {record.actor for record in records} == {DEV}
    assert all(abs(record.created - time.time() * 1000) < 60_000 for record in records)
    shown = repr(records)
    for secret in (SECRET, "Audited-Passw0rd", "Very-private", "secretrole", token, owner.user or ""):
        assert secret not in shown


def test_history_of_an_owner_names_no_user(server: Server, owner: Client, application: Client) -> None:
    """Changes by an owner leave snapshots without an acting user."""
    (order,) = owner.add("Orders", {"Text": "tracked"})
    owner.change("Orders", {"ID": order, "Text": "tracked 2"})
    statement = 'SELECT "Owner" FROM "H_Entity_Change_Tracking" WHERE "Entity" = ? AND "RecordID" = ?'
    assert server.sql(application.token, statement, ("Orders", order)) == [(None,)]


def test_users_leave_no_record(server: Server, application: Client) -> None:
    """Writes of application users are not in the audit."""
    already = len(_audit(server, application.token))
    application.signed_in("unaudited").add("Orders", {"Text": "unaudited"})
    assert len(_audit(server, application.token)) == already


# --- tests with their own server


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose control store may be damaged."""
    folder = tmp_path_factory.mktemp("own") / "data"
    with Server(folder, settings=CHEAP_PASSWORDS) as running:
        yield running


def _control_sql(server: Server, statement: str, *parameters: Any) -> list[Any]:
    connection = apsw.Connection(str(server.data_dir / "control.db"))
    try:
        return list(connection.execute(statement, parameters))
    finally:
        connection.close()


def _owner_of(server: Server, http: httpx.Client) -> Client:
    token = server.with_store(lambda store, _hooks: operator_token(store, ADMIN, None))
    return Client(http, server.url, server.apply(MANIFEST)).as_operator(token)


@pytest.mark.sqlite_only("it alters the file of the control store")
def test_nothing_unaudited(own_server: Server, http: httpx.Client) -> None:
    """A write that cannot be audited is not executed; reads continue."""
    owner = _owner_of(own_server, http)
    (order,) = owner.add("Orders", {"Text": "kept"})
    _control_sql(own_server, 'ALTER TABLE "Audit" RENAME TO "Lost"')
    for answer in (
        owner.post("Data/Post", {"Text": "new"}, entity="Orders"),
        owner.put("Data/Put", {"ID": order, "Text": "changed"}, entity="Orders"),
        owner.delete("Data/Delete", entity="Orders", ids=order),
    ):
        assert error_of(answer).code == "ERROR"
    assert [record["Text"] for record in owner.records("Orders")] == ["kept"]
    kept = _control_sql(own_server, 'SELECT "Changes" FROM "Lost" WHERE "Actor" = ?', ADMIN)
    assert kept == [(f'["Data/Post Orders: 1 to create","IDs {order}"]',)]


def test_two_workers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every worker accepts a new token at once and refuses a revoked one within a second."""
    limits = httpx.Limits(max_keepalive_connections=0)
    folder = tmp_path_factory.mktemp("pair") / "data"
    with (
        Server(folder, workers=2, settings=CHEAP_PASSWORDS) as pair,
        httpx.Client(trust_env=False, timeout=30, limits=limits) as fresh,
    ):
        owner = _owner_of(pair, fresh)
        assert {owner.get("Data/Schema").status_code for _ in range(24)} == {200}
        assert pair.with_store(lambda store, _hooks: store.operator_tokens.revoke(owner.user or ""))
        time.sleep(1.0)
        assert {owner.get("Data/Schema").status_code for _ in range(24)} == {401}
