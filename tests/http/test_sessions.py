"""The lifetime of user tokens
(docs/reference/protocol/wire-api.md section 3.4, docs/reference/protocol/security.md section 6.1).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import PASSWORD, Client, WireError, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server

DENIED = WireError("UNAUTHORIZED", "Unauthorized")


@pytest.mark.better("B-A4")
def test_change_password(shop: Client) -> None:
    """A new password replaces the old one at once, and only the token that changed it stays valid (B-A4)."""
    first = shop.signed_in("changes")
    second = shop.as_user(shop.login("changes"))
    assert not second.is_anonymous()
    response = first.put("Account/ChangePassword", {"Password": PASSWORD, "NewPassword": "Another-one1"})
    assert (response.status_code, response.text) == (200, "true")
    assert not first.is_anonymous()
    assert second.is_anonymous()
    old = shop.post("Account/Login", {"Username": "changes", "Password": PASSWORD})
    assert error_of(old).message == "Invalid login attempt"
    assert shop.login("changes", "Another-one1")


@pytest.mark.better("B-A4")
def test_long_password(shop: Client) -> None:
    """A new password may have 400 characters, and property names ignore letter case."""
    user = shop.signed_in("longpass")
    assert user.put("Account/ChangePassword", {"password": PASSWORD, "NEWPASSWORD": "y" * 400}).json() is True
    assert shop.login("longpass", "y" * 400)


@pytest.mark.better("B-A5", "B-W2")
def test_renew(shop: Client) -> None:
    """Renew replaces the token; the answer is JSON text, which also works with its quotes (B-W2, B-A5)."""
    old = shop.signed_in("renews")
    response = old.get("Account/RenewAuthToken")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert int(response.headers["x-auth-token-id"]) > 0
    assert response.text == f'"{response.json()}"'
    assert old.is_anonymous()
    assert not old.as_user(response.text).is_anonymous()
    again = old.as_user(response.text).get("Account/RenewAuthToken")
    assert int(again.headers["x-auth-token-id"]) > int(response.headers["x-auth-token-id"])
    assert error_of(old.get("Account/RenewAuthToken")) == DENIED
    assert error_of(shop.get("Account/RenewAuthToken")) == DENIED


@pytest.mark.better("B-A5")
def test_logout(shop: Client) -> None:
    """Logout ends the caller's token and returns 1, even without a valid token."""
    user = shop.signed_in("leaves")
    other = shop.as_user(shop.login("leaves"))
    for client in (user, user, shop, shop.as_user("nonsense")):
        response = client.get("Account/Logout")
        assert (response.status_code, response.text) == (200, "1")
        assert response.headers["cache-control"] == "no-store"
    assert user.is_anonymous()
    assert not other.is_anonymous()


@pytest.mark.parametrize("everywhere", ["true", "TRUE"])
def test_logout_everywhere(shop: Client, everywhere: str) -> None:
    """Logout everywhere ends all tokens of the user and returns their number; it needs a user."""
    name = f"all-{everywhere}-{everywhere.islower()}"
    user = shop.signed_in(name)
    others = [shop.as_user(shop.login(name)) for _ in range(2)]
    bystander = shop.signed_in(f"not-{name}")
    assert user.get("Account/Logout", everywhere=everywhere).text == "3"
    assert all(client.is_anonymous() for client in (user, *others))
    assert not bystander.is_anonymous()
    for client in (user, shop):
        assert error_of(client.get("Account/Logout", everywhere=everywhere)) == DENIED


def test_force_single_login(new_application, shop_manifest) -> None:  # type: ignore[no-untyped-def]
    """With ForceSingleLogin a login ends the user's other tokens, and no token of another user."""
    client = new_application(shop_manifest, ForceSingleLogin=True)
    first, bystander = client.signed_in("single"), client.signed_in("bystander")
    second = first.as_user(client.login("single"))
    assert [first.is_anonymous(), second.is_anonymous(), bystander.is_anonymous()] == [True, False, False]


@pytest.fixture(scope="module")
def brief(new_application, shop_manifest) -> Client:  # type: ignore[no-untyped-def]
    """A shop whose tokens are valid for one minute."""
    client: Client = new_application(shop_manifest, AuthTokenExpireMinutes=1)
    client.register("brief")
    return client


def _aged(server: Server, client: Client, age_ms: int) -> tuple[Client, int]:
    """A token with a creation time in the past, and its ID."""
    signed_in = client.post("Account/Login", {"Username": "brief", "Password": PASSWORD}).json()
    id = signed_in["AuthTokenID"]
    created = int(time.time() * 1000) - age_ms
    server.sql(client.token, 'UPDATE "AuthTokens" SET "Created" = ? WHERE "ID" = ?', (created, id))
    return client.as_user(signed_in["AuthToken"]), id


def _created(server: Server, client: Client, id: int) -> list[int]:
    return [row[0] for row in server.sql(client.token, 'SELECT "Created" FROM "AuthTokens" WHERE "ID" = ?', (id,))]


def test_expired(server: Server, brief: Client) -> None:
    """An expired token is anonymous, and its row is deleted when it is used."""
    user, id = _aged(server, brief, 60_000)
    assert user.is_anonymous()
    assert _created(server, brief, id) == []


def test_slides(server: Server, brief: Client) -> None:
    """When a tenth of its lifetime has passed, a use of a token restarts its lifetime."""
    user, id = _aged(server, brief, 50_000)
    assert not user.is_anonymous()
    assert time.time() * 1000 - _created(server, brief, id)[0] < 10_000


def test_does_not_slide_early(server: Server, brief: Client) -> None:
    """A use before that does not change the token."""
    user, id = _aged(server, brief, 2_000)
    before = _created(server, brief, id)
    assert not user.is_anonymous()
    assert _created(server, brief, id) == before


def test_login_clears_expired(server: Server, brief: Client) -> None:
    """A login deletes the expired tokens of that user only."""
    _, old = _aged(server, brief, 70_000)
    _, young = _aged(server, brief, 0)
    assert brief.login("brief")
    assert (_created(server, brief, old), len(_created(server, brief, young))) == ([], 1)


# --- Changes of a user (B-S5, B-S9)
# -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def staffed(new_application, shop_manifest) -> Client:  # type: ignore[no-untyped-def]
    """A shop whose users may change and delete each other."""
    columns = ["Email", "Username", "Password", "Roles", "Firstname"]
    rules = [
        {
            "Entity": "Users",
            "Role": "AUTHENTICATED",
            "Action": "get",
            "Properties": ["Email", "EmailConfirmed", "Password"],
        },
        {"Entity": "Users", "Role": "AUTHENTICATED", "Action": "put", "Properties": columns},
        {"Entity": "Users", "Role": "AUTHENTICATED", "Action": "delete"},
        {"Entity": "AuthTokens", "Role": "AUTHENTICATED", "Action": "get", "Properties": ["Token", "Owner"]},
        {"Entity": "Categories", "Role": "editor", "Action": "put", "Properties": ["Title"]},
    ]
    client: Client = new_application({**shop_manifest, "Security": shop_manifest["Security"] + rules})
    return client


def _id(user: Client) -> int:
    id: int = user.get("Account/UserData").json()["User"]["ID"]
    return id


@pytest.mark.better("B-S5")
def test_password_by_put(staffed: Client) -> None:
    """A password that is set by Put works at login and ends the user's tokens at once."""
    boss, user = staffed.signed_in("boss"), staffed.signed_in("worker")
    id = _id(user)
    assert boss.change("Users", {"ID": id, "Password": " Set-by-boss1 "}) == 1
    assert user.is_anonymous()
    assert not boss.is_anonymous()
    assert staffed.login("worker", "Set-by-boss1")
    short = boss.put("Data/Put", {"ID": id, "Password": "x"}, entity="Users")
    assert error_of(short) == WireError("VALIDATION", "Minimum 8 characters", "Password", "Users")


@pytest.mark.better("B-S5")
def test_email_by_put(server: Server, staffed: Client) -> None:
    """A new e-mail is unconfirmed and can be used at login; an unchanged e-mail stays confirmed."""
    user = staffed.signed_in("mailer")
    id = _id(user)
    server.sql(staffed.token, 'UPDATE "Users" SET "EmailConfirmed" = ? WHERE "ID" = ?', (True, id))
    assert user.change("Users", {"ID": id, "Email": "mailer@example.com"}) == 1
    assert user.record("Users", id)["EmailConfirmed"] is True
    assert user.change("Users", {"ID": id, "Email": "New@example.com"}) == 1
    assert user.record("Users", id)["EmailConfirmed"] is False
    assert staffed.post("Account/Login", {"Email": "nEW@example.com", "Password": PASSWORD}).status_code == 200
    taken = user.put("Data/Put", {"ID": id, "Email": "STAYER@example.com"}, entity="Users")
    assert taken.status_code == 200
    staffed.register("stayed")
    taken = user.put("Data/Put", {"ID": id, "Username": "STAYED"}, entity="Users")
    assert error_of(taken) == WireError("UNIQUE_CONSTRAINT_VIOLATION", "Value already exists", "Username", "Users")


@pytest.mark.better("B-S5")
def test_roles_by_put(staffed: Client) -> None:
    """Roles that are set or removed by Put apply at once."""
    user = staffed.signed_in("climber")
    id = _id(user)
    (category,) = user.add("Categories", {"Title": "x"})
    change = {"ID": category, "Title": "y"}
    assert user.put("Data/Put", change, entity="Categories").status_code == 401
    assert user.change("Users", {"ID": id, "Roles": "other,editor"}) == 1
    assert user.change("Categories", change) == 1
    assert user.change("Users", {"ID": id, "Roles": None}) == 1
    assert user.put("Data/Put", change, entity="Categories").status_code == 401
    assert error_of(user.put("Data/Put", {"ID": id, "Roles": "Editor"}, entity="Users")).property == "Roles"


@pytest.mark.better("B-S9")
def test_deleted_user(staffed: Client) -> None:
    """The token of a deleted user is invalid at once; a user who owns records cannot be deleted."""
    boss, user, owner = (staffed.signed_in(name) for name in ("chief", "leaver", "owner"))
    ids = [_id(user), _id(owner)]
    owner.add("Notes", {"Text": "mine"})
    assert boss.delete("Data/Delete", entity="Users", ids=ids[0]).json() == [ids[0]]
    assert user.is_anonymous()
    refused = error_of(boss.delete("Data/Delete", entity="users", ids=ids[1]))
    assert refused.code == "FOREIGN_KEY_CONSTRAINT_VIOLATION"
    assert not owner.is_anonymous()


@pytest.mark.better("B-D3", "B-D4")
def test_secrets_are_never_read(staffed: Client) -> None:
    """Password and Token read as null and cannot be used in filter and sort under any rule (B-D3, B-D4)."""
    user = staffed.signed_in("reader")
    assert {record["Password"] for record in user.records("Users")} == {None}
    assert {record["Token"] for record in user.records("AuthTokens")} == {None}
    for entity, name in (("Users", "Password"), ("AuthTokens", "Token")):
        for operator, value in (("equal", '"x"'), ("startswith", '"$argon2"'), ("notequal", "null")):
            text = f'{{"Property":"{name}","Operator":"{operator}","Value":{value}}}'
            assert error_of(user.get("Data/Get", entity=entity, filter=text)).code == "INVALID_FILTER_PARAMETER"
        sort = f'{{"Property":"{name}","Direction":"ASC"}}'
        assert error_of(user.get("Data/Get", entity=entity, sort=sort)).code == "INVALID_SORT_PARAMETER"


@pytest.mark.better("B-S9")
def test_expired_tokens_are_swept(tmp_path: Path, http: httpx.Client, shop_manifest: dict[str, Any]) -> None:
    """A background job deletes expired tokens of sign-ins and mails, and no others."""
    settings = {**CHEAP_PASSWORDS, "definition_poll_s": 0.05, "housekeeping_s": 0.2}
    with Server(tmp_path / "data", settings=settings) as running:
        client = Client(http, running.url, running.apply(shop_manifest))
        client.register("sweeping")
        old, kept = client.login("sweeping"), client.login("sweeping")
        running.sql(client.token, 'UPDATE "AuthTokens" SET "Created" = 0 WHERE "ID" = 1')
        mail_tables = ("H_Auth_Email_Confirmation_Tokens", "H_Auth_Password_Reset_Tokens")
        for table in mail_tables:
            for token, created in (("old", 0), ("new", int(time.time() * 1000))):
                values = (1, token, created)
                running.sql(
                    client.token, f'INSERT INTO "{table}" ("Owner", "Token", "Created") VALUES (?, ?, ?)', values
                )

        def left() -> list[object]:
            signed_in = running.sql(client.token, 'SELECT "ID" FROM "AuthTokens"')
            return [signed_in, *(running.sql(client.token, f'SELECT "Token" FROM "{table}"') for table in mail_tables)]

        expected = [[(2,)], [("new",)], [("new",)]]
        deadline = time.monotonic() + 10
        while left() != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left() == expected
        time.sleep(1.1)
        assert client.as_user(old).is_anonymous()
        assert not client.as_user(kept).is_anonymous()
