"""Who may call what: every route of the management API, for every portal role, in the own and a foreign application."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from apilane.model.portal_roles import PERMISSIONS, Permission, PortalRole
from tests.manage.world import API, PASSWORD, World, shop

OPEN = "open"
SIGNED_IN = "signed in"
ADMIN = "admin"
Needs = Permission | str

NEEDS: dict[tuple[str, str], Needs] = {
    ("POST", "/session"): OPEN,
    ("POST", "/link"): OPEN,
    ("GET", "/session"): SIGNED_IN,
    ("DELETE", "/session"): SIGNED_IN,
    ("POST", "/password"): SIGNED_IN,
    ("GET", "/credentials"): SIGNED_IN,
    ("POST", "/tokens"): SIGNED_IN,
    ("DELETE", "/credentials/{id:int}"): SIGNED_IN,
    ("GET", "/applications"): SIGNED_IN,
    ("POST", "/applications"): ADMIN,
    ("GET", "/applications/{token:str}"): Permission.view_definition,
    ("PATCH", "/applications/{token:str}"): Permission.edit_definition,
    ("DELETE", "/applications/{token:str}"): Permission.delete_application,
    ("GET", "/applications/{token:str}/export"): Permission.view_data,
    ("GET", "/applications/{token:str}/definition"): Permission.view_definition,
    ("PUT", "/applications/{token:str}/definition"): Permission.edit_definition,
    ("POST", "/applications/{token:str}/plan"): Permission.view_definition,
    ("GET", "/applications/{token:str}/collaborators"): Permission.view_definition,
    ("PUT", "/applications/{token:str}/collaborators"): Permission.manage_collaborators,
    ("GET", "/applications/{token:str}/rights"): Permission.view_definition,
    ("GET", "/applications/{token:str}/audit"): Permission.view_audit,
    ("POST", "/manifests/plan"): Permission.view_definition,
    ("POST", "/manifests"): Permission.edit_definition,
    ("GET", "/users"): ADMIN,
    ("POST", "/users"): ADMIN,
    ("PATCH", "/users/{id:int}"): ADMIN,
    ("DELETE", "/users/{id:int}"): ADMIN,
    ("GET", "/audit"): ADMIN,
    ("GET", "/plugins"): ADMIN,
    ("GET", "/findings"): ADMIN,
}
"""What each route needs. A new route fails ``test_every_route_is_listed`` until it is added here."""

CHANGES = [route for route in NEEDS if route[0] != "GET" and not route[1].endswith("/plan")]
ROLES = [*(role.value for role in PortalRole), "admin", "outsider", "caller without a session"]
number = itertools.count()


def routes(world: World) -> set[tuple[str, str]]:
    """Every method and path of the API."""
    return {
        (method, route.path.removeprefix(API))
        for route in world.client.app.routes
        if route.path.startswith(API) and "/schema" not in route.path
        for method in route.methods - {"OPTIONS", "HEAD"}  # type: ignore[union-attr]
    }


def example(world: World, method: str, path: str, token: str) -> tuple[str, Any, dict[str, str]]:
    """A request that succeeds for a caller with the right, without destroying the world."""
    place = path.replace("{token:str}", token)
    if "{id:int}" in path:
        place = path.replace("{id:int}", "999999")
    manifest = {**shop("Our shop"), "Application": {"Name": "Our shop", "Token": token}}
    manifest["Entities"][0]["Description"] = f"number {next(number)}"  # type: ignore[index]
    files = {
        "Files": [{"Name": "m.json", "Content": json.dumps(manifest)}],
        "Versions": {token: world.version(token)},
    }
    email = f"new{next(number)}@example.com"
    bodies: dict[tuple[str, str], Any] = {
        ("POST", "/session"): {"Email": email, "Password": "wrong"},
        ("POST", "/link"): {"Code": "none", "Email": email, "Password": PASSWORD},
        ("POST", "/password"): {"CurrentPassword": "wrong", "NewPassword": PASSWORD},
        ("POST", "/tokens"): {"Name": "a token"},
        ("POST", "/applications"): {"Name": f"Made {next(number)}"},
        ("PATCH", "/applications/{token:str}"): {"Online": next(number) % 2 == 0},
        ("DELETE", "/applications/{token:str}"): {"Name": "not this one"},
        ("PUT", "/applications/{token:str}/definition"): manifest,
        ("POST", "/applications/{token:str}/plan"): manifest,
        ("PUT", "/applications/{token:str}/collaborators"): [
            *({"Email": f"{role.value}@example.com", "Role": role.value} for role in PortalRole),
            {"Email": email},
        ],
        ("POST", "/manifests/plan"): files,
        ("POST", "/manifests"): files,
        ("POST", "/users"): {"Email": email},
        ("PATCH", "/users/{id:int}"): {"IsAdmin": False},
    }
    return place, bodies.get((method, path)), world.match(token)


def is_granted(needs: Needs, role: str, *, foreign: bool) -> bool:
    """What the table of permissions says."""
    if needs == OPEN:
        return True
    if role == "caller without a session":
        return False
    if needs == SIGNED_IN or role == "admin":
        return True
    if needs == ADMIN or role == "outsider" or foreign:
        return False
    return needs in PERMISSIONS[PortalRole(role)]


def test_every_route_is_listed(world: World) -> None:
    """The table of needs names exactly the routes of the API."""
    assert routes(world) == set(NEEDS)


@pytest.mark.parametrize("foreign", [False, True], ids=["own", "foreign"])
@pytest.mark.parametrize("role", ROLES)
def test_matrix(world: World, role: str, foreign: bool) -> None:
    """Each route answers a caller with the permission, and refuses every other one with 401, 403 or 404."""
    token = world.theirs if foreign else world.ours
    people = {**world.people, "admin": world.admin, "outsider": world.outsider}
    gaps = []
    for (method, path), needs in NEEDS.items():
        if (method, path) in {("DELETE", "/session"), ("POST", "/session"), ("POST", "/link")}:
            continue  # these end the session or need none; the other tests call them
        place, body, headers = example(world, method, path, token)
        if role in people:
            answer = people[role].call(method, place, body, headers=headers)
        else:
            answer = world.client.request(method, API + place, json=body, headers=headers)
        refused = answer.status_code in {401, 403} or (answer.status_code == 404 and "{id" not in path)
        if refused == is_granted(needs, role, foreign=foreign):
            gaps.append(f"{method} {path}: {answer.status_code} {answer.text[:100]}")
    assert gaps == []


def test_every_change_is_audited(world: World) -> None:
    """Every route that changes something leaves an entry of the audit, also when it is refused."""
    silent = []
    for method, path in CHANGES:
        if (method, path) == ("DELETE", "/session"):
            continue
        place, body, headers = example(world, method, path, world.ours)
        before = world.audit()[0]["Id"]
        world.admin.call(method, place, body, headers=headers)
        if world.audit()[0]["Id"] == before:
            silent.append(f"{method} {path}")
    assert silent == []
