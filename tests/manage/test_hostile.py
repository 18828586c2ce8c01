"""Attacks and mistakes against the management API: each is refused, and nothing is half done."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from litestar.testing import TestClient

from apilane.manage.lockout import ACCOUNT_FAILURES
from tests.manage.world import ADMIN, API, PASSWORD, Person, World, shop


def error(answer: Any) -> tuple[int, str]:
    """Status and code of an error in the wire's shape."""
    body = answer.json()
    assert set(body) == {"Code", "Message", "Property", "Entity"}
    return answer.status_code, body["Code"]


@pytest.mark.better("B-P1")
def test_change_without_csrf(world: World) -> None:
    """A cookie alone changes nothing: without the session's CSRF value a change is refused with 403."""
    cookie = {"cookie": f"apilane_portal={world.admin.cookie}"}
    for headers in ({}, {"x-csrf-token": "wrong"}, {"x-csrf-token": world.people["viewer"].csrf}):
        answer = world.client.post(f"{API}/users", json={"Email": "evil@example.com"}, headers={**cookie, **headers})
        assert error(answer) == (403, "ERROR")
    assert "evil@example.com" not in world.admin.call("GET", "/users").text


@pytest.mark.better("B-P1")
@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_change_from_another_site(world: World, headers: dict[str, str]) -> None:
    """A request that a page of another site sends is refused, at the sign-in too."""
    assert error(world.admin.call("POST", "/users", {"Email": "evil@example.com"}, headers=headers))[0] == 403
    answer = world.client.post(f"{API}/session", json={"Email": ADMIN, "Password": PASSWORD}, headers=headers)
    assert error(answer)[0] == 403


def test_ended_session(world: World) -> None:
    """A session that was ended from another device, or signed out, is refused at once."""
    thief, owner = Person(world.client, ADMIN), Person(world.client, ADMIN)
    listed = owner.call("GET", "/credentials").json()
    mine = next(each["Id"] for each in thief.call("GET", "/credentials").json() if each["IsCurrent"])
    assert mine in [each["Id"] for each in listed]
    assert owner.call("DELETE", f"/credentials/{mine}").status_code == 204
    assert error(thief.call("GET", "/applications")) == (401, "UNAUTHORIZED")
    assert owner.call("DELETE", "/session").status_code == 200
    assert error(owner.call("GET", "/applications")) == (401, "UNAUTHORIZED")


def test_credentials_of_others(world: World) -> None:
    """A user cannot end the session of another user."""
    victim = next(each["Id"] for each in world.admin.call("GET", "/credentials").json() if each["IsCurrent"])
    assert error(world.people["manager"].call("DELETE", f"/credentials/{victim}")) == (404, "NOT_FOUND")
    assert world.admin.call("GET", "/session").status_code == 200


@pytest.mark.better("B-P1")
def test_link_works_once(world: World) -> None:
    """A one-time link sets one password, and starts no session before that."""
    code = world.admin.call("POST", "/users", {"Email": "once@example.com"}).json()["Token"]
    assert error(world.client.get(f"{API}/session", headers={"authorization": f"Bearer {code}"}))[0] == 401
    assert error(world.client.get(f"{API}/session", headers={"cookie": f"apilane_portal={code}"}))[0] == 401
    body = {"Code": code, "Email": "once@example.com", "Password": "short"}
    assert error(world.client.post(f"{API}/link", json=body)) == (400, "VALIDATION")
    assert world.client.post(f"{API}/link", json={**body, "Password": PASSWORD}).status_code == 200
    world.client.cookies.clear()
    assert error(world.client.post(f"{API}/link", json={**body, "Password": "another password"}))[0] == 401
    Person(world.client, "once@example.com")


@pytest.mark.better("B-P1")
def test_lockout(world: World) -> None:
    """After repeated failures the right password is refused too, with Retry-After; other accounts are not affected."""
    world.invited("locked@example.com")
    body = {"Email": "locked@example.com", "Password": "wrong"}
    for _ in range(ACCOUNT_FAILURES):
        assert error(world.client.post(f"{API}/session", json=body)) == (401, "UNAUTHORIZED")
    answer = world.client.post(f"{API}/session", json={**body, "Password": PASSWORD})
    assert error(answer) == (400, "RATE_LIMIT_EXCEEDED")
    assert int(answer.headers["retry-after"]) > 0
    Person(world.client, "viewer@example.com")


def test_unknown_account_answers_alike(world: World) -> None:
    """The answer does not tell whether an account exists."""
    known = world.client.post(f"{API}/session", json={"Email": "editor@example.com", "Password": "wrong"})
    unknown = world.client.post(f"{API}/session", json={"Email": "nowhere@example.com", "Password": "wrong"})
    assert known.status_code == unknown.status_code == 401
    assert known.text == unknown.text


def test_manifest_reads_no_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference in a manifest that arrives over HTTP never gives a variable of the server."""
    monkeypatch.setenv("SECRET_OF_SERVER", "top-secret-value")
    manifest = {"Apilane": 1, "Application": {"Name": "${SECRET_OF_SERVER}", "Token": world.ours}}
    answer = world.admin.call("POST", f"/applications/{world.ours}/plan", manifest)
    assert error(answer) == (400, "VALIDATION")
    assert "top-secret-value" not in answer.text


@pytest.mark.better("B-P7")
def test_stale_version(world: World) -> None:
    """A change based on an older version is refused with 412, one without a version with 428; nothing is changed."""
    old = world.match(world.ours)
    manifest = {**shop("Our shop"), "Application": {"Name": "Our shop", "Token": world.ours}}
    manifest["Entities"][0]["Description"] = f"at {time.time_ns()}"
    place = f"/applications/{world.ours}/definition"
    assert world.admin.call("PUT", place, manifest, headers=old).status_code == 200
    manifest["Entities"][0]["Description"] = "a second editor"
    assert error(world.admin.call("PUT", place, manifest, headers=old)) == (412, "ERROR")
    assert error(world.admin.call("PUT", place, manifest)) == (428, "REQUIRED")
    assert "a second editor" not in world.admin.call("GET", place).text


def test_manifest_of_another_application(world: World) -> None:
    """A manager cannot change a foreign application with its token inside a manifest."""
    manifest = {**shop("Their shop"), "Application": {"Name": "Their shop", "Token": world.theirs}}
    manager = world.people["manager"]
    answer = manager.call("POST", f"/applications/{world.ours}/plan", manifest)
    assert error(answer) == (400, "VALIDATION")
    files = {"Files": [{"Name": "m.json", "Content": json.dumps(manifest)}], "Versions": {world.theirs: 1}}
    assert error(manager.call("POST", "/manifests", files)) == (404, "NOT_FOUND")


def test_developer_cannot_rise(world: World) -> None:
    """A developer changes the model and the rules, and neither the collaborators nor the place of the data."""
    developer, place = world.people["developer"], f"/applications/{world.ours}/definition"
    own = {"Apilane": 1, "Application": {"Name": "Our shop", "Token": world.ours}}
    rises = {**own, "Collaborators": ["developer@example.com"]}
    assert error(developer.call("PUT", place, rises, headers=world.match(world.ours))) == (403, "UNAUTHORIZED")
    rules = {**own, "Security": [{"Entity": "Products", "Role": "AUTHENTICATED", "Action": "get", "Properties": "*"}]}
    assert developer.call("PUT", place, rules, headers=world.match(world.ours)).status_code == 200


def test_loss_is_accepted_first(world: World) -> None:
    """A change that loses data is refused with 409 until the caller accepts the loss."""
    token = world.apply(shop("Lossy"))
    place = f"/applications/{token}/definition"
    manifest = {"Apilane": 1, "Application": {"Name": "Lossy", "Token": token}, "Entities": [], "CustomEndpoints": []}
    planned = world.admin.call("POST", f"/applications/{token}/plan", manifest).json()
    assert planned["LosesData"]
    assert error(world.admin.call("PUT", place, manifest, headers=world.match(token))) == (409, "ERROR")
    answer = world.admin.call("PUT", f"{place}?acceptsLoss=true", manifest, headers=world.match(token))
    assert answer.status_code == 200


def test_deletion(world: World) -> None:
    """Deleting needs the name and the password; then the application, its data and its token are gone."""
    token = world.apply(shop("Doomed"))
    place = f"/applications/{token}"
    assert error(world.admin.call("DELETE", place, {"Name": "doomed", "Password": PASSWORD}))[0] == 400
    assert error(world.admin.call("DELETE", place, {"Name": "Doomed", "Password": "wrong"})) == (400, "VALIDATION")
    assert world.admin.call("DELETE", place, {"Name": "Doomed", "Password": PASSWORD}).status_code == 204
    assert error(world.admin.call("GET", place)) == (404, "NOT_FOUND")
    again = {**shop("Doomed"), "Application": {"Name": "Doomed", "Token": token}}
    assert world.apply(again) == token
    assert world.version(token) == 1
    assert world.admin.call("GET", f"{place}/export").status_code == 200


def test_limited_token(world: World) -> None:
    """A token with limits has no more than they allow, and cannot make or end credentials."""
    token = world.token_of(world.admin, Application=world.ours, Permissions=["view_definition"])
    bearer = {"authorization": f"Bearer {token}"}

    def status(method: str, path: str, body: Any = None) -> int:
        return int(world.client.request(method, API + path, json=body, headers=bearer).status_code)

    assert status("GET", f"/applications/{world.ours}") == 200
    assert status("GET", f"/applications/{world.theirs}") == 404
    assert status("GET", f"/applications/{world.ours}/export") == 403
    assert status("GET", "/users") == 401
    assert status("POST", "/applications", {"Name": "Made by token"}) == 401
    assert status("POST", "/tokens", {"Name": "more"}) == 401
    assert status("POST", "/password", {"CurrentPassword": PASSWORD, "NewPassword": PASSWORD}) == 401


def test_last_admin_stays(world: World) -> None:
    """Admins can neither delete nor demote themselves."""
    me = next(each["Id"] for each in world.admin.call("GET", "/users").json() if each["Email"] == ADMIN)
    assert error(world.admin.call("DELETE", f"/users/{me}")) == (400, "VALIDATION")
    assert error(world.admin.call("PATCH", f"/users/{me}", {"IsAdmin": False})) == (400, "VALIDATION")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"Email": 1}', b"\xff\xfe"])
def test_broken_bodies(world: World, body: bytes) -> None:
    """A broken body is refused in the wire's shape."""
    answer = world.client.post(f"{API}/session", content=body, headers={"content-type": "application/json"})
    assert error(answer) == (400, "VALIDATION")


@pytest.mark.parametrize("manifest", ["", "{", "Apilane: 1\nApilane: 1", "Apilane: 1\nApplication: {Name: 3}"])
def test_broken_manifests(world: World, manifest: str) -> None:
    """A broken manifest is refused with the place of the mistake."""
    files = {"Files": [{"Name": "m.yaml", "Content": manifest}]}
    assert error(world.admin.call("POST", "/manifests/plan", files)) == (400, "VALIDATION")


@pytest.mark.better("B-P12")
def test_answers_are_protected(app_client: TestClient) -> None:
    """Every answer, errors included, has the headers that keep it from frames, sniffing and caches."""
    for path in (f"{API}/session", "/nothing", "/health/liveness"):
        headers = app_client.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
