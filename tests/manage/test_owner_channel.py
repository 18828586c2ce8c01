"""The permission table holds on the owner channel of the wire, call by call."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from apilane.control.operator_tokens import NewCredential
from apilane.instance import Instance
from apilane.model.portal_roles import PERMISSIONS, Permission, PortalRole
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.manage.world import shop

VIEW, EDIT = Permission.view_data, Permission.edit_data
CALLS = [
    ("GET", "Data/Get?entity=Products", None, VIEW),
    ("GET", "Stats/Aggregate?entity=Products&properties=ID.Count", None, VIEW),
    ("GET", "EntityHistory/Get?entity=Products", None, VIEW),
    ("GET", "Stats/CountDataAndHistory?entity=Products", None, VIEW),
    ("GET", "Application/Export", None, VIEW),
    ("GET", "Data/Schema", None, Permission.view_definition),
    ("POST", "Data/Post?entity=Products", {"Title": "A"}, EDIT),
    ("PUT", "Data/Put?entity=Products", {"ID": 1, "Title": "B"}, EDIT),
    ("DELETE", "Data/Delete?entity=Products&ids=1", None, EDIT),
    ("POST", "Data/Transaction", {"Post": []}, EDIT),
    ("DELETE", "EntityHistory/Delete?entity=Products&recordID=1", None, EDIT),
    ("POST", "Custom/Titles", {"Query": "SELECT 1 AS One"}, EDIT),
    ("GET", "Custom/Titles", None, EDIT),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running API."""
    with Server(tmp_path_factory.mktemp("channel") / "data", settings=CHEAP_PASSWORDS) as running:
        yield running


def test_calls(server: Server) -> None:
    """Each role may make the calls that its permissions cover; all others answer 401 and change nothing."""
    entries = [{"Email": f"{role.value}@example.com", "Role": role.value} for role in PortalRole]
    application = server.apply({**shop("Channel"), "Collaborators": entries})

    async def tokens(instance: Instance) -> dict[str, str]:
        store = instance.store
        users = {role.value: await store.portal_users.create(f"{role.value}@example.com") for role in PortalRole}
        made = {name: await store.operator_tokens.create(user.id) for name, user in users.items()}
        limited = NewCredential(name="limited", life_ms=60_000, permissions=frozenset({VIEW}))
        made["limited manager"] = await store.operator_tokens.create(users["manager"].id, like=limited)
        foreign = NewCredential(name="foreign", life_ms=60_000, application="0" * 36)
        made["manager elsewhere"] = await store.operator_tokens.create(users["manager"].id, like=foreign)
        return made

    held = {role.value: PERMISSIONS[role] for role in PortalRole}
    held |= {"limited manager": frozenset({VIEW}), "manager elsewhere": frozenset()}
    gaps = []
    with httpx.Client(base_url=f"{server.url}/api/", trust_env=False, timeout=30) as client:
        for name, token in server.with_instance(tokens).items():
            headers = {
                "x-application-token": application,
                "x-client-id": "portal",
                "authorization": f"Bearer {token}",
            }
            for method, path, body, needs in CALLS:
                answer = client.request(method, path, json=body, headers=headers)
                public = name == "manager elsewhere" and path.startswith(("Data/Get", "Stats/Agg", "Data/Tr"))
                if (answer.status_code == 401) == (needs in held[name] or public):
                    gaps.append(f"{name}: {method} {path}: {answer.status_code} {answer.text[:80]}")
    assert gaps == []
