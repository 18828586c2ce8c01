"""The error that is reported when a call makes two mistakes
(docs/reference/protocol/errors.md sections 3.1 to 3.3, docs/reference/protocol/wire-api.md section 2).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.model.definition import Action, Rule, RuleKind
from apilane.testing.client import PASSWORD, Client, WireError, error_of
from apilane.testing.server import Server

JSON = {"Content-Type": "application/json"}
SIGNATURE = {"x-auth-signature": "AAAA", "x-auth-keyid": "1", "x-auth-timestamp": "1750000000000"}
USE_FILES = "Use 'Files' controller to access files. Refer to API Documentation for more info."
NO_TOKEN = "Query parameter 'appToken' or Header 'x-application-token' is required!"
BAD_FILTER, BAD_SORT = '{"Property":"Nope"}', "{"

Case = tuple[str, str, Any, WireError]


def _check(client: Client, case: Case, headers: dict[str, str] | None = None) -> None:
    method, target, body, expected = case
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    sent = {**({} if body is None else JSON), **(headers or {})}
    error = error_of(client.send(method, "/api/" + target, content, sent))
    if error.message.startswith(f"{expected.message}: "):  # the default text continues (B-E8)
        error = error._replace(message=expected.message)
    assert error == expected


@pytest.fixture(scope="module")
def generous(server: Server, lab: Client) -> Client:
    """A lab with rules that no manifest may have, so that calls reach the checks after the rules."""

    async def grant(store: ControlStore, _hooks: Hooks) -> None:
        stored = await store.application(lab.token)
        assert stored is not None
        named = [("Users", "post"), ("Users", "get"), ("AuthTokens", "put"), ("AuthTokens", "delete")]
        rules = [
            Rule(kind=RuleKind.Entity, name=entity, role="ANONYMOUS", action=Action(action))
            for entity, action in [*named, ("AuthTokens", "post")]
        ]
        definition = msgspec.structs.replace(stored.definition, rules=(*stored.definition.rules, *rules))
        await store.begin(definition, stored.secrets, stored, "tests")
        await store.publish(lab.token)

    server.with_store(grant)
    server.settle(lab.token)
    return lab


def test_signed_upload_before_files(lab: Client) -> None:
    """A signature on a multipart body is refused before the entity Files is refused."""
    headers = {**SIGNATURE, "Content-Type": "multipart/form-data; boundary=x"}
    response = lab.send("POST", "/api/Data/Post?entity=Files", b"--x--", headers)
    assert error_of(response) == WireError("UNAUTHORIZED", "Request signing is not supported for file uploads.")


def test_files_before_application(lab: Client) -> None:
    """The entity Files is refused first, then a missing application token, then an unknown application."""
    without_token = Client(lab.http, lab.url, "")
    _check(without_token, ("GET", "Data/Get?entity=files", None, WireError("ERROR", USE_FILES)))
    _check(without_token, ("GET", "Data/Get?entity=Nope", None, WireError("ERROR", NO_TOKEN)))
    unknown = Client(lab.http, lab.url, "x")
    _check(unknown, ("GET", "Data/Get?entity=Nope", None, WireError("ERROR", "Something went wrong")))
    _check(unknown, ("GET", "Account/UserData", None, WireError("ERROR", "Something went wrong")))


OFFLINE = WireError("SERVICE_UNAVAILABLE", "Application offline.")


@pytest.mark.better("B-E7")
def test_offline_comes_first(new_application, lab_manifest) -> None:  # type: ignore[no-untyped-def]
    """An offline application reports that before errors of caller, entity, access or body."""
    client = new_application(lab_manifest, Online=False)
    cases: list[Case] = [
        ("GET", "Data/Get?entity=Values", None, OFFLINE),
        ("GET", "Data/Get?entity=Nope", None, OFFLINE),
        ("GET", "Data/Get?entity=Locked", None, OFFLINE),
        ("POST", "Data/Post?entity=Values", b"{", OFFLINE),
        ("GET", "Account/UserData", None, OFFLINE),
        ("POST", "Account/Login", {}, OFFLINE),
        ("GET", "Account/Confirm?token=x", None, OFFLINE),
    ]
    for case in cases:
        _check(client, case)
    _check(client, cases[0], SIGNATURE)
    _check(client, ("GET", "Data/Get?entity=Files", None, WireError("ERROR", USE_FILES)))


@pytest.mark.better("B-E7", "B-S10")
def test_signature_before_access(lab: Client) -> None:
    """A failed signature is refused before the entity is looked up, also where anonymous access is granted."""
    for target in ("Data/Get?entity=Values", "Data/Get?entity=Nope", "Account/UserData"):
        response = lab.send("GET", f"/api/{target}", headers=SIGNATURE)
        assert (error_of(response).code, error_of(response).entity) == ("UNAUTHORIZED", None)


def _denied(entity: str) -> WireError:
    return WireError("UNAUTHORIZED", "Unauthorized", None, entity)


def _empty(entity: str) -> WireError:
    return WireError("EMPTY_BODY", "Empty body", None, entity)


def _not_allowed(entity: str) -> WireError:
    return WireError("ERROR", "Not allowed", None, entity)


NO_PROPERTIES = WireError("NO_PROPERTIES_PROVIDED", "No properties provided", None, "Values")
NO_ID = WireError("NO_ID_PROVIDED", "No ID provided", None, "Values")
NOT_A_NUMBER = WireError("VALIDATION", "Invalid number", "Whole", "Values")

CASES: dict[str, Case] = {
    "get: no rule before filter": ("GET", f"Data/Get?entity=locked&filter={BAD_FILTER}", None, _denied("Locked")),
    "get: filter before sort": (
        "GET",
        f"Data/Get?entity=Values&filter={BAD_FILTER}&sort={BAD_SORT}",
        None,
        WireError("INVALID_FILTER_PARAMETER", "Invalid filter parameter", None, "Values"),
    ),
    "get by id: no rule before not found": ("GET", "Data/GetByID?entity=Locked&id=99", None, _denied("Locked")),
    "get by id: entity before not found": (
        "GET",
        "Data/GetByID?entity=X&id=9",
        None,
        WireError("ERROR", "Entity X does not exist"),
    ),
    "post: no rule before empty body": ("POST", "Data/Post?entity=Locked", b"{", _denied("Locked")),
    "post: entity before empty body": (
        "POST",
        "Data/Post?entity=X",
        b"{",
        WireError("ERROR", "Entity X does not exist"),
    ),
    "post: empty body before not allowed": ("POST", "Data/Post?entity=Users", b"{", _empty("Users")),
    "post: read-only likewise": ("POST", "Data/Post?entity=AuthTokens", b"", _empty("AuthTokens")),
    "post: not allowed before no properties": ("POST", "Data/Post?entity=Users", {}, _not_allowed("Users")),
    "post: not allowed before JSON kind": ("POST", "Data/Post?entity=AuthTokens", 5, _not_allowed("AuthTokens")),
    "post: no properties before JSON kind": (
        "POST",
        "Data/Post?entity=Unwritable",
        5,
        WireError("NO_PROPERTIES_PROVIDED", "No properties provided", None, "Unwritable"),
    ),
    "post: empty body before no properties": ("POST", "Data/Post?entity=Unwritable", b"{", _empty("Unwritable")),
    "post: values before database": (
        "POST",
        "Data/Post?entity=Strict",
        {"First": "x"},
        WireError("VALIDATION", "Invalid number", "First", "Strict"),
    ),
    "put: no rule before empty body": ("PUT", "Data/Put?entity=Locked", b"{", _denied("Locked")),
    "put: empty body before not allowed": ("PUT", "Data/Put?entity=AuthTokens", b"{", _empty("AuthTokens")),
    "put: not allowed before no properties": (
        "PUT",
        "Data/Put?entity=AuthTokens",
        {"ID": 1},
        _not_allowed("AuthTokens"),
    ),
    "put: not allowed before JSON kind": ("PUT", "Data/Put?entity=AuthTokens", 5, _not_allowed("AuthTokens")),
    "put: no properties before no ID": ("PUT", "Data/Put?entity=Values", {"Nope": 1}, NO_PROPERTIES),
    "put: no ID before values": ("PUT", "Data/Put?entity=Values", {"Whole": "x"}, NO_ID),
    "put: values before database": ("PUT", "Data/Put?entity=Values", {"ID": 999, "Whole": "x"}, NOT_A_NUMBER),
    "delete: no rule before nothing to delete": ("DELETE", "Data/Delete?entity=Locked&ids=x", None, _denied("Locked")),
    "delete: entity before nothing to delete": (
        "DELETE",
        "Data/Delete?entity=X",
        None,
        WireError("ERROR", "Entity X does not exist"),
    ),
    "delete: not allowed before nothing": (
        "DELETE",
        "Data/Delete?entity=AuthTokens&ids=x",
        None,
        _not_allowed("AuthTokens"),
    ),
}


@pytest.mark.better("B-E7")
@pytest.mark.parametrize("case", [*CASES.values()], ids=[*CASES])
def test_data(generous: Client, case: Case) -> None:
    """Of two mistakes the one that docs/reference/protocol/errors.md lists first is reported."""
    _check(generous, case)


@pytest.fixture(scope="module")
def taken(lab: Client) -> int:
    """A stored record whose values must be unique."""
    return lab.add("Strict", {"Label": "a", "First": 1, "Second": 2})[0]


@pytest.mark.better("B-E7")
@pytest.mark.parametrize(
    "record",
    [
        {"Label": None, "First": 1, "Second": 2},
        {"First": 1, "Second": 2, "Parent": 999},
    ],
)
def test_required_before_unique(lab: Client, taken: int, record: dict[str, Any]) -> None:
    """A missing required value is reported before a duplicate or a broken reference."""
    assert error_of(lab.post("Data/Post", record, entity="Strict")) == WireError(
        "REQUIRED", "Required", "Label", "Strict"
    )


def _required(name: str, message: str = "Required") -> WireError:
    return WireError("REQUIRED", message, name)


LOGINS: list[tuple[Any, WireError]] = [
    (b"{", WireError("EMPTY_BODY", "Empty body")),
    ({}, _required("password")),
    ({"Email": "not an address"}, _required("password")),
    ({"Email": "not an address", "Password": "  "}, _required("password")),
    (
        {"Email": "not an address", "Username": "x", "Password": "x"},
        WireError("VALIDATION", "Email is not valid", "email"),
    ),
    ({"Password": "x"}, _required("email", "User name or email is required to login")),
    ({"Email": " ", "Username": " ", "Password": "x"}, _required("email", "User name or email is required to login")),
    ({"Email": None, "Username": "unknown", "Password": "x"}, WireError("ERROR", "Invalid login attempt")),
]


@pytest.mark.better("B-E7")
@pytest.mark.parametrize(("body", "expected"), LOGINS)
def test_login(shop: Client, body: Any, expected: WireError) -> None:
    """Login checks body, password, e-mail, user name and credentials in this order."""
    _check(shop, ("POST", "Account/Login", body, expected))


@pytest.mark.better("B-E7")
def test_register(new_application, shop_manifest, shop: Client) -> None:  # type: ignore[no-untyped-def]
    """Register checks body, permission, values in schema order and the database in this order."""
    closed = new_application(shop_manifest, AllowUserRegister=False)
    not_allowed = WireError("ERROR", "Register is not allowed")
    _check(closed, ("POST", "Account/Register", b"{", WireError("EMPTY_BODY", "Empty body")))
    _check(closed, ("POST", "Account/Register", {"Email": "x"}, not_allowed))
    shop.register("taken")
    no_email = WireError("VALIDATION", "Email is not valid", "Email")
    short = WireError("VALIDATION", "Minimum 4 characters", "Username", "Users")
    weak = WireError("VALIDATION", "Minimum 8 characters", "Password", "Users")
    long = WireError("VALIDATION", "Maximum 50 characters", "Firstname", "Users")
    body: dict[str, Any] = {"Firstname": "x" * 51, "Password": "x", "Username": "x", "Email": "x"}
    for name, value, expected in [
        ("Email", "taken@example.com", no_email),
        ("Username", None, short),
        ("Password", PASSWORD, weak),
        ("Firstname", None, long),
        ("Username", "other", WireError("REQUIRED", "Required", "Username", "Users")),
        (
            "Email",
            "free@example.com",
            WireError("UNIQUE_CONSTRAINT_VIOLATION", "Value already exists", "Email", "Users"),
        ),
    ]:
        _check(shop, ("POST", "Account/Register", body, expected))
        body[name] = value
    assert shop.post("Account/Register", body).status_code == 200


@pytest.mark.better("B-A4", "B-E7")
def test_change_password(shop: Client) -> None:
    """ChangePassword checks body, user, current password and new password in this order."""
    user = shop.signed_in("changer")
    bad = "VALIDATION"
    for client, body, expected in [
        (shop, b"{", WireError("EMPTY_BODY", "Empty body")),
        (shop, {}, WireError("UNAUTHORIZED", "Unauthorized")),
        (user, {}, _required("currentPassword")),
        (user, {"Password": " ", "NewPassword": "x"}, _required("currentPassword")),
        (user, {"Password": "wrong", "NewPassword": " "}, WireError(bad, "Invalid password", "currentPassword")),
        (user, {"Password": PASSWORD}, _required("newPassword")),
        (user, {"Password": PASSWORD, "NewPassword": "short"}, WireError(bad, "Minimum 8 characters", "newPassword")),
        (
            user,
            {"Password": PASSWORD, "NewPassword": "x" * 401},
            WireError(bad, "Maximum 400 characters", "newPassword"),
        ),
    ]:
        _check(client, ("PUT", "Account/ChangePassword", body, expected))


@pytest.mark.better("B-E7")
def test_update(shop: Client) -> None:
    """Update checks the body before the user, and the user before the values."""
    user = shop.signed_in("updater")
    wrong, denied = WireError("ERROR", "Something went wrong"), WireError("UNAUTHORIZED", "Unauthorized")
    _check(shop, ("PUT", "Account/Update", [], wrong))
    _check(shop, ("PUT", "Account/Update", {"Roles": "x"}, denied))
    nothing = WireError("NO_PROPERTIES_PROVIDED", "No properties provided", None, "Users")
    for body in ({}, {"Roles": "admin", "ID": 7, "Email": "x", "Nope": 1}):
        _check(user, ("PUT", "Account/Update", body, nothing))
    too_long = WireError("VALIDATION", "Maximum 50 characters", "Firstname", "Users")
    _check(user, ("PUT", "Account/Update", {"Firstname": "x" * 51}, too_long))
