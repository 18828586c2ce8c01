"""Accounts: registration, sign-in, own data, confirmation
(docs/reference/protocol/wire-api.md sections 3.1 to 3.3 and 3.5).
"""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

import pytest

from apilane.testing.client import PASSWORD, Client, WireError, error_of
from apilane.testing.server import Server
from tests.confirmation import confirmation_token

NOBODYS = "7b147d8d-24f1-4c32-a4e3-890794f71a0c"
FAILED = WireError("ERROR", "Invalid login attempt")
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="module", autouse=True)
def ann(shop: Client) -> Client:
    """A user with capital letters in e-mail and user name."""
    body = {"Email": "Ann@Example.com", "Username": "Annie", "Password": PASSWORD, "Firstname": "Ann"}
    assert shop.post("Account/Register", body).text == "1"
    return shop.as_user(shop.login("Annie"))


def test_login(shop: Client) -> None:
    """Login returns the user as it was before this login, a GUID token and the token's ID."""
    id = shop.register("fresh", Firstname="F")
    first = shop.post("Account/Login", {"Username": "fresh", "Password": PASSWORD}).json()
    user = first["User"]
    assert set(first) == {"User", "AuthToken", "AuthTokenID"}
    assert list(user) == [
        "ID",
        "Email",
        "Username",
        "Created",
        "LastLogin",
        "EmailConfirmed",
        "Password",
        "Roles",
        "Firstname",
    ]
    assert (user["ID"], user["LastLogin"], user["EmailConfirmed"], user["Password"]) == (id, None, False, None)
    assert GUID.fullmatch(first["AuthToken"])
    assert first["AuthTokenID"] > 0
    second = shop.post("Account/Login", {"Email": "fresh@example.com", "Password": PASSWORD}).json()
    assert user["Created"] <= second["User"]["LastLogin"] <= time.time() * 1000
    assert second["AuthTokenID"] > first["AuthTokenID"]
    now = shop.as_user(second["AuthToken"]).get("Account/UserData").json()["User"]
    assert now["LastLogin"] >= second["User"]["LastLogin"]


@pytest.mark.parametrize(
    "names",
    [
        {"Email": "ANN@EXAMPLE.COM"},
        {"Email": "ann@example.com"},
        {"Username": "ANNIE"},
        {"Username": "annie"},
        {"Email": None, "Username": "Annie"},
        {"Email": " ", "Username": "Annie"},
        {"Email": "ann@example.com", "Username": "unknown"},
    ],
)
def test_letter_case(shop: Client, names: dict[str, Any]) -> None:
    """E-mail and user name ignore letter case; a blank e-mail counts as absent; the e-mail precedes the name."""
    assert shop.post("Account/Login", {**names, "Password": PASSWORD}).status_code == 200


@pytest.mark.better("B-A1")
@pytest.mark.parametrize(
    "credentials",
    [
        {"Email": "ann@example.com", "Password": "wrong"},
        {"Email": "nobody@example.com", "Password": PASSWORD},
        {"Email": "nobody@example.com", "Username": "Annie", "Password": PASSWORD},
        {"Username": "Annie", "Password": PASSWORD.upper()},
        {"Username": "Annie", "Password": PASSWORD + "x"},
        {"Username": "unknown", "Password": PASSWORD},
        {"Username": "%", "Password": PASSWORD},
        {"Username": "Ann%", "Password": PASSWORD},
        {"Username": "Anni_", "Password": PASSWORD},
        {"Username": "A*", "Password": PASSWORD},
        {"Email": "%@example.com", "Password": PASSWORD},
        {"Email": "ann@example_com.com", "Password": PASSWORD},
        {"Username": "' OR 1=1 --", "Password": PASSWORD},
        {"Username": "Annie\u0000", "Password": PASSWORD},
        {"Username": "x" * 100_000, "Password": PASSWORD},
        {"Username": "Annie", "Password": "x" * 100_000},
        {"Username": "Annie", "Password": "\u0000"},
    ],
)
def test_wrong_credentials_look_alike(shop: Client, credentials: dict[str, str]) -> None:
    """A failed login never tells which part was wrong, and wildcards are ordinary characters (B-A1)."""
    response = shop.post("Account/Login", credentials)
    assert error_of(response) == FAILED
    plain = shop.post("Account/Login", {"Username": "unknown", "Password": "x"})
    assert response.content == plain.content


@pytest.mark.parametrize(
    "email", ["x", "a@b@c", "Ann <ann@example.com>", " ann@example.com", "ann@", "@example.com", "a b@c.de"]
)
def test_malformed_address(shop: Client, email: str) -> None:
    """An e-mail must be exactly one address."""
    response = shop.post("Account/Login", {"Email": email, "Password": PASSWORD})
    assert error_of(response) == WireError("VALIDATION", "Email is not valid", "email")


def _register(shop: Client, **changes: Any) -> Any:
    name = uuid.uuid4().hex[:12]
    body = {"Email": f"{name}@example.com", "Username": name, "Password": PASSWORD, **changes}
    return shop.post("Account/Register", {key: value for key, value in body.items() if value is not ...})


@pytest.mark.better("B-D8", "B-D17")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"Email": ...}, WireError("VALIDATION", "Email is not valid", "Email")),
        ({"Email": None}, WireError("VALIDATION", "Email is not valid", "Email")),
        ({"Email": "nope"}, WireError("VALIDATION", "Email is not valid", "Email")),
        ({"Email": "a@b"}, WireError("VALIDATION", "Minimum 4 characters", "Email", "Users")),
        (
            {"Email": "anna@local"},
            WireError("VALIDATION", r"The value provided does not match regex [^@]+@[^\.]+\..+", "Email", "Users"),
        ),
        ({"Email": f"{'x' * 60}@{'y' * 40}.com"}, WireError("VALIDATION", "Maximum 100 characters", "Email", "Users")),
        ({"Username": "abc"}, WireError("VALIDATION", "Minimum 4 characters", "Username", "Users")),
        ({"Username": "x" * 101}, WireError("VALIDATION", "Maximum 100 characters", "Username", "Users")),
        ({"Username": ...}, WireError("REQUIRED", "Required", "Username", "Users")),
        ({"Password": ...}, WireError("REQUIRED", "Required", "Password", "Users")),
        ({"Password": "1234567"}, WireError("VALIDATION", "Minimum 8 characters", "Password", "Users")),
        ({"Password": " 1234567 "}, WireError("VALIDATION", "Minimum 8 characters", "Password", "Users")),
        ({"Password": "x" * 401}, WireError("VALIDATION", "Maximum 400 characters", "Password", "Users")),
        ({"Firstname": "x" * 51}, WireError("VALIDATION", "Maximum 50 characters", "Firstname", "Users")),
        ({"Firstname": "\u0000"}, WireError("VALIDATION", "Invalid text", "Firstname", "Users")),
        (
            {"Email": "ANN@example.COM"},
            WireError("UNIQUE_CONSTRAINT_VIOLATION", "Value already exists", "Email", "Users"),
        ),
        ({"Username": "ANNIE"}, WireError("UNIQUE_CONSTRAINT_VIOLATION", "Value already exists", "Username", "Users")),
    ],
)
def test_register_refuses(shop: Client, changes: dict[str, Any], error: WireError) -> None:
    """Register validates like Data Post; names are unique without regard to letter case (B-D8)."""
    assert error_of(_register(shop, **changes)) == error


@pytest.mark.better("B-D8")
def test_unique_beyond_ascii(shop: Client) -> None:
    """Letter case is ignored for all letters, and accents are significant."""
    assert _register(shop, Username="Ελένη").status_code == 200
    assert error_of(_register(shop, Username="ΕΛΈΝΗ")).property == "Username"
    assert _register(shop, Username="Ελενη").status_code == 200
    assert shop.post("Account/Login", {"Username": "ελΈνη", "Password": PASSWORD}).status_code == 200


def test_register_ignores(shop: Client) -> None:
    """Register ignores properties that the server sets; the longest password and outer blanks are accepted."""
    changes = {"ID": 999, "Roles": "admin", "EmailConfirmed": True, "Created": 1, "LastLogin": 5, "Password": "x" * 400}
    id = _register(shop, Username="  trimmed  ", Nope=1, **changes).json()
    assert id < 999
    user = shop.post("Account/Login", {"Username": "trimmed", "Password": "x" * 400}).json()["User"]
    assert (user["Roles"], user["EmailConfirmed"], user["LastLogin"]) == (None, False, None)
    assert user["Created"] > 1


@pytest.mark.better("B-D7")
def test_password_is_trimmed_everywhere(shop: Client) -> None:
    """Outer blanks of a password are ignored everywhere (B-D7)."""
    assert _register(shop, Username="blanks", Password="  Blanked-pw ").status_code == 200
    for sent in ("Blanked-pw", "  Blanked-pw ", "\tBlanked-pw"):
        user = shop.as_user(shop.login("blanks", sent))
    assert user.put("Account/ChangePassword", {"Password": " Blanked-pw", "NewPassword": " Other-pw1 "}).json() is True
    assert shop.login("blanks", "Other-pw1 ")


def test_user_data(shop: Client, ann: Client) -> None:
    """UserData returns the user with the rules of its roles, in stored order."""
    body = ann.get("Account/UserData").json()
    assert set(body) == {"User", "Security"}
    assert body["User"]["Email"] == "Ann@Example.com"
    names = [(rule["Role"], rule["Name"], rule["Type"], rule["Action"]) for rule in body["Security"]]
    assert len(names) == 17
    assert names[0] == ("ANONYMOUS", "Categories", "Entity", "get")
    assert names[-2:] == [
        ("ANONYMOUS", "CheapProducts", "CustomEndpoint", "get"),
        ("AUTHENTICATED", "Schema", "Schema", "get"),
    ]
    assert body["Security"][-1]["Properties"] == []
    assert error_of(shop.get("Account/UserData")) == WireError("UNAUTHORIZED", "Unauthorized")


def test_rules_of_roles(server: Server, new_application, shop_manifest) -> None:  # type: ignore[no-untyped-def]
    """The rules of a role are listed as soon as the user has it; role names are split at commas."""
    rules = [*shop_manifest["Security"], {"Entity": "Users", "Role": "admin", "Action": "get", "Properties": ["Email"]}]
    client = new_application({**shop_manifest, "Security": rules})
    user = client.signed_in("roles")
    assert len(user.get("Account/UserData").json()["Security"]) == 17
    server.sql(client.token, 'UPDATE "Users" SET "Roles" = ?', ("editor,admin",))
    time.sleep(1.1)
    security = user.get("Account/UserData").json()["Security"]
    assert security[-1] == {
        "Role": "admin",
        "Name": "Users",
        "Type": "Entity",
        "Action": "get",
        "Properties": ["Email"],
    }
    assert list(user.records("Users")[0]) == ["ID", "Email"]


def test_update(ann: Client) -> None:
    """Update writes the caller's own properties, ignores the others and returns the changed user."""
    body = {"Firstname": " Anna ", "Email": "other@example.com", "Roles": "admin", "Password": "x", "ID": 99, "Nope": 1}
    user = ann.put("Account/Update", body).json()
    assert (user["Firstname"], user["Email"], user["Roles"], user["Password"]) == (
        "Anna",
        "Ann@Example.com",
        None,
        None,
    )
    assert ann.put("Account/Update", {"Firstname": None}).json()["Firstname"] is None


def test_unconfirmed(server: Server, new_application, shop_manifest) -> None:  # type: ignore[no-untyped-def]
    """Where the application requires it, only a confirmed e-mail may log in; wrong credentials are reported first."""
    client = new_application(shop_manifest, AllowLoginUnconfirmedEmail=False)
    id = client.register("newbie")
    assert error_of(client.post("Account/Login", {"Username": "newbie", "Password": "wrong"})) == FAILED
    refused = client.post("Account/Login", {"Username": "newbie", "Password": PASSWORD})
    assert error_of(refused) == WireError("UNCONFIRMED_EMAIL", "Unconfirmed email")
    token = confirmation_token(server, client.token, id)
    assert client.get("Account/Confirm", token=token).status_code == 302
    assert client.login("newbie")


# --- Confirm --------------------------------------------------------------------------------------------------------


def test_confirm(server: Server, shop: Client) -> None:
    """A valid token confirms the address and redirects to the Portal, on each use."""
    user = shop.signed_in("confirmer")
    id = user.get("Account/UserData").json()["User"]["ID"]
    token = confirmation_token(server, shop.token, id)
    for text in (token, token.upper()):
        response = shop.http.get(f"{shop.url}/api/Account/Confirm", params={"appToken": shop.token, "token": text})
        assert response.status_code == 302
        assert response.headers["location"] == f"{server.settings.portal_url}/Account/AppEmailConfirmed"
    assert user.get("Account/UserData").json()["User"]["EmailConfirmed"] is True


def test_confirm_redirects(server: Server, new_application, shop_manifest) -> None:  # type: ignore[no-untyped-def]
    """The redirect goes to the application's own page when it has one."""
    client = new_application(shop_manifest, EmailConfirmationRedirectUrl="https://shop.example.com/hi?a=1")
    token = confirmation_token(server, client.token, client.register("redirect"))
    response = client.get("Account/Confirm", token=token)
    assert response.headers["location"] == "https://shop.example.com/hi?a=1"


@pytest.mark.parametrize("token", ["", "%", "x", NOBODYS, "_" * 36])
def test_confirm_unknown(shop: Client, token: str) -> None:
    """An unknown token redirects to the error page of the application."""
    response = shop.get("Account/Confirm", token=token)
    assert response.status_code == 302
    assert response.headers["location"] == f"{shop.url}/App/{shop.token}/Account/Manage/Error"


def test_confirm_expired(server: Server, shop: Client) -> None:
    """A token is invalid after one hour."""
    id = shop.register("latecomer")
    token = confirmation_token(server, shop.token, id)
    table = '"H_Auth_Email_Confirmation_Tokens"'
    server.sql(shop.token, f'UPDATE {table} SET "Created" = "Created" - 3601000 WHERE "Owner" = ?', (id,))
    assert shop.get("Account/Confirm", token=token).headers["location"].endswith("/Account/Manage/Error")
    confirmed = server.sql(shop.token, 'SELECT "EmailConfirmed" FROM "Users" WHERE "ID" = ?', (id,))
    assert not confirmed[0][0]


def test_foreign_confirmation(server: Server, shop: Client, new_application, shop_manifest) -> None:  # type: ignore[no-untyped-def]
    """A confirmation token is invalid in another application."""
    other = new_application(shop_manifest)
    other.register("native")
    token = confirmation_token(server, shop.token, shop.register("abroad"))
    assert other.get("Account/Confirm", token=token).headers["location"].endswith("/Error")


def test_numbers_as_names(shop: Client) -> None:
    """A user name that is sent as a JSON number is stored as text, as in Data Post."""
    assert _register(shop, Username=12345).status_code == 200
    assert (
        json.loads(shop.post("Account/Login", {"Username": "12345", "Password": PASSWORD}).text)["User"]["Username"]
        == "12345"
    )


@pytest.mark.better("B-S5")
def test_mail_tokens_end_with_the_address(server: Server, new_application: Any, shop_manifest: dict[str, Any]) -> None:
    """After a change of the e-mail it is unconfirmed, and tokens that were mailed to the old address have no effect."""
    rule = {"Entity": "Users", "Role": "AUTHENTICATED", "Action": "put", "Properties": ["Email", "Password"]}
    client = new_application({**shop_manifest, "Security": [*shop_manifest["Security"], rule]})
    user = client.signed_in("moving")
    server.sql(client.token, 'UPDATE "Users" SET "EmailConfirmed" = ? WHERE "ID" = 1', (True,))
    for table in ("H_Auth_Email_Confirmation_Tokens", "H_Auth_Password_Reset_Tokens"):
        server.sql(client.token, f'INSERT INTO "{table}" ("Owner", "Token", "Created") VALUES (1, \'mailed\', 1)')
    assert user.change("Users", {"ID": 1, "Email": "elsewhere@example.com"}) == 1
    assert user.get("Account/UserData").json()["User"]["EmailConfirmed"] is False
    for table in ("H_Auth_Email_Confirmation_Tokens", "H_Auth_Password_Reset_Tokens"):
        assert server.sql(client.token, f'SELECT COUNT(*) FROM "{table}"') == [(0,)]
    changes = [{"ID": 1, "Password": "Passw0rd-again"}] * 11
    error = error_of(user.put("Data/Put", changes, entity="Users"))
    assert (error.code, error.message) == ("ERROR", "At most 10 passwords in one call")
